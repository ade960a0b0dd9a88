package fhe_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

// TestTwiceHoisted runs maps with many baby and few giant steps, among these such as start at another one, and with keys
// made for a higher level, which have more special primes than the plaintexts.
func TestTwiceHoisted(t *testing.T) {
	q := []int{38, 30, 30, 30}
	rng := rand.New(rand.NewPCG(3, 1))
	pool := fhe.NewPool(3)
	for special := 1; special <= 3; special++ {
		logN := 13
		if special == 3 {
			logN = 14
		}
		params := parameters(t, logN, circuit.ConjugateInvariant, q, []int{38, 38, 38}[:special])
		x := uniform(rng, params.N())
		for level := 1; level < len(q); level++ {
			for _, giants := range [][]circuit.Rotation{nil, {{Shift: 100}}, {{Shift: 100}, {Shift: 300, From: 100}}} {
				for _, period := range []int{64, params.N()} {
					c := hoistedMap(rng, params, level, 14, giants, period)
					for _, keyLevel := range []int{level, len(q) - 1} {
						t.Run(fmt.Sprintf("%d special, level %d, %d giants, period %d, keys of level %d", special, level, len(giants), period, keyLevel), func(t *testing.T) {
							set := c.Keys()
							for i := range set.Rotations {
								set.Rotations[i].Level = keyLevel
							}
							p := newPartyWith(t, c, set, pool)
							if !p.program.HoistsTwice(0) {
								t.Error("babies are divided")
							}
							p.checkAgainstFloat(t, 100*roundingError(params)/c.Inputs[0].Scale, x)
						})
					}
				}
			}
		}
	}
}

// TestHoisted runs maps whose babies are divided, each rotated from the same digits, of which there are one to six.
func TestHoisted(t *testing.T) {
	q := []int{38, 30, 30, 30, 30, 30}
	rng := rand.New(rand.NewPCG(5, 1))
	pool := fhe.NewPool(3)
	giants := []circuit.Rotation{{Shift: 100}, {Shift: 200}, {Shift: 300}, {Shift: 400}}
	for special := 1; special <= 3; special++ {
		params := parameters(t, 14, circuit.ConjugateInvariant, q, []int{38, 38, 38}[:special])
		x := uniform(rng, params.N())
		for level := 1; level < len(q); level++ {
			t.Run(fmt.Sprintf("%d special, level %d", special, level), func(t *testing.T) {
				c := hoistedMap(rng, params, level, 2, giants, 64)
				p := newPartyWith(t, c, c.Keys(), pool)
				if p.program.HoistsTwice(0) {
					t.Error("babies are not divided")
				}
				p.checkAgainstFloat(t, 100*roundingError(params)/c.Inputs[0].Scale, x)
			})
		}
	}
}

func hoistedMap(rng *rand.Rand, params circuit.Parameters, level, babies int, giants []circuit.Rotation, period int) *circuit.Circuit {
	scale := math.Exp2(30)
	l := &circuit.Linear{Giants: giants}
	for k := 1; k <= babies; k++ {
		l.Babies = append(l.Babies, circuit.Rotation{Shift: 3 * k})
	}
	for _, giant := range append([]circuit.Rotation{{}}, giants...) {
		for k := range babies + 1 {
			values := uniform(rng, period)
			for i := range values {
				values[i] *= 0.02
			}
			l.Diagonals = append(l.Diagonals, circuit.Diagonal{Baby: 3 * k, Giant: giant.Shift, Values: circuit.Vector{Period: period, Values: values}})
		}
	}
	return &circuit.Circuit{
		Parameters: params, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: level, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: level, Rescale: 1, Scale: scale, Linear: l},
			{In: []int{1}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}},
		},
		Outputs: []circuit.Output{{Value: 2, Period: params.N(), ModulusBits: 36}},
	}
}
