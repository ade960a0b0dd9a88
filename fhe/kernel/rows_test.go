package kernel

import (
	"fmt"
	"slices"
	"testing"
)

// TestSum compares sums of rows of factors, all of one number of terms side by side, one with its parts exchanged, with
// sums of plain vectors.
func TestSum(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		n := m.N()
		for _, kind := range []string{"largest", "edges", "random"} {
			vector := func() []uint64 { return samples(n, m.q, random)[kind] }
			for _, terms := range []int{0, 1, 2, 5, 40} {
				for _, run := range []int{1, 8, 16, 64} {
					if run <= n {
						testSum(t, m, terms, run, vector)
					}
				}
			}
		}
	}
}

func testSum(t *testing.T, m *Modulus, terms, run int, vector func() []uint64) {
	t.Helper()
	n := m.N()
	var a, pieces [2][][]uint64
	for part := range a {
		for range terms {
			a[part] = append(a[part], vector())
		}
	}
	start, end := 8, n-8
	var list []Sums
	var want [][2][]uint64
	from := 0
	if terms%2 == 0 { // terms are pieces
		from = start
		for part := range a {
			for k := range a[part] {
				pieces[part] = append(pieces[part], a[part][k][start:end])
			}
		}
	} else {
		pieces = a
	}
	for rows := 1; rows <= MaxRows; rows++ {
		if rows == 3 {
			a[0], a[1], pieces[0], pieces[1] = a[1], a[0], pieces[1], pieces[0]
		}
		s := Sums{Factors: NewFactors([]*Modulus{m}, rows, terms, run)[0], Terms: pieces, From: from}
		for row := range rows {
			var plain [][]uint64
			for term := range terms {
				v := vector()
				for i := range v {
					v[i] = v[i/run*run]
				}
				plain = append(plain, v)
				s.Factors.Set(row, term, v)
			}
			var sums [2][]uint64
			for part := range sums {
				sums[part] = make([]uint64, n)
				s.Results[part] = append(s.Results[part], vector())
			}
			m.InnerProduct2(sums[0], sums[1], a[0], a[1], plain)
			for part := range sums { // what lies outside of the piece stays
				before := s.Results[part][row]
				sums[part] = slices.Concat(before[:start], sums[part][start:end], before[end:])
			}
			want = append(want, sums)
		}
		list = append(list, s)
	}
	Sum(list, start, end)
	for _, s := range list {
		for row := range s.Results[0] {
			for part := range s.Results {
				equal(t, fmt.Sprintf("part %d of row %d of %d, %d terms in runs of %d modulo %d", part, row, len(s.Results[0]), terms, run, m.q),
					s.Results[part][row], want[0][part])
			}
			want = want[1:]
		}
	}
}
