package compiler

import (
	"math"
	"slices"

	"cipherpoint/circuit"
)

// rounded is a scheduled circuit with scalars, weights of products of polynomials and short diagonals as the runtime
// rounds them. Of few weights, the one rounding that there is may be far from the mean of all, which is what candidates are
// priced by.
func rounded(c *circuit.Circuit) *circuit.Circuit {
	out := *c
	out.Nodes = slices.Clone(c.Nodes)
	for i := range out.Nodes {
		node := &out.Nodes[i]
		switch {
		case node.Dot != nil:
			dot := *node.Dot
			dot.Weights = roundedVector(dot.Weights, c.PlaintextScale(*node, 0))
			node.Dot = &dot
		case node.Mix != nil:
			mix := *node.Mix
			mix.Maps = slices.Clone(mix.Maps)
			for k := range mix.Maps {
				mix.Maps[k] = roundedVector(mix.Maps[k], c.PlaintextScale(*node, k))
			}
			node.Mix = &mix
		case node.Linear != nil:
			linear := *node.Linear
			linear.Diagonals = slices.Clone(linear.Diagonals)
			for k, d := range linear.Diagonals {
				if d.Values.Period <= shortPeriod && !d.Values.IsZero() {
					linear.Diagonals[k].Values = roundedSlots(d.Values, c.PlaintextScale(*node, 0))
				}
			}
			node.Linear = &linear
		case node.Combine != nil:
			combine := *node.Combine
			combine.Factors = slices.Clone(combine.Factors)
			for k, factor := range combine.Factors {
				combine.Factors[k] = roundedTo(factor, c.PlaintextScale(*node, k))
			}
			node.Combine = &combine
		}
	}
	return &out
}

func roundedTo(x, scale float64) float64 { return math.RoundToEven(x*scale) / scale }

func roundedVector(v circuit.Vector, scale float64) circuit.Vector {
	v.Values = slices.Clone(v.Values)
	for i, x := range v.Values {
		v.Values[i] = roundedTo(x, scale)
	}
	return v
}

// shortPeriod is the longest period of a diagonal whose rounding is computed and not drawn.
const shortPeriod = 64

// roundedSlots rounds the coefficients of a vector of slots. In the conjugate-invariant subring of degree p, slot j holds
// c_0 + Σ_k 2·c_k·cos(2πk·5^j/4p).
func roundedSlots(v circuit.Vector, scale float64) circuit.Vector {
	p := v.Period
	values := v.Full(p)
	cosines := make([]float64, 4*p)
	for i := range cosines {
		cosines[i] = math.Cos(math.Pi * float64(i) / float64(2*p))
	}
	out := make([]float64, p)
	for k := range p {
		c := 0.0
		for j, power := 0, 1; j < p; j, power = j+1, power*5%(4*p) {
			c += values[j] * cosines[k*power%(4*p)] / float64(p)
		}
		c = roundedTo(c, scale)
		for j, power := 0, 1; j < p; j, power = j+1, power*5%(4*p) {
			if k == 0 {
				out[j] += c
			} else {
				out[j] += 2 * c * cosines[k*power%(4*p)]
			}
		}
	}
	return circuit.Vector{Period: p, Values: out}
}
