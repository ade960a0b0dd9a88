package kernel

// Add writes a+b.
func (m *Modulus) Add(dst, a, b []uint64) {
	n := len(dst)
	m.add(dst, a[:n], b[:n])
}

// Sub writes a-b.
func (m *Modulus) Sub(dst, a, b []uint64) {
	n := len(dst)
	m.sub(dst, a[:n], b[:n])
}

// Neg writes -a.
func (m *Modulus) Neg(dst, a []uint64) {
	m.neg(dst, a[:len(dst)])
}

// Mul writes a*b.
func (m *Modulus) Mul(dst, a, b []uint64) {
	n := len(dst)
	m.mul(dst, a[:n], b[:n])
}

// AddScalar writes a+c, c < q.
func (m *Modulus) AddScalar(dst, a []uint64, c uint64) {
	m.addScalar(dst, a[:len(dst)], c)
}

// MulScalar writes a*c, c < q.
func (m *Modulus) MulScalar(dst, a []uint64, c uint64) {
	m.mulScalar(dst, a[:len(dst)], m.scalar(c))
}

// MulScalarAdd adds a*c to dst, c < q.
func (m *Modulus) MulScalarAdd(dst, a []uint64, c uint64) {
	m.mulScalarAdd(dst, a[:len(dst)], m.scalar(c))
}

// SubMulScalar writes (a-b)*c, c < q: the last step of a rescaling or of a division by the special primes. Lengths are
// multiples of 8 where b comes from FinishForward.
func (m *Modulus) SubMulScalar(dst, a, b []uint64, c uint64) {
	n := len(dst)
	m.subMulScalar(dst, a[:n], b[:n], m.scalar(c))
}

// Lift reads src as centred values of another modulus, in (-p/2, p/2), and writes them modulo q. Coefficient domain.
func (m *Modulus) Lift(dst, src []uint64, from *Modulus) {
	m.lift(dst, src[:len(dst)], from.q)
}

// Tensor writes the three parts of (a0, a1)*(b0, b1): d0 = a0*b0, d1 = a0*b1 + a1*b0, d2 = a1*b1.
func (m *Modulus) Tensor(d0, d1, d2, a0, a1, b0, b1 []uint64) {
	n := len(d0)
	m.tensor(d0, d1[:n], d2[:n], a0[:n], a1[:n], b0[:n], b1[:n])
}

// TensorSquare is Tensor for a = b, with one multiplication less.
func (m *Modulus) TensorSquare(d0, d1, d2, a0, a1 []uint64) {
	n := len(d0)
	m.tensorSquare(d0, d1[:n], d2[:n], a0[:n], a1[:n])
}

func addGeneric(dst, a, b []uint64, q uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = reduceOnce(a[i]+b[i], q)
	}
}

func subGeneric(dst, a, b []uint64, q uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = subOnce(a[i], b[i], q)
	}
}

func negGeneric(dst, a []uint64, q uint64) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = subOnce(0, a[i], q)
	}
}

// subOnce returns a-b mod q for a, b < q: where a < b, a-b wraps around and a-b+q is the smaller one.
func subOnce(a, b, q uint64) uint64 {
	d := a - b
	return min(d, d+q)
}

func addScalarGeneric(dst, a []uint64, c, q uint64) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = reduceOnce(a[i]+c, q)
	}
}

func (m *Modulus) mulGeneric(dst, a, b []uint64) {
	q, r := m.q, m.barrett
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = r.mul(a[i], b[i], q)
	}
}

func mulScalarGeneric(dst, a []uint64, c scalar, q uint64) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = c.mul(a[i], q)
	}
}

func mulScalarAddGeneric(dst, a []uint64, c scalar, q uint64) {
	a = a[:len(dst)]
	for i := range dst {
		dst[i] = reduceOnce(dst[i]+c.mul(a[i], q), q)
	}
}

func subMulScalarGeneric(dst, a, b []uint64, c scalar, q uint64) {
	a, b = a[:len(dst)], b[:len(dst)]
	above := q
	if q>>lazyPrimeBits == 0 {
		above *= lazyMultiple
	}
	for i := range dst {
		dst[i] = c.mul(a[i]+above-b[i], q)
	}
}

func (m *Modulus) liftGeneric(dst, src []uint64, p uint64) {
	q := m.q
	m.liftLazy(dst, src, p)
	for i, x := range dst {
		dst[i] = reduceOnce(x, q)
	}
}

// liftLazy is liftGeneric that ends below 2q.
func (m *Modulus) liftLazy(dst, src []uint64, p uint64) {
	q, one, half := m.q, m.one, p/2
	src = src[:len(dst)]
	wrap := q - m.Reduce(p) // what is above half, as likely as not, is congruent to itself plus this
	for i := range dst {
		x := src[i]
		dst[i] = one.mulLazy(x+wrap&uint64(int64(half-x)>>63), q)
	}
}

func (m *Modulus) tensorGeneric(d0, d1, d2, a0, a1, b0, b1 []uint64) {
	q, r, n := m.q, m.barrett, len(d0)
	d1, d2, a0, a1, b0, b1 = d1[:n], d2[:n], a0[:n], a1[:n], b0[:n], b1[:n]
	for i := range d0 {
		x0, x1, y0, y1 := a0[i], a1[i], b0[i], b1[i]
		d0[i] = r.mul(x0, y0, q)
		d1[i] = reduceOnce(r.mul(x0, y1, q)+r.mul(x1, y0, q), q)
		d2[i] = r.mul(x1, y1, q)
	}
}

func (m *Modulus) tensorSquareGeneric(d0, d1, d2, a0, a1 []uint64) {
	q, r, n := m.q, m.barrett, len(d0)
	d1, d2, a0, a1 = d1[:n], d2[:n], a0[:n], a1[:n]
	for i := range d0 {
		x0, x1 := a0[i], a1[i]
		d0[i] = r.mul(x0, x0, q)
		d1[i] = r.mul(reduceOnce(2*x0, q), x1, q)
		d2[i] = r.mul(x1, x1, q)
	}
}
