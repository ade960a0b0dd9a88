package kernel

import "math/bits"

// InnerProduct writes the sum over k of a[k]*b[k]. The sum is kept whole and reduced once.
// dst may be one of the sources.
func (m *Modulus) InnerProduct(dst []uint64, a, b [][]uint64) {
	checkTerms(len(dst), a, b)
	m.innerProduct(dst, a, b, false)
}

// InnerProductAdd adds the sum over k of a[k]*b[k] to dst.
func (m *Modulus) InnerProductAdd(dst []uint64, a, b [][]uint64) {
	checkTerms(len(dst), a, b)
	m.innerProduct(dst, a, b, true)
}

// InnerProduct2 writes two sums that share a factor, dst0 = sum of a0[k]*b[k] and dst1 = sum of a1[k]*b[k], and reads b
// once: a plaintext diagonal times both parts of a ciphertext, a digit times both parts of a switching key.
// dst0 and dst1 may be sources.
func (m *Modulus) InnerProduct2(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	dst1 = dst1[:len(dst0)]
	checkTerms(len(dst0), a0, b)
	checkTerms(len(dst0), a1, b)
	m.innerProduct2(dst0, dst1, a0, a1, b, false)
}

// InnerProduct2Add is InnerProduct2 that adds to dst0 and dst1.
func (m *Modulus) InnerProduct2Add(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	dst1 = dst1[:len(dst0)]
	checkTerms(len(dst0), a0, b)
	checkTerms(len(dst0), a1, b)
	m.innerProduct2(dst0, dst1, a0, a1, b, true)
}

// checkTerms panics unless there are as many a as b, each with at least n values: the vector code reads them unchecked.
func checkTerms(n int, a, b [][]uint64) {
	if len(a) != len(b) {
		panic("kernel: the sums have factors without a partner")
	}
	for k := range a {
		if len(a[k]) < n || len(b[k]) < n {
			panic("kernel: a term is shorter than the result")
		}
	}
}

// group is how many products are added at a time.
const group = 2

// maxTerms is how many products below q^2, on top of one value below q, fit into 128 bits: a multiple of group, at least 62.
func maxTerms(q uint64) int {
	hi, _ := bits.Mul64(q, q)
	return int(min(1<<30, ^uint64(0)/(hi+1))) &^ (group - 1)
}

// tile is the number of accumulators that stay in the first-level cache while the terms stream by.
const tile = 256

type accumulators struct{ hi, lo [tile]uint64 }

func (m *Modulus) innerProductGeneric(dst []uint64, a, b [][]uint64, start int, add bool) {
	var sums accumulators
	for ; start < len(dst); start += tile {
		d := dst[start:min(start+tile, len(dst))]
		sums.load(d, add)
		for k := 0; k < len(a); k += group {
			if k > 0 && k%m.terms == 0 {
				m.fold128(&sums, len(d))
			}
			sums.addGroup(a[k:], b[k:], start, start+len(d))
		}
		m.store(d, &sums)
	}
}

func (m *Modulus) innerProduct2Generic(dst0, dst1 []uint64, a0, a1, b [][]uint64, start int, add bool) {
	var sums0, sums1 accumulators
	for ; start < len(dst0); start += tile {
		end := min(start+tile, len(dst0))
		d0, d1 := dst0[start:end], dst1[start:end]
		sums0.load(d0, add)
		sums1.load(d1, add)
		for k := 0; k < len(b); k += group {
			if k > 0 && k%m.terms == 0 {
				m.fold128(&sums0, len(d0))
				m.fold128(&sums1, len(d0))
			}
			sums0.addGroup(a0[k:], b[k:], start, end)
			sums1.addGroup(a1[k:], b[k:], start, end)
		}
		m.store(d0, &sums0)
		m.store(d1, &sums1)
	}
}

func (s *accumulators) load(d []uint64, add bool) {
	clear(s.hi[:len(d)])
	if add {
		copy(s.lo[:], d)
	} else {
		clear(s.lo[:len(d)])
	}
}

// addGroup adds the next two products, or the last one.
func (s *accumulators) addGroup(a, b [][]uint64, start, end int) {
	if len(a) >= group {
		s.multiplyAdd2(a[0][start:end], b[0][start:end], a[1][start:end], b[1][start:end])
	} else {
		s.multiplyAdd(a[0][start:end], b[0][start:end])
	}
}

func (s *accumulators) multiplyAdd2(a, b, c, d []uint64) {
	n := len(a)
	b, c, d = b[:n], c[:n], d[:n]
	sumHi, sumLo := s.hi[:n], s.lo[:n]
	for i := range a {
		hi, lo := bits.Mul64(a[i], b[i])
		h, l := bits.Mul64(c[i], d[i])
		lo, carry := bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
		sumLo[i], carry = bits.Add64(sumLo[i], lo, 0)
		sumHi[i], _ = bits.Add64(sumHi[i], hi, carry)
	}
}

func (s *accumulators) multiplyAdd(a, b []uint64) {
	n := len(a)
	b = b[:n]
	sumHi, sumLo := s.hi[:n], s.lo[:n]
	for i := range a {
		hi, lo := bits.Mul64(a[i], b[i])
		var carry uint64
		sumLo[i], carry = bits.Add64(sumLo[i], lo, 0)
		sumHi[i], _ = bits.Add64(sumHi[i], hi, carry)
	}
}

// fold128 makes room for more terms: every accumulator becomes its residue.
func (m *Modulus) fold128(s *accumulators, n int) {
	m.store(s.lo[:n], s)
	clear(s.hi[:n])
}

func (m *Modulus) store(d []uint64, s *accumulators) {
	for i := range d {
		d[i] = m.reduce128(s.hi[i], s.lo[i])
	}
}

// reduce128 returns hi*2^64+lo mod q for any words.
func (m *Modulus) reduce128(hi, lo uint64) uint64 {
	return reduceTwice(m.radix.mulLazy(hi, m.q)+m.one.mulLazy(lo, m.q), m.q)
}

// weightedSum returns the sum of y[i]*weights[i] mod q, for at most 62 products below 2^122.
func (m *Modulus) weightedSum(y, weights []uint64) uint64 {
	var sumHi, sumLo uint64
	y = y[:len(weights)]
	for i, w := range weights {
		hi, lo := bits.Mul64(y[i], w)
		var carry uint64
		sumLo, carry = bits.Add64(sumLo, lo, 0)
		sumHi, _ = bits.Add64(sumHi, hi, carry)
	}
	return m.reduce128(sumHi, sumLo)
}
