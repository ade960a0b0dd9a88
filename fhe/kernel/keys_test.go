package kernel

import (
	"fmt"
	"testing"
)

// TestKeySum compares sums under an automorphism with permuted sums of plain vectors.
func TestKeySum(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		n := m.N()
		for _, kind := range []string{"largest", "edges", "random"} {
			vector := func() []uint64 { return samples(n, m.q, random)[kind] }
			for _, terms := range []int{0, 1, 2, 9, 40} {
				for step := range 3 {
					p, err := NewPermutation(m.logN, false, GaloisElement(m.logN, false, step))
					if err != nil {
						t.Fatal(err)
					}
					testKeySum(t, m, terms, p, vector)
				}
			}
		}
	}
}

func testKeySum(t *testing.T, m *Modulus, terms int, p *Permutation, vector func() []uint64) {
	t.Helper()
	n := m.N()
	permuted := func(v []uint64) []uint64 {
		w := make([]uint64, n)
		p.Apply(w, v)
		return w
	}
	s := KeySum{Permutation: p, Factor: m.q / 3}
	var key [2][][]uint64
	for range terms {
		for part := range key {
			v := vector()
			key[part] = append(key[part], v)
			s.Key[part] = append(s.Key[part], packedCopy(m, permuted(v)))
		}
		s.Digits = append(s.Digits, vector())
	}
	if terms > 0 {
		s.Next = s.Key[1][0]
	}
	var sums [2][]uint64
	for part := range sums {
		sums[part] = make([]uint64, n)
	}
	m.InnerProduct2(sums[0], sums[1], key[0], key[1], s.Digits)
	for k, v := range s.Digits { // as large as they may be
		if k%2 == 1 {
			for i := range v {
				v[i] += m.lazyBound() - m.q
			}
		}
	}
	for _, addends := range []int{0, 1, 2} {
		if addends > 0 {
			s.Addends[addends-1] = vector()
			m.MulScalarAdd(sums[addends-1], s.Addends[addends-1], s.Factor)
		}
		for _, add := range []bool{false, true} {
			var got, want [2][]uint64
			for part := range sums {
				got[part], want[part] = vector(), make([]uint64, n)
				copy(want[part], got[part])
				piece := want[part][16 : n-8]
				if !add {
					clear(piece)
				}
				m.Add(piece, piece, permuted(sums[part])[16:n-8])
			}
			m.KeySum(got[0][16:n-8], got[1][16:n-8], &s, 16, add)
			for part := range got {
				equal(t, fmt.Sprintf("part %d of %d terms modulo %d, %d addends, added %v", part, terms, m.q, addends, add), got[part], want[part])
			}
		}
	}
}
