package secret

import (
	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// multiplier multiplies polynomials with coefficients below 2^50 by the secret, over the integers modulo 2^64.
type multiplier struct {
	modulus *kernel.Modulus
	secret  []uint64
}

const (
	// halfBits is where coefficients are cut in two: 25 bits times a ternary secret of degree up to 2^16, where each of
	// the secret's coefficients counts twice in the conjugate-invariant ring, stay below 2^42.
	halfBits = 25
	// multiplierPrime is the largest prime below 2^49 that is 1 modulo 2^18, the order of the roots of unity in the
	// largest conjugate-invariant ring.
	multiplierPrime = 1<<49 - 11<<18 + 1
)

func newMultiplier(logN int, ring circuit.Ring, coefficients []int8) (*multiplier, error) {
	m, err := kernel.NewModulus(multiplierPrime, logN, ring == circuit.ConjugateInvariant)
	if err != nil {
		return nil, err
	}
	secret := kernel.NewVector(len(coefficients))
	residues(secret, coefficients, m)
	m.Forward(secret, secret)
	return &multiplier{m, secret}, nil
}

// timesSecret returns the coefficients of v times the secret, modulo 2^64.
func (x *multiplier) timesSecret(v []uint64) []uint64 {
	m, q := x.modulus, x.modulus.Q()
	result := make([]uint64, len(v))
	half := kernel.NewVector(len(v))
	for shift := 0; shift <= halfBits; shift += halfBits {
		for i, c := range v {
			half[i] = c >> shift & (1<<halfBits - 1)
		}
		m.Forward(half, half)
		m.Mul(half, half, x.secret)
		m.Inverse(half, half)
		for i, c := range half {
			if c > q/2 {
				c -= q
			}
			result[i] += c << shift
		}
	}
	return result
}
