package kernel

import (
	"errors"
	"fmt"
	"math/big"
)

// maxSources bounds the moduli an Extension starts from, so that its working memory has a fixed size.
const maxSources = 32

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
	weights  [][]uint64 // of target j: D/d_i mod q_j for every i, then -D mod q_j

	extensionAcceleration
}

// NewExtension prepares the conversion from at most 32 distinct moduli to others of the same ring.
func NewExtension(from, to []*Modulus) (*Extension, error) {
	if len(from) == 0 || len(from) > maxSources || len(to) == 0 {
		return nil, fmt.Errorf("%w: from %d moduli (1 to %d) to %d (at least 1)", ErrExtension, len(from), maxSources, len(to))
	}
	product := big.NewInt(1)
	for i, m := range from {
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
		weights := make([]uint64, 0, len(from)+1)
		for _, m := range from {
			weights = append(weights, mod(new(big.Int).Quo(product, new(big.Int).SetUint64(m.q)), t.q))
		}
		weights = append(weights, subOnce(0, mod(product, t.q), t.q))
		e.weights = append(e.weights, weights)
	}
	e.accelerate()
	return e, nil
}

func mod(x *big.Int, q uint64) uint64 { return new(big.Int).Mod(x, new(big.Int).SetUint64(q)).Uint64() }

// Apply converts coefficients (not NTT values): src holds one vector for each source modulus, dst one for each target.
// The length of dst[0] counts. dst must not overlap src.
func (e *Extension) Apply(dst, src [][]uint64) {
	if len(dst) != len(e.to) || len(src) != len(e.from) {
		panic("kernel: an extension has one vector for each modulus")
	}
	n := len(dst[0])
	for _, v := range dst {
		_ = v[:n]
	}
	for _, v := range src {
		_ = v[:n]
	}
	e.apply(dst, src, n)
}

func (e *Extension) applyGeneric(dst, src [][]uint64, start, n int) {
	var y [extensionTile][maxSources + 1]uint64
	var sums [extensionTile]float64
	k := len(e.from)
	for ; start < n; start += extensionTile {
		size := min(extensionTile, n-start)
		clear(sums[:])
		for i, m := range e.from {
			e.digits(&y, &sums, src[i][start:start+size], i, m.q)
		}
		for c := range size {
			y[c][k] = uint64(sums[c] + 0.5)
		}
		for j, m := range e.to {
			d, weights := dst[j][start:start+size], e.weights[j]
			for c := range d {
				// At most 33 products of 61 bits by 61 bits stay below 2^128.
				d[c] = m.weightedSum(y[c][:], weights)
			}
		}
	}
}

// digits writes y = x*factor and adds y/d to the sums. The conversion of the product keeps compilers from fusing the
// multiplication with the addition, so that every machine rounds alike.
func (e *Extension) digits(y *[extensionTile][maxSources + 1]uint64, sums *[extensionTile]float64, x []uint64, i int, q uint64) {
	factor, inverse := e.factor[i], e.inverse[i]
	for c := range x {
		digit := factor.mul(x[c], q)
		y[c][i] = digit
		sums[c] += float64(float64(digit) * inverse)
	}
}
