//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"testing"
)

func BenchmarkSumRot(b *testing.B) {
	random := newRandom()
	const logN, n = 13, 1 << 13
	ps := primes(b, 34, logN, true, 1)
	m := moduli(b, logN, true, ps...)[0]
	terms := NewVectors(64, n)
	for i := range terms {
		copy(terms[i], randomVector(n, ps[0], random))
	}
	results := NewVectors(64, n)
	for _, limbs := range []int{1, 5} {
		var lists [][]Sums
		for range limbs {
			var list []Sums
			for g := range 8 {
				f := NewFactors([]*Modulus{m}, 4, 32, 1)[0]
				for r := range 4 {
					for k := range 32 {
						f.Set(r, k, terms[k])
					}
				}
				list = append(list, Sums{Factors: f, Terms: [2][][]uint64{terms[:32], terms[32:]}, Results: [2][][]uint64{results[4*g : 4*g+4], results[32+4*g : 36+4*g]}})
			}
			lists = append(lists, list)
		}
		b.Run(fmt.Sprintf("full/limbs=%d", limbs), func(b *testing.B) {
			b.SetBytes(lists[0][0].Factors.Bytes() * 8)
			i := 0
			for b.Loop() {
				for at := 0; at < n; at += 1024 {
					Sum(lists[i%limbs], at, at+1024)
				}
				i++
			}
		})
	}
	for _, places := range []int{128, 1024} {
		one := []Sums{list0(m, terms, results)}
		b.Run(fmt.Sprintf("hot/%d", places), func(b *testing.B) {
			for b.Loop() {
				for range 8 * n / places {
					Sum(one, 0, places)
				}
			}
		})
	}
	// no memory: one group again and again
	f := NewFactors([]*Modulus{m}, 4, 32, 8)[0]
	list := []Sums{{Factors: f, Terms: [2][][]uint64{terms[:32], terms[32:]}, Results: [2][][]uint64{results[:4], results[32:36]}}}
	b.Run("runs8", func(b *testing.B) {
		for b.Loop() {
			for at := 0; at < n; at += 1024 {
				for range 8 {
					Sum(list, at, at+1024)
				}
			}
		}
	})
}

func list0(m *Modulus, terms, results [][]uint64) Sums {
	f := NewFactors([]*Modulus{m}, 4, 32, 1)[0]
	for r := range 4 {
		for k := range 32 {
			f.Set(r, k, terms[k])
		}
	}
	return Sums{Factors: f, Terms: [2][][]uint64{terms[:32], terms[32:]}, Results: [2][][]uint64{results[:4], results[32:36]}}
}
