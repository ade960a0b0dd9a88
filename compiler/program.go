package compiler

import (
	"fmt"
	"math"

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
// after an affine one. It repeats until nothing changes and drops what is no longer read.
func (p *program) fold() error {
	for {
		changed, err := p.foldOnce()
		if err != nil {
			return err
		}
		p.sweep()
		if !changed {
			return nil
		}
	}
}

func (p *program) foldOnce() (bool, error) {
	uses := p.uses()
	changed := false
	for i := range p.ops {
		o := &p.ops[i]
		switch {
		case o.maps != nil:
			for k, v := range o.in {
				before := p.producer(v)
				if before == nil || len(before.in) != 1 || before.product {
					continue
				}
				if before.maps != nil && uses[v] > 1 {
					continue // computed once, used often
				}
				merged, bias, err := before.then(o.maps[k])
				if err != nil {
					return false, fmt.Errorf("%s: %w", o.name, err)
				}
				o.in[k], o.maps[k] = before.in[0], merged
				for r, b := range bias {
					o.bias[r] += b
				}
				changed = true
			}
		case o.factors != nil && len(o.in) == 1:
			before := p.producer(o.in[0])
			if before == nil || before.maps == nil || uses[o.in[0]] > 1 {
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

// scaledValue is factor·value + constant, with the two numbers left for whoever reads it to take in.
type scaledValue struct {
	value            int
	factor, constant float64
}

// polynomial appends the evaluation of Σ_k c[k]·x^k at value x, in ⌈log₂(degree+1)⌉ multiplicative levels or, where
// the polynomial is even about some centre, with fewer products than its degree asks for. Scalars are left outside as
// far as they go, since the linear maps around take them for nothing.
func (p *program) polynomial(name string, x int, c []float64) scaledValue {
	c = trim(c)
	switch degree := len(c) - 1; {
	case degree <= 1:
		c = append(c, 0, 0)
		return scaledValue{x, c[1], c[0]}
	case degree == 2:
		// a·x² + b·x + c = a·(x + b/2a)² + (c − b²/4a)
		h := c[1] / (2 * c[2])
		shifted := p.combine(name, []int{x}, []float64{1}, h)
		return scaledValue{p.multiply(name, shifted, shifted), c[2], c[0] - c[2]*h*h}
	case even(c):
		square := p.multiply(name, x, x)
		half := make([]float64, 0, len(c)/2+1)
		for k := 0; k < len(c); k += 2 {
			half = append(half, c[k])
		}
		return p.polynomial(name, square, half)
	case degree == 3:
		// A cubic has a real root r: a·(x − r)·(x² + u·x + v), and the quadratic factor takes one square.
		r := realRoot(c)
		u := c[2]/c[3] + r
		v := c[1]/c[3] + r*u
		root := p.combine(name, []int{x}, []float64{1}, -r)
		quadratic := p.polynomial(name, x, []float64{v, u, 1})
		factor := p.combine(name, []int{quadratic.value}, []float64{quadratic.factor}, quadratic.constant)
		return scaledValue{p.multiply(name, root, factor), c[3], 0}
	}
	// p = q·x^m + r with m the largest power of two up to the degree (Paterson and Stockmeyer, SIAM J. Comput. 2(1)).
	m, power := 1, x
	for 2*m <= len(c)-1 {
		power = p.multiply(name, power, power)
		m *= 2
	}
	quotient := p.polynomial(name, x, c[m:])
	rest := p.polynomial(name, x, c[:m])
	var product int
	if quotient.factor == 0 || len(trim(c[m:])) == 1 {
		product, quotient.factor = power, c[m]
	} else {
		left := p.combine(name, []int{quotient.value}, []float64{1}, quotient.constant/quotient.factor)
		product = p.multiply(name, left, power)
	}
	if rest.factor == 0 {
		return scaledValue{product, quotient.factor, rest.constant}
	}
	sum := p.combine(name, []int{product, rest.value}, []float64{1, rest.factor / quotient.factor}, 0)
	return scaledValue{sum, quotient.factor, rest.constant}
}

func trim(c []float64) []float64 {
	for len(c) > 1 && c[len(c)-1] == 0 {
		c = c[:len(c)-1]
	}
	return c
}

func even(c []float64) bool {
	for k := 1; k < len(c); k += 2 {
		if c[k] != 0 {
			return false
		}
	}
	return true
}

// realRoot finds a real root of a cubic by bisection: its ends have opposite signs.
func realRoot(c []float64) float64 {
	cubic := &model.Polynomial{Coefficients: c}
	bound := 1 + (math.Abs(c[0])+math.Abs(c[1])+math.Abs(c[2]))/math.Abs(c[3]) // Cauchy's
	low, high := -bound, bound
	rising := c[3] > 0
	for range 200 {
		middle := (low + high) / 2
		if (cubic.At(middle) < 0) == rising {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}
