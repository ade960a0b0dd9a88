package circuit

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// RingSwitch says how replies are switched to a smaller ring. What the user learns of an output in slots are
// coefficients of the subring of degree Period, at most 2^LogN, and a secret of that subring is enough to decrypt them:
// with the key that leads from the secret to one of degree 2^LogN, all coefficients of a reply outside the subring can be
// left out (Gentry, Halevi, Peikert and Smart, ePrint 2012/240).
//
// The key is used at level 0 only. The second part of a reply is cut into Digits digits, as wide as each other, and the
// products with the key are divided by P.
type RingSwitch struct {
	LogN   int    `json:"log_n"`
	P      uint64 `json:"p"`
	Digits int    `json:"digits"`
}

const (
	// MinReplyLogN bounds the degree of the ring of replies. Half of it is secure for moduli up to 2^26 only.
	MinReplyLogN = 11
	// MinSwitchBits is the least size of a RingSwitch's prime, MaxSwitchDigits the largest number of its digits.
	MinSwitchBits, MaxSwitchDigits = 15, 8
)

// N returns the degree of the ring of replies.
func (r *RingSwitch) N() int { return 1 << r.LogN }

// Width returns how many bits a digit has, its sign included.
func (r *RingSwitch) Width(p Parameters) int {
	return (bits.Len64(p.Q[0]) + r.Digits - 1) / r.Digits
}

// SetPrime sets P to the largest prime of a bit size that serves, and reports whether there is one.
func (r *RingSwitch) SetPrime(p Parameters, bitSize int) bool {
	for _, prime := range largestPrimes(4<<r.LogN, bitSize) {
		if prime != p.Q[0] {
			r.P = prime
			return true
		}
	}
	return false
}

// Polynomials returns how many of degree 2^LogN the key consists of, each modulo q_0 and P.
func (r *RingSwitch) Polynomials(p Parameters) int { return r.Digits << (p.LogN - r.LogN) }

// LogQP returns log2 of the modulus that the key's security depends on.
func (r *RingSwitch) LogQP(p Parameters) float64 { return p.LogQ(0) + math.Log2(float64(r.P)) }

// Validate checks ranges, primality and security.
func (r *RingSwitch) Validate(p Parameters) error {
	order := uint64(4) << max(r.LogN, 0)
	switch size := bits.Len64(r.P); {
	case p.Ring != ConjugateInvariant:
		return fmt.Errorf("switching to another ring is for the %s ring", ConjugateInvariant)
	case r.LogN < MinReplyLogN || r.LogN >= p.LogN:
		return fmt.Errorf("replies of ring degree 2^%d: want 2^%d or more, below 2^%d", r.LogN, MinReplyLogN, p.LogN)
	case r.Digits < 1 || r.Digits > MaxSwitchDigits:
		return fmt.Errorf("%d digits: want 1 to %d", r.Digits, MaxSwitchDigits)
	case size < MinSwitchBits || size > MaxPrimeBits:
		return fmt.Errorf("modulus %d has %d bits: want %d to %d", r.P, size, MinSwitchBits, MaxPrimeBits)
	case r.P%order != 1 || r.P == p.Q[0]:
		return fmt.Errorf("modulus %d is q_0, or not 1 modulo %d, as the NTT needs", r.P, order)
	case !new(big.Int).SetUint64(r.P).ProbablyPrime(0):
		return fmt.Errorf("modulus %d is not prime", r.P)
	case r.LogQP(p) > MaxLogQP(r.LogN):
		return fmt.Errorf("%w: log QP is %.1f, at most %.0f at ring degree 2^%d of replies", ErrInsecure, r.LogQP(p), MaxLogQP(r.LogN), r.LogN)
	}
	return nil
}

func (c *Circuit) validateRingSwitch() error {
	if c.RingSwitch == nil {
		return nil
	}
	if c.Packing != Slots {
		return fmt.Errorf("replies of packing %q stay in their ring", c.Packing)
	}
	if err := c.RingSwitch.Validate(c.Parameters); err != nil {
		return err
	}
	for i, out := range c.Outputs {
		if out.Period > c.RingSwitch.N() {
			return fmt.Errorf("output %d: period %d is above the degree of the ring of replies, %d", i, out.Period, c.RingSwitch.N())
		}
	}
	return nil
}
