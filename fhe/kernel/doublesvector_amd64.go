//go:build amd64 && !purego

package kernel

import (
	"math"
	"math/bits"
	"slices"
)

// The methods here do as many values as fill whole registers and return how many that is.

func (d *doubles) mul(dst, a, b []uint64) int {
	if len(dst) >= 4 {
		mulDoubles(&dst[0], &a[0], &b[0], uint64(len(dst)/4), &d.constants)
	}
	return len(dst) &^ 3
}

func (d *doubles) mulScalar(dst, a []uint64, w [2]float64) int {
	if len(dst) >= 4 {
		mulScalarDoubles(&dst[0], &a[0], uint64(len(dst)/4), &w, &d.constants)
	}
	return len(dst) &^ 3
}

func (d *doubles) mulScalarAdd(dst, a []uint64, w [2]float64) int {
	if len(dst) >= 4 {
		mulScalarAddDoubles(&dst[0], &a[0], uint64(len(dst)/4), &w, &d.constants)
	}
	return len(dst) &^ 3
}

func (d *doubles) subMulScalar(dst, a, b []uint64, w [2]float64) int {
	if len(dst) >= 4 {
		subMulScalarDoubles(&dst[0], &a[0], &b[0], uint64(len(dst)/4), &w, &d.constants)
	}
	return len(dst) &^ 3
}

func (d *doubles) tensor(d0, d1, d2, a0, a1, b0, b1 []uint64) int {
	if len(d0) >= 4 {
		tensorDoubles(&d0[0], &d1[0], &d2[0], &a0[0], &a1[0], &b0[0], &b1[0], uint64(len(d0)/4), &d.constants)
	}
	return len(d0) &^ 3
}

// lift reads values modulo p, below 2^50.
func (d *doubles) lift(dst, src []uint64, p uint64) int {
	if len(dst) >= 4 {
		liftDoubles(&dst[0], &src[0], uint64(len(dst)/4), &[2]float64{float64(p / 2), float64(p)}, &d.constants)
	}
	return len(dst) &^ 3
}

// sums2 is sums2Generic. Running sums stay apart from the results, which may be factors.
func (d *doubles) sums2(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int) int {
	n := len(dst0) &^ 7
	if len(b) == 0 {
		return 0
	}
	var running0, running1 [sumPart]uint64
	for offset := 0; offset < n; offset += sumPart {
		count := uint64(min(sumPart, n-offset) / 8)
		var from0, from1 *uint64
		for k := 0; k < len(b); k += sumGroup {
			terms := min(sumGroup, len(b)-k)
			to0, to1 := &running0[0], &running1[0]
			if k+terms == len(b) {
				to0, to1 = &dst0[offset], &dst1[offset]
			}
			if run == 1 {
				sumDoubles2(to0, to1, from0, from1, &a0[k], &a1[k], &b[k], uint64(terms), uint64(8*offset), count,
					&d.constants, uint64(8*(start+offset)))
			} else {
				sumDoubles2Runs(to0, to1, from0, from1, &a0[k], &a1[k], &b[k], uint64(terms), uint64(8*offset), count,
					&d.constants, uint64(start+offset)/8, uint64(bits.TrailingZeros(uint(run/8))))
			}
			from0, from1 = to0, to1
		}
	}
	return n
}

func (e *Extension) accelerateDoubles() bool {
	for _, m := range slices.Concat(e.from, e.to) {
		if m.doubles == nil {
			return false
		}
	}
	for _, weights := range e.weights {
		runs := make([][]uint64, len(weights))
		for i := range weights {
			runs[i] = weights[i : i+1]
		}
		e.runs = append(e.runs, runs)
	}
	return true
}

// beginDoubles is beginGeneric. Fractions are summed in the same order, so that every machine rounds alike.
func (e *Extension) beginDoubles(rows [][]uint64, start, end int) {
	var sums [extensionTile]uint64
	for ; start < end; start += extensionTile {
		size := min(extensionTile, end-start)
		clear(sums[:])
		for i, m := range e.from {
			w, y := m.centred(e.factor[i].value), &rows[i][start]
			digitDoubles(y, &sums[0], y, uint64(size/4), &w, &[1]float64{e.inverse[i]}, &m.doubles.constants)
		}
		for i, s := range sums[:size] {
			rows[0][start+i] |= uint64(int64(math.Float64frombits(s)+0.5)) << overflowShift
		}
	}
}

// convertDoubles is convertGeneric of as many values as fill tiles; it returns how many these are.
func (e *Extension) convertDoubles(dst []uint64, rows [][]uint64, target int) int {
	const half = extensionTile / 2
	var overflow, first [extensionTile]uint64
	var lower, upper [maxSources + 1][]uint64
	terms := len(rows) + 1
	lower[0], upper[0], lower[1], upper[1] = overflow[:half], overflow[half:], first[:half], first[half:]
	done := len(dst) &^ (extensionTile - 1)
	for start := 0; start < done; start += extensionTile {
		for i, x := range rows[0][start : start+extensionTile] {
			overflow[i], first[i] = x>>overflowShift, x&(1<<overflowShift-1)
		}
		for i, row := range rows[1:] {
			lower[i+2], upper[i+2] = row[start:start+half], row[start+half:start+extensionTile]
		}
		sumDoubles2Runs(&dst[start], &dst[start+half], nil, nil, &lower[0], &upper[0], &e.runs[target][0], uint64(terms),
			0, half/8, &e.to[target].doubles.constants, 0, uint64(bits.TrailingZeros(half/8)))
	}
	return done
}
