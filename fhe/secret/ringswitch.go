package secret

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// smallKey is the secret of a ring that replies are switched to: uniform ternary, as every secret is.
type smallKey struct {
	coefficients []int8
	multiplier   *multiplier
}

// smallKeys are the secrets of smaller rings, made when they are first needed.
type smallKeys struct {
	mu     sync.Mutex
	byLogN map[int]*smallKey
}

// smallKey returns the secret of the ring of degree 2^logN. It is derived from the key (FORMAT.md), so that the key alone
// has to be stored: by HKDF-SHA-256, whose output is as good as random to whoever doesn't know the key.
func (k *Key) smallKey(logN int) (*smallKey, error) {
	k.small.mu.Lock()
	defer k.small.mu.Unlock()
	if known := k.small.byLogN[logN]; known != nil {
		return known, nil
	}
	stored, err := k.MarshalBinary()
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, stored, nil, fmt.Sprintf("cipherpoint replies 2^%d", logN), 32)
	if err != nil {
		return nil, err
	}
	small := &smallKey{coefficients: make([]int8, 1<<logN)}
	random.Keyed([32]byte(seed)).Ternary(small.coefficients)
	clear(stored)
	clear(seed)
	if small.multiplier, err = newMultiplier(logN, circuit.ConjugateInvariant, small.coefficients); err != nil {
		return nil, err
	}
	if k.small.byLogN == nil {
		k.small.byLogN = map[int]*smallKey{}
	}
	k.small.byLogN[logN] = small
	return small, nil
}

func (s *smallKeys) destroy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, small := range s.byLogN {
		clear(small.coefficients)
		clear(small.multiplier.secret)
	}
}

// project writes t_j, see fhe.RingSwitch: the coefficients that (X^j + X^-j)·s, or s itself for j = 0, has in the subring.
func project(t, s []int8, j int) {
	k := len(s) / len(t)
	for i := range t {
		switch {
		case j == 0:
			t[i] = s[i*k]
		case i == 0:
			t[i] = 2 * s[j]
		default:
			t[i] = s[i*k-j] + s[i*k+j]
		}
	}
}

// ringSwitch returns the packed first halves of the key that switches replies to a smaller ring: for each t_j and digit
// (see fhe.RingSwitch), -a·s' + e + P·weight·t_j, with s' the small ring's secret.
func (g *generator) ringSwitch(literal circuit.RingSwitch, item int, errors *random.Stream) ([]byte, error) {
	r, err := g.key.params.RingSwitch(literal)
	if err != nil {
		return nil, err
	}
	to, err := g.key.smallKey(literal.LogN)
	if err != nil {
		return nil, err
	}
	n, moduli := literal.N(), r.Moduli()
	vectors := kernel.NewVectors(5, n)
	secrets, a, b, message := vectors[:2], vectors[2], vectors[3], vectors[4]
	for limb, m := range moduli {
		residues(secrets[limb], to.coefficients, m)
		m.Forward(secrets[limb], secrets[limb])
	}
	var packed []byte
	from, noise := make([]int8, n), make([]int8, n)
	for i := range literal.Polynomials(g.key.params.Literal()) {
		project(from, g.key.coefficients, i/literal.Digits)
		errors.Gaussian(noise)
		for limb, m := range moduli {
			residues(b, noise, m)
			residues(message, from, m)
			m.MulScalarAdd(b, message, r.Factor(limb, i%literal.Digits))
			m.Forward(b, b)
			g.expander.Uniform(a, m.Q(), wire.KeyDomain, item, i, limb)
			m.Mul(a, a, secrets[limb])
			m.Sub(b, b, a)
			width := bits.Len64(m.Q())
			start := len(packed)
			packed = append(packed, make([]byte, wire.PackedSize(n, width))...)
			wire.Pack(packed[start:], b, width)
		}
	}
	clear(from)
	clear(noise)
	for _, v := range vectors {
		clear(v)
	}
	return packed, nil
}
