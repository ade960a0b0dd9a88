package secret

import (
	"errors"
	"fmt"
	"sync/atomic"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/kernel"
)

// Key is a secret key: a uniform ternary polynomial. It is safe for concurrent use until it is destroyed.
type Key struct {
	params       *fhe.Parameters
	coefficients []int8
	limbs        [][]uint64 // modulo each prime of Q, then of P, in the NTT domain
	multiplier   *multiplier
	small        *smallKeys
	checked      atomic.Pointer[fhe.Signature] // the last that was found valid and for this key
}

// ErrKey is returned for bytes that are not a secret key of the parameters.
var ErrKey = errors.New("not a secret key for these parameters")

// GenerateKey returns a fresh key.
func GenerateKey(params *fhe.Parameters) (*Key, error) { return generateKey(params, random.New()) }

func generateKey(params *fhe.Parameters, s *random.Stream) (*Key, error) {
	coefficients := make([]int8, params.N())
	s.Ternary(coefficients)
	return newKey(params, coefficients)
}

func newKey(params *fhe.Parameters, coefficients []int8) (*Key, error) {
	literal := params.Literal()
	moduli := params.Moduli(literal.MaxLevel(), len(literal.P))
	multiplier, err := newMultiplier(literal.LogN, literal.Ring, coefficients)
	if err != nil {
		return nil, err
	}
	k := &Key{params: params, coefficients: coefficients, limbs: kernel.NewVectors(len(moduli), params.N()), multiplier: multiplier, small: new(smallKeys)}
	for limb, m := range moduli {
		residues(k.limbs[limb], coefficients, m)
		m.Forward(k.limbs[limb], k.limbs[limb])
	}
	return k, nil
}

// residues writes small integers modulo q.
func residues(dst []uint64, v []int8, m *kernel.Modulus) {
	q := int64(m.Q())
	for i, x := range v {
		dst[i] = uint64(int64(x) + int64(x)>>63&q)
	}
}

// limb returns the secret modulo a limb of a key or ciphertext at a level: its primes of Q, then special ones.
func (k *Key) limb(level, limb int) []uint64 {
	if limb <= level {
		return k.limbs[limb]
	}
	literal := k.params.Literal()
	return k.limbs[limb-level+literal.MaxLevel()]
}

const keyVersion = 1

// MarshalBinary returns the key for the user's own storage (FORMAT.md): the secret in clear.
func (k *Key) MarshalBinary() ([]byte, error) {
	literal := k.params.Literal()
	b := keyHeader(literal)
	for i := 0; i < len(k.coefficients); i += 4 {
		packed := byte(0)
		for j, x := range k.coefficients[i : i+4] {
			packed |= byte(x+1) << (2 * j)
		}
		b = append(b, packed)
	}
	return b, nil
}

func keyHeader(literal circuit.Parameters) []byte {
	ring := byte(0)
	if literal.Ring == circuit.ConjugateInvariant {
		ring = 1
	}
	return append([]byte("cpskey"), keyVersion, byte(literal.LogN), ring)
}

// ParseKey reads what MarshalBinary wrote.
func ParseKey(params *fhe.Parameters, b []byte) (*Key, error) {
	head := keyHeader(params.Literal())
	if len(b) != len(head)+params.N()/4 || string(b[:len(head)]) != string(head) {
		return nil, ErrKey
	}
	coefficients := make([]int8, params.N())
	for i := range coefficients {
		x := b[len(head)+i/4] >> (i % 4 * 2) & 3
		if x == 3 {
			return nil, fmt.Errorf("%w: a coefficient is not ternary", ErrKey)
		}
		coefficients[i] = int8(x) - 1
	}
	return newKey(params, coefficients)
}

// Destroy overwrites the key. It must not be used any more.
func (k *Key) Destroy() {
	clear(k.coefficients)
	clear(k.multiplier.secret)
	k.small.destroy()
	for _, v := range k.limbs {
		clear(v)
	}
}
