package kernel

// Forward writes the number-theoretic transform of src, in bit-reversed order. Coefficients are below q on both sides.
// dst may be src.
func (m *Modulus) Forward(dst, src []uint64) {
	n := m.N()
	m.forwardTransform(dst[:n], src[:n])
}

// ForwardLifted is Lift and then Forward: src holds coefficients modulo another prime. dst may be src.
func (m *Modulus) ForwardLifted(dst, src []uint64, from *Modulus) {
	n := m.N()
	m.forwardLifted(dst[:n], src[:n], from)
}

// Inverse undoes Forward. dst may be src.
func (m *Modulus) Inverse(dst, src []uint64) {
	n := m.N()
	m.inverseTransform(dst[:n], src[:n])
}

// forwardGeneric runs Cooley-Tukey stages (Harvey 2014, algorithm 2), two at a time, with values in [0, 8q) between the
// pairs: one reduction of half of the values for every two stages.
func (m *Modulus) forwardGeneric(dst, src []uint64) {
	q, n := m.q, len(dst)
	if m.conjugateInvariant {
		foldGeneric(dst, src, m.fold, q) // below 3q
		src = dst
	}
	h := 1
	if m.logN%2 == 1 {
		forwardPairs(dst[:n/2], dst[n/2:], src[:n/2], src[n/2:], m.forward.at(1), q)
		src, h = dst, 2
	}
	for part := n / h / 4; part >= 4; h, part = 4*h, part/4 {
		for i := range h {
			w, u, v := m.forward.at(h+i), m.forward.at(2*(h+i)), m.forward.at(2*(h+i)+1)
			j := 4 * i * part
			forwardQuads(dst[j:j+4*part], src[j:j+4*part], part, w, u, v, q)
		}
		src = dst
	}
	// The last two stages, on four neighbours each, end in [0, q).
	outer, inner := m.forward.value[n/4:n/2], m.forward.value[n/2:n]
	outerShoup, innerShoup := m.forward.shoup[n/4:n/2], m.forward.shoup[n/2:n]
	for i, w := range outer {
		x, y := dst[4*i:4*i+4:4*i+4], src[4*i:4*i+4:4*i+4]
		v, s := inner[2*i:2*i+2:2*i+2], innerShoup[2*i:2*i+2:2*i+2]
		w := scalar{w, outerShoup[i]}
		x0, x2 := forwardButterfly(reduceOnce(y[0], 4*q), y[2], w, q) // below 6q
		x1, x3 := forwardButterfly(reduceOnce(y[1], 4*q), y[3], w, q)
		x0, x1 = forwardButterfly(x0, x1, scalar{v[0], s[0]}, q) // below 8q
		x2, x3 = forwardButterfly(x2, x3, scalar{v[1], s[1]}, q)
		x[0], x[1] = reduceTwice(reduceOnce(x0, 4*q), q), reduceTwice(reduceOnce(x1, 4*q), q)
		x[2], x[3] = reduceTwice(reduceOnce(x2, 4*q), q), reduceTwice(reduceOnce(x3, 4*q), q)
	}
}

func (t *shoupTable) at(i int) scalar { return scalar{t.value[i], t.shoup[i]} }

func forwardPairs(dx, dy, sx, sy []uint64, w scalar, q uint64) {
	dy, sx, sy = dy[:len(dx)], sx[:len(dx)], sy[:len(dx)]
	for i := range dx {
		dx[i], dy[i] = forwardButterfly(sx[i], sy[i], w, q)
	}
}

// forwardQuads runs two stages and maps [0, 8q) to [0, 8q).
func forwardQuads(dst, src []uint64, part int, w, u, v scalar, q uint64) {
	d0, d1, d2, d3 := quarters(dst, part)
	s0, s1, s2, s3 := quarters(src, part)
	for i := range d0 {
		x0, x2 := forwardButterfly(reduceOnce(s0[i], 4*q), s2[i], w, q) // below 6q
		x1, x3 := forwardButterfly(reduceOnce(s1[i], 4*q), s3[i], w, q)
		d0[i], d1[i] = forwardButterfly(x0, x1, u, q)
		d2[i], d3[i] = forwardButterfly(x2, x3, v, q)
	}
}

// quarters splits a block; the equal lengths spare the loops their bounds checks.
func quarters(x []uint64, part int) (a, b, c, d []uint64) {
	a = x[:part]
	return a, x[part:][:len(a)], x[2*part:][:len(a)], x[3*part:][:len(a)]
}

// forwardButterfly returns x+wy and x-wy, at most 2q larger than x, for any y.
func forwardButterfly(x, y uint64, w scalar, q uint64) (uint64, uint64) {
	t := w.mulLazy(y, q)
	return x + t, x + 2*q - t
}

// inverseGeneric runs Gentleman-Sande stages, two at a time, with values in [0, 2q) between the pairs.
func (m *Modulus) inverseGeneric(dst, src []uint64) {
	q, n := m.q, len(dst)
	outer, inner := m.inverse.value[n/4:n/2], m.inverse.value[n/2:n]
	outerShoup, innerShoup := m.inverse.shoup[n/4:n/2], m.inverse.shoup[n/2:n]
	for i, w := range outer {
		x, y := dst[4*i:4*i+4:4*i+4], src[4*i:4*i+4:4*i+4]
		v, s := inner[2*i:2*i+2:2*i+2], innerShoup[2*i:2*i+2:2*i+2]
		s0, t0 := inverseButterfly(y[0], y[1], scalar{v[0], s[0]}, q)
		s1, t1 := inverseButterfly(y[2], y[3], scalar{v[1], s[1]}, q)
		w := scalar{w, outerShoup[i]}
		x[0], x[2] = reduceTwice(s0+s1, 2*q), w.mulLazy(s0+4*q-s1, q)
		x[1], x[3] = reduceOnce(t0+t1, 2*q), w.mulLazy(t0+2*q-t1, q)
	}
	part := 4
	for ; 4*part <= n; part *= 4 {
		h := n / part / 4
		for i := range h {
			w, u, v := m.inverse.at(h+i), m.inverse.at(2*(h+i)), m.inverse.at(2*(h+i)+1)
			j := 4 * i * part
			inverseQuads(dst[j:j+4*part], part, w, u, v, q)
		}
	}
	if part < n {
		inversePairs(dst[:n/2], dst[n/2:], m.inverse.at(1), q)
	}
	if m.conjugateInvariant {
		dst[0] *= 2 // below 4q; the mirror image of the constant coefficient is itself
		foldGeneric(dst, dst, m.unfold, q)
	}
	for i, x := range dst {
		dst[i] = m.scale.mul(x, q)
	}
}

func inversePairs(x, y []uint64, w scalar, q uint64) {
	y = y[:len(x)]
	for i := range x {
		s, t := inverseButterfly(x[i], y[i], w, q)
		x[i], y[i] = reduceOnce(s, 2*q), t
	}
}

// inverseQuads runs two stages and maps [0, 2q) to [0, 2q).
func inverseQuads(x []uint64, part int, w, u, v scalar, q uint64) {
	x0, x1, x2, x3 := quarters(x, part)
	for i := range x0 {
		s0, t0 := inverseButterfly(x0[i], x1[i], u, q)
		s1, t1 := inverseButterfly(x2[i], x3[i], v, q)
		x0[i], x2[i] = reduceTwice(s0+s1, 2*q), w.mulLazy(s0+4*q-s1, q)
		x1[i], x3[i] = reduceOnce(t0+t1, 2*q), w.mulLazy(t0+2*q-t1, q)
	}
}

// inverseButterfly maps [0, 2q) to a sum below 4q and a product below 2q.
func inverseButterfly(x, y uint64, w scalar, q uint64) (uint64, uint64) {
	return x + y, w.mulLazy(x+2*q-y, q)
}

// foldGeneric joins coefficient j with its mirror image N-j: x_j - i*x_(N-j), i the square root of -1 that the root of
// order 4N gives. Values below 2q become values below 4q; the constant coefficient stays.
func foldGeneric(dst, src []uint64, i scalar, q uint64) {
	n := len(dst)
	dst[0] = src[0]
	for j := 1; j <= n/2; j++ {
		x, y := src[j], src[n-j]
		dst[j], dst[n-j] = x+2*q-i.mulLazy(y, q), y+2*q-i.mulLazy(x, q)
	}
}

// reduceTwice returns x mod q for x < 4q.
func reduceTwice(x, q uint64) uint64 { return reduceOnce(reduceOnce(x, 2*q), q) }
