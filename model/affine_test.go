package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestLowering compares what affine operators compute with the maps they lower to, on random inputs.
func TestLowering(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range append(operatorCases[:len(operatorCases):len(operatorCases)], convolutions(r)...) {
		shapes := make([]Shape, len(c.in))
		inputs := make([]Tensor, len(c.in))
		for i, x := range c.in {
			shapes[i], inputs[i] = x.Shape, randomTensor(r, x.Shape...)
		}
		var maps []*AffineMap
		var err error
		switch op := c.op.(type) {
		case Affine:
			maps = make([]*AffineMap, 1)
			maps[0], err = op.Lower(shapes[0])
		case MultiAffine:
			maps, err = op.LowerEach(shapes)
		default:
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want, err := c.op.Eval(inputs)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float64, len(want.Data))
		for k, m := range maps {
			checkSparse(t, c.name, m.Matrix)
			y, err := m.Apply(inputs[k].Data)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for i := range got {
				got[i] += y[i]
			}
		}
		if !near(got, want.Data, 1e-13, 1e-13) {
			t.Errorf("%s: lowered %v, evaluated %v", c.name, got, want.Data)
		}
	}
}

// convolutions are convolutions and pools of random geometry.
func convolutions(r *rand.Rand) []operatorCase {
	var cases []operatorCase
	for i := range 60 {
		dims := 1 + r.IntN(2)
		groups := 1 + r.IntN(3)
		channels, out := groups*(1+r.IntN(2)), groups*(1+r.IntN(3))
		shape, weight := Shape{channels}, Shape{out, channels / groups}
		var w Window
		var begins, ends, kernel []int
		for range dims {
			k := 1 + r.IntN(4)
			kernel = append(kernel, k)
			w.Stride = append(w.Stride, 1+r.IntN(3))
			w.Dilation = append(w.Dilation, 1+r.IntN(2))
			begins, ends = append(begins, r.IntN(k)), append(ends, r.IntN(k))
			shape = append(shape, 7+r.IntN(5))
		}
		w.Pads = append(begins, ends...)
		conv := &Conv{Weight: randomTensor(r, append(weight, kernel...)...), Bias: randomTensor(r, out).Data, Groups: groups, Window: w}
		x := []Tensor{NewTensor(shape)}
		cases = append(cases, operatorCase{name: fmt.Sprintf("conv %d", i), op: conv, in: x},
			operatorCase{name: fmt.Sprintf("pool %d", i), op: &AveragePool{Kernel: kernel, CountIncludePad: i%2 == 0, Window: w}, in: x})
	}
	return cases
}

// TestConvNaive compares convolutions with their formula, element by element, larger than one block of positions.
func TestConvNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	cases := convolutions(r)
	cases = append(cases, operatorCase{name: "large", op: &Conv{Weight: randomTensor(r, 2, 8, 5, 5), Window: Window{Pads: []int{2, 2, 2, 2}}},
		in: []Tensor{NewTensor(Shape{8, 30, 31})}})
	for _, c := range cases {
		op, ok := c.op.(*Conv)
		if !ok {
			continue
		}
		x := randomTensor(r, c.in[0].Shape...)
		got, err := op.Eval([]Tensor{x})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if want := naiveConv(op, x, got.Shape); !near(got.Data, want, 1e-12, 1e-12) {
			t.Errorf("%s: got %v, want %v", c.name, got.Data, want)
		}
	}
}

// naiveConv pads an image of height 1 to one spatial dimension and sums over all taps.
func naiveConv(c *Conv, x Tensor, out Shape) []float64 {
	two := func(list []int, value int) [2]int {
		if len(list) == 0 {
			return [2]int{value, value}
		}
		if len(list) == 1 {
			return [2]int{value, list[0]}
		}
		return [2]int{list[0], list[1]}
	}
	dims := len(out) - 1
	size, kernel, result := two(x.Shape[1:], 1), two(c.Weight.Shape[2:], 1), two(out[1:], 1)
	stride, dilation, begin := two(c.Stride, 1), two(c.Dilation, 1), two(c.Pads[:dims], 0)
	groups := max(1, c.Groups)
	perGroup, channels := out[0]/groups, c.Weight.Shape[1]
	var y []float64
	for o := range out[0] {
		for oy := range result[0] {
			for ox := range result[1] {
				sum := 0.0
				if len(c.Bias) > 0 {
					sum = c.Bias[o]
				}
				for i := range channels {
					for ky := range kernel[0] {
						for kx := range kernel[1] {
							iy, ix := oy*stride[0]+ky*dilation[0]-begin[0], ox*stride[1]+kx*dilation[1]-begin[1]
							if iy >= 0 && iy < size[0] && ix >= 0 && ix < size[1] {
								sum += c.Weight.Data[((o*channels+i)*kernel[0]+ky)*kernel[1]+kx] *
									x.Data[((o/perGroup*channels+i)*size[0]+iy)*size[1]+ix]
							}
						}
					}
				}
				y = append(y, sum)
			}
		}
	}
	return y
}

// checkSparse verifies what Sparse promises: ascending columns, no zeros.
func checkSparse(t *testing.T, name string, m *Sparse) {
	t.Helper()
	if len(m.Start) != m.Rows+1 || m.Start[0] != 0 || m.Start[m.Rows] != m.NNZ() || len(m.Column) != m.NNZ() {
		t.Fatalf("%s: malformed matrix %+v", name, m)
	}
	for r := range m.Rows {
		columns, values := m.Row(r)
		for k, c := range columns {
			if c < 0 || c >= m.Cols || k > 0 && c <= columns[k-1] || values[k] == 0 {
				t.Fatalf("%s: malformed row %v %v", name, columns, values)
			}
		}
	}
}

func dense(m *Sparse) [][]float64 {
	rows := make([][]float64, m.Rows)
	for r := range rows {
		rows[r] = make([]float64, m.Cols)
		columns, values := m.Row(r)
		for k, c := range columns {
			rows[r][c] = values[k]
		}
	}
	return rows
}

func equalRows(a, b [][]float64) bool {
	return slices.EqualFunc(a, b, func(x, y []float64) bool { return slices.Equal(x, y) })
}

// randomSparse has small integers, so that sums are exact and often cancel.
func randomSparse(t *testing.T, r *rand.Rand, rows, cols int) *Sparse {
	t.Helper()
	var entries []Triplet
	for range rows * cols / 2 {
		entries = append(entries, Triplet{r.IntN(rows), r.IntN(cols), float64(r.IntN(5) - 2)})
	}
	m, err := NewSparse(rows, cols, entries)
	if err != nil {
		t.Fatal(err)
	}
	want := make([][]float64, rows)
	for i := range want {
		want[i] = make([]float64, cols)
	}
	for _, e := range entries {
		want[e.Row][e.Col] += e.Value
	}
	checkSparse(t, "triplets", m)
	if !equalRows(dense(m), want) {
		t.Fatalf("triplets: got %v, want %v", dense(m), want)
	}
	return m
}

func TestSparse(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 50 {
		n, k, p := 1+r.IntN(6), 1+r.IntN(6), 1+r.IntN(6)
		a, b := randomSparse(t, r, n, k), randomSparse(t, r, k, p)
		product, err := a.Multiply(b)
		if err != nil {
			t.Fatal(err)
		}
		checkSparse(t, "product", product)
		da, db := dense(a), dense(b)
		want := make([][]float64, n)
		for i := range want {
			want[i] = make([]float64, p)
			for j := range p {
				for l := range k {
					want[i][j] += da[i][l] * db[l][j]
				}
			}
		}
		if !equalRows(dense(product), want) {
			t.Fatalf("product of %v and %v: got %v, want %v", da, db, dense(product), want)
		}
		transposed := a.Transpose()
		checkSparse(t, "transpose", transposed)
		if !equalRows(dense(transposed.Transpose()), da) || transposed.Rows != k {
			t.Fatal("transposing twice is not the identity")
		}
		rowOrder, colOrder := r.Perm(n), r.Perm(k)
		rows, err := a.PermuteRows(rowOrder)
		if err != nil {
			t.Fatal(err)
		}
		both, err := rows.PermuteCols(colOrder)
		if err != nil {
			t.Fatal(err)
		}
		checkSparse(t, "permuted", both)
		for i, row := range dense(both) {
			for j, v := range row {
				if v != da[rowOrder[i]][colOrder[j]] {
					t.Fatalf("permuted entry (%d, %d) is wrong", i, j)
				}
			}
		}
	}
}

func TestSparseErrors(t *testing.T) {
	for _, e := range []Triplet{{-1, 0, 1}, {2, 0, 1}, {0, -1, 1}, {0, 3, 1}} {
		if _, err := NewSparse(2, 3, []Triplet{e}); err == nil {
			t.Errorf("entry %v was accepted", e)
		}
	}
	if _, err := NewSparse(-1, 3, nil); err == nil {
		t.Error("a negative size was accepted")
	}
	m := identity(2)
	if _, err := m.Apply([]float64{1}); err == nil {
		t.Error("a short vector was accepted")
	}
	if _, err := m.Multiply(identity(3)); err == nil {
		t.Error("a product of different sizes was accepted")
	}
	if _, err := m.PermuteRows([]int{2}); err == nil {
		t.Error("a row outside was accepted")
	}
	if _, err := m.PermuteCols([]int{-1}); err == nil {
		t.Error("a column outside was accepted")
	}
	if _, err := (&AffineMap{Matrix: m, Bias: []float64{1}}).Apply([]float64{1, 2}); err == nil {
		t.Error("a short bias was accepted")
	}
	if _, err := Identity(2).Compose(Identity(3)); err == nil {
		t.Error("maps of different sizes were composed")
	}
}

func TestCompose(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	conv := &Conv{Weight: randomTensor(r, 4, 2, 3, 3), Bias: randomTensor(r, 4).Data}
	pool := &AveragePool{Kernel: []int{2, 2}, Window: Window{Stride: []int{2, 2}}}
	shape := Shape{2, 8, 8}
	first, err := conv.Lower(shape)
	if err != nil {
		t.Fatal(err)
	}
	second, err := pool.Lower(Shape{4, 6, 6})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := first.Compose(second)
	if err != nil {
		t.Fatal(err)
	}
	if whole, err = Identity(shape.Size()).Compose(whole); err != nil {
		t.Fatal(err)
	}
	checkSparse(t, "composed", whole.Matrix)
	if want := 4 * 9 * 2 * 16; whole.Matrix.NNZ() != want {
		t.Errorf("composed map has %d entries, want %d", whole.Matrix.NNZ(), want)
	}
	x := randomTensor(r, shape...)
	middle, err := conv.Eval([]Tensor{x})
	if err != nil {
		t.Fatal(err)
	}
	want, err := pool.Eval([]Tensor{middle})
	if err != nil {
		t.Fatal(err)
	}
	got, err := whole.Apply(x.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !near(got, want.Data, 1e-12, 1e-12) {
		t.Errorf("got %v, want %v", got, want.Data)
	}
}

func TestPointwisePolynomials(t *testing.T) {
	p := &Polynomial{Coefficients: []float64{1, 0, 2}}
	coefficients, ok := p.Polynomial()
	if !ok || !slices.Equal(coefficients, p.Coefficients) {
		t.Errorf("got %v, %v", coefficients, ok)
	}
	for _, f := range []Pointwise{&Activation{Function: ReLU}, &Clip{}, &Compare{}, &Map{}} {
		if _, ok := f.Polynomial(); ok {
			t.Errorf("%s claims to be a polynomial", f.Kind())
		}
	}
}
