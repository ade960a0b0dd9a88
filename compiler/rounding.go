package compiler

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"

	"cipherpoint/circuit"
)

// rounded is a scheduled circuit with scalars, weights of products of polynomials and the diagonals of small maps as the
// runtime rounds them. Of few weights, the one rounding that there is may be far from the mean of all, which is what
// candidates are priced by, and a large value of a row meets the same rounding in every row.
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
			if !isSmall(node.Linear) {
				continue
			}
			linear := *node.Linear
			linear.Diagonals = slices.Clone(linear.Diagonals)
			for k, d := range linear.Diagonals {
				if !d.Values.IsZero() {
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

// isSmall holds for linear maps whose rounding is computed and not drawn: that takes a dense copy.
func isSmall(l *circuit.Linear) bool {
	const most = 1 << 18
	values := 0
	for _, d := range l.Diagonals {
		values += d.Values.Period
	}
	return values <= most
}

// roundedSlots rounds the coefficients of a vector of slots. In the conjugate-invariant subring of degree p, slot j holds
// c_0 + Σ_k 2·c_k·cos(2πk·5^j/4p): a cosine transform of the coefficients, at the odd multiples of π/2p, in another order.
func roundedSlots(v circuit.Vector, scale float64) circuit.Vector {
	p := v.Period
	values, points := v.Full(p), make([]float64, p)
	at := make([]int, p)
	for j, power := 0, 1; j < p; j, power = j+1, power*5%(4*p) {
		at[j] = min(power, 4*p-power) / 2
		points[at[j]] = values[j]
	}
	transform := fourier.NewQuarterWaveFFT(p)
	transform.CosSequence(points, points)
	for k, c := range points {
		points[k] = roundedTo(c/float64(4*p), scale)
	}
	transform.CosCoefficients(points, points)
	for j := range values {
		values[j] = points[at[j]]
	}
	return circuit.Vector{Period: p, Values: values}
}
