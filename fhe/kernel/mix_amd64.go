//go:build amd64 && !purego

package kernel

import "math"

func (m *Modulus) mix(dst, src []uint64, g *mixGroup, start, end int, shift uint64, offsets *[mixRows]uint64) {
	if !m.enabled || start == end {
		m.mixGeneric(dst, src, g, start, end, shift, offsets)
		return
	}
	again := uint64(0)
	if start > 0 {
		again = ^again
	}
	constants := [...]uint64{m.q, math.Float64bits(1 / float64(m.q)), again}
	mixVector(&dst[0], &src[0], &g.columns[start], &g.scalars[mixRows*start], uint64(end-start), shift, &g.rows, offsets, &constants)
}
