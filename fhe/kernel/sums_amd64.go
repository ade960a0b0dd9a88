//go:build amd64 && !purego

package kernel

import "math/bits"

// Long sums are taken a few terms at a time over a part of the vectors, with the running sums in the first-level cache:
// each vector is then read in runs that the processor's prefetcher follows.
const (
	sumGroup = 8   // terms
	sumPart  = 512 // values
)

// How a group of terms starts and ends; see _asm.
const (
	startZero, startResult, startRunning = uint64(0), uint64(1), uint64(2)
	endResult, endWhole, endReduced      = uint64(0), uint64(1), uint64(2)
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
func (m *Modulus) eachGroup(n, terms int, add bool, sum func(k, count, offset, n int, start, end uint64)) {
	first := startZero
	if add {
		first = startResult
	}
	if terms <= sumGroup {
		sum(0, terms, 0, n, first, endResult)
		return
	}
	for offset := 0; offset < n; offset += sumPart {
		start, held := first, 0
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
		m.eachGroup(n, len(b), false, func(k, count, offset, n int, start, end uint64) {
			sumProducts2(&dst0[offset], &dst1[offset], &a0[k], &a1[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8),
				start, end, &running[0], &m.constants)
		})
		done = n
	} else if m.doubles != nil {
		m.sums2(dst0, dst1, a0, a1, b, 0, 1)
		return
	}
	m.sums2Generic(dst0, dst1, a0, a1, b, done, 1)
}

// sums2 is sums2Generic without IFMA, from a multiple of eight on.
func (m *Modulus) sums2(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int) {
	if m.doubles != nil {
		start = m.doubles.sums2(dst0, dst1, a0, a1, b, start, run)
	}
	m.sums2Generic(dst0, dst1, a0, a1, b, start, run)
}

// layout tells the assembly how eight packed values are read: for each lane, eight bytes that hold it; by how much to
// shift these; which bits to keep; and how many bytes the eight take.
func (m *Modulus) newLayout() (layout [18]uint64) {
	width := bits.Len64(m.q)
	for lane := range 8 {
		first := uint64(lane * width / 8)
		for k := range uint64(8) {
			layout[lane] |= (first + k) << (8 * k)
		}
		layout[8+lane] = uint64(lane * width % 8)
	}
	layout[16], layout[17] = 1<<width-1, uint64(width)
	return layout
}

// packedBits is how many bits a packed value takes.
func (m *Modulus) packedBits() int {
	if m.enabled {
		return bits.Len64(m.q)
	}
	return 64
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
	data, vectors, position := bytesOf(f.data), uint64(end-start)/8, uint64(start)/8
	unit, shift := f.rows*8, uint64(0)
	if f.run == 1 {
		unit = f.rows * m.packedBits()
	} else {
		shift = uint64(bits.TrailingZeros(uint(f.run / 8)))
	}
	step, offset := uint64(f.terms*unit), uint64(8*start)
	for k, from := 0, uint64(0); k < f.terms; k, from = k+m.vectorTerms, 1 {
		d0, d1, a0, a1, b := &s.Results[0][0], &s.Results[1][0], &s.Terms[0][k], &s.Terms[1][k], &data[k*unit]
		terms := uint64(min(m.vectorTerms, f.terms-k))
		if f.run == 1 {
			packedRows[f.rows-1](d0, d1, a0, a1, terms, offset, vectors, position, shift, step, b, from, &m.constants, &m.layout)
		} else {
			runRows[f.rows-1](d0, d1, a0, a1, terms, offset, vectors, position, shift, step, b, from, &m.constants)
		}
	}
}

func (m *Modulus) packed2InnerProduct(dst0, dst1 []uint64, a0, a1, b [][]uint64) {
	if !m.enabled || len(dst0) == 0 || len(b) == 0 { // vectors are packed one word a value
		m.innerProduct2(dst0, dst1, a0, a1, b)
		return
	}
	var running [4 * sumPart]uint64
	m.eachGroup(len(dst0), len(b), false, func(k, count, offset, n int, first, last uint64) {
		sumPacked2Products(&dst0[offset], &dst1[offset], &a0[k], &a1[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8),
			first, last, &running[0], &m.constants, uint64(offset/8), &m.layout)
	})
}

var (
	packedRows = [MaxRows]func(dst0, dst1, a0, a1 *[]uint64, terms, offset, vectors, position, shift, step uint64, factors *byte, start uint64, c *[22]uint64, layout *[18]uint64){
		sumRows1Packed, sumRows2Packed, sumRows3Packed, sumRows4Packed,
	}
	runRows = [MaxRows]func(dst0, dst1, a0, a1 *[]uint64, terms, offset, vectors, position, shift, step uint64, factors *byte, start uint64, c *[22]uint64){
		sumRows1Runs, sumRows2Runs, sumRows3Runs, sumRows4Runs,
	}
)
