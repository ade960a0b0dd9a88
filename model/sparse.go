package model

import (
	"cmp"
	"fmt"
	"slices"
)

// Sparse is a matrix in compressed sparse row form. Columns ascend within a row, and no stored value is zero.
type Sparse struct {
	Rows, Cols int
	Start      []int // Rows+1 offsets into Column and Value
	Column     []int
	Value      []float64
}

// Triplet is one entry of a matrix.
type Triplet struct {
	Row, Col int
	Value    float64
}

// NewSparse builds a matrix from entries in any order. Entries at the same place are added, in the order given;
// exact zeros are dropped.
func NewSparse(rows, cols int, entries []Triplet) (*Sparse, error) {
	if rows < 0 || cols < 0 {
		return nil, fmt.Errorf("matrix of %d × %d", rows, cols)
	}
	next := make([]int, rows+1) // where the row's next entry goes, after counting
	for _, e := range entries {
		if e.Row < 0 || e.Row >= rows || e.Col < 0 || e.Col >= cols {
			return nil, fmt.Errorf("entry (%d, %d) is outside a matrix of %d × %d", e.Row, e.Col, rows, cols)
		}
		next[e.Row+1]++
	}
	for r := range rows {
		next[r+1] += next[r]
	}
	sorted := make([]Triplet, len(entries))
	for _, e := range entries {
		sorted[next[e.Row]] = e
		next[e.Row]++
	}
	b := newSparseBuilder(rows, cols, len(entries))
	i := 0
	for r := range rows {
		for ; i < len(sorted) && sorted[i].Row == r; i++ {
			b.add(sorted[i].Col, sorted[i].Value)
		}
		b.endRow()
	}
	return b.matrix(), nil
}

// NNZ is the number of stored entries.
func (m *Sparse) NNZ() int { return len(m.Value) }

// Row returns the columns and values of a row. They are the matrix's own: read only.
func (m *Sparse) Row(i int) (columns []int, values []float64) {
	from, to := m.Start[i], m.Start[i+1]
	return m.Column[from:to], m.Value[from:to]
}

// Apply returns M·x.
func (m *Sparse) Apply(x []float64) ([]float64, error) {
	if len(x) != m.Cols {
		return nil, fmt.Errorf("vector of %d for a matrix of %d × %d", len(x), m.Rows, m.Cols)
	}
	y := make([]float64, m.Rows)
	for r := range y {
		columns, values := m.Row(r)
		sum := 0.0
		for k, c := range columns {
			sum += values[k] * x[c]
		}
		y[r] = sum
	}
	return y, nil
}

// Multiply returns m·o, by rows (Gustavson, ACM TOMS 4(3), 1978).
func (m *Sparse) Multiply(o *Sparse) (*Sparse, error) {
	if m.Cols != o.Rows {
		return nil, fmt.Errorf("product of matrices %d × %d and %d × %d", m.Rows, m.Cols, o.Rows, o.Cols)
	}
	b := newSparseBuilder(m.Rows, o.Cols, max(m.NNZ(), o.NNZ()))
	sums := make([]float64, o.Cols)
	seen := make([]int, o.Cols) // the row, counted from 1, that last touched the column
	var touched []int
	for r := range m.Rows {
		touched = touched[:0]
		columns, values := m.Row(r)
		for k, c := range columns {
			v := values[k]
			oc, ov := o.Row(c)
			for j, col := range oc {
				if seen[col] != r+1 {
					seen[col] = r + 1
					sums[col] = 0
					touched = append(touched, col)
				}
				sums[col] += v * ov[j]
			}
		}
		slices.Sort(touched)
		for _, col := range touched {
			b.add(col, sums[col])
		}
		b.endRow()
	}
	return b.matrix(), nil
}

// Transpose returns the matrix with rows and columns exchanged.
func (m *Sparse) Transpose() *Sparse {
	t := &Sparse{Rows: m.Cols, Cols: m.Rows, Start: make([]int, m.Cols+1),
		Column: make([]int, m.NNZ()), Value: make([]float64, m.NNZ())}
	for _, c := range m.Column {
		t.Start[c+1]++
	}
	for c := range m.Cols {
		t.Start[c+1] += t.Start[c]
	}
	next := slices.Clone(t.Start[:m.Cols])
	for r := range m.Rows {
		columns, values := m.Row(r)
		for k, c := range columns {
			t.Column[next[c]], t.Value[next[c]] = r, values[k]
			next[c]++
		}
	}
	return t
}

// PermuteRows returns the matrix whose row i is this one's row order[i]. An order may leave rows out or repeat them.
func (m *Sparse) PermuteRows(order []int) (*Sparse, error) {
	b := newSparseBuilder(len(order), m.Cols, m.NNZ())
	for _, r := range order {
		if r < 0 || r >= m.Rows {
			return nil, fmt.Errorf("row %d is outside a matrix of %d × %d", r, m.Rows, m.Cols)
		}
		columns, values := m.Row(r)
		b.columns = append(b.columns, columns...)
		b.values = append(b.values, values...)
		b.endRow()
	}
	return b.matrix(), nil
}

// PermuteCols returns the matrix whose column i is this one's column order[i]. An order may leave columns out or
// repeat them.
func (m *Sparse) PermuteCols(order []int) (*Sparse, error) {
	for _, c := range order {
		if c < 0 || c >= m.Cols {
			return nil, fmt.Errorf("column %d is outside a matrix of %d × %d", c, m.Rows, m.Cols)
		}
	}
	t, err := m.Transpose().PermuteRows(order)
	if err != nil {
		return nil, err
	}
	return t.Transpose(), nil
}

// identity returns the n × n identity matrix.
func identity(n int) *Sparse {
	b := newSparseBuilder(n, n, n)
	for i := range n {
		b.add(i, 1)
		b.endRow()
	}
	return b.matrix()
}

// sparseBuilder writes a matrix row by row.
type sparseBuilder struct {
	rows, cols int
	start      []int
	columns    []int
	values     []float64
}

func newSparseBuilder(rows, cols, capacity int) *sparseBuilder {
	return &sparseBuilder{rows: rows, cols: cols, start: append(make([]int, 0, rows+1), 0),
		columns: make([]int, 0, capacity), values: make([]float64, 0, capacity)}
}

// add puts an entry into the current row; columns may come in any order and repeat.
func (b *sparseBuilder) add(col int, value float64) {
	b.columns = append(b.columns, col)
	b.values = append(b.values, value)
}

// endRow sorts the current row, adds up repeated columns and drops zeros.
func (b *sparseBuilder) endRow() {
	from := b.start[len(b.start)-1]
	columns, values := b.columns[from:], b.values[from:]
	if !slices.IsSorted(columns) {
		sortRow(columns, values)
	}
	kept := 0
	for i := 0; i < len(columns); {
		col, sum := columns[i], values[i]
		for i++; i < len(columns) && columns[i] == col; i++ {
			sum += values[i]
		}
		if sum != 0 {
			columns[kept], values[kept] = col, sum
			kept++
		}
	}
	b.columns, b.values = b.columns[:from+kept], b.values[:from+kept]
	b.start = append(b.start, from+kept)
}

func sortRow(columns []int, values []float64) {
	type entry struct {
		col   int
		value float64
	}
	entries := make([]entry, len(columns))
	for i := range entries {
		entries[i] = entry{columns[i], values[i]}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.col, b.col) })
	for i, e := range entries {
		columns[i], values[i] = e.col, e.value
	}
}

func (b *sparseBuilder) matrix() *Sparse {
	return &Sparse{Rows: b.rows, Cols: b.cols, Start: b.start, Column: b.columns, Value: b.values}
}
