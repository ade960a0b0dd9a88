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
// kept.
type plaintext struct {
	limbs poly
	run   int // how many places each value stands for
}

// values returns the plaintext's values at places start to end of a limb, written to scratch where runs have to be
// spread.
func (p *plaintext) values(limb, start, end int, scratch []uint64) []uint64 {
	if p.run == 1 {
		return p.limbs[limb][start:end]
	}
	spread(scratch[:end-start], p.limbs[limb][start/p.run:], p.run)
	return scratch[:end-start]
}

// spread writes each value of src to run places in a row, a power of two, until dst is full.
func spread(dst, src []uint64, run int) {
	if run > len(dst) {
		run = len(dst)
	}
	switch run {
	case 2:
		for i, v := range src[:len(dst)/2] {
			d := (*[2]uint64)(dst[2*i:])
			d[0], d[1] = v, v
		}
	case 4:
		for i, v := range src[:len(dst)/4] {
			d := (*[4]uint64)(dst[4*i:])
			d[0], d[1], d[2], d[3] = v, v, v, v
		}
	case 8:
		for i, v := range src[:len(dst)/8] {
			d := (*[8]uint64)(dst[8*i:])
			d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = v, v, v, v, v, v, v, v
		}
	default:
		for i, v := range src[:len(dst)/run] {
			for at := i * run; at < (i+1)*run; at += 8 {
				d := (*[8]uint64)(dst[at:])
				d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7] = v, v, v, v, v, v, v, v
			}
		}
	}
}

// plaintextKey tells plaintexts apart.
type plaintextKey struct {
	content [sha256.Size]byte
	scale   float64
	limbs   int
}

// plaintext returns the plaintext that the builder's work will make of a vector, at a scale, modulo q_0 … q_level.
func (b *builder) plaintext(v circuit.Vector, scale float64, level int) *plaintext {
	key := plaintextKey{fingerprint(v), scale, level + 1}
	if known := b.known[key]; known != nil {
		return known
	}
	p := b.program
	n := p.params.N()
	result := &plaintext{run: 1}
	if p.circuit.Packing == circuit.Slots {
		result.run = n / v.Period
	}
	// At least a cache line, which is what vectors are aligned to.
	result.run = min(result.run, n/8)
	result.limbs = kernel.NewVectors(level+1, n/result.run)
	b.known[key] = result
	p.bytes += int64(level+1) * int64(n/result.run) * 8
	b.work = append(b.work, func(scratch poly) {
		moduli := p.params.Moduli(level, 0)
		p.params.encoder.Encode(scratch, moduli, v, scale)
		for limb, m := range moduli {
			m.Forward(scratch[limb], scratch[limb])
			for i := range result.limbs[limb] {
				result.limbs[limb][i] = scratch[limb][i*result.run]
			}
		}
	})
	return result
}

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
