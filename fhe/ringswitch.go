package fhe

import (
	"fmt"
	"io"
	"math/bits"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// RingSwitch is a circuit.RingSwitch with everything precomputed. Both ends need it: the server to switch replies, the
// user to make the key for that.
//
// The ring of degree N is a free module over its subring of degree n = N/k, the polynomials in Z = X^k, with the basis
// 1, X+X⁻¹, …, X^(k-1)+X^(1-k). So for c = u_0 + Σ_j (X^j + X^-j)·u_j and any s, what c·s has in the subring is Σ_j u_j·t_j,
// with t_0 what s has there and t_j what (X^j + X^-j)·s has: k products in the small ring. The key encrypts each t_j under
// the small ring's own secret.
type RingSwitch struct {
	circuit.RingSwitch
	moduli  [2]*kernel.Modulus // q_0 and P, in the small ring
	inverse uint64             // of P modulo q_0
	width   int                // bits of a digit
	parts   int                // k
}

// RingSwitch prepares a switch of replies to a smaller ring.
func (p *Parameters) RingSwitch(literal circuit.RingSwitch) (*RingSwitch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.switches[literal]; r != nil {
		return r, nil
	}
	if err := literal.Validate(p.literal); err != nil {
		return nil, err
	}
	r := &RingSwitch{RingSwitch: literal, width: literal.Width(p.literal), parts: p.N() / literal.N()}
	for i, prime := range []uint64{p.literal.Q[0], literal.P} {
		var err error
		if r.moduli[i], err = kernel.NewModulus(prime, literal.LogN, true); err != nil {
			return nil, err
		}
	}
	r.inverse = r.moduli[0].Inverted(r.moduli[0].Reduce(literal.P))
	p.switches[literal] = r
	return r, nil
}

// Moduli returns q_0 and P, prepared for the small ring.
func (r *RingSwitch) Moduli() [2]*kernel.Modulus { return r.moduli }

// Factor returns P times the weight of a digit modulo the limb'th prime: what the key's polynomials encrypt t_j times.
func (r *RingSwitch) Factor(limb, digit int) uint64 {
	m := r.moduli[limb]
	return m.Product(m.Reduce(r.P), m.Reduce(1<<(r.width*digit)))
}

// split writes the coefficients of u_0 … u_(k-1), one after the other, for those of a polynomial modulo q_0.
func (r *RingSwitch) split(u, c []uint64) {
	n, k, q := r.N(), r.parts, r.moduli[0].Q()
	for i := range n {
		u[i] = c[i*k]
	}
	for j := 1; j < k; j++ {
		u[j*n+n-1] = c[(n-1)*k+j]
	}
	// X^j+X^-j times Z^i+Z^-i has the coefficients ik+j and ik-j.
	for i := n - 2; i >= 0; i-- {
		for j := 1; j < k; j++ {
			d := c[i*k+j] - u[(k-j)*n+i+1]
			u[j*n+i] = min(d, d+q)
		}
	}
}

// digits writes the centred digits of values modulo q_0, modulo each prime: digit d of value i at i of dst[limb][d].
func (r *RingSwitch) digits(dst [2][][]uint64, values []uint64) {
	if r.Digits == 1 {
		copy(dst[0][0], values)
		r.moduli[1].Lift(dst[1][0], values, r.moduli[0])
		return
	}
	q, p := r.moduli[0].Q(), r.moduli[1]
	half := int64(1) << (r.width - 1)
	wide := uint64(half) >= p.Q()
	for i, v := range values {
		x := int64(v - q&uint64(int64(q/2-v)>>63))
		for d := range r.Digits {
			digit := x
			if d < r.Digits-1 {
				digit = (x+half)&(2*half-1) - half
				x = (x - digit) >> r.width
			}
			negative := uint64(digit >> 63)
			dst[0][d][i] = uint64(digit) + q&negative
			if wide {
				dst[1][d][i] = p.Reduce(uint64(digit + half*int64(p.Q())))
			} else {
				dst[1][d][i] = uint64(digit) + p.Q()&negative
			}
		}
	}
}

// ringKey is the key of a RingSwitch: of each limb, both parts of each polynomial, packed. Polynomial j·Digits+d belongs
// to t_j and digit d.
type ringKey [2][2][][]uint64

func (r *RingSwitch) newKey(p circuit.Parameters) *ringKey {
	key, count := new(ringKey), r.Polynomials(p)
	for limb, m := range r.moduli {
		for part := range key[limb] {
			key[limb][part] = kernel.NewVectors(count, m.PackedLen(r.N()))
		}
	}
	return key
}

// readRingKey reads the key of a RingSwitch, the item'th of the file.
func readRingKey(from io.Reader, params *Parameters, literal circuit.RingSwitch, item int, expander wire.Expander) (*ringKey, error) {
	r, err := params.RingSwitch(literal)
	if err != nil {
		return nil, err
	}
	key := r.newKey(params.literal)
	packed := make([]byte, wire.PolySize(r.N(), primes(r.moduli[:])...))
	values := kernel.NewVector(r.N())
	for i := range r.Polynomials(params.literal) {
		if err := readFull(from, packed); err != nil {
			return nil, err
		}
		rest := packed
		for limb, m := range r.moduli {
			width := bits.Len64(m.Q())
			size := wire.PackedSize(r.N(), width)
			if err := wire.Unpack(values, rest[:size], width, m.Q()); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrFormat, err)
			}
			rest = rest[size:]
			m.Pack(key[limb][0][i], values)
			expander.Uniform(values, m.Q(), wire.KeyDomain, item, i, limb)
			m.Pack(key[limb][1][i], values)
		}
	}
	return key, nil
}

// appendRingKey appends what readRingKey reads.
func (k *EvaluationKeys) appendRingKey(b []byte) ([]byte, error) {
	r, err := k.params.RingSwitch(*k.set.RingSwitch)
	if err != nil {
		return nil, err
	}
	values := make([]uint64, r.N())
	for i := range r.Polynomials(k.params.literal) {
		for limb, m := range r.moduli {
			m.Unpack(values, k.ring[limb][0][i])
			b = appendPacked(b, values, bits.Len64(m.Q()))
		}
	}
	return b, nil
}

// ringKeyBytes returns the memory that the key of a RingSwitch takes.
func ringKeyBytes(p circuit.Parameters, r *circuit.RingSwitch) int64 {
	words := kernel.PackedLen(p.Q[0], r.N()) + kernel.PackedLen(r.P, r.N())
	return 2 * int64(r.Polynomials(p)) * int64(words) * 8
}

// switchRing returns, for the coefficients modulo q_0 of a ciphertext's second part, the coefficients of the ciphertext in
// the small ring and under its secret that decrypts to what the part times the secret has in the subring. The caller
// releases it.
func (e *evaluator) switchRing(r *RingSwitch, key *ringKey, second []uint64) pair {
	n, count := r.N(), r.Polynomials(e.params.literal)
	split := e.arena.poly(1)
	r.split(split[0], second)
	digits := [2]poly{e.arena.poly(r.Digits), e.arena.poly(r.Digits)}
	e.pool.Do(r.parts, func(j int) {
		var part [2][][]uint64
		for limb := range part {
			for _, v := range digits[limb] {
				part[limb] = append(part[limb], v[j*n:(j+1)*n])
			}
		}
		r.digits(part, split[0][j*n:(j+1)*n])
		for limb, m := range r.moduli {
			for _, v := range part[limb] {
				m.Forward(v, v)
			}
		}
	})
	sums := [2]pair{e.pair(1), e.pair(1)}
	e.pool.Do(2, func(limb int) {
		factors := make([][]uint64, count)
		for i := range factors {
			j := i / r.Digits
			factors[i] = digits[limb][i%r.Digits][j*n : (j+1)*n]
		}
		m := r.moduli[limb]
		first, second := sums[limb][0][0][:n], sums[limb][1][0][:n]
		m.Packed2InnerProduct(first, second, key[limb][0], key[limb][1], factors)
		m.Inverse(first, first)
		m.Inverse(second, second)
	})
	result := e.pair(1)
	for part := range result {
		remainder := split[0][:n]
		r.moduli[0].Lift(remainder, sums[1][part][0][:n], r.moduli[1])
		r.moduli[0].SubMulScalar(result[part][0][:n], sums[0][part][0][:n], remainder, r.inverse)
	}
	e.arena.release(split, digits[0], digits[1])
	e.release(sums[0], sums[1])
	return result
}
