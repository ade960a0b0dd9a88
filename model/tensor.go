package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Bounds on the shapes of a graph, so that a small file cannot ask for a large amount of memory.
const (
	MaxRank          = 8       // dimensions of a tensor
	MaxElements      = 1 << 24 // elements of one tensor that flows through a graph
	MaxTotalElements = 1 << 27 // elements of all tensors that flow through a graph
)

// Shape is the size of each dimension, without the batch. The empty shape is a scalar: one element.
type Shape []int

// Size is the number of elements.
func (s Shape) Size() int {
	size := 1
	for _, d := range s {
		size *= d
	}
	return size
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// MarshalJSON writes a scalar's shape as [], not null.
func (s Shape) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]int(s))
}

// checkSize verifies that every dimension is positive and that there are at most limit elements.
func (s Shape) checkSize(limit int) error {
	if len(s) > MaxRank {
		return fmt.Errorf("shape has %d dimensions, at most %d are allowed", len(s), MaxRank)
	}
	size := 1
	for _, d := range s {
		if d < 1 {
			return fmt.Errorf("shape %v has a dimension below 1", []int(s))
		}
		if d > limit/size {
			return fmt.Errorf("shape %v has more than %d elements", []int(s), limit)
		}
		size *= d
	}
	return nil
}

func (s Shape) check() error { return s.checkSize(MaxElements) }

// checked returns the shape if it may flow through a graph.
func (s Shape) checked() (Shape, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// strides are the distances in the flattened tensor between neighbours along each dimension.
func (s Shape) strides() []int {
	strides := make([]int, len(s))
	step := 1
	for i := len(s) - 1; i >= 0; i-- {
		strides[i] = step
		step *= s[i]
	}
	return strides
}

// around splits a shape at an axis: the product of the dimensions before it, its own size and the product of those
// after it.
func (s Shape) around(axis int) (outer, size, inner int) {
	return s[:axis].Size(), s[axis], s[axis+1:].Size()
}

func (s Shape) checkAxis(axis int) error {
	if axis < 0 || axis >= len(s) {
		return fmt.Errorf("axis %d is not in 0..%d of shape %v", axis, len(s)-1, []int(s))
	}
	return nil
}

// Tensor is a row-major array. The zero Tensor is not valid: a scalar has the empty shape and one element.
type Tensor struct {
	Shape Shape     `json:"shape"`
	Data  []float64 `json:"data"`
}

// NewTensor returns a tensor of zeros.
func NewTensor(shape Shape) Tensor {
	return Tensor{Shape: shape, Data: make([]float64, shape.Size())}
}

// Scalar returns a tensor of one element and no dimension.
func Scalar(v float64) Tensor { return Tensor{Shape: Shape{}, Data: []float64{v}} }

// Vector returns a one-dimensional tensor that shares the values' memory.
func Vector(values ...float64) Tensor { return Tensor{Shape: Shape{len(values)}, Data: values} }

// Matrix copies rows of equal length into a two-dimensional tensor.
func Matrix(rows [][]float64) (Tensor, error) {
	if len(rows) == 0 || len(rows[0]) == 0 {
		return Tensor{}, errors.New("matrix has no elements")
	}
	cols := len(rows[0])
	data := make([]float64, 0, len(rows)*cols)
	for i, row := range rows {
		if len(row) != cols {
			return Tensor{}, fmt.Errorf("matrix row %d has %d elements, row 0 has %d", i, len(row), cols)
		}
		data = append(data, row...)
	}
	return Tensor{Shape: Shape{len(rows), cols}, Data: data}, nil
}

// check verifies that the shape is valid and matches the data. A tensor of parameters is bounded by its own data, not
// by MaxElements.
func (t Tensor) check() error {
	if err := t.Shape.checkSize(len(t.Data)); err != nil {
		return fmt.Errorf("tensor with %d values: %w", len(t.Data), err)
	}
	if size := t.Shape.Size(); size != len(t.Data) {
		return fmt.Errorf("tensor of shape %v needs %d values, has %d", []int(t.Shape), size, len(t.Data))
	}
	return nil
}
