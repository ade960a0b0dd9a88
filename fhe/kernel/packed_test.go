package kernel

import (
	"fmt"
	"slices"
	"testing"
)

func packedCopy(m *Modulus, v []uint64) []uint64 {
	packed := make([]uint64, m.PackedLen(len(v)))
	m.Pack(packed, v)
	return packed
}

func TestPack(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		for _, n := range []int{8, 64, 200} {
			for name, v := range samples(n, m.q, random) {
				got := make([]uint64, n)
				m.Unpack(got, packedCopy(m, v))
				equal(t, fmt.Sprintf("%s, %d values modulo %d", name, n, m.q), got, v)
			}
		}
	}
}

// TestPackedSums compares sums of packed factors with those of plain ones.
func TestPackedSums(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		for _, kind := range []string{"largest", "edges", "random"} {
			for _, n := range []int{8, 24, 32, 520} {
				for _, terms := range []int{0, 1, 2, 7, 9, 65} {
					testPackedSums(t, m, n, terms, func(n int) []uint64 { return samples(max(n, 2), m.q, random)[kind][:n] })
				}
			}
		}
	}
}

func testPackedSums(t *testing.T, m *Modulus, n, terms int, vector func(n int) []uint64) {
	t.Helper()
	var a, packed [2][][]uint64
	var plain [][]uint64
	for range terms {
		for part := range a {
			v := vector(n)
			a[part] = append(a[part], v)
			packed[part] = append(packed[part], packedCopy(m, v))
		}
		plain = append(plain, vector(n))
	}
	name := fmt.Sprintf("%d terms of %d values modulo %d", terms, n, m.q)
	var got, want [2][]uint64
	for part := range got {
		got[part], want[part] = slices.Clone(vector(n)), make([]uint64, n)
	}
	m.InnerProduct2(want[0], want[1], a[0], a[1], plain)
	m.Packed2InnerProduct(got[0], got[1], packed[0], packed[1], plain)
	equal(t, "first of packed factors, "+name, got[0], want[0])
	equal(t, "second of packed factors, "+name, got[1], want[1])
}
