//go:build amd64 && !purego

package kernel

import "math"

// whole returns how many vectors of eight values the assembly takes of n values, and how many values that is. Plain Go
// does the rest.
func (m *Modulus) whole(n int) (count uint64, done int) {
	if !m.enabled {
		return 0, 0
	}
	return uint64(n / 8), n &^ 7
}

func (m *Modulus) add(dst, a, b []uint64) {
	count, done := m.whole(len(dst))
	if count > 0 {
		addVector(&dst[0], &a[0], &b[0], count, &m.constants)
	}
	addGeneric(dst[done:], a[done:], b[done:], m.q)
}

func (m *Modulus) sub(dst, a, b []uint64) {
	count, done := m.whole(len(dst))
	if count > 0 {
		subVector(&dst[0], &a[0], &b[0], count, &m.constants)
	}
	subGeneric(dst[done:], a[done:], b[done:], m.q)
}

func (m *Modulus) neg(dst, a []uint64) {
	count, done := m.whole(len(dst))
	if count > 0 {
		negVector(&dst[0], &a[0], count, &m.constants)
	}
	negGeneric(dst[done:], a[done:], m.q)
}

func (m *Modulus) mul(dst, a, b []uint64) {
	count, done := m.whole(len(dst))
	switch {
	case m.doubles != nil:
		done = m.doubles.mul(dst, a, b)
	case count > 0:
		mulVector(&dst[0], &a[0], &b[0], count, &m.constants)
	}
	m.mulGeneric(dst[done:], a[done:], b[done:])
}

func (m *Modulus) addScalar(dst, a []uint64, c uint64) {
	count, done := m.whole(len(dst))
	if count > 0 {
		addScalarVector(&dst[0], &a[0], count, c, &m.constants)
	}
	addScalarGeneric(dst[done:], a[done:], c, m.q)
}

func (m *Modulus) mulScalar(dst, a []uint64, c scalar) {
	count, done := m.whole(len(dst))
	switch {
	case m.doubles != nil:
		done = m.doubles.mulScalar(dst, a, m.centred(c.value))
	case count > 0:
		mulScalarVector(&dst[0], &a[0], count, c.value, c.shoup>>12, &m.constants)
	}
	mulScalarGeneric(dst[done:], a[done:], c, m.q)
}

func (m *Modulus) mulScalarAdd(dst, a []uint64, c scalar) {
	count, done := m.whole(len(dst))
	switch {
	case m.doubles != nil:
		done = m.doubles.mulScalarAdd(dst, a, m.centred(c.value))
	case count > 0:
		mulScalarAddVector(&dst[0], &a[0], count, c.value, c.shoup>>12, &m.constants)
	}
	mulScalarAddGeneric(dst[done:], a[done:], c, m.q)
}

func (m *Modulus) subMulScalar(dst, a, b []uint64, c scalar) {
	count, done := m.whole(len(dst))
	switch {
	case m.doubles != nil:
		done = m.doubles.subMulScalar(dst, a, b, m.centred(c.value))
	case count > 0:
		subMulScalarVector(&dst[0], &a[0], &b[0], count, c.value, c.shoup>>12, &m.constants)
	}
	subMulScalarGeneric(dst[done:], a[done:], b[done:], c, m.q)
}

func (m *Modulus) lift(dst, src []uint64, p uint64) {
	count, done := m.whole(len(dst))
	switch {
	case p>>maxVectorBits != 0:
		done = 0
	case m.doubles != nil:
		done = m.doubles.lift(dst, src, p)
	case count > 0:
		liftVector(&dst[0], &src[0], count, p/2, m.Reduce(p), &m.constants)
	}
	m.liftGeneric(dst[done:], src[done:], p)
}

func (m *Modulus) tensor(d0, d1, d2, a0, a1, b0, b1 []uint64) {
	count, done := m.whole(len(d0))
	switch {
	case m.doubles != nil:
		done = m.doubles.tensor(d0, d1, d2, a0, a1, b0, b1)
	case count > 0:
		tensorVector(&d0[0], &d1[0], &d2[0], &a0[0], &a1[0], &b0[0], &b1[0], count, &m.constants)
	}
	m.tensorGeneric(d0[done:], d1[done:], d2[done:], a0[done:], a1[done:], b0[done:], b1[done:])
}

func (m *Modulus) tensorSquare(d0, d1, d2, a0, a1 []uint64) {
	count, done := m.whole(len(d0))
	switch {
	case m.doubles != nil:
		done = m.doubles.tensor(d0, d1, d2, a0, a1, a0, a1)
	case count > 0:
		tensorVector(&d0[0], &d1[0], &d2[0], &a0[0], &a1[0], &a0[0], &a1[0], count, &m.constants)
	}
	m.tensorSquareGeneric(d0[done:], d1[done:], d2[done:], a0[done:], a1[done:])
}

func (p *Permutation) apply(dst, src []uint64) {
	if hasIFMA {
		permuteVector(&dst[0], &src[0], &p.blocks[0], uint64(len(p.blocks)), &p.inner)
	} else {
		p.gather(dst, src, 0)
	}
}

// extensionAcceleration holds the tables of the vector code, nil where a modulus is too large for it.
type extensionAcceleration struct {
	source       []uint64
	target, lazy [][]uint64   // of each target; lazy is nil where its transforms are not
	runs         [][][]uint64 // for doubles: the weights of each target, a vector each
}

func (e *Extension) accelerate() {
	if e.accelerateDoubles() {
		return
	}
	largest, k := uint64(0), uint64(len(e.from))
	for _, m := range e.from {
		if !m.enabled {
			return
		}
		largest = max(largest, m.q)
	}
	for _, m := range e.to {
		if !m.enabled || (k+1)*(highHalf(largest, m.q)+1) >= 1<<52-1<<12 {
			return
		}
	}
	for i, m := range e.from {
		f := e.factor[i]
		e.source = append(e.source, m.q, f.value, f.shoup>>12, math.Float64bits(e.inverse[i]), 1<<52-m.q)
	}
	for j, m := range e.to {
		radix, weights := m.vectorRadix(), e.weights[j]
		e.target = append(e.target, append([]uint64{m.q, 1<<52 - m.q, 1 << 52 / m.q, radix, m.shoup52(radix), 2 * m.q}, weights...))
		var lazy []uint64
		// A product is below 2q, and v at most k.
		if p := &m.plan; p.folded && p.lazy && (3*k+2*p.reduction+4)*m.q <= p.lazyBound(m.q) {
			lazy = append(lazy, weights[0])
			for _, w := range weights[1:] {
				lazy = append(lazy, w, m.shoup52(w))
			}
		}
		e.lazy = append(e.lazy, lazy)
	}
}

// vectorRadix returns 2^52 mod q.
func (m *Modulus) vectorRadix() uint64 { return m.Reduce(1 << 52) }

func (e *Extension) begin(rows [][]uint64, start, end int) {
	switch {
	case e.target != nil:
		beginExtension(&rows[0], uint64(len(rows)), uint64(8*start), uint64(end-start)/8, &e.source[0])
	case e.runs != nil:
		e.beginDoubles(rows, start, end)
	default:
		e.beginGeneric(rows, start, end)
	}
}

func (e *Extension) convert(dst []uint64, rows [][]uint64, target int) {
	done := 0
	switch {
	case e.target != nil:
		extendRow(&dst[0], &rows[0], uint64(len(rows)), uint64(len(dst)/8), &e.target[target][0])
		done = len(dst)
	case e.runs != nil:
		done = e.convertDoubles(dst, rows, target)
	}
	e.convertGeneric(dst, rows, target, done)
}

// beginForward converts in the first pass of the transform, where it can.
func (e *Extension) beginForward(dst []uint64, rows [][]uint64, target int) bool {
	if e.target == nil || e.lazy[target] == nil {
		return false
	}
	m, weights := e.to[target], e.lazy[target]
	size := uint64(len(dst))
	forwardFoldedExtend(&dst[0], &rows[0], size/4, &m.acceleration.forward[0], size, &m.constants, &weights[0], uint64(len(rows)))
	return true
}
