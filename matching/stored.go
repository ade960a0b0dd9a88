package matching

import (
	"fmt"
	"math"
	"math/bits"

	"cipherpoint/circuit"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// The parameters of galleries that users keep themselves: one ciphertext prime and one special prime at the smallest ring
// degree, 92 of 106 bits. The scale of a score is above the prime, as for galleries in clear.
const (
	storedQBits, storedPBits = 43, 49
	queryScale               = 25
	templateScale            = 20
)

// CompileStored compiles a gallery of encrypted templates, which users enrol under their own keys: their dimensions are all
// that the publisher decides.
func CompileStored(name string, dimensions int) (*Gallery, error) {
	if dimensions < 1 || dimensions > MaxDimensions {
		return nil, fmt.Errorf("templates of %d dimensions: want 1 to %d", dimensions, MaxDimensions)
	}
	parameters, err := circuit.NewParameters(logN, circuit.ConjugateInvariant, []int{storedQBits}, []int{storedPBits})
	if err != nil {
		return nil, err
	}
	n, period := parameters.Slots(), 1<<max(1, bits.Len(uint(dimensions-1)))
	c := &circuit.Circuit{Name: name, Parameters: parameters, Packing: circuit.Slots,
		Inputs:  []circuit.Input{{Name: "vector", Scale: math.Exp2(queryScale)}, {Name: "templates", Scale: math.Exp2(templateScale), Dimensions: period}},
		Nodes:   []circuit.Node{{Name: "scores", In: []int{0, 1}, Scale: math.Exp2(queryScale + templateScale), Match: &circuit.Match{}}},
		Outputs: []circuit.Output{{Name: "scores", Value: 2, Period: n, ModulusBits: replyBits, FirstBits: firstBits}},
	}
	query, block := pipeline.Gather{Elements: make([]int32, n)}, pipeline.Answer{Shape: model.Shape{n}, Positions: make([]int32, n), Factor: 1}
	for j := range n {
		if query.Elements[j] = int32(j * period / n); j*period/n >= dimensions {
			query.Elements[j] = -1
		}
		block.Positions[j] = int32(j)
	}
	p := &pipeline.Pipeline{Inputs: []pipeline.Gather{query}, Outputs: []pipeline.Answer{block}, Suffix: &model.Graph{
		Name: name + " scores", Inputs: []model.Port{{Name: "scores", Shape: block.Shape}}, Outputs: []string{"scores"},
	}}
	if p.Prefix, err = unit(model.New(name+" vector", model.Shape{dimensions})); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Gallery{c, p}, p.Validate(n, circuit.Fresh(c.Inputs), c.Outputs)
}
