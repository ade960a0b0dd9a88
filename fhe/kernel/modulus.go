package kernel

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

const (
	minLogN = 3
	maxLogN = 17

	// maxModulusBits keeps the lazy ranges of the plain code (at most 4q, and sums of two such) inside 64 bits.
	maxModulusBits = 61
)

// ErrModulus is returned for a modulus that the requested ring cannot use.
var ErrModulus = errors.New("unusable modulus")

// Modulus is one prime of a residue number system together with the ring degree and everything precomputed from both.
// It is immutable and safe for concurrent use.
type Modulus struct {
	q                  uint64
	logN               int
	conjugateInvariant bool

	// Shoup constants: c' = floor(c * 2^64 / q) turns x*c mod q into two multiplications (Harvey, "Faster arithmetic for
	// number-theoretic transforms", 2014).
	one     scalar // reduces any 64-bit word
	barrett barrett

	// Twiddle factors of the stage with h blocks stand at [h, 2h), in Lattigo's bit-reversed order.
	forward, inverse shoupTable
	fold, unfold     scalar // 2N-th root's quarter turn that joins mirrored coefficients (conjugate-invariant ring only)
	scale            scalar // 1/N, or 1/(2N) in the conjugate-invariant ring
	scaledUnfold     scalar // unfold times scale

	// terms is how many products of two reduced values, on top of one reduced value, are reduced at once.
	terms int

	acceleration
}

// scalar is a constant below q with its Shoup companion.
type scalar struct{ value, shoup uint64 }

type shoupTable struct{ value, shoup []uint64 }

// NewModulus prepares arithmetic modulo the prime q in a ring of degree 2^logN: Z[X]/(X^N+1), which needs q = 1 mod 2N,
// or the conjugate-invariant Z[X+1/X]/(X^2N+1), which needs q = 1 mod 4N. The prime has at most 61 bits.
func NewModulus(q uint64, logN int, conjugateInvariant bool) (*Modulus, error) {
	if logN < minLogN || logN > maxLogN {
		return nil, fmt.Errorf("%w: ring degree 2^%d is outside 2^%d..2^%d", ErrModulus, logN, minLogN, maxLogN)
	}
	logOrder := logN + 1
	if conjugateInvariant {
		logOrder++
	}
	if bits.Len64(q) > maxModulusBits {
		return nil, fmt.Errorf("%w: %d has more than %d bits", ErrModulus, q, maxModulusBits)
	}
	if q>>logOrder == 0 || q&(1<<logOrder-1) != 1 {
		return nil, fmt.Errorf("%w: %d is not 1 modulo 2^%d", ErrModulus, q, logOrder)
	}
	if !new(big.Int).SetUint64(q).ProbablyPrime(0) { // exact below 2^64
		return nil, fmt.Errorf("%w: %d is not prime", ErrModulus, q)
	}

	m := &Modulus{q: q, logN: logN, conjugateInvariant: conjugateInvariant}
	m.one = m.scalar(1)
	m.barrett = newBarrett(q)
	m.terms = maxTerms(bits.Len64(q))

	order := uint64(1) << logOrder
	root := m.pow(primitiveRoot(q), (q-1)/order)
	rootInverse := m.pow(root, q-2)
	m.forward = m.twiddles(root)
	m.inverse = m.twiddles(rootInverse)
	m.fold = m.scalar(m.pow(root, order/4))
	m.unfold = m.scalar(m.pow(rootInverse, order/4))
	m.scale = m.scalar(m.pow(order/2, q-2))
	m.scaledUnfold = m.scalar(m.Product(m.unfold.value, m.scale.value))
	m.accelerate()
	return m, nil
}

// Q returns the prime.
func (m *Modulus) Q() uint64 { return m.q }

// N returns the ring degree.
func (m *Modulus) N() int { return 1 << m.logN }

// LogN returns the base-two logarithm of the ring degree.
func (m *Modulus) LogN() int { return m.logN }

// ConjugateInvariant tells whether the ring is Z[X+1/X]/(X^2N+1) rather than Z[X]/(X^N+1).
func (m *Modulus) ConjugateInvariant() bool { return m.conjugateInvariant }

// Reduce returns x mod q for any x.
func (m *Modulus) Reduce(x uint64) uint64 { return reduceWord(x, m.one.shoup, m.q) }

// Product returns a*b mod q for a, b < q.
func (m *Modulus) Product(a, b uint64) uint64 { return m.barrett.mul(a, b, m.q) }

// Inverted returns 1/a mod q for 0 < a < q.
func (m *Modulus) Inverted(a uint64) uint64 { return m.pow(a, m.q-2) }

func (m *Modulus) pow(a, exponent uint64) uint64 {
	result := uint64(1)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			result = m.Product(result, a)
		}
		a = m.Product(a, a)
	}
	return result
}

// twiddles returns the powers of a primitive root of order 2N (4N), laid out so that the stage with h blocks reads [h, 2h).
// Both rings run the same stages: the conjugate-invariant one folds first and then needs only those roots whose exponent
// is 1 mod 4, which are the first half of every stage of Lattigo's table of 2N entries.
func (m *Modulus) twiddles(root uint64) shoupTable {
	n, logSize := m.N(), m.logN
	if m.conjugateInvariant {
		logSize++
	}
	table := shoupTable{make([]uint64, n), make([]uint64, n)}
	power := uint64(1)
	for exponent := uint64(0); exponent < 1<<logSize; exponent++ {
		index := int(bits.Reverse64(exponent) >> (64 - logSize)) // 2h+i or h+i
		if m.conjugateInvariant {
			if h := 1 << bits.Len(uint(index)) >> 2; index-2*h < h {
				index -= h
			} else {
				index = -1
			}
		}
		if index >= 0 {
			s := m.scalar(power)
			table.value[index], table.shoup[index] = s.value, s.shoup
		}
		power = m.Product(power, root)
	}
	return table
}

// scalar returns c (below q) with floor(c * 2^64 / q).
func (m *Modulus) scalar(c uint64) scalar {
	quotient, _ := bits.Div64(c, 0, m.q)
	return scalar{c, quotient}
}

// mulLazy returns x*c mod q in [0, 2q) for any x.
func (c scalar) mulLazy(x, q uint64) uint64 {
	h, _ := bits.Mul64(x, c.shoup)
	return x*c.value - h*q
}

// mul returns x*c mod q for any x.
func (c scalar) mul(x, q uint64) uint64 { return reduceOnce(c.mulLazy(x, q), q) }

// reduceWord returns x mod q for any x; one is the companion of 1.
func reduceWord(x, one, q uint64) uint64 {
	h, _ := bits.Mul64(x, one)
	return reduceOnce(x-h*q, q)
}

// reduceOnce returns x mod q for x < 2q: where x < q, x-q wraps around and is the larger one.
func reduceOnce(x, q uint64) uint64 { return min(x, x-q) }

// barrett reduces products of two values below q (Barrett 1986, with shifts that make one correction enough).
type barrett struct {
	mu    uint64 // floor(2^(k+62) / q) for a prime of k bits: at most 63 bits
	shift uint   // k-2
}

func newBarrett(q uint64) barrett {
	k := uint(bits.Len64(q))
	mu := new(big.Int).Lsh(big.NewInt(1), k+62)
	mu.Quo(mu, new(big.Int).SetUint64(q))
	return barrett{mu.Uint64(), k - 2}
}

func (r barrett) mul(a, b, q uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return reduceOnce(r.remainder(hi, lo, q), q)
}

// remainder returns c mod q, or q more, for a sum c = hi*2^64+lo of t products below q^2, and one value below q more.
// c1 = floor(c / 2^(k-2)) fits 64 bits for t <= 2^(61-k), and floor(c1*mu / 2^64) falls short of c/q by less than
// t*2^(k-62) + 1/2 + 1: the remainder stays below 2q.
func (r barrett) remainder(hi, lo, q uint64) uint64 {
	c1 := lo>>(r.shift&63) | hi<<(-r.shift&63) // one instruction, as it is written
	quotient, _ := bits.Mul64(c1, r.mu)
	return lo - quotient*q
}
