package fhe_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

// TestLevelsAndDigits runs key switching in every shape: one to six primes, one to four special ones, and keys made for
// a higher level than that of their use, where digits are cut short and special primes outnumber the level's own.
func TestLevelsAndDigits(t *testing.T) {
	q := []int{30, 26, 26, 26, 26, 26}
	rng := rand.New(rand.NewPCG(7, 1))
	pool := fhe.NewPool(3)
	for special := 1; special <= 4; special++ {
		p := []int{32, 32, 32, 32}[:special]
		logN := 13
		if special > 1 {
			logN = 14
		}
		params := parameters(t, logN, circuit.ConjugateInvariant, q, p)
		x := uniform(rng, params.N())
		for level := range q {
			scale := math.Exp2(26)
			c := &circuit.Circuit{
				Parameters: params, Packing: circuit.Slots,
				Inputs: []circuit.Input{{Level: level, Scale: scale}},
				Nodes: []circuit.Node{
					{In: []int{0}, Level: level, Scale: scale, Fold: &circuit.Fold{Steps: []int{3}}},
				},
			}
			last := 1
			if level > 0 {
				c.Nodes = append(c.Nodes, circuit.Node{In: []int{1, 0}, Level: level, Rescale: 1,
					Scale: scale * scale / float64(params.Q[level]), Multiply: &circuit.Multiply{}})
				last = 2
			}
			c.Nodes = append(c.Nodes, circuit.Node{In: []int{last}, Level: 0, Scale: c.Scale(last), Combine: &circuit.Combine{Factors: []float64{1}}})
			c.Outputs = []circuit.Output{{Value: last + 1, Period: params.N(), ModulusBits: 29}}
			for _, keyLevel := range slices.Compact([]int{level, min(level+1, len(q)-1), len(q) - 1}) {
				t.Run(fmt.Sprintf("%d special, level %d, keys of level %d", special, level, keyLevel), func(t *testing.T) {
					set := c.Keys()
					if set.Relinearisation >= 0 {
						set.Relinearisation = keyLevel
					}
					for i := range set.Rotations {
						set.Rotations[i].Level = keyLevel
					}
					// The modulus of the reply halves the scale, and the errors of four roundings are scaled by up to 2. The
					// largest of the thousands of slots of all cases is up to 15 deviations away: errors are products of normals.
					newPartyWith(t, c, set, pool).checkAgainstFloat(t, 20*3*roundingError(params)/scale, x)
				})
			}
		}
	}
}

// roundingError is the deviation in slots that one rounding of a ciphertext leaves: the second part's error, uniform
// below a half, times the secret. It is the product of two nearly Gaussian factors, so that the largest of many is not 4
// or 5 but up to 10 deviations.
func roundingError(params circuit.Parameters) float64 {
	n := float64(params.N())
	return math.Sqrt(2*n/12) * math.Sqrt(2*n*2/3)
}
