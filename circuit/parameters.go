package circuit

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"sync/atomic"
)

// Ring is the polynomial ring that ciphertexts live in.
type Ring string

const (
	// ConjugateInvariant is Z[X+1/X]/(X^2N+1): N real slots (Kim and Song, ePrint 2018/952). Vectors in slots use it.
	ConjugateInvariant Ring = "conjugate-invariant"
	// Standard is Z[X]/(X^N+1). Vectors in coefficients use it, since its product is a plain negacyclic convolution.
	Standard Ring = "standard"
)

const (
	// MinLogN and MaxLogN bound the ring degree: below, no modulus is both secure and useful; above, no table entry.
	MinLogN, MaxLogN = 12, 16
	// MinPrimeBits and MaxPrimeBits bound every prime. 49 bits is what the IFMA kernels take with room for lazy sums.
	MinPrimeBits, MaxPrimeBits = 20, 49
	// MaxPrimes bounds the chain of ciphertext primes and that of special primes.
	MaxPrimes = 40
	// SecurityBits is the level that every accepted parameter set reaches against classical attacks.
	SecurityBits = 128
)

// maxLogQP is the largest log2(QP) with 128 bits of classical security for a uniform ternary secret and error
// deviation 3.2, by log2 of the ring degree: ePrint 2024/463, table 5.2. Degree 2^11 is for replies only.
var maxLogQP = map[int]float64{11: 53, 12: 106, 13: 214, 14: 430, 15: 868, 16: 1747}

// MaxLogQP returns the largest log2(QP) that keeps 128 bits of security at ring degree 2^logN, or 0 for a degree that
// is not served.
func MaxLogQP(logN int) float64 { return maxLogQP[logN] }

// ErrInsecure is returned for parameters below 128 bits of security.
var ErrInsecure = errors.New("parameters are below 128 bits of security")

// Parameters are the public parameters of CKKS: the ring and its primes, written out so that no other implementation
// has to search for them.
type Parameters struct {
	LogN int      `json:"log_n"`
	Ring Ring     `json:"ring"`
	Q    []uint64 `json:"q"` // ciphertext primes, q_0 (never divided out) first
	P    []uint64 `json:"p"` // special primes of key switching; empty where no key is needed
}

// NewParameters returns parameters with the largest distinct primes below 2^b for each bit size b: first those of
// Q, then those of P. The primes are 1 modulo the order of the ring's roots of unity, as the NTT needs.
func NewParameters(logN int, ring Ring, qBits, pBits []int) (Parameters, error) {
	p := Parameters{LogN: logN, Ring: ring}
	if err := p.SetPrimes(qBits, pBits); err != nil {
		return Parameters{}, err
	}
	return p, p.Validate()
}

// SetPrimes replaces the primes by those that NewParameters chooses. It doesn't validate the parameters.
func (p *Parameters) SetPrimes(qBits, pBits []int) error {
	primes := make([]uint64, len(qBits)+len(pBits))
	p.Q, p.P = primes[:len(qBits):len(qBits)], primes[len(qBits):]
	var taken [MaxPrimeBits + 1]int
	for _, list := range []struct {
		bits   []int
		primes []uint64
	}{{qBits, p.Q}, {pBits, p.P}} {
		for i, b := range list.bits {
			if b < MinPrimeBits || b > MaxPrimeBits {
				return fmt.Errorf("prime of %d bits: want %d to %d", b, MinPrimeBits, MaxPrimeBits)
			}
			known := largestPrimes(p.rootOrder(), b)
			if len(known) <= taken[b] {
				return fmt.Errorf("no prime of %d bits left for ring degree 2^%d", b, p.LogN)
			}
			list.primes[i] = known[taken[b]]
			taken[b]++
		}
	}
	return nil
}

// knownPrimes holds lists of largestPrimes, by the bit lengths of the step and of the primes.
var knownPrimes [MaxLogN + 4][MaxPrimeBits + 1]atomic.Pointer[[]uint64]

// largestPrimes returns the primes of a bit size that are 1 modulo a step, a power of two, largest first: as many as
// parameters may have, or all there are.
func largestPrimes(step uint64, bitSize int) []uint64 {
	known := &knownPrimes[bits.Len64(step)][bitSize]
	if list := known.Load(); list != nil {
		return *list
	}
	var primes []uint64
	for q := uint64(1)<<bitSize - step + 1; q>>(bitSize-1) == 1 && len(primes) < 2*MaxPrimes; q -= step {
		// Baillie-PSW, which ProbablyPrime(0) runs, has no counterexample below 2^64.
		if new(big.Int).SetUint64(q).ProbablyPrime(0) {
			primes = append(primes, q)
		}
	}
	known.Store(&primes)
	return primes
}

// Validate checks ranges, primality and security. Nothing else in the system accepts parameters that fail it.
func (p Parameters) Validate() error {
	if p.LogN < MinLogN || p.LogN > MaxLogN {
		return fmt.Errorf("ring degree 2^%d: want 2^%d to 2^%d", p.LogN, MinLogN, MaxLogN)
	}
	if p.Ring != ConjugateInvariant && p.Ring != Standard {
		return fmt.Errorf("unknown ring type %q", p.Ring)
	}
	if len(p.Q) == 0 || len(p.Q) > MaxPrimes || len(p.P) > MaxPrimes {
		return fmt.Errorf("%d ciphertext and %d special primes: want 1 to %d and 0 to %d", len(p.Q), len(p.P), MaxPrimes, MaxPrimes)
	}
	seen := map[uint64]bool{}
	for _, q := range p.moduli() {
		switch {
		case bits.Len64(q) < MinPrimeBits || bits.Len64(q) > MaxPrimeBits:
			return fmt.Errorf("modulus %d has %d bits: want %d to %d", q, bits.Len64(q), MinPrimeBits, MaxPrimeBits)
		case q%p.rootOrder() != 1:
			return fmt.Errorf("modulus %d is not 1 modulo %d, as the NTT needs", q, p.rootOrder())
		case seen[q]:
			return fmt.Errorf("modulus %d occurs twice", q)
		case !new(big.Int).SetUint64(q).ProbablyPrime(0):
			return fmt.Errorf("modulus %d is not prime", q)
		}
		seen[q] = true
	}
	if p.LogQP() > maxLogQP[p.LogN] {
		return fmt.Errorf("%w: log QP is %.1f, at most %.0f at ring degree 2^%d", ErrInsecure, p.LogQP(), maxLogQP[p.LogN], p.LogN)
	}
	return nil
}

// rootOrder is the order of the roots of unity that the ring's NTT evaluates at.
func (p Parameters) rootOrder() uint64 {
	if p.Ring == ConjugateInvariant {
		return 4 << p.LogN
	}
	return 2 << p.LogN
}

func (p Parameters) moduli() []uint64 {
	return append(append([]uint64(nil), p.Q...), p.P...)
}

// N returns the ring degree.
func (p Parameters) N() int { return 1 << p.LogN }

// Slots returns the length of vectors: one value a coefficient in the standard ring (which is used with vectors in
// coefficients only), one a slot in the conjugate-invariant ring.
func (p Parameters) Slots() int { return p.N() }

// MaxLevel is the level of a ciphertext over all of Q; level l has the primes q_0 … q_l.
func (p Parameters) MaxLevel() int { return len(p.Q) - 1 }

// LogQ returns log2 of the ciphertext modulus at a level.
func (p Parameters) LogQ(level int) float64 { return logProduct(p.Q[:level+1]) }

// LogQP returns log2 of the largest modulus a secret is used with, which is what security depends on.
func (p Parameters) LogQP() float64 { return logProduct(p.Q) + logProduct(p.P) }

func logProduct(primes []uint64) float64 {
	sum := 0.0
	for _, q := range primes {
		sum += math.Log2(float64(q))
	}
	return sum
}

// SpecialPrimes returns how many of the special primes key switching uses at a level: as many as there are, but no
// more than the level has primes, which is enough for a single digit.
func (p Parameters) SpecialPrimes(level int) int { return min(len(p.P), level+1) }

// Digits returns the number of digits of key switching at a level: each digit is as many consecutive primes of Q as
// there are special primes in use (hybrid key switching, Han and Ki, ePrint 2019/688).
func (p Parameters) Digits(level int) int {
	s := p.SpecialPrimes(level)
	if s == 0 {
		return 0
	}
	return (level + s) / s
}
