package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Scale is y = Factor·x + Offset with constants that broadcast against the input: a scaler, or an addition or product
// with a constant. The result has the shape that all three broadcast to.
type Scale struct {
	Factor Tensor `json:"factor"`
	Offset Tensor `json:"offset"`
}

func (*Scale) Kind() string { return "Scale" }

func (s *Scale) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if err := s.Factor.check(); err != nil {
		return nil, fmt.Errorf("factor: %w", err)
	}
	if err := s.Offset.check(); err != nil {
		return nil, fmt.Errorf("offset: %w", err)
	}
	shape, err := broadcast(x, s.Factor.Shape)
	if err != nil {
		return nil, err
	}
	return broadcast(shape, s.Offset.Shape)
}

func (s *Scale) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(s, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	x, factor, offset := stretch(in[0], shape), stretch(s.Factor, shape), stretch(s.Offset, shape)
	for i := range y.Data {
		y.Data[i] = factor[i]*x[i] + offset[i]
	}
	return y, nil
}

func (s *Scale) Lower(in Shape) (*AffineMap, error) {
	shape, err := s.Infer([]Shape{in})
	if err != nil {
		return nil, err
	}
	factor := stretch(s.Factor, shape)
	b := newSparseBuilder(shape.Size(), in.Size(), shape.Size())
	for i, k := range broadcastIndices(in, shape) {
		b.add(k, factor[i])
		b.endRow()
	}
	return &AffineMap{Matrix: b.matrix(), Bias: slices.Clone(stretch(s.Offset, shape))}, nil
}

// BatchNorm is y[c,…] = Gamma[c]·(x[c,…] − Mean[c]) / √(Variance[c] + Epsilon) + Beta[c] over the channels of axis 0.
type BatchNorm struct {
	Gamma    []float64 `json:"gamma"`
	Beta     []float64 `json:"beta"`
	Mean     []float64 `json:"mean"`
	Variance []float64 `json:"variance"`
	Epsilon  float64   `json:"epsilon"`
}

func (*BatchNorm) Kind() string { return "BatchNorm" }

func (n *BatchNorm) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if len(x) == 0 {
		return nil, errors.New("input is a scalar, want [channels, ...]")
	}
	for _, list := range [][]float64{n.Gamma, n.Beta, n.Mean, n.Variance} {
		if len(list) != x[0] {
			return nil, fmt.Errorf("parameters of %d, %d, %d and %d channels for an input of %d", len(n.Gamma), len(n.Beta),
				len(n.Mean), len(n.Variance), x[0])
		}
	}
	for c, v := range n.Variance {
		if !(v+n.Epsilon > 0) {
			return nil, fmt.Errorf("variance of channel %d plus epsilon is not positive", c)
		}
	}
	return x, nil
}

func (n *BatchNorm) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(n, in)
	if err != nil {
		return Tensor{}, err
	}
	factor, offset := n.factors()
	y := NewTensor(shape)
	each := len(y.Data) / len(factor)
	for c, f := range factor {
		for i := c * each; i < (c+1)*each; i++ {
			y.Data[i] = f*in[0].Data[i] + offset[c]
		}
	}
	return y, nil
}

// factors returns the norm as factor·x + offset for each channel.
func (n *BatchNorm) factors() (factor, offset []float64) {
	factor, offset = make([]float64, len(n.Gamma)), make([]float64, len(n.Gamma))
	for c := range factor {
		factor[c] = n.Gamma[c] / math.Sqrt(n.Variance[c]+n.Epsilon)
		offset[c] = n.Beta[c] - factor[c]*n.Mean[c]
	}
	return factor, offset
}

func (n *BatchNorm) Lower(in Shape) (*AffineMap, error) {
	if _, err := n.Infer([]Shape{in}); err != nil {
		return nil, err
	}
	factor, offset := n.factors()
	size := in.Size()
	each := size / len(factor)
	b := newSparseBuilder(size, size, size)
	bias := make([]float64, size)
	for i := range size {
		b.add(i, factor[i/each])
		b.endRow()
		bias[i] = offset[i/each]
	}
	return &AffineMap{Matrix: b.matrix(), Bias: bias}, nil
}

// Add is the sum of two values that broadcast against each other.
type Add struct{}

func (*Add) Kind() string                    { return "Add" }
func (*Add) Infer(in []Shape) (Shape, error) { return inferBinary(in) }
func (a *Add) Eval(in []Tensor) (Tensor, error) {
	return evalBinary(a, in, func(x, y float64) float64 { return x + y })
}
func (*Add) LowerEach(in []Shape) ([]*AffineMap, error) { return lowerBinary(in, 1) }

// Sub is the first value minus the second; they broadcast against each other.
type Sub struct{}

func (*Sub) Kind() string                    { return "Sub" }
func (*Sub) Infer(in []Shape) (Shape, error) { return inferBinary(in) }
func (s *Sub) Eval(in []Tensor) (Tensor, error) {
	return evalBinary(s, in, func(x, y float64) float64 { return x - y })
}
func (*Sub) LowerEach(in []Shape) ([]*AffineMap, error) { return lowerBinary(in, -1) }

// Multiply is the elementwise product of two values that broadcast against each other.
type Multiply struct{}

func (*Multiply) Kind() string                    { return "Multiply" }
func (*Multiply) Infer(in []Shape) (Shape, error) { return inferBinary(in) }
func (m *Multiply) Eval(in []Tensor) (Tensor, error) {
	return evalBinary(m, in, func(x, y float64) float64 { return x * y })
}

func inferBinary(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("takes 2 inputs, got %d", len(in))
	}
	return broadcast(in[0], in[1])
}

func evalBinary(op Op, in []Tensor, f func(x, y float64) float64) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	z := NewTensor(shape)
	x, y := stretch(in[0], shape), stretch(in[1], shape)
	for i := range z.Data {
		z.Data[i] = f(x[i], y[i])
	}
	return z, nil
}

// lowerBinary returns the maps of x + sign·y.
func lowerBinary(in []Shape, sign float64) ([]*AffineMap, error) {
	shape, err := inferBinary(in)
	if err != nil {
		return nil, err
	}
	maps := make([]*AffineMap, 2)
	for k, value := range []float64{1, sign} {
		b := newSparseBuilder(shape.Size(), in[k].Size(), shape.Size())
		for _, i := range broadcastIndices(in[k], shape) {
			b.add(i, value)
			b.endRow()
		}
		maps[k] = &AffineMap{Matrix: b.matrix(), Bias: make([]float64, shape.Size())}
	}
	return maps, nil
}

// Concat joins values along an axis; their other dimensions are equal.
type Concat struct {
	Axis int `json:"axis"`
}

func (*Concat) Kind() string { return "Concat" }

func (c *Concat) Infer(in []Shape) (Shape, error) {
	if len(in) == 0 {
		return nil, errors.New("takes at least 1 input")
	}
	if err := in[0].checkAxis(c.Axis); err != nil {
		return nil, err
	}
	shape := slices.Clone(in[0])
	for _, x := range in[1:] {
		if len(x) != len(shape) {
			return nil, fmt.Errorf("shapes %v and %v differ in rank", []int(in[0]), []int(x))
		}
		for i := range x {
			if i != c.Axis && x[i] != shape[i] {
				return nil, fmt.Errorf("shapes %v and %v differ beside axis %d", []int(in[0]), []int(x), c.Axis)
			}
		}
		if shape[c.Axis] += x[c.Axis]; shape[c.Axis] > MaxElements {
			break // refused by check, before it can overflow
		}
	}
	return shape.checked()
}

func (c *Concat) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(c, in)
	if err != nil {
		return Tensor{}, err
	}
	outer := shape[:c.Axis].Size()
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	for o := range outer {
		for _, x := range in {
			chunk := len(x.Data) / outer
			y.Data = append(y.Data, x.Data[o*chunk:(o+1)*chunk]...)
		}
	}
	return y, nil
}

func (c *Concat) LowerEach(in []Shape) ([]*AffineMap, error) {
	shape, err := c.Infer(in)
	if err != nil {
		return nil, err
	}
	outer := shape[:c.Axis].Size()
	chunk := shape.Size() / outer
	maps := make([]*AffineMap, len(in))
	start := 0
	for k, x := range in {
		from := slices.Repeat([]int{outside}, shape.Size())
		own := x.Size() / outer
		for i := range x.Size() {
			from[i/own*chunk+start+i%own] = i
		}
		start += own
		maps[k] = selection(from, x.Size(), 0)
	}
	return maps, nil
}
