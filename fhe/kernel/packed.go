package kernel

import (
	"math/bits"
	"slices"
)

// Packed vectors are what large tables of residues, keys and plaintexts, are kept as: reading them from memory takes
// longer than the arithmetic. Where vector code unpacks them in registers, every value takes as many bits as the prime
// has; elsewhere a word.

// PackedLen returns how many words a packed vector of n values modulo q takes; n is a multiple of 8.
func PackedLen(q uint64, n int) int {
	width := 64
	if vectorised(q) {
		width = bits.Len64(q)
	}
	return packedLen(width, n)
}

// PackedLen returns how many words a packed vector of n values takes; n is a multiple of 8.
func (m *Modulus) PackedLen(n int) int { return packedLen(m.packedBits(), n) }

func packedLen(width, n int) int {
	if width == 64 {
		return n
	}
	return (n/8*width+63)/64*8 + 8 // the last values are read as two registers
}

// Pack writes a packed vector: eight streams of bits side by side, of the values at each place of registers.
func (m *Modulus) Pack(dst, src []uint64) {
	width := m.packedBits()
	if width == 64 {
		copy(dst, src)
		return
	}
	for v := range len(src) / 8 {
		at, shift := v*width>>6<<3, v*width&63
		words, next := (*[8]uint64)(dst[at:]), (*[8]uint64)(dst[at+8:])
		for i, x := range (*[8]uint64)(src[8*v:]) {
			if shift == 0 {
				words[i] = x
			} else {
				words[i] |= x << shift
			}
			if shift+width > 64 {
				next[i] = x >> (64 - shift)
			}
		}
	}
}

// Unpack writes the values of a packed vector.
func (m *Modulus) Unpack(dst, src []uint64) {
	width := m.packedBits()
	if width == 64 {
		copy(dst, src)
		return
	}
	mask := uint64(1)<<width - 1
	for v := range len(dst) / 8 {
		at, shift := v*width>>6<<3, v*width&63
		words, next := (*[8]uint64)(src[at:]), (*[8]uint64)(src[at+8:])
		d := (*[8]uint64)(dst[8*v:])
		for i := range d {
			d[i] = (words[i]>>shift | next[i]<<(64-shift)) & mask
		}
	}
}

// Packed2InnerProduct is InnerProduct2 of packed a0 and a1: of both parts of stored ciphertexts or of a key. The length of
// dst0 is a multiple of 8.
func (m *Modulus) Packed2InnerProduct(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	n := len(dst0)
	dst1 = dst1[:n]
	checkVectors(len(b), m.PackedLen(n), a0, a1)
	checkVectors(len(b), n, b)
	if n%8 != 0 {
		panic("kernel: packed factors are cut unevenly")
	}
	m.packed2InnerProduct(dst0, dst1, a0, a1, b)
}

// checkVectors panics unless there are as many vectors as terms in each list, each of at least n words.
func checkVectors(terms, n int, lists ...[][]uint64) {
	for _, list := range lists {
		if len(list) != terms {
			panic("kernel: the sums have factors without a partner")
		}
		if slices.ContainsFunc(list, func(v []uint64) bool { return len(v) < n }) {
			panic("kernel: a term is shorter than the result")
		}
	}
}
