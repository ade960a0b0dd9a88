package fhe

import (
	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// plaintext returns memory for what the builder's work will make of a vector: its NTT, at a scale, modulo q_0 … q_level.
func (b *builder) plaintext(v circuit.Vector, scale float64, level int) poly {
	p := b.program
	moduli, n := p.params.Moduli(level, 0), p.params.N()
	result := poly(kernel.NewVectors(len(moduli), n))
	p.bytes += int64(len(moduli)) * int64(n) * 8
	b.encode(v, scale, moduli, func(limb int, values []uint64) { copy(result[limb], values) })
	return result
}

// encode leaves it to the builder's work to encode a vector and call use with the values of each limb.
func (b *builder) encode(v circuit.Vector, scale float64, moduli []*kernel.Modulus, use func(limb int, values []uint64)) {
	encoder := b.program.params.encoder
	b.work = append(b.work, func(scratch poly) {
		encoder.Encode(scratch, moduli, v, scale)
		for limb, m := range moduli {
			m.Forward(scratch[limb], scratch[limb])
			use(limb, scratch[limb])
		}
	})
}

// factors returns memory for factors of each limb.
func (b *builder) factors(moduli []*kernel.Modulus, rows, terms, run int) []*kernel.Factors {
	limbs := kernel.NewFactors(moduli, rows, terms, run)
	for _, f := range limbs {
		b.program.bytes += f.Bytes()
	}
	return limbs
}
