package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// value is a tensor of the file: known, where it depends on no input, or a value of the model graph.
//
// A batch dimension counts as 1, so that one sample's numbers are the tensor's, in the same order. The model's value
// has them in a shape of its own.
type value struct {
	kind  int64 // of the elements
	dims  []int // as the file has them, with the batch
	shape model.Shape

	known bool
	data  []float64 // if known
	name  string    // in the model graph, if not

	// labels are what the numbers of a string tensor stand for: indices into this list.
	labels []string
	// decisions are set where every element depends on comparisons of features only; the model graph has no name for it
	// until somebody needs one.
	decisions *decisions
}

func (v value) present() bool { return v.known || v.name != "" || v.decisions != nil }
func (v value) size() int     { return model.Shape(v.dims).Size() }
func (v value) rank() int     { return len(v.dims) }

func (v value) tensor() model.Tensor { return model.Tensor{Shape: v.shape, Data: v.data} }

// canonical drops a leading dimension of 1, the batch.
func canonical(dims []int) model.Shape {
	if len(dims) > 1 && dims[0] == 1 {
		return model.Shape(slices.Clone(dims[1:]))
	}
	return model.Shape(slices.Clone(dims))
}

// constant makes a known value.
func constant(kind int64, dims []int, data []float64) value {
	return value{kind: kind, dims: dims, shape: canonical(dims), known: true, data: data}
}

func integers(list ...int) value {
	data := make([]float64, len(list))
	for i, v := range list {
		data[i] = float64(v)
	}
	return constant(int64Type, []int{len(list)}, data)
}

var errUnknown = errors.New("has to be a constant, but depends on an input")

// integers returns the known integers of a value; those beyond ±2^31 are bounded.
func (v value) integers() ([]int, error) {
	if !v.known {
		return nil, errUnknown
	}
	list := make([]int, len(v.data))
	for i, x := range v.data {
		if math.IsNaN(x) || x != math.Trunc(x) {
			return nil, fmt.Errorf("holds %v where an integer is wanted", x)
		}
		list[i] = int(max(min(x, math.MaxInt32), math.MinInt32))
	}
	return list, nil
}

// numbers returns the known finite numbers of a value.
func (v value) numbers() ([]float64, error) {
	if !v.known {
		return nil, errUnknown
	}
	if v.kind == stringType {
		return nil, errors.New("holds text where numbers are wanted")
	}
	for _, x := range v.data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("holds %v: only finite parameters are served", x)
		}
	}
	return v.data, nil
}

// scalar returns the one known number of a value.
func (v value) scalar() (float64, error) {
	list, err := v.numbers()
	if err != nil {
		return 0, err
	}
	if len(list) != 1 {
		return 0, fmt.Errorf("has %d elements where one is wanted", len(list))
	}
	return list[0], nil
}

// axis counts an axis from the start.
func axisOf(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is outside %d dimensions", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

// checkDims verifies that a tensor of these dimensions may be made.
func checkDims(dims []int) error {
	if len(dims) > model.MaxRank {
		return fmt.Errorf("%d dimensions: at most %d are served", len(dims), model.MaxRank)
	}
	size := 1
	for _, d := range dims {
		if d < 0 || d > 0 && size > model.MaxElements/d {
			return fmt.Errorf("dimensions %v are negative or hold more than %d elements", dims, model.MaxElements)
		}
		size *= d
	}
	return nil
}

// broadcastDims returns the dimensions that two tensors stretch to.
func broadcastDims(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		x, y := 1, 1
		if k := i - (len(out) - len(a)); k >= 0 {
			x = a[k]
		}
		if k := i - (len(out) - len(b)); k >= 0 {
			y = b[k]
		}
		switch {
		case x == y || y == 1:
			out[i] = x
		case x == 1:
			out[i] = y
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, checkDims(out)
}

// stretched returns for each element of a tensor of dimensions out the element of one of dimensions in that is
// stretched to it.
func stretched(in, out []int) []int {
	list := make([]int, model.Shape(out).Size())
	strides, step := make([]int, len(out)), 1
	for i := len(in) - 1; i >= 0; i-- {
		if in[i] != 1 {
			strides[i+len(out)-len(in)] = step
		}
		step *= in[i]
	}
	position := make([]int, len(out))
	at := 0
	for i := range list {
		list[i] = at
		for d := len(out) - 1; d >= 0; d-- {
			position[d]++
			at += strides[d]
			if position[d] < out[d] {
				break
			}
			at -= strides[d] * position[d]
			position[d] = 0
		}
	}
	return list
}
