package kernel

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// MixPoints is how many points of every vector a Mix works on at a time: few enough that a list of a thousand vectors
// stays in the second-level cache, two registers.
const MixPoints = 16

// mixRows is how many sums a pass over the terms makes.
const mixRows = 8

// mixTerms is how many products of 52 bits, and as much again for what makes scalars positive, 64 bits hold.
const mixTerms = 2048

// MixBits is how many bits scalars (with their sign) and primes of a Mix may have together.
const MixBits = 52

// Mix is a sparse matrix of small signed integers between lists of vectors. Signs are taken out by an offset: Σ w·x is
// computed as Σ (w+2^(b-1))·x - 2^(b-1)·Σ x, so that every product is one multiply-add of 52 bits, and every sum is
// reduced once.
type Mix struct {
	rows, columns, bits int
	groups              []mixGroup
}

// mixGroup are up to mixRows rows that are computed together over the union of their columns.
type mixGroup struct {
	rows    [mixRows]uint32 // times MixPoints; those beyond the group go to the row after the last
	used    int
	columns []uint32 // times the bytes of MixPoints words
	scalars []uint64 // mixRows a column, made positive
}

// Scalar is an entry of a matrix.
type Scalar struct {
	Column int
	Value  int64
}

// NewMix prepares a matrix, given row by row with ascending columns, of scalars below 2^(bits-1) in size.
func NewMix(rows [][]Scalar, columns, bits int) (*Mix, error) {
	m := &Mix{rows: len(rows), columns: columns, bits: bits}
	for r, row := range rows {
		for i, s := range row {
			if s.Column < 0 || s.Column >= columns || i > 0 && s.Column <= row[i-1].Column {
				return nil, fmt.Errorf("row %d: columns out of order or range", r)
			}
			if limit := int64(1) << (bits - 1); s.Value >= limit || s.Value <= -limit {
				return nil, fmt.Errorf("row %d: scalar does not fit %d bits", r, bits)
			}
		}
	}
	// Rows beside each other in this order share most columns: filters at one place, leaves of one branch.
	order := make([]int, len(rows))
	for r := range order {
		order[r] = r
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return slices.CompareFunc(rows[a], rows[b], func(x, y Scalar) int { return x.Column - y.Column })
	})
	known := map[string][]uint64{} // convolutions have the same scalars at many places
	for members := range slices.Chunk(order, mixRows) {
		m.groups = append(m.groups, newMixGroup(rows, members, bits, known))
	}
	return m, nil
}

func newMixGroup(rows [][]Scalar, members []int, bits int, known map[string][]uint64) mixGroup {
	g := mixGroup{used: len(members)}
	var columns []int
	for _, r := range members {
		for _, s := range rows[r] {
			columns = append(columns, s.Column)
		}
	}
	slices.Sort(columns)
	columns = slices.Compact(columns)
	zero := uint64(1) << (bits - 1)
	g.scalars = slices.Repeat([]uint64{zero}, mixRows*len(columns))
	for i := range g.rows {
		g.rows[i] = uint32(len(rows) * MixPoints)
	}
	for i, r := range members {
		g.rows[i] = uint32(r * MixPoints)
		at := 0
		for _, s := range rows[r] {
			for columns[at] != s.Column {
				at++
			}
			g.scalars[mixRows*at+i] = uint64(int64(zero) + s.Value)
		}
	}
	for _, c := range columns {
		g.columns = append(g.columns, uint32(c*MixPoints*8))
	}
	name := make([]byte, 0, 8*len(g.scalars))
	for _, s := range g.scalars {
		name = binary.LittleEndian.AppendUint64(name, s)
	}
	if same, ok := known[string(name)]; ok {
		g.scalars = same
	} else {
		known[string(name)] = g.scalars
	}
	return g
}

// Bytes returns the memory of the matrix.
func (m *Mix) Bytes() int64 {
	total := int64(0)
	seen := map[*uint64]bool{}
	for _, g := range m.groups {
		total += int64(4 * len(g.columns))
		if len(g.scalars) > 0 && !seen[&g.scalars[0]] {
			seen[&g.scalars[0]] = true
			total += int64(8 * len(g.scalars))
		}
	}
	return total
}

// MixFits reports whether a modulus and scalars of that many bits go together.
func (m *Modulus) MixFits(scalarBits int) bool { return bits.Len64(m.q)+scalarBits <= MixBits }

// Mix writes matrix·src + constants for MixPoints points of every vector: src holds MixPoints residues of each column,
// dst of each row and of one row more, whose content is lost. Constants are added to all points of a row; nil for none.
// dst and src must not overlap.
func (m *Modulus) Mix(matrix *Mix, dst, src, constants []uint64) {
	if len(dst) < (matrix.rows+1)*MixPoints || len(src) < matrix.columns*MixPoints || constants != nil && len(constants) < matrix.rows {
		panic("kernel: lists are shorter than the matrix")
	}
	if !m.MixFits(matrix.bits) {
		panic("kernel: scalars do not fit the modulus")
	}
	shift := uint64(matrix.bits - 1)
	// Larger than what is taken off at the most, and a multiple of q.
	base := m.q * (mixTerms << shift)
	for i := range matrix.groups {
		g := &matrix.groups[i]
		var offsets [mixRows]uint64
		for r := range offsets {
			offsets[r] = base
			if constants != nil && r < g.used {
				offsets[r] += constants[g.rows[r]/MixPoints]
			}
		}
		for start := 0; start == 0 || start < len(g.columns); start += mixTerms {
			end := min(start+mixTerms, len(g.columns))
			m.mix(dst, src, g, start, end, shift, &offsets)
			for r := range offsets {
				offsets[r] = base
			}
		}
	}
}

func (m *Modulus) mixGeneric(dst, src []uint64, g *mixGroup, start, end int, shift uint64, offsets *[mixRows]uint64) {
	var sums [mixRows][MixPoints]uint64
	var plain [MixPoints]uint64
	for t := start; t < end; t++ {
		x := src[g.columns[t]/8:][:MixPoints]
		w := g.scalars[mixRows*t:][:mixRows]
		for i, v := range x {
			plain[i] += v
		}
		for r := range g.used {
			s, scalar := &sums[r], w[r]
			for i, v := range x {
				s[i] += v * scalar
			}
		}
	}
	for r := range g.used {
		d := dst[g.rows[r]:][:MixPoints]
		for i := range d {
			y := sums[r][i] + offsets[r] - plain[i]<<shift
			if start > 0 {
				y += d[i]
			}
			d[i] = m.Reduce(y)
		}
	}
}
