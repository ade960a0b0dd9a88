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

// tile is the number of running sums that stay in the first-level cache while the terms stream by.
const tile = 256

// tiles is how many terms are put in order or spread at a time.
const tiles = 8

// maxTerms is how many products below q^2, on top of one value below q, are reduced at once, so that the remainder stays
// below 2q.
func maxTerms(k int) int { return 1 << min(61-k, 30) }

// runningSums are a tile of sums of products, in two words each, and how many products they hold since the last
// reduction; negative for none and nothing else either.
type runningSums struct {
	hi, lo [tile]uint64
	held   int
}

// sums2Generic writes two sums from a place on. Factors b begin with place -start and have one word for each run of equal
// values.
func (m *Modulus) sums2Generic(dst0, dst1 []uint64, a0, a1, b [][]uint64, from, start, run int) {
	var spread [tiles][tile]uint64
	var sums [2]runningSums
	var factors, rows [tiles][]uint64
	for ; from < len(dst0); from += tile {
		end := min(from+tile, len(dst0))
		dst := [2][]uint64{dst0[from:end], dst1[from:end]}
		sums[0].held, sums[1].held = -1, -1
		for k := 0; k < len(b); k += tiles {
			terms := min(tiles, len(b)-k)
			for i := range terms {
				if run == 1 {
					factors[i] = b[k+i][start+from : start+end]
					continue
				}
				factors[i] = spread[i][:end-from]
				spreadRuns(factors[i], b[k+i], start+from, run)
			}
			for part, a := range [2][][]uint64{a0, a1} {
				for i := range terms {
					rows[i] = a[k+i][from:end]
				}
				m.addProducts(&sums[part], rows[:terms], factors[:terms])
			}
		}
		m.store(dst[0], &sums[0])
		m.store(dst[1], &sums[1])
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

// set makes the sums begin with values.
func (s *runningSums) set(values []uint64) {
	copy(s.lo[:], values)
	clear(s.hi[:len(values)])
	s.held = 0
}

// addProducts adds products of vectors of a tile's length at most.
func (m *Modulus) addProducts(s *runningSums, a, b [][]uint64) {
	for k, terms := 0, 0; k < len(b); k += terms {
		terms = min(2, m.terms, len(b)-k)
		if s.held+terms > m.terms {
			m.makeRoom(s, len(b[k]))
		}
		switch {
		case terms == 1 && s.held < 0:
			s.multiply(a[k], b[k])
		case terms == 1:
			s.multiplyAdd(a[k], b[k])
		case s.held < 0:
			s.multiply2(a[k], b[k], a[k+1], b[k+1])
		default:
			s.multiplyAdd2(a[k], b[k], a[k+1], b[k+1])
		}
		s.held = max(s.held, 0) + terms
	}
}

func (s *runningSums) multiply(a, b []uint64) {
	n := len(a)
	b = b[:n]
	sumHi, sumLo := s.hi[:n], s.lo[:n]
	for i := range a {
		sumHi[i], sumLo[i] = bits.Mul64(a[i], b[i])
	}
}

func (s *runningSums) multiply2(a, b, c, d []uint64) {
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

func (s *runningSums) multiplyAdd(a, b []uint64) {
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

func (s *runningSums) multiplyAdd2(a, b, c, d []uint64) {
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

func (s *runningSums) multiplyAddScalar(a []uint64, c uint64) {
	sumHi, sumLo := s.hi[:len(a)], s.lo[:len(a)]
	for i, x := range a {
		hi, lo := bits.Mul64(x, c)
		var carry uint64
		sumLo[i], carry = bits.Add64(sumLo[i], lo, 0)
		sumHi[i], _ = bits.Add64(sumHi[i], hi, carry)
	}
}

// makeRoom makes room for more products: every sum becomes its residue.
func (m *Modulus) makeRoom(s *runningSums, n int) {
	m.store(s.lo[:n], s)
	clear(s.hi[:n])
	s.held = 0
}

// store writes the sums' residues, 0 for sums without a term.
func (m *Modulus) store(d []uint64, s *runningSums) {
	if s.held < 0 {
		clear(d)
		return
	}
	q, r := m.q, m.barrett
	hi, lo := s.hi[:len(d)], s.lo[:len(d)]
	for i := range d {
		d[i] = reduceOnce(r.remainder(hi[i], lo[i], q), q)
	}
}
