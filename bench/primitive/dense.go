package primitive

import (
	"math/rand/v2"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// Dense is a dense size×size matrix times a vector that is repeated over the slots, at the top level and rescaled.
// Full diagonals have values that do not repeat as the vector's do: these can be kept in no compact form, as Lattigo keeps
// none. There are four times as many baby as giant steps, which is the cheapest but where full diagonals come from memory
// faster than babies are made: as many of both.
func Dense(p circuit.Parameters, size int, full bool) *circuit.Circuit {
	babies, ratio := 1, 4
	if full && kernel.Features() != "purego" {
		ratio = 1
	}
	for babies*babies < ratio*size {
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
