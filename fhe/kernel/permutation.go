package kernel

import (
	"errors"
	"fmt"
	"math/bits"
)

// GaloisGenerator generates the automorphisms that rotate slots: X -> X^(5^k) rotates by k.
const GaloisGenerator = 5

// ErrGaloisElement is returned for a Galois element that the ring does not have.
var ErrGaloisElement = errors.New("unusable Galois element")

// GaloisElement returns 5^k modulo the order of the ring's root of unity (2N, or 4N in the conjugate-invariant ring):
// the automorphism that rotates the slots by k, to the left for positive k.
func GaloisElement(logN int, conjugateInvariant bool, k int) uint64 {
	mask := rootOrder(logN, conjugateInvariant) - 1
	result, power := uint64(1), uint64(GaloisGenerator)
	for e := uint64(k) & mask; e > 0; e >>= 1 {
		if e&1 == 1 {
			result = result * power & mask
		}
		power = power * power & mask
	}
	return result
}

func rootOrder(logN int, conjugateInvariant bool) uint64 {
	if conjugateInvariant {
		return 4 << logN
	}
	return 2 << logN
}

// Permutation is an automorphism X -> X^g in the NTT domain: the transform's values in another order, the same for every
// modulus. It moves whole blocks of eight and reorders each, so that its table holds one word a block.
// It is immutable and safe for concurrent use.
type Permutation struct {
	blocks []uint32     // for each block of eight: source block * 8 + which of the inner orders
	inner  [8][8]uint64 // inner orders: position in the source block
}

// NewPermutation prepares the automorphism of the given Galois element: odd and below 2N, or 1 mod 4 and below 4N in the
// conjugate-invariant ring.
func NewPermutation(logN int, conjugateInvariant bool, galoisElement uint64) (*Permutation, error) {
	if logN < minLogN || logN > maxLogN {
		return nil, fmt.Errorf("%w: ring degree 2^%d is outside 2^%d..2^%d", ErrGaloisElement, logN, minLogN, maxLogN)
	}
	order := rootOrder(logN, conjugateInvariant)
	if galoisElement >= order || galoisElement&1 == 0 || conjugateInvariant && galoisElement&3 != 1 {
		return nil, fmt.Errorf("%w: %d in a ring whose root has order %d", ErrGaloisElement, galoisElement, order)
	}

	// Value i of the transform is the polynomial at root^(2*reverse(i)+1). The low three bits of i are the high three of
	// the exponent, so the block depends on the low bits of g*exponent alone and the place r = reverse3(i mod 8) inside
	// it becomes g*r + carry mod 8.
	width := bits.TrailingZeros64(order) - 1
	reverse := func(x uint64) uint64 { return bits.Reverse64(x) >> (64 - width) }
	p := &Permutation{blocks: make([]uint32, 1<<logN/8)}
	for b := range p.blocks {
		exponent := 2*reverse(uint64(8*b)) + 1
		source := reverse(galoisElement * exponent & (order - 1) >> 1)
		carry := reverse3(source & 7)
		p.blocks[b] = uint32(source&^7 | carry)
	}
	for carry := range p.inner {
		for i := range p.inner[carry] {
			p.inner[carry][i] = reverse3((galoisElement*reverse3(uint64(i)) + uint64(carry)) & 7)
		}
	}
	return p, nil
}

func reverse3(x uint64) uint64 { return bits.Reverse64(x) >> 61 }

// Apply writes the permuted values of src. dst must not overlap src.
func (p *Permutation) Apply(dst, src []uint64) {
	n := 8 * len(p.blocks)
	p.apply(dst[:n], src[:n])
}

// PermuteQuotient writes (a-b)*c + d, permuted, c < q: the last steps of a rotation, with a-b what the special primes
// divide and c the inverse of their product. d may be nil for none. dst must not overlap the sources.
func (m *Modulus) PermuteQuotient(dst, a, b []uint64, c uint64, d []uint64, p *Permutation) {
	n := 8 * len(p.blocks)
	if d != nil {
		d = d[:n]
	}
	m.permuteQuotient(dst[:n], a[:n], b[:n], m.scalar(c), d, p)
}

// AddPermuted adds a + b*c, permuted, to dst, c < q. b may be nil for none. dst must not overlap the sources.
func (m *Modulus) AddPermuted(dst, a, b []uint64, c uint64, p *Permutation) {
	n := 8 * len(p.blocks)
	if b != nil {
		b = b[:n]
	}
	m.addPermuted(dst[:n], a[:n], b, m.scalar(c), p)
}

func (m *Modulus) permuteQuotientGeneric(dst, a, b []uint64, c scalar, d []uint64, p *Permutation) {
	q := m.q
	for i, entry := range p.blocks {
		var x [8]uint64
		from := entry &^ 7
		y, z := (*[8]uint64)(a[from:]), (*[8]uint64)(b[from:])
		for k := range x {
			x[k] = c.mul(y[k]+q-z[k], q)
		}
		if d != nil {
			more := (*[8]uint64)(d[from:])
			for k := range x {
				x[k] = reduceOnce(x[k]+more[k], q)
			}
		}
		to, order := (*[8]uint64)(dst[8*i:]), &p.inner[entry&7]
		for k := range to {
			to[k] = x[order[k]&7]
		}
	}
}

func (m *Modulus) addPermutedGeneric(dst, a, b []uint64, c scalar, p *Permutation) {
	q := m.q
	for i, entry := range p.blocks {
		from := entry &^ 7
		x := *(*[8]uint64)(a[from:])
		if b != nil {
			more := (*[8]uint64)(b[from:])
			for k := range x {
				x[k] = reduceOnce(x[k]+c.mul(more[k], q), q)
			}
		}
		to, order := (*[8]uint64)(dst[8*i:]), &p.inner[entry&7]
		for k := range to {
			to[k] = reduceOnce(to[k]+x[order[k]&7], q)
		}
	}
}

func (p *Permutation) applyGeneric(dst, src []uint64) {
	for b, entry := range p.blocks {
		d := (*[8]uint64)(dst[8*b:])
		s := (*[8]uint64)(src[entry&^7:])
		order := &p.inner[entry&7]
		for i := range d {
			d[i] = s[order[i]&7]
		}
	}
}
