//go:build amd64 && !purego

package kernel

import (
	"math/bits"
	"unsafe"
)

// Long sums are taken a few terms at a time over a part of the vectors, with the running sums in the first-level cache:
// each vector is then read in runs that the processor's prefetcher follows.
const (
	sumGroup = 8   // terms
	sumPart  = 512 // values
)

// How a group of terms starts and ends; see _asm.
const (
	startZero, startRunning         = uint64(0), uint64(1)
	endResult, endWhole, endReduced = uint64(0), uint64(1), uint64(2)
)

// vectorTerms is how many products below q^2, on top of one value below q, a pair of 64-bit lanes holds: the low 52-bit
// halves stay below 2^64, the high ones, with the carry of the low ones, below 2^52. It is at least 15.
func vectorTerms(q uint64) int {
	return int(min(1<<12-1, (1<<52-1<<12)/(highHalf(q, q)+1)))
}

// highHalf returns floor(a*b / 2^52) for a, b below 2^50.
func highHalf(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi<<12 | lo>>52
}

// eachGroup calls sum for every group of the terms of every part of n values, n a multiple of eight.
func (m *Modulus) eachGroup(n, terms int, sum func(k, count, offset, n int, start, end uint64)) {
	if terms <= sumGroup {
		sum(0, terms, 0, n, startZero, endResult)
		return
	}
	for offset := 0; offset < n; offset += sumPart {
		start, held := startZero, 0
		for k := 0; k < terms; k += sumGroup {
			count := min(sumGroup, terms-k)
			held += count
			end := endWhole
			switch {
			case k+count == terms:
				end = endResult
			case held+sumGroup > m.vectorTerms:
				end, held = endReduced, 0
			}
			sum(k, count, offset, min(sumPart, n-offset), start, end)
			start = startRunning
		}
	}
}

func (m *Modulus) innerProduct2(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	done := 0
	if _, n := m.whole(len(dst0)); n > 0 && len(b) > 0 {
		var running [4 * sumPart]uint64
		m.eachGroup(n, len(b), func(k, count, offset, n int, start, end uint64) {
			sumProducts2(&dst0[offset], &dst1[offset], &a0[k], &a1[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8),
				start, end, &running[0], &m.constants)
		})
		done = n
	} else if m.doubles != nil {
		m.sums2(dst0, dst1, a0, a1, b, 0, 1)
		return
	}
	m.sums2Generic(dst0, dst1, a0, a1, b, done, 0, 1)
}

// sums2 is sums2Generic without IFMA.
func (m *Modulus) sums2(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int) {
	done := 0
	if m.doubles != nil {
		done = m.doubles.sums2(dst0, dst1, a0, a1, b, start, run)
	}
	m.sums2Generic(dst0, dst1, a0, a1, b, done, start, run)
}

// packedBits is how many bits a packed value takes.
func (m *Modulus) packedBits() int {
	if m.enabled {
		return bits.Len64(m.q)
	}
	return 64
}

// plainSums tells whether sums of products are plain Go's.
func (m *Modulus) plainSums() bool { return !m.enabled && m.doubles == nil }

func (m *Modulus) keySum(dst0, dst1 []uint64, s *KeySum, start int, add bool) {
	switch { // without assembly for integers, vectors are packed one word a value
	case m.doubles != nil && len(s.Digits) > 0:
		m.keySumDoubles(dst0, dst1, s, start, add)
		return
	case !m.enabled || len(s.Digits) == 0:
		m.keySumGeneric(dst0, dst1, s, start, add)
		return
	}
	position, count, from := uint64(start)/8, uint64(len(dst0))/8, uint64(0)
	if add {
		from = 1
	}
	addends := [2]*uint64{unsafe.SliceData(s.Addends[0]), unsafe.SliceData(s.Addends[1])}
	most := m.vectorTerms
	if m.q>>lazyBits == 0 { // digits may come from lazy transforms and are below 2^52
		most = int((1<<52 - 1<<12) / m.q)
	}
	most-- // addends take the place of a term
	for k := 0; k < len(s.Digits); k += most {
		keyProductsVector(&dst0[0], &dst1[0], &s.Key[0][k], &s.Key[1][k], &s.Digits[k], uint64(min(most, len(s.Digits)-k)),
			position, count, &s.Permutation.blocks[position], &s.Permutation.inner, addends[0], addends[1], s.Factor, from, s.ahead(),
			&m.constants, uint64(m.packedBits()), 1<<m.packedBits()-1)
		from, addends = 1, [2]*uint64{}
	}
}

// keySumDoubles is keySumGeneric, both parts at once. What is added to either is a term for both.
func (m *Modulus) keySumDoubles(dst0, dst1 []uint64, s *KeySum, start int, add bool) {
	var turned [tiles + 2][tile]uint64
	var factor, nothing, sum0, sum1 [tile]uint64
	for i := range factor {
		factor[i] = s.Factor
	}
	for at := 0; at < len(dst0); at += tile {
		from, n := start+at, min(tile, len(dst0)-at)
		d0, d1 := dst0[at:at+n], dst1[at:at+n]
		for k := 0; k < len(s.Digits); k += tiles {
			var rows [2][tiles + 1][]uint64
			var digits [tiles + 1][]uint64
			terms := min(tiles, len(s.Digits)-k)
			for i := range terms {
				digits[i] = turned[i][:n]
				s.Permutation.gather(digits[i], s.Digits[k+i], from)
				for part, key := range s.Key {
					rows[part][i] = key[k+i][from : from+n]
				}
			}
			if k == 0 && (s.Addends[0] != nil || s.Addends[1] != nil) {
				digits[terms] = factor[:n]
				for part, more := range s.Addends {
					rows[part][terms] = nothing[:n]
					if more != nil {
						rows[part][terms] = turned[tiles+part][:n]
						s.Permutation.gather(rows[part][terms], more, from)
					}
				}
				terms++
			}
			if !add && k == 0 {
				m.sums2(d0, d1, rows[0][:terms], rows[1][:terms], digits[:terms], 0, 1)
				continue
			}
			m.sums2(sum0[:n], sum1[:n], rows[0][:terms], rows[1][:terms], digits[:terms], 0, 1)
			m.add(d0, d0, sum0[:n])
			m.add(d1, d1, sum1[:n])
		}
	}
}

// take takes the sums of every so many terms as the accumulators hold on top of those of the terms before.
func (s *Sums) take(start, end int) {
	f, m := s.Factors, s.Factors.m
	if f.terms == 0 {
		for _, list := range s.Results {
			for _, v := range list {
				clear(v[start:end])
			}
		}
		return
	}
	vectors, position := uint64(end-start)/8, uint64(start)/8
	unit, shift, step, size := f.rows, uint64(bits.TrailingZeros(uint(f.run/8))), uint64(8*f.terms*f.rows), uint64(0) // unit is in words
	row := uint64(0)
	if f.run == 1 {
		block, words := f.block()
		unit, shift, size = 8, uint64(bits.TrailingZeros(uint(block/8))), uint64(8*8*f.terms)
		step, row = size*uint64(words/8), uint64(8*f.rowWords())
	}
	to, from := uint64(8*start), uint64(8*(start-s.From))
	for k, add := 0, uint64(0); k < f.terms; k, add = k+m.vectorTerms, 1 {
		d0, d1, a0, a1, b := &s.Results[0][0], &s.Results[1][0], &s.Terms[0][k], &s.Terms[1][k], &f.data[k*unit]
		terms := uint64(min(m.vectorTerms, f.terms-k))
		if f.run == 1 {
			packedRows[f.rows-1](d0, d1, a0, a1, terms, to, from, vectors, position, shift, step, b, add, &m.constants,
				size, row, uint64(m.packedBits()), 1<<m.packedBits()-1)
		} else {
			runRows[f.rows-1](d0, d1, a0, a1, terms, to, from, vectors, position, shift, step, b, add, &m.constants)
		}
	}
}

func (m *Modulus) packed2InnerProduct(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	if !m.enabled || len(dst0) == 0 || len(b) == 0 { // vectors are packed one word a value
		m.innerProduct2(dst0, dst1, a0, a1, b)
		return
	}
	var running [4 * sumPart]uint64
	m.eachGroup(len(dst0), len(b), func(k, count, offset, n int, first, last uint64) {
		sumPacked2Products(&dst0[offset], &dst1[offset], &a0[k], &a1[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8),
			first, last, &running[0], &m.constants, uint64(offset/8), uint64(m.packedBits()), 1<<m.packedBits()-1)
	})
}

var (
	packedRows = [MaxRows]func(dst0, dst1, a0, a1 *[]uint64, terms, to, from, vectors, position, shift, step uint64, factors *uint64, start uint64, c *[28]uint64, size, row, width, mask uint64){
		sumRows1Packed, sumRows2Packed, sumRows3Packed, sumRows4Packed,
	}
	runRows = [MaxRows]func(dst0, dst1, a0, a1 *[]uint64, terms, to, from, vectors, position, shift, step uint64, factors *uint64, start uint64, c *[28]uint64){
		sumRows1Runs, sumRows2Runs, sumRows3Runs, sumRows4Runs,
	}
)
