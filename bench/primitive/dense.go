package primitive

import (
	"math/rand/v2"

	"cipherpoint/circuit"
)

// Dense is a dense size×size matrix times a vector that is repeated over the slots, at the top level and rescaled: as
// many baby as giant steps. Full diagonals have values that do not repeat as the vector's do: these can be kept in no
// compact form, as Lattigo keeps none.
func Dense(p circuit.Parameters, size int, full bool) *circuit.Circuit {
	babies := 1
	for babies*babies < size {
		babies *= 2
	}
	period := size
	if full {
		period = p.Slots()
	}
	rng := rand.New(rand.NewPCG(1, 1))
	linear := &circuit.Linear{}
	for k := 1; k < babies; k++ {
		linear.Babies = append(linear.Babies, circuit.Rotation{Shift: k})
	}
	for k := babies; k < size; k += babies {
		linear.Giants = append(linear.Giants, circuit.Rotation{Shift: k})
	}
	for k := range size {
		linear.Diagonals = append(linear.Diagonals, circuit.Diagonal{Baby: k % babies, Giant: k / babies * babies,
			Values: circuit.Vector{Period: period, Values: uniform(rng, period)}})
	}
	const scale = 1 << 28
	top := p.MaxLevel()
	return &circuit.Circuit{Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: top, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: top, Rescale: 1, Scale: scale, Linear: linear},
			{In: []int{1}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}},
		},
		Outputs: []circuit.Output{{Value: 2, Period: size, ModulusBits: 36}}}
}
