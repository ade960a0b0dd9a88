package compiler

import (
	"math"
	"slices"

	"cipherpoint/model"
)

// Features whose sizes are within these factors of each other and of one are encrypted as they are.
const (
	balanced      = 1 << 8
	balancedRange = 1 << 20
)

// balancingRows tell how large features are.
const balancingRows = 256

// balance has the client divide features of very different sizes, or very large or small ones, by powers of two near their
// largest values, for which the first linear maps make up: all features of a ciphertext have the same noise.
func (s *split) balance(rows [][]float64) error {
	values, err := s.prefix.RunRows(rows[:min(balancingRows, len(rows))])
	if err != nil {
		return err
	}
	at := 0
	for i, v := range s.encrypted.inputs {
		n := v.shape.Size()
		factor := make([]float64, n)
		least, most := math.Inf(1), 0.0
		for e := range factor {
			for _, row := range values {
				factor[e] = max(factor[e], math.Abs(row[at+e]))
			}
			if factor[e] > 0 && !math.IsInf(factor[e], 0) {
				factor[e] = math.Exp2(math.Round(math.Log2(factor[e])))
				least, most = min(least, factor[e]), max(most, factor[e])
			} else {
				factor[e] = 1
			}
		}
		at += n
		if v.public || most <= balanced*least && most <= balancedRange && least >= 1./balancedRange || !s.mapped(i) {
			continue
		}
		s.divide(i, factor)
	}
	return nil
}

// mapped holds for an input that only linear maps read.
func (s *split) mapped(input int) bool {
	for _, p := range s.variants {
		if slices.Contains(p.outputs, input) || slices.ContainsFunc(p.ops, func(o op) bool { return o.maps == nil && slices.Contains(o.in, input) }) {
			return false
		}
	}
	return true
}

// divide has the client divide an input by factors, and the maps multiply by them.
func (s *split) divide(input int, factor []float64) {
	inverse := make([]float64, len(factor))
	for e, f := range factor {
		inverse[e] = 1 / f
	}
	name := s.prefix.Outputs[input]
	divided := name + " divided"
	shape := s.encrypted.inputs[input].shape
	s.prefix.Nodes = append(s.prefix.Nodes, model.Node{Name: divided, Inputs: []string{name}, Output: divided,
		Op: &model.Scale{Factor: model.Tensor{Shape: shape, Data: inverse}, Offset: model.Scalar(0)}})
	s.prefix.Outputs[input] = divided
	for _, p := range s.variants {
		for i, o := range p.ops {
			for k, v := range o.in {
				if v != input {
					continue
				}
				m := *o.maps[k]
				m.Value = slices.Clone(m.Value)
				for at, c := range m.Column {
					m.Value[at] *= factor[c]
				}
				p.ops[i].maps[k] = &m
			}
		}
	}
}
