package kernel

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tuneinsight/lattigo/v5/ring"
)

// primes returns count primes of the given bit length (just below 2^bits) that serve the ring.
func primes(t testing.TB, bitLen, logN int, conjugateInvariant bool, count int) []uint64 {
	t.Helper()
	generator := ring.NewNTTFriendlyPrimesGenerator(uint64(bitLen), rootOrder(logN, conjugateInvariant))
	found, err := generator.NextDownstreamPrimes(count)
	if err != nil {
		t.Fatalf("primes of %d bits for N = 2^%d: %v", bitLen, logN, err)
	}
	return found
}

func moduli(t testing.TB, logN int, conjugateInvariant bool, qs ...uint64) []*Modulus {
	t.Helper()
	result := make([]*Modulus, len(qs))
	for i, q := range qs {
		m, err := NewModulus(q, logN, conjugateInvariant)
		if err != nil {
			t.Fatal(err)
		}
		result[i] = m
	}
	return result
}

func lattigo(t testing.TB, logN int, conjugateInvariant bool, qs ...uint64) *ring.Ring {
	t.Helper()
	kind := ring.Standard
	if conjugateInvariant {
		kind = ring.ConjugateInvariant
	}
	r, err := ring.NewRingFromType(1<<logN, qs, kind)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// samples are the vectors that every kernel meets: edges and random values below q.
func samples(n int, q uint64, random *rand.Rand) map[string][]uint64 {
	fill := func(value func(i int) uint64) []uint64 {
		v := NewVector(n)
		for i := range v {
			v[i] = value(i)
		}
		return v
	}
	return map[string][]uint64{
		"zero":    fill(func(int) uint64 { return 0 }),
		"one":     fill(func(int) uint64 { return 1 }),
		"largest": fill(func(int) uint64 { return q - 1 }),
		"impulse": fill(func(i int) uint64 { return uint64(i / (n - 1)) }),
		"even":    fill(func(i int) uint64 { return uint64(bits.OnesCount(uint(i))&1) * (q - 1) }), // inverse transforms negate
		"odd":     fill(func(i int) uint64 { return uint64(bits.OnesCount(uint(i))&1^1) * (q - 1) }),
		"edges":   fill(func(i int) uint64 { return []uint64{0, 1, q - 1, q / 2, q/2 + 1}[random.IntN(5)] }),
		"random":  fill(func(int) uint64 { return random.Uint64N(q) }),
	}
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func randomVector(n int, q uint64, random *rand.Rand) []uint64 {
	return samples(n, q, random)["random"]
}

func eachRing(t *testing.T, test func(t *testing.T, logN int, conjugateInvariant bool)) {
	for _, conjugateInvariant := range []bool{false, true} {
		for logN := minLogN; logN <= 15; logN++ {
			if testing.Short() && logN > 12 {
				break
			}
			t.Run(fmt.Sprintf("ci=%t/logN=%d", conjugateInvariant, logN), func(t *testing.T) {
				test(t, logN, conjugateInvariant)
			})
		}
	}
}

func equal(t *testing.T, what string, got, want []uint64) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: value %d is %d, want %d", what, i, got[i], want[i])
		}
	}
	t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
}

func TestTransformEqualsLattigo(t *testing.T) {
	eachRing(t, func(t *testing.T, logN int, conjugateInvariant bool) {
		random := newRandom()
		var qs []uint64
		for _, bitLen := range []int{20, 25, 30, 36, 40, 45, 46, 47, 48, 49, 50, 51, 55, 58, 60} {
			if bitLen < logN+5 {
				continue
			}
			qs = append(qs, primes(t, bitLen, logN, conjugateInvariant, 1)...)
			if bitLen >= 45 && bitLen <= 50 {
				generator := ring.NewNTTFriendlyPrimesGenerator(uint64(bitLen), rootOrder(logN, conjugateInvariant))
				q, err := generator.NextUpstreamPrime() // just above 2^bitLen: the first of the next size class
				if err != nil {
					t.Fatal(err)
				}
				qs = append(qs, q)
			}
		}
		for _, q := range qs {
			m := moduli(t, logN, conjugateInvariant, q)[0]
			reference := lattigo(t, logN, conjugateInvariant, q).SubRings[0]
			n := m.N()
			for name, source := range samples(n, q, random) {
				forward, inverse, got := make([]uint64, n), make([]uint64, n), make([]uint64, n)
				reference.NTT(source, forward)
				reference.INTT(source, inverse)
				for implementation, m := range implementations(m) {
					name := fmt.Sprintf("of %s modulo %d, %s", name, q, implementation)
					m.Forward(got, source)
					equal(t, "forward "+name, got, forward)
					copy(got, source)
					m.Forward(got, got)
					equal(t, "forward in place "+name, got, forward)
					m.BeginForward(got, source, m)
					finish(m, got)
					equal(t, "in parts "+name, got, forward)

					m.Inverse(got, source)
					equal(t, "inverse "+name, got, inverse)
					copy(got, source)
					m.Inverse(got, got)
					equal(t, "inverse in place "+name, got, inverse)
				}
			}
		}
	})
}

func TestPermutationEqualsLattigo(t *testing.T) {
	eachRing(t, func(t *testing.T, logN int, conjugateInvariant bool) {
		random := newRandom()
		q := primes(t, 40, logN, conjugateInvariant, 1)[0]
		reference := lattigo(t, logN, conjugateInvariant, q)
		n := 1 << logN
		elements := []uint64{1}
		for _, k := range []int{1, 2, 3, 5, 7, 8, n / 4, n/2 - 1, -1, -6} {
			elements = append(elements, GaloisElement(logN, conjugateInvariant, k))
		}
		if !conjugateInvariant {
			elements = append(elements, uint64(2*n-1), 2*uint64(n)-5)
		}
		for _, g := range elements {
			p, err := NewPermutation(logN, conjugateInvariant, g)
			if err != nil {
				t.Fatal(err)
			}
			index, err := ring.AutomorphismNTTIndex(n, reference.NthRoot(), g)
			if err != nil {
				t.Fatal(err)
			}
			source, want, got := reference.NewPoly(), reference.NewPoly(), make([]uint64, n)
			copy(source.Coeffs[0], randomVector(n, q, random))
			reference.AutomorphismNTTWithIndex(source, index, want)
			p.Apply(got, source.Coeffs[0])
			equal(t, fmt.Sprintf("Galois element %d", g), got, want.Coeffs[0])
		}
	})
}

func TestGaloisElement(t *testing.T) {
	for _, c := range []struct {
		logN, k            int
		conjugateInvariant bool
		want               uint64
	}{
		{4, 0, false, 1}, {4, 1, false, 5}, {4, 2, false, 25}, {4, 3, false, 29}, {4, -1, false, 13},
		{4, 3, true, 61}, {4, -1, true, 13}, {4, 16, true, 1}, {4, 8, false, 1},
	} {
		if got := GaloisElement(c.logN, c.conjugateInvariant, c.k); got != c.want {
			t.Errorf("rotation by %d, N = 2^%d, ci=%t: %d, want %d", c.k, c.logN, c.conjugateInvariant, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	q := primes(t, 45, 12, true, 1)[0]
	for _, c := range []struct {
		q                  uint64
		logN               int
		conjugateInvariant bool
	}{
		{q, 2, false}, {q, 18, false}, {0, 12, false}, {1, 12, false}, {q + 2, 12, false}, {q * 3, 12, false},
		{1<<13 + 1, 12, false}, {1<<62 + 1, 4, false}, {12289, 12, true},
	} {
		if _, err := NewModulus(c.q, c.logN, c.conjugateInvariant); !errors.Is(err, ErrModulus) {
			t.Errorf("modulus %d, N = 2^%d, ci=%t: %v", c.q, c.logN, c.conjugateInvariant, err)
		}
	}
	for _, c := range []struct {
		g                  uint64
		logN               int
		conjugateInvariant bool
	}{{0, 4, false}, {2, 4, false}, {33, 4, false}, {65, 4, true}, {63, 4, true}, {1, 2, true}, {1, 18, true}} {
		if _, err := NewPermutation(c.logN, c.conjugateInvariant, c.g); !errors.Is(err, ErrGaloisElement) {
			t.Errorf("Galois element %d, N = 2^%d, ci=%t: %v", c.g, c.logN, c.conjugateInvariant, err)
		}
	}
	m := moduli(t, 12, false, q)
	large := moduli(t, 12, false, primes(t, 59, 12, false, 1)...)
	for _, c := range []struct{ from, to []*Modulus }{{nil, m}, {m, nil}, {append(m, m...), m}, {make([]*Modulus, 33), m}, {large, m}} {
		if _, err := NewExtension(c.from, c.to); !errors.Is(err, ErrExtension) {
			t.Errorf("extension from %d to %d moduli: %v", len(c.from), len(c.to), err)
		}
	}
}

func TestPrimitiveRoot(t *testing.T) {
	for _, bitLen := range []int{30, 49, 55, 60} {
		for _, q := range primes(t, bitLen, 10, false, 4) {
			want, _, err := ring.PrimitiveRoot(q, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := primitiveRoot(q); got != want {
				t.Errorf("primitive root modulo %d: %d, want %d", q, got, want)
			}
		}
	}
}

func TestNewVectors(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 100} {
		for i, v := range NewVectors(3, n) {
			if len(v) != n || cap(v) != n {
				t.Errorf("vector %d has %d values of %d, want %d", i, len(v), cap(v), n)
			}
			if n > 0 && address(v)%alignment != 0 {
				t.Errorf("vector %d of %d values starts at %#x", i, n, address(v))
			}
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	const logN = 10
	ms := moduli(t, logN, true, primes(t, 48, logN, true, 4)...)
	extension, err := NewExtension(ms[:2], ms[2:])
	if err != nil {
		t.Fatal(err)
	}
	permutation, err := NewPermutation(logN, true, 5)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVectors(64, 1<<logN)
	for _, m := range implementations(ms[0]) {
		for name, run := range map[string]func(){
			"forward":         func() { m.Forward(v[0], v[1]) },
			"inverse":         func() { m.Inverse(v[0], v[1]) },
			"mul":             func() { m.Mul(v[0], v[1], v[2]) },
			"mul scalar":      func() { m.MulScalar(v[0], v[1], 3) },
			"tensor":          func() { m.Tensor(v[0], v[1], v[2], v[3], v[4], v[5], v[6]) },
			"lift":            func() { m.Lift(v[0], v[1], ms[1]) },
			"inner product 2": func() { m.InnerProduct2(v[0], v[1], v[2:22], v[22:42], v[42:62]) },
			"extension": func() {
				extension.Begin(v[2:4], 0, len(v[0]))
				extension.BeginForward(v[0], v[2:4], 1)
				m.FinishForward(v[0], 1, [3][]uint64{v[4], v[5], v[6]})
			},
			"permutation": func() { permutation.Apply(v[0], v[1]) },
		} {
			if allocations := testing.AllocsPerRun(3, run); allocations != 0 {
				t.Errorf("%s allocates %v times", name, allocations)
			}
		}
	}
}

// finish finishes a transform that was begun, the last part first, and brings what it leaves into [0, q): 0 - v, and that
// times -1.
func finish(m *Modulus, v []uint64) {
	for part := Parts - 1; part >= 0; part-- {
		m.FinishForward(v, part, [3][]uint64{v[:part*len(v)/Parts], v[:part*len(v)/Parts], v[:part*len(v)/Parts]})
	}
	m.SubMulScalar(v, make([]uint64, len(v)), v, m.q-1)
}

func TestForwardInParts(t *testing.T) {
	random := newRandom()
	for _, invariant := range []bool{false, true} {
		for logN := 3; logN <= 11; logN++ {
			var all []*Modulus
			for _, bitLen := range []int{22, 30, 38, 44, 45, 46, 48, 50, 57, 59, 61} {
				all = append(all, moduli(t, logN, invariant, primes(t, bitLen, logN, invariant, 1)...)...)
			}
			for _, from := range all {
				for name, src := range samples(1<<logN, from.q, random) {
					for _, to := range all {
						want, got := make([]uint64, to.N()), make([]uint64, to.N())
						to.liftGeneric(want, src, from.q)
						to.forwardGeneric(want, want, false)
						to.BeginForward(got, src, from)
						finish(to, got)
						equal(t, fmt.Sprintf("%s, 2^%d coefficients from %d to %d", name, logN, from.q, to.q), got, want)
					}
				}
			}
		}
	}
}
