package fhe

import (
	"math"
	"math/bits"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// Encoder maps vectors of reals to integer polynomials and back.
//
// In the conjugate-invariant ring of degree R (Kim and Song, ePrint 2018/952) the polynomial c_0 + Σ c_i·(X^i + X^-i)
// takes at the root of exponent e the value c_0 + 2·Σ c_i·cos(π·e·i/2R). Up to sign the exponents 5^j of the slots are
// all the odd numbers, so that encoding is a discrete cosine transform (of type II) of the slots in another order, which
// takes a complex Fourier transform of R/2 points (Makhoul, "A fast cosine transform in one and two dimensions", 1980).
//
// A vector of period R is an element of the subring of degree R: its polynomial has coefficients at multiples of N/R
// only, and those are what the transform of R values gives.
//
// An Encoder is safe for concurrent use.
type Encoder struct {
	n       int
	packing circuit.Packing

	roots   []complex128 // exp(-πik/h) at h+k, for the stage that joins transforms of h points; h up to N/2
	quarter []complex128 // exp(-πik/2N), k up to N/2
	orders  []order      // by log2 of the period
	scratch sync.Pool    // *encoding
}

// order says which slot each input of the transform is: two (a real and an imaginary part) for each point, the points
// in bit-reversed order.
type order struct {
	once  sync.Once
	slots []int32
}

// encoding is the working memory of one call.
type encoding struct {
	points       []complex128
	coefficients []float64
	integers     []int64
}

func newEncoder(logN int, ring circuit.Ring) *Encoder {
	n := 1 << logN
	e := &Encoder{n: n, packing: circuit.Coefficients, orders: make([]order, logN+1)}
	e.scratch.New = func() any {
		return &encoding{make([]complex128, n/2), make([]float64, n), make([]int64, n)}
	}
	if ring != circuit.ConjugateInvariant {
		return e
	}
	e.packing = circuit.Slots
	e.roots = make([]complex128, n)
	for h := 1; h <= n/2; h *= 2 {
		for k := range h {
			e.roots[h+k] = unit(-float64(k) / float64(h))
		}
	}
	e.quarter = make([]complex128, n/2+1)
	for k := range e.quarter {
		e.quarter[k] = unit(-float64(k) / float64(2*n))
	}
	return e
}

// unit returns exp(iπx).
func unit(x float64) complex128 {
	sin, cos := math.Sincos(math.Pi * x)
	return complex(cos, sin)
}

// order returns the order of the slots for a period of at least two.
func (e *Encoder) order(period int) []int32 {
	o := &e.orders[bits.TrailingZeros(uint(period))]
	o.once.Do(func() {
		// Slot j is the cosine transform's point k where 5^j = ±(2k+1) modulo 4R. Makhoul's order takes the even points
		// forward, then the odd ones backward; neighbours in it make one complex point.
		o.slots = make([]int32, period)
		width := bits.TrailingZeros(uint(period)) - 1
		exponent := 1
		for slot := range period {
			k := exponent / 2
			if k >= period {
				k = 2*period - 1 - k
			}
			at := k / 2
			if k%2 == 1 {
				at = period - 1 - k/2
			}
			point := 0
			if width > 0 {
				point = int(bits.Reverse64(uint64(at/2)) >> (64 - width))
			}
			o.slots[2*point+at%2] = int32(slot)
			exponent = exponent * kernel.GaloisGenerator % (4 * period)
		}
	})
	return o.slots
}

// Encode writes the coefficients of the vector times the scale, rounded, modulo each of the moduli. The vector is
// trusted to be one that circuit.Circuit.Validate accepts.
func (e *Encoder) Encode(dst [][]uint64, moduli []*kernel.Modulus, vector circuit.Vector, scale float64) {
	s := e.scratch.Get().(*encoding)
	defer e.scratch.Put(s)
	c, step := s.coefficients, 1
	switch {
	case vector.IsZero():
		c = c[:0]
	case e.packing == circuit.Slots:
		c, step = c[:vector.Period], e.n/vector.Period
		onePeriod(c, vector)
		e.toCoefficients(c, c, s.points)
	default:
		for start := 0; start < e.n; start += vector.Period {
			onePeriod(c[start:start+vector.Period], vector)
		}
	}
	least, largest := 0.0, 0.0
	for i, x := range c {
		x = math.RoundToEven(x * scale)
		c[i] = x
		if x > largest {
			largest = x
		}
		if x < least {
			least = x
		}
	}
	largest = max(largest, -least)
	if len(c) < e.n {
		for j := range moduli {
			clear(dst[j][:e.n])
		}
	}
	if largest >= 1<<62 {
		for j, m := range moduli {
			residuesOfLarge(dst[j], m, c, step)
		}
		return
	}
	integers := s.integers[:len(c)]
	for i, x := range c {
		integers[i] = int64(x)
	}
	for j, m := range moduli {
		residues(dst[j], m, integers, step, largest)
	}
}

// onePeriod writes the values of one period.
func onePeriod(dst []float64, vector circuit.Vector) {
	if vector.Index == nil {
		copy(dst, vector.Values)
		return
	}
	clear(dst)
	for k, j := range vector.Index {
		dst[j] = vector.Values[k]
	}
}

// residues writes x_i mod q to every step-th place.
func residues(dst []uint64, m *kernel.Modulus, x []int64, step int, largest float64) {
	q := m.Q()
	if largest < float64(q) {
		for i, v := range x {
			dst[i*step] = uint64(v + v>>63&int64(q))
		}
		return
	}
	for i, v := range x {
		sign := v >> 63
		r := m.Reduce(uint64(v ^ sign - sign))
		if sign != 0 && r != 0 {
			r = q - r
		}
		dst[i*step] = r
	}
}

// residuesOfLarge is residues for integers that do not fit a word: a mantissa of 53 bits times a power of two.
func residuesOfLarge(dst []uint64, m *kernel.Modulus, x []float64, step int) {
	for i, v := range x {
		dst[i*step] = Residue(m, v)
	}
}

// Residue returns the integer x modulo q, whatever its size.
func Residue(m *kernel.Modulus, x float64) uint64 {
	fraction, exponent := math.Frexp(math.Abs(x))
	mantissa := uint64(math.Ldexp(fraction, 53))
	exponent -= 53
	var r uint64
	if exponent <= 0 {
		r = m.Reduce(mantissa >> min(-exponent, 63))
	} else {
		r = m.Reduce(mantissa)
		for ; exponent > 0; exponent -= 32 {
			r = m.Product(r, m.Reduce(1<<min(exponent, 32)))
		}
	}
	if x < 0 && r != 0 {
		r = m.Q() - r
	}
	return r
}

// toCoefficients writes the polynomial in the subring of degree len(values) with these values in its slots. c may be
// values.
func (e *Encoder) toCoefficients(c, values []float64, points []complex128) {
	period := len(values)
	if period == 1 {
		c[0] = values[0]
		return
	}
	half := period / 2
	u := points[:half]
	for t, slots := 0, e.order(period); t < half; t++ {
		u[t] = complex(values[slots[2*t]], values[slots[2*t+1]])
	}
	e.transform(u)
	stride, norm := e.n/period, 1/float64(period)
	halved := norm / 2
	first := u[0]
	for i := 1; i <= half/2; i++ {
		// The real transform's values i and half-i from the complex one's.
		p, q := u[i], u[half-i]
		even, odd := p+conj(q), p-conj(q)
		odd = complex(imag(odd), -real(odd)) * e.roots[half+i]
		x := e.quarter[i*stride] * (even + odd)
		y := e.quarter[(half-i)*stride] * conj(even-odd)
		c[i], c[period-i] = real(x)*halved, -imag(x)*halved
		c[half-i], c[half+i] = real(y)*halved, -imag(y)*halved
	}
	c[0] = (real(first) + imag(first)) * norm
	c[half] = (real(first) - imag(first)) * norm * math.Sqrt2 / 2
}

// ToSlots writes the values in slots of the polynomial with these coefficients in the subring of degree
// len(coefficients): what Encode encodes, before rounding. Conjugate-invariant ring only.
func (e *Encoder) ToSlots(values, coefficients []float64) {
	period := len(coefficients)
	if period == 1 {
		values[0] = coefficients[0]
		return
	}
	s := e.scratch.Get().(*encoding)
	defer e.scratch.Put(s)
	half, stride := period/2, e.n/period
	x := func(i int) complex128 { // value i of the real transform
		if i == 0 {
			return complex(coefficients[0], 0)
		}
		return conj(e.quarter[i*stride]) * complex(coefficients[i], -coefficients[period-i])
	}
	u := s.points[:half]
	width := bits.TrailingZeros(uint(half))
	for i := range half {
		p, q := x(i), conj(x(half-i))
		odd := (p - q) * conj(e.roots[half+i])
		at := 0
		if width > 0 {
			at = int(bits.Reverse64(uint64(i)) >> (64 - width))
		}
		// The inverse transform is the forward one between conjugations.
		u[at] = conj(p + q + complex(-imag(odd), real(odd)))
	}
	e.transform(u)
	slots := e.order(period)
	for t := range half {
		at := 0
		if width > 0 {
			at = int(bits.Reverse64(uint64(t)) >> (64 - width))
		}
		values[slots[2*at]], values[slots[2*at+1]] = real(u[t]), -imag(u[t])
	}
}

// transform is the discrete Fourier transform of points in bit-reversed order.
func (e *Encoder) transform(u []complex128) {
	h := 1
	if bits.TrailingZeros(uint(len(u)))%2 == 1 {
		for i := 0; i < len(u); i += 2 {
			u[i], u[i+1] = u[i]+u[i+1], u[i]-u[i+1]
		}
		h = 2
	}
	// Two stages at a time: transforms of h points are joined to ones of 4h.
	for ; h < len(u); h *= 4 {
		roots, squares := e.roots[2*h:3*h], e.roots[h:2*h]
		for start := 0; start < len(u); start += 4 * h {
			x0, x1 := u[start:start+h], u[start+h:start+2*h]
			x2, x3 := u[start+2*h:start+3*h], u[start+3*h:start+4*h]
			x0, x1, x2, x3 = x0[:len(roots)], x1[:len(roots)], x2[:len(roots)], x3[:len(roots)]
			squares := squares[:len(roots)]
			for k, w := range roots {
				v := squares[k]
				p, q := x1[k]*v, x3[k]*v
				a, b := x0[k]+p, x0[k]-p
				c, d := (x2[k]+q)*w, (x2[k]-q)*w
				d = complex(imag(d), -real(d)) // the second half of the roots is -i times the first
				x0[k], x1[k], x2[k], x3[k] = a+c, b+d, a-c, b-d
			}
		}
	}
}

func conj(x complex128) complex128 { return complex(real(x), -imag(x)) }
