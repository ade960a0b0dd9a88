package model

import "fmt"

// outside marks in a list of indices an element that is taken from no input.
const outside = -1

// indices returns for every element of a result, in row-major order, the flat index of the element of the input it is
// taken from: the sum of offsets[axis][i_axis] over the axes, or outside where one of them is.
func indices(offsets [][]int) []int {
	result := []int{0}
	for _, axis := range offsets {
		next := make([]int, 0, len(result)*len(axis))
		for _, base := range result {
			for _, o := range axis {
				if base == outside || o == outside {
					next = append(next, outside)
				} else {
					next = append(next, base+o)
				}
			}
		}
		result = next
	}
	return result
}

// steps returns 0, stride, 2·stride, … for a dimension that is taken as it is.
func steps(size, stride int) []int {
	list := make([]int, size)
	for i := range list {
		list[i] = i * stride
	}
	return list
}

// broadcast returns the shape that both shapes stretch to when aligned at their last dimension.
func broadcast(a, b Shape) (Shape, error) {
	rank := max(len(a), len(b))
	out := make(Shape, rank)
	for i := range rank {
		x, y := 1, 1
		if k := i - (rank - len(a)); k >= 0 {
			x = a[k]
		}
		if k := i - (rank - len(b)); k >= 0 {
			y = b[k]
		}
		if x != y && x != 1 && y != 1 {
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", []int(a), []int(b))
		}
		out[i] = max(x, y)
	}
	return out.checked()
}

// broadcastIndices returns for every element of out the element of in that is stretched to it.
func broadcastIndices(in, out Shape) []int {
	strides := in.strides()
	lead := len(out) - len(in)
	offsets := make([][]int, len(out))
	for i, size := range out {
		if i < lead || in[i-lead] == 1 {
			offsets[i] = make([]int, size)
		} else {
			offsets[i] = steps(size, strides[i-lead])
		}
	}
	return indices(offsets)
}

// stretch returns the tensor's values broadcast to a shape; they are the tensor's own where nothing is stretched.
func stretch(t Tensor, out Shape) []float64 {
	if t.Shape.Equal(out) {
		return t.Data
	}
	values := make([]float64, out.Size())
	for i, k := range broadcastIndices(t.Shape, out) {
		values[i] = t.Data[k]
	}
	return values
}

// selection returns the map y_i = x[from_i], or y_i = fill where from_i is outside.
func selection(from []int, cols int, fill float64) *AffineMap {
	b := newSparseBuilder(len(from), cols, len(from))
	bias := make([]float64, len(from))
	for i, k := range from {
		if k == outside {
			bias[i] = fill
		} else {
			b.add(k, 1)
		}
		b.endRow()
	}
	return &AffineMap{Matrix: b.matrix(), Bias: bias}
}

// pick returns y_i = x[from_i], or fill where from_i is outside.
func pick(x []float64, from []int, fill float64) []float64 {
	y := make([]float64, len(from))
	for i, k := range from {
		if k == outside {
			y[i] = fill
		} else {
			y[i] = x[k]
		}
	}
	return y
}
