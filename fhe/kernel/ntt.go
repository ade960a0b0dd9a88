package kernel

import "math/bits"

// Forward writes the number-theoretic transform of src, in bit-reversed order. Coefficients are below q on both sides.
// dst may be src.
func (m *Modulus) Forward(dst, src []uint64) {
	n := m.N()
	dst = dst[:n]
	m.forwardFirst(dst, src[:n], false)
	for part := range Parts {
		m.forwardRest(dst, part, false, [3][]uint64{})
	}
}

// Parts is into how many equal parts a transform is cut that is begun and finished apart. Automorphisms permute them.
const Parts = 4

// BeginForward begins the transform of coefficients modulo another prime, lifted. dst may be src.
func (m *Modulus) BeginForward(dst, src []uint64, from *Modulus) {
	n := m.N()
	m.forwardLifted(dst[:n], src[:n], from)
}

// FinishForward finishes a part of a transform that was begun, which nobody has finished yet. It need not end in [0, q):
// what it leaves may only be a digit of KeySum or what SubMulScalar subtracts, modulo the same prime. Next are vectors
// of one length, or nil, that will be read soon: they are fetched meanwhile.
func (m *Modulus) FinishForward(dst []uint64, part int, next [3][]uint64) {
	m.forwardRest(dst[:m.N()], part, true, next)
}

// Inverse undoes Forward. dst may be src.
func (m *Modulus) Inverse(dst, src []uint64) {
	n := m.N()
	m.inverseTransform(dst[:n], src[:n])
}

// wideBits is the size up to which a prime leaves room for a whole forward transform without reductions: folding ends
// below 4q, and each of at most 17 stages adds 2q.
const wideBits = 58

// Plain Go's transforms that end lazily leave values below lazyMultiple times a prime of at most lazyPrimeBits: sums of
// products with a few dozen such values need no further care.
const (
	lazyMultiple  = 64
	lazyPrimeBits = 50
)

// forwardGeneric runs Cooley-Tukey stages (Harvey 2014, algorithm 2), two at a time.
func (m *Modulus) forwardGeneric(dst, src []uint64, lazy bool) {
	if m.conjugateInvariant {
		foldGeneric(dst, src, m.fold, m.q) // below 3q
	} else {
		copy(dst, src)
	}
	m.forwardStages(dst, lazy)
}

func (m *Modulus) forwardLiftedGeneric(dst, src []uint64, p uint64, lazy bool) {
	m.liftLazy(dst, src, p)
	if m.conjugateInvariant {
		foldGeneric(dst, dst, m.fold, m.q) // below 4q
	}
	m.forwardStages(dst, lazy)
}

// forwardStages maps [0, 4q) to [0, q), or leaves what stages make of it, where that is allowed.
func (m *Modulus) forwardStages(x []uint64, lazy bool) {
	q, n := m.q, len(x)
	tight := q>>wideBits != 0
	lazy = lazy && q>>lazyPrimeBits == 0
	h := 1
	if m.logN%2 == 1 {
		forwardPairs(x[:n/2], x[n/2:], m.forward.at(1), q)
		h = 2
	}
	for part := n / h / 4; part >= 4; h, part = 4*h, part/4 {
		if tight {
			reduceAll(x, 4*q)
		}
		for i := range h {
			w, u, v := m.forward.at(h+i), m.forward.at(2*(h+i)), m.forward.at(2*(h+i)+1)
			j := 4 * i * part
			forwardQuads(x[j:j+4*part], part, w, u, v, q)
		}
	}
	if tight {
		reduceAll(x, 4*q)
	}
	// The last two stages, on four neighbours each.
	one := m.one.shoup
	outer, inner := m.forward.value[n/4:n/2], m.forward.value[n/2:n]
	outerShoup, innerShoup := m.forward.shoup[n/4:n/2], m.forward.shoup[n/2:n]
	for i, w := range outer {
		x := (*[4]uint64)(x[4*i:])
		v, s := (*[2]uint64)(inner[2*i:]), (*[2]uint64)(innerShoup[2*i:])
		w := scalar{w, outerShoup[i]}
		x0, x2 := forwardButterfly(x[0], x[2], w, q)
		x1, x3 := forwardButterfly(x[1], x[3], w, q)
		x0, x1 = forwardButterfly(x0, x1, scalar{v[0], s[0]}, q)
		x2, x3 = forwardButterfly(x2, x3, scalar{v[1], s[1]}, q)
		if !lazy {
			x0, x1, x2, x3 = reduceWord(x0, one, q), reduceWord(x1, one, q), reduceWord(x2, one, q), reduceWord(x3, one, q)
		}
		x[0], x[1], x[2], x[3] = x0, x1, x2, x3
	}
}

func (t *shoupTable) at(i int) scalar { return scalar{t.value[i], t.shoup[i]} }

// reduceAll maps [0, 2m) to [0, m).
func reduceAll(x []uint64, m uint64) {
	for i, v := range x {
		x[i] = reduceOnce(v, m)
	}
}

func forwardPairs(x, y []uint64, w scalar, q uint64) {
	y = y[:len(x)]
	for i := range x {
		x[i], y[i] = forwardButterfly(x[i], y[i], w, q)
	}
}

// forwardQuads runs two stages: values grow by 4q.
func forwardQuads(x []uint64, part int, w, u, v scalar, q uint64) {
	x0, x1, x2, x3 := quarters(x, part)
	for i := range x0 {
		y0, y2 := forwardButterfly(x0[i], x2[i], w, q)
		y1, y3 := forwardButterfly(x1[i], x3[i], w, q)
		x0[i], x1[i] = forwardButterfly(y0, y1, u, q)
		x2[i], x3[i] = forwardButterfly(y2, y3, v, q)
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

// inverseGeneric runs Gentleman-Sande stages, two at a time. Sums double in each, and are reduced only where they would
// not fit into a word.
func (m *Modulus) inverseGeneric(dst, src []uint64) {
	q, n := m.q, len(dst)
	outer, inner := m.inverse.value[n/4:n/2], m.inverse.value[n/2:n]
	outerShoup, innerShoup := m.inverse.shoup[n/4:n/2], m.inverse.shoup[n/2:n]
	for i, w := range outer {
		x, y := (*[4]uint64)(dst[4*i:]), (*[4]uint64)(src[4*i:])
		v, s := (*[2]uint64)(inner[2*i:]), (*[2]uint64)(innerShoup[2*i:])
		s0, t0 := inverseButterfly(y[0], y[1], scalar{v[0], s[0]}, q, q)
		s1, t1 := inverseButterfly(y[2], y[3], scalar{v[1], s[1]}, q, q)
		w := scalar{w, outerShoup[i]}
		x[0], x[2] = inverseButterfly(s0, s1, w, 2*q, q)
		x[1], x[3] = inverseButterfly(t0, t1, w, 2*q, q)
	}
	below := 4 * q
	part := 4
	for ; 4*part <= n; part *= 4 {
		below = m.makeRoomFor(dst, below, 2)
		h := n / part / 4
		for i := range h {
			w, u, v := m.inverse.at(h+i), m.inverse.at(2*(h+i)), m.inverse.at(2*(h+i)+1)
			j := 4 * i * part
			inverseQuads(dst[j:j+4*part], part, w, u, v, below, q)
		}
		below *= 4
	}
	if part < n {
		below = m.makeRoomFor(dst, below, 1)
		inversePairs(dst[:n/2], dst[n/2:], m.inverse.at(1), below, q)
		below *= 2
	}
	if !m.conjugateInvariant {
		for i, x := range dst {
			dst[i] = m.scale.mul(x, q)
		}
		return
	}
	m.makeRoomFor(dst, below, 1)
	dst[0] = m.scale.mul(2*dst[0], q) // the mirror image of the constant coefficient is itself
	for j := 1; j <= n/2; j++ {
		x, y := dst[j], dst[n-j]
		dst[j] = reduceTwice(m.scale.mulLazy(x, q)+2*q-m.scaledUnfold.mulLazy(y, q), q)
		dst[n-j] = reduceTwice(m.scale.mulLazy(y, q)+2*q-m.scaledUnfold.mulLazy(x, q), q)
	}
}

// makeRoomFor reduces values below a multiple of q, unless they may double so many times. It returns what they are below.
func (m *Modulus) makeRoomFor(x []uint64, below uint64, doublings int) uint64 {
	if bits.Len64(below)+doublings <= 64 {
		return below
	}
	for i, v := range x {
		x[i] = reduceWord(v, m.one.shoup, m.q)
	}
	return m.q
}

func inversePairs(x, y []uint64, w scalar, below, q uint64) {
	y = y[:len(x)]
	for i := range x {
		x[i], y[i] = inverseButterfly(x[i], y[i], w, below, q)
	}
}

// inverseQuads runs two stages on values below a multiple of q, at least 2q: they quadruple.
func inverseQuads(x []uint64, part int, w, u, v scalar, below, q uint64) {
	x0, x1, x2, x3 := quarters(x, part)
	for i := range x0 {
		s0, t0 := inverseButterfly(x0[i], x1[i], u, below, q)
		s1, t1 := inverseButterfly(x2[i], x3[i], v, below, q)
		x0[i], x2[i] = inverseButterfly(s0, s1, w, 2*below, q)
		x1[i], x3[i] = inverseButterfly(t0, t1, w, 2*below, q)
	}
}

// inverseButterfly returns the sum of two values below a multiple of q, and a product below 2q.
func inverseButterfly(x, y uint64, w scalar, below, q uint64) (uint64, uint64) {
	return x + y, w.mulLazy(x+below-y, q)
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
