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

// Part returns which part of a transform (see Parts) becomes the i'th, in rings of degree 32 or more.
func (p *Permutation) Part(i int) int {
	return int(p.blocks[i*len(p.blocks)/Parts]>>3) * Parts / len(p.blocks)
}

// gather writes permuted values from place start on.
func (p *Permutation) gather(dst, src []uint64, start int) {
	for b, entry := range p.blocks[start/8 : (start+len(dst))/8] {
		d, s, order := (*[8]uint64)(dst[8*b:]), (*[8]uint64)(src[entry&^7:]), &p.inner[entry&7]
		d[0] = s[order[0]&7]
		d[1] = s[order[1]&7]
		d[2] = s[order[2]&7]
		d[3] = s[order[3]&7]
		d[4] = s[order[4]&7]
		d[5] = s[order[5]&7]
		d[6] = s[order[6]&7]
		d[7] = s[order[7]&7]
	}
}
