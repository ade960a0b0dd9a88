package kernel

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// maxSources bounds the moduli an Extension starts from, so that its working memory has a fixed size.
const maxSources = 32

// overflowShift is from which bit on v stands above y_0: it has as many values as there are sources, and one more.
const overflowShift = 58

// extensionTile is the number of coefficients converted at a time.
const extensionTile = 64

// ErrExtension is returned for sets of moduli that cannot be converted.
var ErrExtension = errors.New("unusable base conversion")

// Extension converts residues modulo d_1..d_k into residues of the same centred number modulo other primes
// (Halevi, Polyakov, Shoup, ePrint 2018/117, section 2.2): with D the product of the sources,
// x = sum of y_i*(D/d_i) - v*D where y_i = x_i*(D/d_i)^-1 mod d_i and v is the sum of y_i/d_i, rounded to the nearest
// integer in floating point. The result represents the number in [-D/2, D/2], except that a number within about
// k*2^-50*D of +-D/2 may come out on the other side of the interval, which the noise of any ciphertext makes harmless.
// It is immutable and safe for concurrent use.
type Extension struct {
	from, to []*Modulus
	factor   []scalar   // (D/d_i)^-1 mod d_i
	inverse  []float64  // 1/d_i
	weights  [][]uint64 // of target j: -D mod q_j, then D/d_i mod q_j for every i

	extensionAcceleration
}

// NewExtension prepares the conversion from at most 32 distinct moduli of at most 58 bits to others of the same ring.
func NewExtension(from, to []*Modulus) (*Extension, error) {
	if len(from) == 0 || len(from) > maxSources || len(to) == 0 {
		return nil, fmt.Errorf("%w: from %d moduli (1 to %d) to %d (at least 1)", ErrExtension, len(from), maxSources, len(to))
	}
	product := big.NewInt(1)
	for i, m := range from {
		if bits.Len64(m.q) > overflowShift {
			return nil, fmt.Errorf("%w: from a modulus of %d bits (at most %d)", ErrExtension, bits.Len64(m.q), overflowShift)
		}
		for _, other := range from[:i] {
			if other.q == m.q {
				return nil, fmt.Errorf("%w: modulus %d twice", ErrExtension, m.q)
			}
		}
		product.Mul(product, new(big.Int).SetUint64(m.q))
	}
	e := &Extension{from: from, to: to}
	for _, m := range from {
		cofactor := mod(new(big.Int).Quo(product, new(big.Int).SetUint64(m.q)), m.q)
		e.factor = append(e.factor, m.scalar(m.Inverted(cofactor)))
		e.inverse = append(e.inverse, 1/float64(m.q))
	}
	for _, t := range to {
		weights := append(make([]uint64, 0, len(from)+1), subOnce(0, mod(product, t.q), t.q))
		for _, m := range from {
			weights = append(weights, mod(new(big.Int).Quo(product, new(big.Int).SetUint64(m.q)), t.q))
		}
		e.weights = append(e.weights, weights)
	}
	e.accelerate()
	return e, nil
}

func mod(x *big.Int, q uint64) uint64 { return new(big.Int).Mod(x, new(big.Int).SetUint64(q)).Uint64() }

// Begin makes y and v, in their place, of the coefficients (not NTT values) that the rows, one for each source modulus,
// hold from place start on and before end, multiples of 8. They then stand for the number as BeginForward reads it.
func (e *Extension) Begin(rows [][]uint64, start, end int) {
	e.check(rows, end)
	if start < 0 || start%8 != 0 || end%8 != 0 {
		panic("kernel: an extension is cut unevenly")
	}
	if start < end {
		e.begin(rows, start, end)
	}
}

// BeginForward begins the transform of the numbers modulo a target, which begun rows stand for. dst must not be one of
// them. The target's FinishForward finishes it.
func (e *Extension) BeginForward(dst []uint64, rows [][]uint64, target int) {
	m := e.to[target]
	dst = dst[:m.N()]
	e.check(rows, len(dst))
	if !e.beginForward(dst, rows, target) {
		e.convert(dst, rows, target)
		m.forwardFirst(dst, dst, true)
	}
}

func (e *Extension) check(rows [][]uint64, n int) {
	if len(rows) != len(e.from) {
		panic("kernel: an extension has one vector for each modulus")
	}
	for _, v := range rows {
		_ = v[:n]
	}
}

func (e *Extension) beginGeneric(rows [][]uint64, start, end int) {
	var sums [extensionTile]float64
	for ; start < end; start += extensionTile {
		size := min(extensionTile, end-start)
		clear(sums[:])
		for i, m := range e.from {
			e.digits(rows[i][start:start+size], &sums, i, m.q)
		}
		for c := range size {
			rows[0][start+c] |= uint64(sums[c]+0.5) << overflowShift
		}
	}
}

// digits turns x into y = x*factor and adds y/d to the sums. The conversion of the product keeps compilers from fusing the
// multiplication with the addition, so that every machine rounds alike.
func (e *Extension) digits(x []uint64, sums *[extensionTile]float64, i int, q uint64) {
	factor, inverse := e.factor[i], e.inverse[i]
	for c := range x {
		digit := factor.mul(x[c], q)
		x[c] = digit
		sums[c] += float64(float64(digit) * inverse)
	}
}

// convertTerms is how many products with values of up to 58 bits are reduced at once.
const convertTerms = 1 << (61 - overflowShift)

func (e *Extension) convertGeneric(dst []uint64, rows [][]uint64, target, start int) {
	m, weights := e.to[target], e.weights[target]
	var overflow [1 << (64 - overflowShift)]uint64
	for v := range rows {
		overflow[v+1] = reduceOnce(overflow[v]+weights[0], m.q)
	}
	var sums runningSums
	for ; start < len(dst); start += tile {
		end := min(start+tile, len(dst))
		for i, x := range rows[0][start:end] {
			hi, lo := bits.Mul64(x&(1<<overflowShift-1), weights[1])
			lo, carry := bits.Add64(lo, overflow[x>>overflowShift], 0)
			sums.hi[i&(tile-1)], sums.lo[i&(tile-1)] = hi+carry, lo
		}
		for k, row := range rows[1:] {
			if (k+1)%convertTerms == 0 {
				m.makeRoom(&sums, end-start)
			}
			sums.multiplyAddScalar(row[start:end], weights[k+2])
		}
		m.store(dst[start:end], &sums)
	}
}
