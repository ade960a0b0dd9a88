package kernel

// Forward writes the number-theoretic transform of src, in bit-reversed order. Coefficients are below q on both sides.
// dst may be src.
func (m *Modulus) Forward(dst, src []uint64) {
	n := m.N()
	m.forwardTransform(dst[:n], src[:n])
}

// Inverse undoes Forward. dst may be src.
func (m *Modulus) Inverse(dst, src []uint64) {
	n := m.N()
	m.inverseTransform(dst[:n], src[:n])
}

// forwardGeneric runs Cooley-Tukey stages with values in [0, 4q) (Harvey 2014, algorithm 2).
func (m *Modulus) forwardGeneric(dst, src []uint64) {
	q, n := m.q, len(dst)
	if m.conjugateInvariant {
		foldGeneric(dst, src, m.fold, q) // below 3q
		src = dst
	}
	h, t := 1, n/2
	for ; t >= 4; h, t = 2*h, t/2 {
		values, shoups := m.forward.value[h:2*h], m.forward.shoup[h:2*h]
		for i, w := range values {
			j := 2 * i * t
			forwardButterflies(dst[j:j+t], dst[j+t:j+2*t], src[j:j+t], src[j+t:j+2*t], scalar{w, shoups[i]}, q)
		}
		src = dst
	}
	// The last two stages, on four neighbours each, end in [0, q).
	outer, inner := m.forward.value[n/4:n/2], m.forward.value[n/2:n]
	outerShoup, innerShoup := m.forward.shoup[n/4:n/2], m.forward.shoup[n/2:n]
	for i, w := range outer {
		x := dst[4*i : 4*i+4 : 4*i+4]
		w := scalar{w, outerShoup[i]}
		x0, x2 := forwardButterfly(x[0], x[2], w, q)
		x1, x3 := forwardButterfly(x[1], x[3], w, q)
		v, s := inner[2*i:2*i+2:2*i+2], innerShoup[2*i:2*i+2:2*i+2]
		x0, x1 = forwardButterfly(x0, x1, scalar{v[0], s[0]}, q)
		x2, x3 = forwardButterfly(x2, x3, scalar{v[1], s[1]}, q)
		x[0], x[1], x[2], x[3] = reduceTwice(x0, q), reduceTwice(x1, q), reduceTwice(x2, q), reduceTwice(x3, q)
	}
}

func forwardButterflies(dx, dy, sx, sy []uint64, w scalar, q uint64) {
	dy, sx, sy = dy[:len(dx)], sx[:len(dx)], sy[:len(dx)]
	for i := range dx {
		dx[i], dy[i] = forwardButterfly(sx[i], sy[i], w, q)
	}
}

// forwardButterfly maps [0, 4q) to [0, 4q).
func forwardButterfly(x, y uint64, w scalar, q uint64) (uint64, uint64) {
	x = reduceOnce(x, 2*q)
	t := w.mulLazy(y, q)
	return x + t, x + 2*q - t
}

// inverseGeneric runs Gentleman-Sande stages with values in [0, 2q).
func (m *Modulus) inverseGeneric(dst, src []uint64) {
	q, n := m.q, len(dst)
	outer, inner := m.inverse.value[n/4:n/2], m.inverse.value[n/2:n]
	outerShoup, innerShoup := m.inverse.shoup[n/4:n/2], m.inverse.shoup[n/2:n]
	for i, w := range outer {
		x, y := dst[4*i:4*i+4:4*i+4], src[4*i:4*i+4:4*i+4]
		v, s := inner[2*i:2*i+2:2*i+2], innerShoup[2*i:2*i+2:2*i+2]
		x0, x1 := inverseButterfly(y[0], y[1], scalar{v[0], s[0]}, q)
		x2, x3 := inverseButterfly(y[2], y[3], scalar{v[1], s[1]}, q)
		w := scalar{w, outerShoup[i]}
		x[0], x[2] = inverseButterfly(x0, x2, w, q)
		x[1], x[3] = inverseButterfly(x1, x3, w, q)
	}
	for h, t := n/8, 4; h >= 1; h, t = h/2, 2*t {
		values, shoups := m.inverse.value[h:2*h], m.inverse.shoup[h:2*h]
		for i, w := range values {
			j := 2 * i * t
			inverseButterflies(dst[j:j+t], dst[j+t:j+2*t], scalar{w, shoups[i]}, q)
		}
	}
	if m.conjugateInvariant {
		dst[0] *= 2 // below 4q; the mirror image of the constant coefficient is itself
		foldGeneric(dst, dst, m.unfold, q)
	}
	for i, x := range dst {
		dst[i] = m.scale.mul(x, q)
	}
}

func inverseButterflies(x, y []uint64, w scalar, q uint64) {
	y = y[:len(x)]
	for i := range x {
		x[i], y[i] = inverseButterfly(x[i], y[i], w, q)
	}
}

// inverseButterfly maps [0, 2q) to [0, 2q).
func inverseButterfly(x, y uint64, w scalar, q uint64) (uint64, uint64) {
	return reduceOnce(x+y, 2*q), w.mulLazy(x+2*q-y, q)
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
