package kernel

import (
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"testing"
	"unsafe"
)

func address(v []uint64) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(v))) }

// reference arithmetic: one division a value.
func mulRef(a, b, q uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi%q, lo, q)
	return r
}

func addRef(a, b, q uint64) uint64 { return (a + b) % q }

func subRef(a, b, q uint64) uint64 { return (a + q - b) % q }

func implementedBy(implementation string, ms []*Modulus) (picked []*Modulus) {
	for _, m := range ms {
		picked = append(picked, implementations(m)[implementation])
	}
	return picked
}

// moduliToTest are of every size class, the largest of those that the vector code treats apart, in every implementation.
func moduliToTest(t testing.TB) []*Modulus {
	const logN = 6
	var all []*Modulus
	for _, bitLen := range []int{14, 20, 30, 40, 45, 46, 47, 48, 49, 50, 51, 55, 60, 61} {
		m := moduli(t, logN, false, primes(t, bitLen, logN, false, 1)...)[0]
		for implementation, m := range implementations(m) {
			if implementation == Features() || bitLen <= 50 {
				all = append(all, m)
			}
		}
	}
	return all
}

func TestElementwise(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		q := m.q
		for _, n := range []int{1, 7, 8, 9, 16, 31, 64, 200} {
			as, bs := samples(max(n, 2), q, random), samples(max(n, 2), q, random)
			for nameA, a := range as {
				for nameB, b := range bs {
					a, b := a[:n], b[:n]
					name := fmt.Sprintf("%s and %s modulo %d, %d values", nameA, nameB, q, n)
					c := b[n-1]
					operations := map[string]struct {
						run  func(dst, a, b []uint64)
						want func(a, b uint64) uint64
					}{
						"add": {m.Add, func(a, b uint64) uint64 { return addRef(a, b, q) }},
						"sub": {m.Sub, func(a, b uint64) uint64 { return subRef(a, b, q) }},
						"mul": {m.Mul, func(a, b uint64) uint64 { return mulRef(a, b, q) }},
						"neg": {func(dst, a, b []uint64) { m.Neg(dst, a) }, func(a, _ uint64) uint64 { return subRef(0, a, q) }},
						"add scalar": {func(dst, a, b []uint64) { m.AddScalar(dst, a, c) },
							func(a, _ uint64) uint64 { return addRef(a, c, q) }},
						"mul scalar": {func(dst, a, b []uint64) { m.MulScalar(dst, a, c) },
							func(a, _ uint64) uint64 { return mulRef(a, c, q) }},
						"sub mul scalar": {func(dst, a, b []uint64) { m.SubMulScalar(dst, a, b, c) },
							func(a, b uint64) uint64 { return mulRef(subRef(a, b, q), c, q) }},
					}
					for operation, o := range operations {
						want := make([]uint64, n)
						for i := range want {
							want[i] = o.want(a[i], b[i])
						}
						got := make([]uint64, n)
						o.run(got, a, b)
						equal(t, operation+" "+name, got, want)
						copy(got, a)
						o.run(got, got, b)
						equal(t, operation+" onto the first "+name, got, want)
						copy(got, b)
						o.run(got, a, got)
						equal(t, operation+" onto the second "+name, got, want)
					}
					want, got := make([]uint64, n), make([]uint64, n)
					copy(got, b)
					for i := range want {
						want[i] = addRef(b[i], mulRef(a[i], c, q), q)
					}
					m.MulScalarAdd(got, a, c)
					equal(t, "mul scalar add "+name, got, want)
				}
			}
		}
	}
}

func TestTensor(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		q, n := m.q, 40
		for _, kind := range []string{"zero", "largest", "edges", "random"} {
			name := fmt.Sprintf("%s modulo %d", kind, q)
			var v [4][]uint64
			for i := range v {
				v[i] = samples(n, q, random)[kind]
			}
			want, got := NewVectors(3, n), NewVectors(3, n)
			tensor := func(a0, a1, b0, b1 []uint64) {
				for i := range n {
					want[0][i] = mulRef(a0[i], b0[i], q)
					want[1][i] = addRef(mulRef(a0[i], b1[i], q), mulRef(a1[i], b0[i], q), q)
					want[2][i] = mulRef(a1[i], b1[i], q)
				}
			}
			check := func(what string, got [][]uint64) {
				t.Helper()
				for i := range want {
					equal(t, fmt.Sprintf("%s %s, part %d", what, name, i), got[i], want[i])
				}
			}
			tensor(v[0], v[1], v[2], v[3])
			m.Tensor(got[0], got[1], got[2], v[0], v[1], v[2], v[3])
			check("tensor", got)
			tensor(v[0], v[1], v[0], v[1])
			m.TensorSquare(got[0], got[1], got[2], v[0], v[1])
			check("square", got)
			copy(got[0], v[0])
			copy(got[1], v[1])
			m.TensorSquare(got[0], got[1], got[2], got[0], got[1])
			check("square in place", got)
			tensor(v[0], v[1], v[2], v[3])
			copy(got[0], v[0])
			copy(got[1], v[1])
			m.Tensor(got[0], got[1], got[2], got[0], got[1], v[2], v[3])
			check("tensor in place", got)
		}
	}
}

func TestInnerProduct(t *testing.T) {
	random := newRandom()
	for _, m := range moduliToTest(t) {
		q := m.q
		for _, n := range []int{1, 8, 17, 300} {
			for _, terms := range []int{0, 1, 2, 3, 4, 5, 8, 63, 64, 65, 130} {
				for _, kind := range []string{"largest", "edges", "random"} {
					testInnerProduct(t, m, n, terms, func() []uint64 { return samples(n+1, q, random)[kind][:n] })
				}
			}
		}
	}
}

func TestInnerProductManyTerms(t *testing.T) {
	for _, m := range moduliToTest(t) {
		largest := samples(24, m.q, newRandom())["largest"]
		for _, terms := range []int{4095, 4096, 4097, 8192, 8193, 20000} {
			testInnerProduct(t, m, 24, terms, func() []uint64 { return largest })
		}
	}
}

func testInnerProduct(t *testing.T, m *Modulus, n, terms int, vector func() []uint64) {
	t.Helper()
	q := m.q
	a0, a1, b := make([][]uint64, terms), make([][]uint64, terms), make([][]uint64, terms)
	want0, want1 := make([]uint64, n), make([]uint64, n)
	for k := range b {
		a0[k], a1[k], b[k] = vector(), vector(), vector()
		for i := range n {
			want0[i] = addRef(want0[i], mulRef(a0[k][i], b[k][i], q), q)
			want1[i] = addRef(want1[i], mulRef(a1[k][i], b[k][i], q), q)
		}
	}
	name := fmt.Sprintf("%d terms of %d values modulo %d", terms, n, q)
	got0, got1 := make([]uint64, n), make([]uint64, n)
	m.InnerProduct2(got0, got1, a0, a1, b)
	equal(t, "first of two inner products, "+name, got0, want0)
	equal(t, "second of two inner products, "+name, got1, want1)

	if terms > 0 {
		a0[0], b[terms-1] = slices.Clone(a0[0]), slices.Clone(b[terms-1])
		m.InnerProduct2(a0[0], b[terms-1], a0, a1, b)
		equal(t, "onto the first factor, "+name, a0[0], want0)
		equal(t, "onto the last factor, "+name, b[terms-1], want1)
	}
}

func TestLift(t *testing.T) {
	random := newRandom()
	all := moduliToTest(t)
	for _, from := range all {
		for _, to := range all {
			for name, source := range samples(64, from.q, random) {
				for _, n := range []int{64, 13} {
					want, got := make([]uint64, n), make([]uint64, n)
					for i := range want {
						if x := source[i]; x > from.q/2 {
							want[i] = subRef(0, (from.q-x)%to.q, to.q)
						} else {
							want[i] = x % to.q
						}
					}
					to.Lift(got, source, from)
					name := fmt.Sprintf("lift of %s from %d to %d, %d values", name, from.q, to.q, n)
					equal(t, name, got, want)
					copy(got, source)
					to.Lift(got, got, from)
					equal(t, name+" in place", got, want)
				}
			}
		}
	}
}

func TestExtension(t *testing.T) {
	const logN, n = 6, 64
	random := newRandom()
	for _, c := range []struct{ from, to []int }{
		{[]int{40}, []int{45}},
		{[]int{49}, []int{20, 49, 50, 61}},
		{[]int{45, 45}, []int{45, 36, 49}},
		{[]int{49, 48, 47}, []int{49, 49, 49, 30}},
		{[]int{58, 20, 51}, []int{45, 60}},
		{[]int{20, 21, 22, 23, 24, 25, 26, 27}, []int{49, 20}},
		{[]int{49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49}, []int{49, 35}},
		{[]int{58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58,
			58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58, 58}, []int{61, 35}},
	} {
		used := map[int]int{}
		next := func(bitLens []int) (result []*Modulus) {
			for _, bitLen := range bitLens {
				used[bitLen]++
				ps := primes(t, bitLen, logN, false, used[bitLen])
				result = append(result, moduli(t, logN, false, ps[used[bitLen]-1])...)
			}
			return result
		}
		from, to := next(c.from), next(c.to)
		product := big.NewInt(1)
		for _, m := range from {
			product.Mul(product, new(big.Int).SetUint64(m.q))
		}
		quarter := new(big.Int).Rsh(product, 2)
		src, dst, want := NewVectors(len(from), n), NewVectors(len(to), n), NewVectors(len(to), n)
		for i := range n {
			// 0, 1, -1 and numbers of every size up to the rounding corner at D/2.
			x := new(big.Int)
			switch {
			case i < 3:
				x.SetInt64([]int64{0, 1, -1}[i])
			case i < 7: // D/2 - D/2^40 and its negative, -+ one quarter
				x.Rsh(product, 1)
				x.Sub(x, new(big.Int).Rsh(product, uint([]int{40, 40, 2, 2}[i-3])))
				x.Sub(x, big.NewInt(1))
			default:
				for range 10 {
					x.Lsh(x, 64).Add(x, new(big.Int).SetUint64(random.Uint64()))
				}
				for range 10 {
					x.Lsh(x, 64).Add(x, new(big.Int).SetUint64(random.Uint64()))
				}
				x.Lsh(x, 704).Mod(x, product).Sub(x, new(big.Int).Rsh(product, 1))
				x.Rsh(x, uint(random.IntN(3)))
				if new(big.Int).Abs(x).Cmp(new(big.Int).Lsh(quarter, 1)) >= 0 {
					x.SetInt64(0)
				}
			}
			if i&1 == 0 {
				x.Neg(x)
			}
			for j, m := range from {
				src[j][i] = mod(x, m.q)
			}
			for j, m := range to {
				want[j][i] = mod(x, m.q)
			}
		}
		for implementation := range implementations(from[0]) {
			extension, err := NewExtension(implementedBy(implementation, from), implementedBy(implementation, to))
			if err != nil {
				t.Fatal(err)
			}
			rows := begun(extension, src)
			for j, m := range to {
				extension.convert(dst[j], rows, j)
				equal(t, fmt.Sprintf("from %v bits to the prime %d, %s", c.from, m.q, implementation), dst[j], want[j])
			}
		}
	}
}

// begun returns the rows of a conversion that has begun, in two parts.
func begun(e *Extension, src [][]uint64) [][]uint64 {
	n := len(src[0])
	rows := NewVectors(len(src), n)
	for i, v := range src {
		copy(rows[i], v)
	}
	e.Begin(rows, 0, n/8&^1*4)
	e.Begin(rows, n/8&^1*4, n)
	return rows
}

func TestExtensionForward(t *testing.T) {
	random := newRandom()
	for _, invariant := range []bool{false, true} {
		for logN := 3; logN <= 11; logN++ {
			var to, from []*Modulus
			for _, bitLen := range []int{22, 30, 38, 44, 45, 46, 48, 50, 57} {
				ps := primes(t, bitLen, logN, invariant, 2)
				from = append(from, moduli(t, logN, invariant, ps[0])...)
				to = append(to, moduli(t, logN, invariant, ps[1])...)
			}
			for _, sources := range [][]*Modulus{from[:1], from[1:3], from[2:5], from[4:6], from[5:8], from[7:9], from[1:7]} {
				var src [][]uint64
				for _, m := range sources {
					src = append(src, randomVector(m.N(), m.q, random))
					src[len(src)-1][0] = m.q - 1
				}
				for implementation := range implementations(sources[0]) {
					e, err := NewExtension(implementedBy(implementation, sources), implementedBy(implementation, to))
					if err != nil {
						t.Fatal(err)
					}
					rows := begun(e, src)
					for j, m := range e.to {
						want, got := make([]uint64, m.N()), make([]uint64, m.N())
						e.convert(want, rows, j)
						m.forwardGeneric(want, want, false)
						e.BeginForward(got, rows, j)
						finish(m, got)
						equal(t, fmt.Sprintf("%s, 2^%d coefficients from %d moduli to %d", implementation, logN, len(sources), m.q), got, want)
					}
				}
			}
		}
	}
}
