package compiler

import (
	"math"

	"cipherpoint/circuit"
)

// maxFlood leaves some bits of the last prime to the answer.
const maxFlood = 24

// flood sets the noise that the outputs of a scheduled circuit add to hide its own: 2^bits times as wide. It reports
// whether that can be done.
func flood(c *circuit.Circuit, p *packing, f *profile, bits int) bool {
	e := newNoise(c.Parameters)
	hidden := predict(c, f)
	for o := range c.Outputs {
		out := &c.Outputs[o]
		out.Flood = math.Ldexp(hidden/(math.Abs(p.outputs[o].Factor)*e.coefficient(c, o)), bits)
		// The encryption of zero brings noise of its own, which depends on nothing: it may not replace what is asked for.
		if !(out.Flood >= circuit.MinFlood && out.Flood <= float64(c.Parameters.Q[0])/16) {
			return false
		}
	}
	return true
}

// flooded is the deviation of the worst score with what flooding adds to the circuit's own.
func flooded(c *circuit.Circuit, p *packing, own float64) float64 {
	e := newNoise(c.Parameters)
	worst := 0.0
	for o, out := range c.Outputs {
		added := math.Abs(p.outputs[o].Factor) * e.coefficient(c, o) * math.Hypot(out.Flood, e.encryption())
		worst = max(worst, math.Hypot(own, added))
	}
	return worst
}

// coefficient is the error of one of an output's values for noise of deviation one on each coefficient of the reply.
func (e noise) coefficient(c *circuit.Circuit, output int) float64 {
	scale := c.Scale(c.Outputs[output].Value)
	if c.Packing == circuit.Coefficients {
		return 1 / scale
	}
	n, period := float64(e.parameters.N()), float64(period(c, output))
	return n / period * e.embedding * math.Sqrt(period/n) / scale
}

// encryption is a coefficient's error of a public-key encryption of zero: v·e + e_0 + e_1·s with ternary v and s.
func (e noise) encryption() float64 {
	return errorStd * math.Sqrt(1+2*e.embedding*e.embedding*secretStd*secretStd)
}

// Advantage bounds how well a number of replies tells the model from another with the same scores, where the compiler
// was asked to flood them: the total variation distance of what the user sees of both, at most √(KL/2) (Pinsker). Two
// independent errors of deviation d under normal noise of deviation 2^f·d have KL = 2^-2f for each coefficient seen. It
// rests on the prediction of d, and is 1 where nothing is flooded.
func (r *Result) Advantage(replies int) float64 {
	if r.Flood == 0 {
		return 1
	}
	coefficients := 0
	for _, out := range r.Circuit.Outputs {
		coefficients += max(out.Period, len(out.Coefficients))
	}
	return min(1, math.Ldexp(math.Sqrt(float64(replies*coefficients)/2), -r.Flood))
}
