package model

import (
	"fmt"
	"math"
)

// ReduceSum adds up the elements along the axes, which are removed from the shape or, with KeepDims, kept as 1.
// Without axes it reduces all dimensions.
type ReduceSum struct {
	Axes     []int `json:"axes,omitempty"`
	KeepDims bool  `json:"keep_dims,omitempty"`
}

func (*ReduceSum) Kind() string { return "ReduceSum" }

func (r *ReduceSum) Infer(in []Shape) (Shape, error) { return inferReduce(in, r.Axes, r.KeepDims) }

func (r *ReduceSum) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(r, in)
	if err != nil {
		return Tensor{}, err
	}
	return reduce(in[0], r.Axes, shape, 1), nil
}

func (r *ReduceSum) Lower(in Shape) (*AffineMap, error) {
	shape, err := r.Infer([]Shape{in})
	if err != nil {
		return nil, err
	}
	return lowerReduce(in, r.Axes, shape, 1)
}

// ReduceMean is the mean of the elements along the axes, which are removed from the shape or, with KeepDims, kept
// as 1. Without axes it reduces all dimensions.
type ReduceMean struct {
	Axes     []int `json:"axes,omitempty"`
	KeepDims bool  `json:"keep_dims,omitempty"`
}

func (*ReduceMean) Kind() string { return "ReduceMean" }

func (r *ReduceMean) Infer(in []Shape) (Shape, error) { return inferReduce(in, r.Axes, r.KeepDims) }

func (r *ReduceMean) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(r, in)
	if err != nil {
		return Tensor{}, err
	}
	return reduce(in[0], r.Axes, shape, float64(in[0].Shape.Size()/shape.Size())), nil
}

func (r *ReduceMean) Lower(in Shape) (*AffineMap, error) {
	shape, err := r.Infer([]Shape{in})
	if err != nil {
		return nil, err
	}
	return lowerReduce(in, r.Axes, shape, float64(in.Size()/shape.Size()))
}

// ReduceMax is the largest element along the axes, which are removed from the shape or, with KeepDims, kept as 1.
// Without axes it reduces all dimensions.
type ReduceMax struct {
	Axes     []int `json:"axes,omitempty"`
	KeepDims bool  `json:"keep_dims,omitempty"`
}

func (*ReduceMax) Kind() string { return "ReduceMax" }

func (r *ReduceMax) Infer(in []Shape) (Shape, error) { return inferReduce(in, r.Axes, r.KeepDims) }

func (r *ReduceMax) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(r, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	for i := range y.Data {
		y.Data[i] = math.Inf(-1)
	}
	for i, k := range targets(in[0].Shape, r.Axes) {
		y.Data[k] = max(y.Data[k], in[0].Data[i])
	}
	return y, nil
}

// reduced returns for each dimension whether it is reduced.
func reduced(rank int, axes []int) ([]bool, error) {
	list := make([]bool, rank)
	for i := range list {
		list[i] = len(axes) == 0
	}
	for _, axis := range axes {
		if axis < 0 || axis >= rank || list[axis] {
			return nil, fmt.Errorf("axes %v are not distinct axes of %d dimensions", axes, rank)
		}
		list[axis] = true
	}
	return list, nil
}

func inferReduce(in []Shape, axes []int, keep bool) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	gone, err := reduced(len(x), axes)
	if err != nil {
		return nil, err
	}
	shape := Shape{}
	for i, size := range x {
		switch {
		case !gone[i]:
			shape = append(shape, size)
		case keep:
			shape = append(shape, 1)
		}
	}
	return shape, nil
}

// targets returns for every element of the input the element of the result it is added to.
func targets(in Shape, axes []int) []int {
	gone, err := reduced(len(in), axes)
	if err != nil {
		return nil // excluded by Infer
	}
	offsets := make([][]int, len(in))
	stride := 1
	for i := len(in) - 1; i >= 0; i-- {
		if gone[i] {
			offsets[i] = make([]int, in[i])
		} else {
			offsets[i] = steps(in[i], stride)
			stride *= in[i]
		}
	}
	return indices(offsets)
}

func reduce(x Tensor, axes []int, shape Shape, divisor float64) Tensor {
	y := NewTensor(shape)
	for i, k := range targets(x.Shape, axes) {
		y.Data[k] += x.Data[i]
	}
	for i := range y.Data {
		y.Data[i] /= divisor
	}
	return y
}

func lowerReduce(in Shape, axes []int, shape Shape, divisor float64) (*AffineMap, error) {
	entries := make([]Triplet, in.Size())
	for i, k := range targets(in, axes) {
		entries[i] = Triplet{Row: k, Col: i, Value: 1 / divisor}
	}
	matrix, err := NewSparse(shape.Size(), in.Size(), entries)
	if err != nil {
		return nil, err
	}
	return &AffineMap{Matrix: matrix, Bias: make([]float64, shape.Size())}, nil
}
