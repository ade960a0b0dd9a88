//go:build amd64 && !purego

package kernel

import "math/bits"

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
func (d *doubles) sums2(dst0, dst1 []uint64, a0, a1, b [][]uint64, start, run int, add bool) int {
	n := len(dst0) &^ 7
	if len(b) == 0 {
		return 0
	}
	var running0, running1 [sumPart]uint64
	for offset := 0; offset < n; offset += sumPart {
		count := uint64(min(sumPart, n-offset) / 8)
		var from0, from1 *uint64
		if add {
			from0, from1 = &dst0[offset], &dst1[offset]
		}
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
