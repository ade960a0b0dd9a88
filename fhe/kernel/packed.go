package kernel

import (
	"math/bits"
	"slices"
	"unsafe"
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
	return n/8*width/8 + 8 // the last values are read as eight whole words
}

// Pack writes a packed vector.
func (m *Modulus) Pack(dst, src []uint64) {
	width := m.packedBits()
	if width == 64 {
		copy(dst, src)
		return
	}
	word, held, at := uint64(0), 0, 0
	for _, x := range src {
		word |= x << held
		held += width
		if held >= 64 {
			dst[at] = word
			at++
			held -= 64
			word = x >> (width - held)
		}
	}
	if held > 0 {
		dst[at] = word
	}
}

// bytesOf returns the memory of words.
func bytesOf(words []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))
}

// Unpack writes the values of a packed vector.
func (m *Modulus) Unpack(dst, src []uint64) {
	width := m.packedBits()
	if width == 64 {
		copy(dst, src)
		return
	}
	mask := uint64(1)<<width - 1
	for i := range dst {
		at := i * width
		x := src[at/64] >> (at % 64)
		if at%64+width > 64 {
			x |= src[at/64+1] << (64 - at%64)
		}
		dst[i] = x & mask
	}
}

// Packed2InnerProduct is InnerProduct2 of packed a0 and a1: of both parts of a switching key. The length of dst0 is a
// multiple of 8.
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
