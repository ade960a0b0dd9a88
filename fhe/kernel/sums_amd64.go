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

func (m *Modulus) innerProduct(dst []uint64, a, b [][]uint64, add bool) {
	done := 0
	if _, n := m.whole(len(dst)); n > 0 && len(a) > 0 {
		var running [2 * sumPart]uint64
		m.eachGroup(n, len(a), add, func(k, count, offset, n int, start, end uint64) {
			sumProducts(&dst[offset], &a[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8), start, end,
				&running[0], &m.constants)
		})
		done = n
	}
	m.innerProductGeneric(dst, a, b, done, add)
}

func (m *Modulus) innerProduct2(dst0, dst1 []uint64, a0, a1, b [][]uint64, add bool) {
	done := 0
	if _, n := m.whole(len(dst0)); n > 0 && len(b) > 0 {
		var running [4 * sumPart]uint64
		m.eachGroup(n, len(b), add, func(k, count, offset, n int, start, end uint64) {
			sumProducts2(&dst0[offset], &dst1[offset], &a0[k], &a1[k], &b[k], uint64(count), uint64(8*offset), uint64(n/8),
				start, end, &running[0], &m.constants)
		})
		done = n
	}
	m.innerProduct2Generic(dst0, dst1, a0, a1, b, done, add)
}
