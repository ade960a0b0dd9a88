package model

import (
	"fmt"
	"slices"
)

// Dense is y[…,o] = Σ_i Weight[o,i]·x[…,i] + Bias[o]: [..., in] to [..., out]. A product with a constant matrix is a
// Dense too (see Builder.MatMul).
type Dense struct {
	Weight Tensor    `json:"weight"`         // [out, in]
	Bias   []float64 `json:"bias,omitempty"` // [out], or none
}

func (*Dense) Kind() string { return "Dense" }

func (d *Dense) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if err := d.Weight.check(); err != nil {
		return nil, fmt.Errorf("weight: %w", err)
	}
	if len(d.Weight.Shape) != 2 {
		return nil, fmt.Errorf("weight has shape %v, want [out, in]", []int(d.Weight.Shape))
	}
	out, width := d.Weight.Shape[0], d.Weight.Shape[1]
	if len(d.Bias) != 0 && len(d.Bias) != out {
		return nil, fmt.Errorf("bias has %d values, want %d or none", len(d.Bias), out)
	}
	if len(x) == 0 || x[len(x)-1] != width {
		return nil, fmt.Errorf("input has shape %v, its last dimension must be %d", []int(x), width)
	}
	return append(slices.Clone(x[:len(x)-1]), out).checked()
}

func (d *Dense) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(d, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	out, width := d.Weight.Shape[0], d.Weight.Shape[1]
	for r := range len(y.Data) / out {
		x := in[0].Data[r*width : (r+1)*width]
		row := y.Data[r*out : (r+1)*out]
		copy(row, d.Bias)
		for o := range row {
			row[o] += dot(d.Weight.Data[o*width:(o+1)*width], x)
		}
	}
	return y, nil
}

func (d *Dense) Lower(in Shape) (*AffineMap, error) {
	shape, err := d.Infer([]Shape{in})
	if err != nil {
		return nil, err
	}
	out, width := d.Weight.Shape[0], d.Weight.Shape[1]
	repeat := shape.Size() / out
	b := newSparseBuilder(shape.Size(), in.Size(), repeat*len(d.Weight.Data))
	bias := make([]float64, shape.Size())
	for r := range repeat {
		copy(bias[r*out:(r+1)*out], d.Bias)
		for o := range out {
			for i, w := range d.Weight.Data[o*width : (o+1)*width] {
				b.add(r*width+i, w)
			}
			b.endRow()
		}
	}
	return &AffineMap{Matrix: b.matrix(), Bias: bias}, nil
}

// dot keeps four sums, so that one addition does not wait for the one before.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// MatMul is the product of two values: [..., m, k] by [..., k, n] to [..., m, n], where the leading dimensions
// broadcast.
type MatMul struct{}

func (*MatMul) Kind() string { return "MatMul" }

func (*MatMul) Infer(in []Shape) (Shape, error) {
	if len(in) != 2 {
		return nil, fmt.Errorf("takes 2 inputs, got %d", len(in))
	}
	a, b := in[0], in[1]
	if len(a) < 2 || len(b) < 2 || a[len(a)-1] != b[len(b)-2] {
		return nil, fmt.Errorf("inputs have shapes %v and %v, want [..., m, k] and [..., k, n]", []int(a), []int(b))
	}
	lead, err := broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return nil, err
	}
	return append(lead, a[len(a)-2], b[len(b)-1]).checked()
}

func (m *MatMul) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(m, in)
	if err != nil {
		return Tensor{}, err
	}
	a, b := in[0], in[1]
	rank := len(shape)
	rows, cols, depth := shape[rank-2], shape[rank-1], a.Shape[len(a.Shape)-1]
	lead := shape[:rank-2]
	ia := broadcastIndices(a.Shape[:len(a.Shape)-2], lead)
	ib := broadcastIndices(b.Shape[:len(b.Shape)-2], lead)
	y := NewTensor(shape)
	for l := range ia {
		x := a.Data[ia[l]*rows*depth:]
		w := b.Data[ib[l]*depth*cols:]
		for r := range rows {
			out := y.Data[(l*rows+r)*cols : (l*rows+r+1)*cols]
			for k := range depth {
				axpy(out, x[r*depth+k], w[k*cols:(k+1)*cols])
			}
		}
	}
	return y, nil
}

// axpy adds a·x to y.
func axpy(y []float64, a float64, x []float64) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}
