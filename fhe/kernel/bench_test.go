package kernel

import (
	"fmt"
	"testing"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// The benchmarks stand side by side: Lattigo, plain Go, and the vector code where this machine has it.

const benchmarkLogN = 13

func BenchmarkTransform(b *testing.B) {
	random := newRandom()
	for _, conjugateInvariant := range []bool{false, true} {
		for _, bitLen := range []int{45, 48, 49, 50} {
			q := primes(b, bitLen, benchmarkLogN, conjugateInvariant, 1)[0]
			m := moduli(b, benchmarkLogN, conjugateInvariant, q)[0]
			reference := lattigo(b, benchmarkLogN, conjugateInvariant, q).SubRings[0]
			x := randomVector(m.N(), q, random)
			name := fmt.Sprintf("ci=%t/bits=%d/", conjugateInvariant, bitLen)
			b.Run("forward/"+name+"lattigo", func(b *testing.B) {
				for b.Loop() {
					reference.NTT(x, x)
				}
			})
			b.Run("inverse/"+name+"lattigo", func(b *testing.B) {
				for b.Loop() {
					reference.INTT(x, x)
				}
			})
			for implementation, m := range implementations(m) {
				b.Run("forward/"+name+implementation, func(b *testing.B) {
					for b.Loop() {
						m.Forward(x, x)
					}
				})
				b.Run("inverse/"+name+implementation, func(b *testing.B) {
					for b.Loop() {
						m.Inverse(x, x)
					}
				})
			}
		}
	}
}

func BenchmarkInnerProduct2(b *testing.B) {
	random := newRandom()
	q := primes(b, 48, benchmarkLogN, false, 1)[0]
	m := moduli(b, benchmarkLogN, false, q)[0]
	reference := lattigo(b, benchmarkLogN, false, q).SubRings[0]
	for _, terms := range []int{5, 64} {
		vectors := NewVectors(3*terms+2, m.N())
		for _, v := range vectors {
			copy(v, randomVector(m.N(), q, random))
		}
		a0, a1, c, d := vectors[:terms], vectors[terms:2*terms], vectors[2*terms:3*terms], vectors[3*terms:]
		bytes := int64(3 * terms * m.N() * 8)
		b.Run(fmt.Sprintf("terms=%d/lattigo", terms), func(b *testing.B) {
			b.SetBytes(bytes)
			for b.Loop() {
				for k := range c {
					reference.MulCoeffsMontgomeryLazyThenAddLazy(a0[k], c[k], d[0])
					reference.MulCoeffsMontgomeryLazyThenAddLazy(a1[k], c[k], d[1])
					if k%8 == 7 || k == terms-1 {
						reference.Reduce(d[0], d[0])
						reference.Reduce(d[1], d[1])
					}
				}
			}
		})
		for implementation, m := range implementations(m) {
			b.Run(fmt.Sprintf("terms=%d/%s", terms, implementation), func(b *testing.B) {
				b.SetBytes(bytes)
				for b.Loop() {
					m.InnerProduct2(d[0], d[1], a0, a1, c)
				}
			})
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	random := newRandom()
	ps := primes(b, 48, benchmarkLogN, false, 2)
	ms := moduli(b, benchmarkLogN, false, ps...)
	reference := lattigo(b, benchmarkLogN, false, ps...)
	n, q := ms[0].N(), ps[0]
	x, y, z := randomVector(n, q, random), randomVector(n, q, random), NewVector(n)
	s := reference.SubRings[0]
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
	run("add/lattigo", func() { s.Add(x, y, z) })
	run("mul/lattigo", func() { s.MulCoeffsBarrett(x, y, z) })
	run("sub-mul-scalar/lattigo", func() { s.SubThenMulScalarMontgomeryTwoModulus(x, y, 12345, z) })
	for implementation, m := range implementations(ms[0]) {
		run("add/"+implementation, func() { m.Add(z, x, y) })
		run("mul/"+implementation, func() { m.Mul(z, x, y) })
		run("mul-scalar/"+implementation, func() { m.MulScalar(z, x, 12345) })
		run("sub-mul-scalar/"+implementation, func() { m.SubMulScalar(z, x, y, 12345) })
		run("lift/"+implementation, func() { m.Lift(z, x, ms[1]) })
		run("tensor/"+implementation, func() { m.Tensor(z, y, x, z, y, x, y) })
	}
}

func BenchmarkPermutation(b *testing.B) {
	q := primes(b, 48, benchmarkLogN, false, 1)[0]
	reference := lattigo(b, benchmarkLogN, false, q)
	g := GaloisElement(benchmarkLogN, false, 3)
	p, err := NewPermutation(benchmarkLogN, false, g)
	if err != nil {
		b.Fatal(err)
	}
	index, err := ring.AutomorphismNTTIndex(1<<benchmarkLogN, reference.NthRoot(), g)
	if err != nil {
		b.Fatal(err)
	}
	x, y := reference.NewPoly(), reference.NewPoly()
	b.Run("lattigo", func(b *testing.B) {
		for b.Loop() {
			reference.AutomorphismNTTWithIndex(x, index, y)
		}
	})
	b.Run(Features(), func(b *testing.B) {
		for b.Loop() {
			p.Apply(y.Coeffs[0], x.Coeffs[0])
		}
	})
}

func BenchmarkExtension(b *testing.B) {
	random := newRandom()
	ps := primes(b, 48, benchmarkLogN, false, 8)
	ms := moduli(b, benchmarkLogN, false, ps...)
	from, to := ms[:2], ms[2:]
	ringQ, ringP := lattigo(b, benchmarkLogN, false, ps[:2]...), lattigo(b, benchmarkLogN, false, ps[2:]...)
	extender := ring.NewBasisExtender(ringQ, ringP)
	x, y := ringQ.NewPoly(), ringP.NewPoly()
	for i, m := range from {
		copy(x.Coeffs[i], randomVector(m.N(), m.q, random))
	}
	b.Run("lattigo", func(b *testing.B) {
		for b.Loop() {
			extender.ModUpQtoP(1, 5, x, y)
		}
	})
	for implementation := range implementations(ms[0]) {
		e, err := NewExtension(implementedBy(implementation, from), implementedBy(implementation, to))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(implementation, func(b *testing.B) {
			for b.Loop() {
				e.Begin(x.Coeffs, 0, ms[0].N())
				for j, v := range y.Coeffs {
					e.convert(v, x.Coeffs, j)
				}
			}
		})
	}
}
