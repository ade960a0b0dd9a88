package fhe

import (
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/kernel"
)

// flood writes c plus a fresh encryption of zero under the user's public key, and noise of the deviation on the kept
// coefficients of the first part. The user, who knows the second part of each input, could otherwise compute from the second
// part of a reply, and from its noise, what the weights did to it; now the one is as good as uniform without knowing
// what the encryption of zero was made of, and the other drowns (Gentry, STOC 2009, section 8; for approximate
// numbers Li, Micciancio, Schultz and Sorrell, ePrint 2022/816).
func (p *Program) flood(dst, c pair, keys *EvaluationKeys, kept []int, deviation float64) {
	m, n := p.params.q[0], p.params.N()
	stream := random.New()
	small := make([]int8, n)
	errors := kernel.NewVectors(2, n)
	for part := range errors {
		stream.Gaussian(small)
		for i, x := range small {
			errors[part][i] = residue(int64(x), m)
		}
	}
	wide := make([]int64, len(kept))
	stream.Wide(wide, deviation)
	for i, k := range kept {
		errors[0][k] = m.Reduce(errors[0][k] + residue(wide[i], m))
	}
	multiplier := kernel.NewVector(n)
	stream.Ternary(small)
	for i, x := range small {
		multiplier[i] = residue(int64(x), m)
	}
	m.Forward(multiplier, multiplier)
	for part, e := range errors {
		m.Forward(e, e)
		m.Mul(dst[part][0], multiplier, keys.encryption[part])
		m.Add(dst[part][0], dst[part][0], e)
		m.Add(dst[part][0], dst[part][0], c[part][0])
	}
}

// residue returns x modulo q for |x| < q.
func residue(x int64, m *kernel.Modulus) uint64 {
	if x < 0 {
		return m.Q() - uint64(-x)
	}
	return uint64(x)
}
