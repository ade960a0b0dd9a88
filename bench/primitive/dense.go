package primitive

import (
	"context"
	"math/rand/v2"

	"cipherpoint/bench/lattigo"
	"cipherpoint/circuit"
)

// Dense returns a dense size×size matrix times a vector that is repeated over the slots, rescaled: as many baby as giant
// steps. Ours includes the reply. With full diagonals, their values do not repeat as the vector's do, which takes ours
// the chance to keep them in compact form; Lattigo always stores them in full.
func Dense(ctx context.Context, p circuit.Parameters, size int, full bool) (Operation, error) {
	c := dense(p, size, full)
	name := "dense map, ours with reply"
	if full {
		name = "dense map, full diagonals"
	}
	rng := rand.New(rand.NewPCG(2, 1))
	x := uniform(rng, p.Slots())
	for j := size; j < len(x); j++ {
		x[j] = x[j-size]
	}

	ours, err := newParty(ctx, c, c.Keys(), x)
	if err != nil {
		return Operation{}, err
	}
	reference, err := lattigo.NewProgram(c, 1)
	if err != nil {
		return Operation{}, err
	}
	session := reference.NewSession()
	theirInputs, err := session.Encrypt([][]float64{x})
	if err != nil {
		return Operation{}, err
	}
	return Operation{name, func() error {
		_, err := ours.program.Run(ctx, ours.keys, ours.inputs)
		return err
	}, func() error {
		_, err := session.Run(theirInputs)
		return err
	}}, nil
}

// dense is a circuit of one map at the top level.
func dense(p circuit.Parameters, size int, full bool) *circuit.Circuit {
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
	top := p.MaxLevel()
	const scale = 1 << 28
	return &circuit.Circuit{Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: top, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: top, Rescale: 1, Scale: scale, Linear: linear},
			{In: []int{1}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}},
		},
		Outputs: []circuit.Output{{Value: 2, Period: size, ModulusBits: 36}}}
}
