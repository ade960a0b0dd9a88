package compiler

import (
	"math"
	"slices"

	"cipherpoint/circuit"
)

// replies is how the outputs of a scheduled circuit are sent, and what that costs.
type replies struct {
	by                       *circuit.RingSwitch // nil: they stay in the ring
	bits                     []int               // of each output's modulus
	bytes, keyBytes, latency float64             // latency in milliseconds
}

// replyShare is what of the bound on errors rounding replies may take, and the switch to another ring with it.
const replyShare = 0.1

// switchShare is what of that the switch may take: a bit more of its key's prime costs less than one of every reply.
const switchShare = 0.25

// chooseReplies takes for the outputs' moduli the smallest powers of two at which rounding to them keeps within its share of the
// bound, and for the ring of replies the one that costs least beside keys of so many bytes. It reports false where no modulus
// is large enough.
func chooseReplies(c *circuit.Circuit, p *packing, bound float64, w Weights, keyBytes float64) (replies, bool) {
	e := newNoise(c.Parameters)
	limits := make([]float64, len(c.Outputs)) // of the deviation of each output's coefficients
	for o := range limits {
		limits[o] = replyShare * bound / largestError / (math.Abs(p.outputs[o].Factor) * e.coefficient(c, o))
	}
	best, ok := priceReplies(c, limits, nil)
	if !ok {
		return replies{}, false
	}
	if c.Packing == circuit.Slots {
		price := func(r replies) float64 { return w.price(r.latency, keyBytes+r.keyBytes, r.bytes) }
		for logN := circuit.MinReplyLogN; logN < c.Parameters.LogN; logN++ {
			for digits := 1; digits <= circuit.MaxSwitchDigits; digits++ {
				by, ok := ringSwitch(c, switchShare*slices.Min(limits), logN, digits)
				if !ok {
					continue
				}
				if other, ok := priceReplies(c, limits, by); ok && price(other) < price(best) {
					best = other
				}
			}
		}
	}
	return best, true
}

// apply writes them to a circuit.
func (r replies) apply(c *circuit.Circuit) {
	c.RingSwitch = r.by
	for o := range c.Outputs {
		c.Outputs[o].ModulusBits = r.bits[o]
	}
}

// ringSwitch returns the switch to a ring with the smallest prime at which its noise keeps within a limit.
func ringSwitch(c *circuit.Circuit, limit float64, logN, digits int) (*circuit.RingSwitch, bool) {
	for _, out := range c.Outputs {
		if out.Period > 1<<logN {
			return nil, false
		}
	}
	e := newNoise(c.Parameters)
	r := &circuit.RingSwitch{LogN: logN, Digits: digits}
	for size := circuit.MinSwitchBits; size <= circuit.MaxPrimeBits; size++ {
		if !r.SetPrime(c.Parameters, size) {
			continue
		}
		if r.LogQP(c.Parameters) > circuit.MaxLogQP(logN) {
			return nil, false
		}
		if e.switched(r) <= limit {
			return r, true
		}
	}
	return nil, false
}

// priceReplies finds the moduli for replies that are switched so, or not at all.
func priceReplies(c *circuit.Circuit, limits []float64, by *circuit.RingSwitch) (replies, bool) {
	e, n := newNoise(c.Parameters), c.Parameters.N()
	r := replies{by: by}
	switched := 0.0
	if by != nil {
		r.keyBytes = float64(by.Polynomials(c.Parameters)) * polynomialBytes(by.N(), c.Parameters.Q[:1], []uint64{by.P})
		r.latency = float64(n) * (costSplit + float64(by.Digits)*costSwitched) / 1e6
		switched, n = e.switched(by), by.N()
	}
	for o, out := range c.Outputs {
		room := math.Sqrt(limits[o]*limits[o] - switched*switched)
		bits := max(8, int(math.Ceil(math.Log2(e.replied(by, 0)/room))))
		if !(room > 0) || float64(bits) > c.Parameters.LogQ(0) {
			return replies{}, false
		}
		r.bits = append(r.bits, bits)
		kept := max(len(out.Coefficients), period(c, o))
		bytes := float64((n+kept)*bits) / 8
		if c.Packing == circuit.Batch {
			bytes *= float64(out.Width)
		}
		r.bytes += bytes
	}
	return r, true
}

// replied is a coefficient's error from rounding a reply to 2^bits, in the ring that it is switched to.
func (e noise) replied(by *circuit.RingSwitch, bits int) float64 {
	small := e
	if by != nil {
		small = newNoise(circuit.Parameters{LogN: by.LogN, Ring: e.parameters.Ring})
	}
	return small.rounding() / small.embedding * float64(e.parameters.Q[0]) / math.Exp2(float64(bits))
}

// switched is a coefficient's error from switching a reply to another ring, modulo q_0: N/n times the digits' products with
// the key's errors, divided by P, and the rounding of that.
func (e noise) switched(by *circuit.RingSwitch) float64 {
	q, width := float64(e.parameters.Q[0]), math.Exp2(float64(by.Width(e.parameters)))
	variance := 0.0
	for d := range by.Digits {
		digit := min(width, q/math.Pow(width, float64(d)))
		variance += digit * digit / 12
	}
	small := newNoise(circuit.Parameters{LogN: by.LogN, Ring: e.parameters.Ring})
	return math.Hypot(e.embedding*errorStd*math.Sqrt(variance)/float64(by.P), small.rounding()/small.embedding)
}

// replyNoise is the deviation of what sending an output adds to one of its values.
func (e noise) replyNoise(c *circuit.Circuit, output int) float64 {
	out := c.Outputs[output]
	std := e.replied(c.RingSwitch, out.ModulusBits)
	if c.RingSwitch != nil {
		std = math.Hypot(std, e.switched(c.RingSwitch))
	}
	if out.Flood > 0 {
		std = math.Hypot(std, math.Hypot(out.Flood, e.encryption()))
	}
	return e.coefficient(c, output) * std
}
