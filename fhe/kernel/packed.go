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

// compactLen returns the length that sums need of a vector that holds n values, packed or with one word for each run.
func (m *Modulus) compactLen(n, run int) int {
	if run > 1 {
		return (n + run - 1) / run
	}
	return m.PackedLen(n)
}

// InnerProduct2Packed is InnerProduct2 from place start on of factors b in compact form: packed for run = 1, or with one
// word for each run of equal values, a power of two and at least 8. Start and the length of dst0 are multiples of 8.
// With add, dst0 and dst1 are added to.
func (m *Modulus) InnerProduct2Packed(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int, add bool) {
	n := len(dst0)
	dst1 = dst1[:n]
	checkVectors(len(b), n, a0, a1)
	checkVectors(len(b), m.compactLen(start+n, run), b)
	if n%8 != 0 || start%8 != 0 || run > 1 && (run < 8 || bits.OnesCount(uint(run)) != 1) {
		panic("kernel: factors in compact form are cut or run unevenly")
	}
	m.innerProduct2Packed(dst0, dst1, a0, a1, b, start, run, add)
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

// innerProduct2PackedGeneric reads words: nothing is packed without vector code.
func (m *Modulus) innerProduct2PackedGeneric(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int, add bool) {
	var spread [group][tile]uint64
	var sums0, sums1 accumulators
	for from := 0; from < len(dst0); from += tile {
		end := min(from+tile, len(dst0))
		d0, d1 := dst0[from:end], dst1[from:end]
		sums0.load(d0, add)
		sums1.load(d1, add)
		for k := 0; k < len(b); k += group {
			if k > 0 && k%m.terms == 0 {
				m.fold128(&sums0, len(d0))
				m.fold128(&sums1, len(d0))
			}
			terms := min(group, len(b)-k)
			var factors [group][]uint64
			for i := range terms {
				if run == 1 {
					factors[i] = b[k+i][start+from : start+end]
					continue
				}
				factors[i] = spread[i][:len(d0)]
				spreadRuns(factors[i], b[k+i], start+from, run)
			}
			sums0.addTerms(a0[k:], factors[:terms], from)
			sums1.addTerms(a1[k:], factors[:terms], from)
		}
		m.store(d0, &sums0)
		m.store(d1, &sums1)
	}
}

// addTerms adds the next products, a group of them or the last one, of a from a place on.
func (s *accumulators) addTerms(a, b [][]uint64, from int) {
	n := len(b[0])
	if len(b) == group {
		s.multiplyAdd2(a[0][from:from+n], b[0], a[1][from:from+n], b[1])
	} else {
		s.multiplyAdd(a[0][from:from+n], b[0])
	}
}

// spreadRuns writes places start and on of a vector with one word for each run, eight places at a time.
func spreadRuns(dst, src []uint64, start, run int) {
	shift := bits.TrailingZeros(uint(run))
	for i := 0; i < len(dst); i += 8 {
		d, v := (*[8]uint64)(dst[i:]), src[(start+i)>>shift]
		d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = v, v, v, v, v, v, v, v
	}
}
