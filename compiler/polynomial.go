package compiler

import (
	"math"
	"math/bits"

	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
)

// scaledValue is factor·value + constant, with the two numbers left for whoever reads it to take in.
type scaledValue struct {
	value            int
	factor, constant float64
}

// polynomial appends the evaluation of Σ_k c[k]·x^k at value x, in ⌈log₂(degree+1)⌉ multiplicative levels or, where
// the polynomial is even about some centre, with fewer products than its degree asks for. Scalars are left outside as
// far as they go, since the linear maps around take them for nothing.
func (p *program) polynomial(name string, x int, c []float64) scaledValue {
	c = trim(c)
	switch degree := len(c) - 1; {
	case degree <= 1:
		c = append(c, 0, 0)
		return scaledValue{x, c[1], c[0]}
	case degree == 2:
		// a·x² + b·x + c = a·(x + b/2a)² + (c − b²/4a)
		h := c[1] / (2 * c[2])
		shifted := p.combine(name, []int{x}, []float64{1}, h)
		return scaledValue{p.multiply(name, shifted, shifted), c[2], c[0] - c[2]*h*h}
	case even(c):
		square := p.multiply(name, x, x)
		half := make([]float64, 0, len(c)/2+1)
		for k := 0; k < len(c); k += 2 {
			half = append(half, c[k])
		}
		return p.polynomial(name, square, half)
	case degree == 3:
		// A cubic has a real root r: a·(x − r)·(x² + u·x + v), and the quadratic factor takes one square.
		r := realRoot(c)
		u := c[2]/c[3] + r
		v := c[1]/c[3] + r*u
		root := p.combine(name, []int{x}, []float64{1}, -r)
		quadratic := p.polynomial(name, x, []float64{v, u, 1})
		factor := p.combine(name, []int{quadratic.value}, []float64{quadratic.factor}, quadratic.constant)
		return scaledValue{p.multiply(name, root, factor), c[3], 0}
	}
	// p = q·x^m + r with m the largest power of two up to the degree (Paterson and Stockmeyer, SIAM J. Comput. 2(1)).
	m, power := 1, x
	for 2*m <= len(c)-1 {
		power = p.multiply(name, power, power)
		m *= 2
	}
	quotient := p.polynomial(name, x, c[m:])
	rest := p.polynomial(name, x, c[:m])
	var product int
	if quotient.factor == 0 || len(trim(c[m:])) == 1 {
		product, quotient.factor = power, c[m]
	} else {
		left := p.combine(name, []int{quotient.value}, []float64{1}, quotient.constant/quotient.factor)
		product = p.multiply(name, left, power)
	}
	if rest.factor == 0 {
		return scaledValue{product, quotient.factor, rest.constant}
	}
	sum := p.combine(name, []int{product, rest.value}, []float64{1, rest.factor / quotient.factor}, 0)
	return scaledValue{sum, quotient.factor, rest.constant}
}

func trim(c []float64) []float64 {
	for len(c) > 1 && c[len(c)-1] == 0 {
		c = c[:len(c)-1]
	}
	return c
}

func even(c []float64) bool {
	for k := 1; k < len(c); k += 2 {
		if c[k] != 0 {
			return false
		}
	}
	return true
}

// realRoot finds a real root of a cubic by bisection: its ends have opposite signs.
func realRoot(c []float64) float64 {
	cubic := &model.Polynomial{Coefficients: c}
	bound := 1 + (math.Abs(c[0])+math.Abs(c[1])+math.Abs(c[2]))/math.Abs(c[3]) // Cauchy's
	low, high := -bound, bound
	rising := c[3] > 0
	for range 200 {
		middle := (low + high) / 2
		if (cubic.At(middle) < 0) == rising {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// series appends a Chebyshev series.
func (l *lowering) series(name string, x int, s *approximation.Series) int {
	factor, offset := s.Unit()
	p := l.program
	t := p.combine(name, []int{x}, []float64{factor}, offset)
	r := p.chebyshev(name, t, s.Coefficients)
	return p.combine(name, []int{r.value}, []float64{r.factor}, r.constant)
}

// chebyshev appends the evaluation of Σ_k c[k]·T_k(t) at value t, in ⌈log₂(degree+1)⌉ multiplicative levels. All that is
// computed on the way stays about as small as the coefficients.
func (p *program) chebyshev(name string, t int, c []float64) scaledValue {
	c = trim(c)
	degree := len(c) - 1
	if degree <= 3 {
		return p.polynomial(name, t, powers(c))
	}
	if even(c) {
		// T_2k(t) = T_k(2t² − 1)
		half := make([]float64, 0, len(c)/2+1)
		for k := 0; k < len(c); k += 2 {
			half = append(half, c[k])
		}
		square := p.multiply(name, t, t)
		return p.chebyshev(name, p.combine(name, []int{square}, []float64{2}, -1), half)
	}
	e := &chebyshevBasis{program: p, name: name, values: map[int]int{1: t}, block: 4}
	if degree >= 24 {
		e.block = 8
	}
	value, constant := e.sum(c)
	return scaledValue{value, 1, constant}
}

// powers returns the coefficients in powers of t of a short series.
func powers(c []float64) []float64 {
	c = append(append([]float64(nil), c...), 0, 0, 0, 0)
	return trim([]float64{c[0] - c[2], c[1] - 3*c[3], 2 * c[2], 4 * c[3]})
}

// chebyshevBasis evaluates series by baby and giant steps (Paterson and Stockmeyer, SIAM J. Comput. 2(1)) in the basis
// of the products B_n of the T_m with m the powers of two in n. Unlike T_n itself, B_n takes one product and no sum of
// values of different scales.
type chebyshevBasis struct {
	program *program
	name    string
	values  map[int]int // of B_n
	block   int         // a power of two: shorter series are linear combinations of the B_n
}

// at returns B_n.
func (e *chebyshevBasis) at(n int) int {
	if v, known := e.values[n]; known {
		return v
	}
	m := 1 << (bits.Len(uint(n)) - 1)
	var v int
	if m == n {
		// T_2m = 2·T_m² − 1
		half := e.at(m / 2)
		v = e.program.combine(e.name, []int{e.program.multiply(e.name, half, half)}, []float64{2}, -1)
	} else {
		v = e.program.multiply(e.name, e.at(m), e.at(n-m))
	}
	e.values[n] = v
	return v
}

// divide returns q and r with Σ_k c[k]·T_k = q·T_m + r, by 2·T_m·T_j = T_m+j + T_m−j, for fewer than 2m coefficients.
func divide(c []float64, m int) (q, r []float64) {
	r = append([]float64(nil), c[:m]...)
	q = []float64{c[m]}
	for j := 1; m+j < len(c); j++ {
		q = append(q, 2*c[m+j])
		r[m-j] -= c[m+j]
	}
	return trim(q), trim(r)
}

// sum appends a series but for its constant, which it returns.
func (e *chebyshevBasis) sum(c []float64) (value int, constant float64) {
	p := e.program
	if len(c) <= e.block {
		coefficients := products(c)
		var in []int
		var factors []float64
		for n := 1; n < len(coefficients); n++ {
			if coefficients[n] != 0 {
				in, factors = append(in, e.at(n)), append(factors, coefficients[n])
			}
		}
		return p.combine(e.name, in, factors, 0), coefficients[0]
	}
	m := 1 << (bits.Len(uint(len(c)-1)) - 1)
	q, r := divide(c, m)
	in, factors := []int{e.at(m)}, []float64{q[0]}
	if len(q) > 1 {
		quotient, c0 := e.sum(q)
		if c0 != 0 {
			quotient = p.combine(e.name, []int{quotient}, []float64{1}, c0)
		}
		in[0], factors[0] = p.multiply(e.name, quotient, in[0]), 1
	}
	if len(r) == 1 {
		return p.combine(e.name, in, factors, 0), r[0]
	}
	rest, c0 := e.sum(r)
	return p.combine(e.name, append(in, rest), append(factors, 1), 0), c0
}

// products returns the coefficients of a series in the basis of the B_n.
func products(c []float64) []float64 {
	if len(c) <= 2 {
		return c
	}
	m := 1 << (bits.Len(uint(len(c)-1)) - 1)
	q, r := divide(c, m)
	list := append(products(r), make([]float64, m)...)[:m]
	return append(list, products(q)...)
}
