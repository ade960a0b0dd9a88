package compiler

import (
	"fmt"

	"cipherpoint/model"
)

// program is the encrypted part of a model before packing: a straight line of operations on whole vectors. Values are
// numbered as in a circuit: the inputs first, then the operations in order.
type program struct {
	inputs  []vector
	ops     []op
	outputs []int
}

// vector is a value's shape; public inputs have an order of elements that must not depend on the model.
type vector struct {
	name   string
	shape  model.Shape
	public bool
}

// op is one operation. Exactly one of maps, factors and product says which.
type op struct {
	vector
	in       []int
	maps     []*model.Sparse // affine: Σ_k maps[k]·x_k + bias
	bias     []float64
	factors  []float64 // combination of vectors of one layout: Σ_k factors[k]·x_k + constant
	constant float64
	product  bool // x_0 ⊙ x_1
	pool     *pool
}

func (p *program) value(v int) vector {
	if v < len(p.inputs) {
		return p.inputs[v]
	}
	return p.ops[v-len(p.inputs)].vector
}

// producer returns the operation that makes a value, or nil for an input.
func (p *program) producer(v int) *op {
	if v < len(p.inputs) {
		return nil
	}
	return &p.ops[v-len(p.inputs)]
}

func (p *program) add(o op) int {
	p.ops = append(p.ops, o)
	return len(p.inputs) + len(p.ops) - 1
}

func (p *program) affine(name string, shape model.Shape, in []int, maps []*model.Sparse, bias []float64) int {
	return p.add(op{vector: vector{name: name, shape: shape}, in: in, maps: maps, bias: bias})
}

func (p *program) combine(name string, in []int, factors []float64, constant float64) int {
	if len(in) == 1 && factors[0] == 1 && constant == 0 {
		return in[0]
	}
	return p.add(op{vector: vector{name: name, shape: p.value(in[0]).shape}, in: in, factors: factors, constant: constant})
}

// multiply returns the product of two values, the one there already if there is one.
func (p *program) multiply(name string, a, b int) int {
	for i, o := range p.ops {
		if o.product && o.in[0] == a && o.in[1] == b {
			return len(p.inputs) + i
		}
	}
	return p.add(op{vector: vector{name: name, shape: p.value(a).shape}, in: []int{a, b}, product: true})
}

// uses counts how often each value is read.
func (p *program) uses() []int {
	uses := make([]int, len(p.inputs)+len(p.ops))
	for _, o := range p.ops {
		for _, v := range o.in {
			uses[v]++
		}
	}
	for _, v := range p.outputs {
		uses[v]++
	}
	return uses
}

// fold merges what is one linear map: chains of affine operations, and scalar combinations of one vector before or
// after an affine one. It repeats until nothing changes and drops what is no longer read. Linear maps that only scale
// become combinations.
func (p *program) fold() error {
	for {
		changed, err := p.foldOnce()
		if err != nil {
			return err
		}
		p.sweep()
		if !changed {
			break
		}
	}
	for i := range p.ops {
		p.ops[i].scale()
	}
	return nil
}

func (p *program) foldOnce() (bool, error) {
	uses := p.uses()
	changed := false
	for i := range p.ops {
		o := &p.ops[i]
		switch {
		case o.maps != nil:
			if o.joinTerms() || o.dropZeros() {
				changed = true
			}
			for k, v := range o.in {
				before := p.producer(v)
				if before == nil || len(before.in) != 1 || before.product || before.pool.isApart() {
					continue
				}
				if before.maps != nil && uses[v] > 1 && !p.shortens(o) {
					continue // computed once, used often
				}
				merged, bias, err := before.then(o.maps[k])
				if err != nil {
					return false, fmt.Errorf("%s: %w", o.name, err)
				}
				o.in[k], o.maps[k], o.pool = before.in[0], merged, nil
				for r, b := range bias {
					o.bias[r] += b
				}
				changed = true
			}
		case o.factors != nil && len(o.in) == 1:
			before := p.producer(o.in[0])
			if before == nil || before.maps == nil || uses[o.in[0]] > 1 || before.pool.isApart() {
				continue
			}
			f, c := o.factors[0], o.constant
			merged := op{vector: o.vector, in: before.in, bias: make([]float64, len(before.bias))}
			for _, m := range before.maps {
				merged.maps = append(merged.maps, scaled(m, f))
			}
			for r, b := range before.bias {
				merged.bias[r] = f*b + c
			}
			merged.name = before.name
			*o = merged
			changed = true
		}
	}
	return changed, nil
}

// shortens holds where all operands are linear maps of one and the same value: the operation then reads that itself, a
// level earlier, though others read the operands, too.
func (p *program) shortens(o *op) bool {
	for _, v := range o.in {
		first, before := p.producer(o.in[0]), p.producer(v)
		if before == nil || before.maps == nil || len(before.in) != 1 || before.in[0] != first.in[0] || before.pool.isApart() ||
			o.shape.Size() > before.shape.Size() {
			return false
		}
	}
	return true
}

// then returns the matrix and bias of the linear map m after this operation of one operand.
func (o *op) then(m *model.Sparse) (*model.Sparse, []float64, error) {
	before := &model.AffineMap{}
	if o.maps != nil {
		before.Matrix, before.Bias = o.maps[0], o.bias
	} else {
		before = model.Identity(m.Cols)
		before.Matrix = scaled(before.Matrix, o.factors[0])
		for r := range before.Bias {
			before.Bias[r] = o.constant
		}
	}
	merged, err := before.Compose(&model.AffineMap{Matrix: m, Bias: make([]float64, m.Rows)})
	if err != nil {
		return nil, nil, err
	}
	return merged.Matrix, merged.Bias, nil
}

func scaled(m *model.Sparse, f float64) *model.Sparse {
	out := *m
	out.Value = make([]float64, len(m.Value))
	for i, v := range m.Value {
		out.Value[i] = f * v
	}
	return &out
}

// sweep removes operations whose result nobody reads.
func (p *program) sweep() {
	needed := make([]bool, len(p.inputs)+len(p.ops))
	for _, v := range p.outputs {
		needed[v] = true
	}
	for i := len(p.ops) - 1; i >= 0; i-- {
		if needed[len(p.inputs)+i] {
			for _, v := range p.ops[i].in {
				needed[v] = true
			}
		}
	}
	renumbered := make([]int, len(needed))
	for v := range p.inputs {
		renumbered[v] = v
	}
	kept := p.ops[:0]
	for i, o := range p.ops {
		if !needed[len(p.inputs)+i] {
			continue
		}
		for k, v := range o.in {
			o.in[k] = renumbered[v]
		}
		renumbered[len(p.inputs)+i] = len(p.inputs) + len(kept)
		kept = append(kept, o)
	}
	p.ops = kept
	for k, v := range p.outputs {
		p.outputs[k] = renumbered[v]
	}
}
