// Package pipeline is the user's side of a compiled model, but for the cryptography: what happens to a row of features
// before encryption and to the decrypted numbers after it. Both ends are small float graphs that run in clear on the
// user's machine, between them stands the packing: which number goes to which slot, and where the answers are.
//
//	vectors, err := p.Encode(row)        // then encrypt each vector
//	scores, answer, err := p.Decode(out) // out as decrypted
//
// Danger: a row, a vector and an answer are the user's secrets. Nothing of this package's results may be sent to a
// server or logged.
package pipeline

import (
	"errors"
	"fmt"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// Pipeline is plain data; it is the part of client.zip that knows the model.
type Pipeline struct {
	// Columns, where there are any, turn a row of text into the prefix's features.
	Columns Columns `json:"columns,omitempty"`
	// Prefix takes the features and returns what is encrypted: scaling, thermometer bits, one-hot codes.
	Prefix *model.Graph `json:"prefix"`
	// Inputs says for each vector of the circuit which of the prefix's numbers goes to which slot.
	Inputs []Gather `json:"inputs"`
	// Outputs says for each tensor of the circuit's answers where its numbers are.
	Outputs []Answer `json:"outputs"`
	// Suffix takes the answers and returns what the user wants: probabilities, classes.
	Suffix *model.Graph `json:"suffix"`
	// Classes names the labels of a classifier, in the order of the scores; empty for a regression.
	Classes []string `json:"classes,omitempty"`
}

// Gather fills a vector of slots: slot j holds element Elements[j mod len(Elements)] of the prefix's output, or zero
// where that is negative. Of a batch, it fills the sample's place in each ciphertext.
type Gather struct {
	Output   int     `json:"output"` // of the prefix
	Elements []int32 `json:"elements"`
}

// Answer makes a tensor of answers from one output of the circuit: number i is Factor times value Positions[i], and times
// Factors[i] where these are given.
type Answer struct {
	Shape     model.Shape `json:"shape"`
	Positions []int32     `json:"positions"`
	Factor    float64     `json:"factor"`
	Factors   []float64   `json:"factors,omitempty"`
}

// Validate checks the pipeline against the circuit's shape.
func (p *Pipeline) Validate(slots int, inputs []circuit.Input, outputs []circuit.Output) error {
	if p.Prefix == nil || p.Suffix == nil {
		return errors.New("pipeline has no prefix or no suffix")
	}
	shapes, err := p.Prefix.Shapes()
	if err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	if err := p.Suffix.Validate(); err != nil {
		return fmt.Errorf("suffix: %w", err)
	}
	if len(p.Columns) > 0 {
		if err := p.Columns.Validate(); err != nil {
			return err
		}
		if p.Columns.Width() != p.Features() {
			return fmt.Errorf("columns give %d values, the prefix takes %d", p.Columns.Width(), p.Features())
		}
	}
	if len(p.Inputs) != len(inputs) || len(p.Outputs) != len(outputs) || len(p.Suffix.Inputs) != len(outputs) {
		return errors.New("pipeline and circuit differ in their numbers of inputs or outputs")
	}
	for i, gather := range p.Inputs {
		fits := len(gather.Elements) > 0 && slots%max(len(gather.Elements), 1) == 0
		if inputs[i].Width > 0 {
			fits = len(gather.Elements) == inputs[i].Width
		}
		if gather.Output < 0 || gather.Output >= len(p.Prefix.Outputs) || !fits {
			return fmt.Errorf("input %d: packing does not fit", i)
		}
		size := shapes[p.Prefix.Outputs[gather.Output]].Size()
		for _, e := range gather.Elements {
			if int(e) >= size {
				return fmt.Errorf("input %d: element %d of %d", i, e, size)
			}
		}
	}
	for i, answer := range p.Outputs {
		length := outputs[i].Period
		switch {
		case outputs[i].Coefficients != nil:
			length = len(outputs[i].Coefficients)
		case outputs[i].Width > 0:
			length = outputs[i].Width
		}
		if len(answer.Factors) != 0 && len(answer.Factors) != len(answer.Positions) {
			return fmt.Errorf("output %d: %d factors for %d positions", i, len(answer.Factors), len(answer.Positions))
		}
		if answer.Shape.Size() != len(answer.Positions) || !answer.Shape.Equal(p.Suffix.Inputs[i].Shape) {
			return fmt.Errorf("output %d: %d positions do not fit its shape", i, len(answer.Positions))
		}
		for _, at := range answer.Positions {
			if at < 0 || int(at) >= length {
				return fmt.Errorf("output %d: position %d of %d", i, at, length)
			}
		}
	}
	return nil
}

// Features returns the number of values in a row.
func (p *Pipeline) Features() int {
	n := 0
	for _, port := range p.Prefix.Inputs {
		n += port.Shape.Size()
	}
	return n
}

// Encode turns a row of features into the vectors to encrypt, each as long as its packing's period.
func (p *Pipeline) Encode(row []float64) ([][]float64, error) {
	inputs := make([]model.Tensor, len(p.Prefix.Inputs))
	if len(row) != p.Features() {
		return nil, fmt.Errorf("row has %d values: want %d", len(row), p.Features())
	}
	for i, port := range p.Prefix.Inputs {
		n := port.Shape.Size()
		inputs[i] = model.Tensor{Shape: port.Shape, Data: row[:n:n]}
		row = row[n:]
	}
	encoded, err := p.Prefix.Run(inputs...)
	if err != nil {
		return nil, err
	}
	vectors := make([][]float64, len(p.Inputs))
	for i, gather := range p.Inputs {
		vectors[i] = gather.apply(encoded[gather.Output].Data)
	}
	return vectors, nil
}

func (g *Gather) apply(x []float64) []float64 {
	v := make([]float64, len(g.Elements))
	for j, e := range g.Elements {
		if e >= 0 {
			v[j] = x[e]
		}
	}
	return v
}

// Decode turns the circuit's decrypted outputs into the scores, which are what the model's last encrypted layer gives,
// and the answer, which is what the suffix makes of them.
func (p *Pipeline) Decode(outputs [][]float64) (scores, answer []float64, err error) {
	if len(outputs) != len(p.Outputs) {
		return nil, nil, fmt.Errorf("%d decrypted outputs: want %d", len(outputs), len(p.Outputs))
	}
	tensors := make([]model.Tensor, len(outputs))
	for i, a := range p.Outputs {
		tensors[i] = model.NewTensor(a.Shape)
		for k, at := range a.Positions {
			if int(at) >= len(outputs[i]) {
				return nil, nil, fmt.Errorf("decrypted output %d has %d values: want more than %d", i, len(outputs[i]), at)
			}
			tensors[i].Data[k] = a.Factor * outputs[i][at]
			if len(a.Factors) > 0 {
				tensors[i].Data[k] *= a.Factors[k]
			}
		}
		scores = append(scores, tensors[i].Data...)
	}
	results, err := p.Suffix.Run(tensors...)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range results {
		answer = append(answer, t.Data...)
	}
	return scores, answer, nil
}

// Label returns the class that an answer stands for: the largest of several values, or for a single probability
// whether it is above one half.
func Label(answer []float64) int {
	if len(answer) == 1 {
		if answer[0] > 0.5 {
			return 1
		}
		return 0
	}
	best := 0
	for i, s := range answer {
		if s > answer[best] {
			best = i
		}
	}
	return best
}
