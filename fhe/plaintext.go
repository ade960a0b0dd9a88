package fhe

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// plaintext is an encoded vector in the NTT domain. A vector in slots of period R < N lies in the subring of degree R:
// its polynomial is one in X^(N/R), and its NTT repeats each of R values N/R times in a row, so that one of them is
// kept. Where runs are shorter than eight, all values are kept, packed.
type plaintext struct {
	limbs poly
	run   int // how many places each value stands for: 1 for packed limbs
}

// values writes all values of a limb.
func (p *plaintext) values(dst []uint64, m *kernel.Modulus, limb int) {
	if p.run == 1 {
		m.Unpack(dst, p.limbs[limb])
		return
	}
	for i, v := range p.limbs[limb] {
		for k := range p.run {
			dst[i*p.run+k] = v
		}
	}
}

// plaintextKey tells plaintexts apart.
type plaintextKey struct {
	content [sha256.Size]byte
	scale   float64
	level   int
}

// plaintext returns the plaintext that the builder's work will make of a vector, at a scale, modulo q_0 … q_level.
func (b *builder) plaintext(v circuit.Vector, scale float64, level int) *plaintext {
	key := plaintextKey{fingerprint(v), scale, level}
	if known := b.known[key]; known != nil {
		return known
	}
	p := b.program
	n := p.params.N()
	result := &plaintext{run: p.run(v)}
	size, moduli := n/result.run, p.params.Moduli(level, 0)
	if result.run == 1 {
		size = 0
		for _, m := range moduli {
			size = max(size, m.PackedLen(n))
		}
	}
	result.limbs = b.vectors(len(moduli), size)
	b.known[key] = result
	p.bytes += int64(len(moduli)) * int64(size) * 8
	b.encode(v, scale, moduli, func(limb int, values []uint64) {
		if result.run == 1 {
			moduli[limb].Pack(result.limbs[limb], values)
			return
		}
		for i := range result.limbs[limb] {
			result.limbs[limb][i] = values[i*result.run]
		}
	})
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

// run returns how many places each value of a vector's plaintext stands for.
func (p *Program) run(v circuit.Vector) int {
	n := p.params.N()
	if p.circuit.Packing != circuit.Slots || v.IsZero() || n/v.Period < 8 {
		return 1
	}
	return min(n/v.Period, n/8) // at least a cache line, which is what vectors are aligned to
}

// vectors returns memory for plaintexts: many vectors beside each other are laid out so that caches hold them together.
func (b *builder) vectors(count, n int) [][]uint64 {
	if len(b.free[n]) < count {
		b.free[n] = kernel.NewVectors(count*plaintextSlab, n)
	}
	v := b.free[n][:count:count]
	b.free[n] = b.free[n][count:]
	return v
}

// plaintextSlab is for how many plaintexts memory is made at a time: what none needs is never touched.
const plaintextSlab = 32

func fingerprint(v circuit.Vector) [sha256.Size]byte {
	b := make([]byte, 0, 16+4*len(v.Index)+8*len(v.Values))
	b = binary.LittleEndian.AppendUint64(b, uint64(v.Period))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v.Index)))
	for _, j := range v.Index {
		b = binary.LittleEndian.AppendUint32(b, j)
	}
	for _, x := range v.Values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return sha256.Sum256(b)
}
