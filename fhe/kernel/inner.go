package kernel

import "math/bits"

// InnerProduct2 writes two sums that share a factor, dst0 = sum of a0[k]*b[k] and dst1 = sum of a1[k]*b[k], and reads b
// once: a plaintext diagonal times both parts of a ciphertext, a digit times both parts of a switching key. The sums are
// kept whole and reduced once. dst0 and dst1 may be sources.
func (m *Modulus) InnerProduct2(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	n := len(dst0)
	dst1 = dst1[:n]
	checkVectors(len(b), n, a0, a1)
	checkVectors(len(b), n, b)
	m.innerProduct2(dst0, dst1, a0, a1, b)
}

// group is how many products are added at a time.
const group = 2

// maxTerms is how many products below q^2, on top of one value below q, reduceSum takes: a multiple of group.
func maxTerms(k uint) int { return 1 << min(62-k, 30) &^ (group - 1) }

// tile is the number of accumulators that stay in the first-level cache while the terms stream by.
const tile = 256

type accumulators struct{ hi, lo [tile]uint64 }

// sums2Generic writes two sums from a place on. Factors b begin with place -start and have one word for each run of equal
// values.
func (m *Modulus) sums2Generic(dst0, dst1 []uint64, a0, a1, b [][]uint64, from, start, run int) {
	var spread [group][tile]uint64
	var sums0, sums1 accumulators
	for ; from < len(dst0); from += tile {
		end := min(from+tile, len(dst0))
		d0, d1 := dst0[from:end], dst1[from:end]
		if len(b) < group {
			sums0.clear(len(d0))
			sums1.clear(len(d1))
		}
		for k := 0; k < len(b); k += group {
			fresh := k == 0
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
			sums0.addTerms(a0[k:], factors[:terms], from, fresh)
			sums1.addTerms(a1[k:], factors[:terms], from, fresh)
		}
		m.store(d0, &sums0)
		m.store(d1, &sums1)
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

func (s *accumulators) clear(n int) {
	clear(s.hi[:n])
	clear(s.lo[:n])
}

// addTerms adds the next products, a group of them or the last one, of a from a place on. Fresh sums hold nothing yet.
func (s *accumulators) addTerms(a, b [][]uint64, from int, fresh bool) {
	n := len(b[0])
	switch {
	case len(b) < group:
		s.multiplyAdd(a[0][from:from+n], b[0])
	case fresh:
		s.multiply2(a[0][from:from+n], b[0], a[1][from:from+n], b[1])
	default:
		s.multiplyAdd2(a[0][from:from+n], b[0], a[1][from:from+n], b[1])
	}
}

func (s *accumulators) multiply2(a, b, c, d []uint64) {
	n := len(a)
	b, c, d = b[:n], c[:n], d[:n]
	sumHi, sumLo := s.hi[:n], s.lo[:n]
	for i := range a {
		hi, lo := bits.Mul64(a[i], b[i])
		h, l := bits.Mul64(c[i], d[i])
		var carry uint64
		sumLo[i], carry = bits.Add64(lo, l, 0)
		sumHi[i], _ = bits.Add64(hi, h, carry)
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
	q, r := m.q, m.barrett
	hi, lo := s.hi[:len(d)], s.lo[:len(d)]
	for i := range d {
		d[i] = reduceTwice(r.remainder(hi[i], lo[i], q), q)
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
