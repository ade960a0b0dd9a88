package compiler

import (
	"slices"

	"cipherpoint/model"
)

// pool marks an affine operation that adds up the elements of windows which do not overlap, each once. Kept apart from
// the map after it, it costs a rotation for each doubling of the window and no product; that map then has fewer columns.
type pool struct {
	stride []int
	apart  bool
}

func (p *pool) isApart() bool { return p != nil && p.apart }

// averagePool appends sums over windows and then their factors, which the next linear map takes in. A map before it
// that scales all elements of a window alike changes places with the sums.
func (l *lowering) averagePool(name string, op *model.AveragePool, x int) (int, error) {
	p := l.program
	in := p.value(x).shape
	m, err := op.Lower(in)
	if err != nil {
		return 0, err
	}
	shape, err := op.Infer([]model.Shape{in})
	if err != nil {
		return 0, err
	}
	plain := func() int { return p.affine(name, shape, []int{x}, []*model.Sparse{m.Matrix}, m.Bias) }
	seen := make([]bool, m.Matrix.Cols)
	for _, c := range m.Matrix.Column {
		if seen[c] {
			return plain(), nil
		}
		seen[c] = true
	}
	factor, bias := make([]float64, m.Matrix.Rows), make([]float64, m.Matrix.Rows)
	before := p.producer(x)
	scaling := before != nil && before.maps != nil && len(before.in) == 1 && isDiagonal(before.maps[0])
	for r := range factor {
		columns, weights := m.Matrix.Row(r)
		factor[r] = weights[0]
		if !scaling {
			continue
		}
		scale := entry(before.maps[0], columns[0])
		factor[r] *= scale
		for k, c := range columns {
			if entry(before.maps[0], c) != scale {
				return plain(), nil
			}
			bias[r] += weights[k] * before.bias[c]
		}
	}
	if scaling {
		x = before.in[0]
	}
	after, err := diagonal(factor)
	if err != nil {
		return 0, err
	}
	ones := *m.Matrix
	ones.Value = slices.Repeat([]float64{1}, m.Matrix.NNZ())
	sums := p.affine(name, shape, []int{x}, []*model.Sparse{&ones}, make([]float64, len(bias)))
	p.producer(sums).pool = &pool{stride: op.Stride}
	return p.affine(name, shape, []int{sums}, []*model.Sparse{after}, bias), nil
}

func isDiagonal(m *model.Sparse) bool {
	for r := range m.Rows {
		if columns, _ := m.Row(r); len(columns) > 1 || len(columns) == 1 && columns[0] != r {
			return false
		}
	}
	return m.Rows == m.Cols
}

// entry returns the value of a diagonal matrix in a row.
func entry(m *model.Sparse, r int) float64 {
	if _, values := m.Row(r); len(values) == 1 {
		return values[0]
	}
	return 0
}

// joinTerms adds up maps of the same operand.
func (o *op) joinTerms() bool {
	for k := range o.in {
		if first := slices.Index(o.in, o.in[k]); first < k {
			o.maps[first] = added(o.maps[first], o.maps[k])
			o.in, o.maps = slices.Delete(o.in, k, k+1), slices.Delete(o.maps, k, k+1)
			o.joinTerms()
			return true
		}
	}
	return false
}

// added returns the sum of two matrices of the same shape.
func added(a, b *model.Sparse) *model.Sparse {
	sum := &model.Sparse{Rows: a.Rows, Cols: a.Cols, Start: make([]int, 1, a.Rows+1)}
	for r := range a.Rows {
		ca, va := a.Row(r)
		cb, vb := b.Row(r)
		for len(ca) > 0 || len(cb) > 0 {
			c, v := 0, 0.0
			switch {
			case len(cb) == 0 || len(ca) > 0 && ca[0] < cb[0]:
				c, v, ca, va = ca[0], va[0], ca[1:], va[1:]
			case len(ca) == 0 || cb[0] < ca[0]:
				c, v, cb, vb = cb[0], vb[0], cb[1:], vb[1:]
			default:
				c, v, ca, va, cb, vb = ca[0], va[0]+vb[0], ca[1:], va[1:], cb[1:], vb[1:]
			}
			if v != 0 {
				sum.Column, sum.Value = append(sum.Column, c), append(sum.Value, v)
			}
		}
		sum.Start = append(sum.Start, len(sum.Column))
	}
	return sum
}

// scale turns an affine operation that multiplies each operand by one number and adds another into a combination.
func (o *op) scale() {
	if o.maps == nil || o.pool != nil {
		return
	}
	for _, b := range o.bias {
		if b != o.bias[0] {
			return
		}
	}
	factors := make([]float64, len(o.maps))
	for k, m := range o.maps {
		if !isDiagonal(m) || m.NNZ() != m.Rows {
			return
		}
		for _, v := range m.Value {
			if v != m.Value[0] {
				return
			}
		}
		factors[k] = m.Value[0]
	}
	o.factors, o.constant, o.maps, o.bias = factors, o.bias[0], nil, nil
}

// variants are programs that differ in how many pools, from the first on, are kept apart from the map after them. It
// folds them.
func (p *program) variants() ([]*program, error) {
	pools := 0
	for _, o := range p.ops {
		if o.pool != nil {
			pools++
		}
	}
	var list []*program
	for apart := range pools + 1 {
		v := p.clone()
		left := apart
		for i := range v.ops {
			if v.ops[i].pool != nil {
				v.ops[i].pool = &pool{stride: v.ops[i].pool.stride, apart: left > 0}
				left--
			}
		}
		if err := v.fold(); err != nil {
			return nil, err
		}
		remaining := 0
		for _, o := range v.ops {
			if o.pool.isApart() {
				remaining++
			}
		}
		if remaining == apart {
			list = append(list, v)
		}
	}
	return list, nil
}

func (p *program) clone() *program {
	c := &program{inputs: slices.Clone(p.inputs), ops: slices.Clone(p.ops), outputs: slices.Clone(p.outputs)}
	for i := range c.ops {
		o := &c.ops[i]
		o.in, o.maps, o.bias = slices.Clone(o.in), slices.Clone(o.maps), slices.Clone(o.bias)
	}
	return c
}

// gathered is the layout of what a pool reads when its sums have a layout: the elements of a window are a period of the
// sums apart. It reports false where elements that no window reads find no place.
func gathered(m *model.Sparse, sums layout) (layout, bool) {
	wide := 1
	for r := range m.Rows {
		columns, _ := m.Row(r)
		wide = max(wide, len(columns))
	}
	l := layout{period: powerOfTwo(wide) * sums.period, position: slices.Repeat([]int{-1}, m.Cols)}
	taken := make([]bool, l.period)
	for r := range m.Rows {
		columns, _ := m.Row(r)
		for k, c := range columns {
			l.position[c] = k*sums.period + sums.position[r]
			taken[l.position[c]] = true
		}
	}
	free := 0
	for c, at := range l.position {
		if at >= 0 {
			continue
		}
		for free < l.period && taken[free] {
			free++
		}
		if free == l.period {
			return layout{}, false
		}
		l.position[c], taken[free] = free, true
	}
	return l, true
}

// strided lays a tensor [channels, height, width] out by the place within a window of that stride first: neighbours of
// one place in the windows stay neighbours.
func strided(shape model.Shape, stride []int) layout {
	split := model.Shape{stride[0], stride[1], shape[0], (shape[1] + stride[0] - 1) / stride[0], (shape[2] + stride[1] - 1) / stride[1]}
	whole := padded(split, []int{0, 1, 2, 3, 4})
	l := layout{period: whole.period, position: make([]int, shape.Size())}
	for e := range l.position {
		c, y, x := e/shape[2]/shape[1], e/shape[2]%shape[1], e%shape[2]
		at := 0
		for axis, i := range []int{y % stride[0], x % stride[1], c, y / stride[0], x / stride[1]} {
			at = at*split[axis] + i
		}
		l.position[e] = whole.position[at]
	}
	return l
}

// sumsCopies reports whether the diagonals only add up slots that are the rows' period apart. Other slots of the
// same classes have to be zero.
func (d *diagonals) sumsCopies(content []int32, rows layout, zero bool) bool {
	if len(d.shifts) != 1 || d.shifts[0] != 0 {
		return false
	}
	used := make([]bool, rows.period)
	for _, at := range rows.position {
		used[at] = true
	}
	v := make([]float64, d.period)
	for i, slot := range d.slot {
		v[slot] += d.value[i]
	}
	for q, w := range v {
		if used[q%rows.period] && w != 1 && (w != 0 || !zero || content[q%len(content)] >= 0) {
			return false
		}
	}
	return true
}

// sumsRotation returns the step if the diagonals only add a rotation of the vector to the vector.
func (d *diagonals) sumsRotation(rows layout) (step int, ok bool) {
	if len(d.shifts) != 2 || d.shifts[0] != 0 || d.period != rows.period || len(d.value) != 2*len(rows.position) {
		return 0, false
	}
	for _, w := range d.value {
		if w != 1 {
			return 0, false
		}
	}
	return d.shifts[1], true
}
