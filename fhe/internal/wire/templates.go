package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"cipherpoint/circuit"
)

// MaxTemplateCiphertexts bounds a file of templates.
const MaxTemplateCiphertexts = 1 << 20

// CheckTemplateHeader checks the header of a file of templates, whose number of ciphertexts is open.
func CheckTemplateHeader(b []byte, id ID) (ciphertexts int, err error) {
	if len(b) >= HeaderSize {
		ciphertexts = int(binary.LittleEndian.Uint32(b[24:]))
	}
	return ciphertexts, CheckHeader(b, Stored, id, ciphertexts)
}

// TemplateBlocks returns how many templates each block of a file of so many ciphertexts holds: whole blocks of N templates
// in a ciphertext for each dimension, then where there are fewer left, a power of two, one block for as many templates as
// fit.
func TemplateBlocks(p circuit.Parameters, dimensions, ciphertexts int) ([]int, error) {
	rest := ciphertexts % dimensions
	if ciphertexts < 1 || ciphertexts > MaxTemplateCiphertexts || bits.OnesCount(uint(rest)) > 1 {
		return nil, fmt.Errorf("%w: %d ciphertexts of templates", ErrFormat, ciphertexts)
	}
	blocks := make([]int, ciphertexts/dimensions, ciphertexts/dimensions+1)
	for i := range blocks {
		blocks[i] = p.N()
	}
	if rest > 0 {
		blocks = append(blocks, rest*(p.N()/dimensions))
	}
	return blocks, nil
}

// TemplateCiphertexts returns the least number of ciphertexts for so many templates.
func TemplateCiphertexts(p circuit.Parameters, dimensions, templates int) int {
	rest, each := templates%p.N(), p.N()/dimensions
	ciphertexts := templates / p.N() * dimensions
	if rest > 0 {
		ciphertexts += 1 << bits.Len(uint((rest-1)/each))
	}
	return ciphertexts
}

// TemplatesSize returns the bytes of a file of so many ciphertexts of templates.
func TemplatesSize(p circuit.Parameters, ciphertexts int) int64 {
	return HeaderSize + SeedSize + int64(ciphertexts)*PolySize(p.N(), p.Q[0])
}

// TemplateLift is by how much the scores of a block are multiplied before they are sent: templates have signs at random, so
// that the coefficients of m scores are smaller than the largest by the root of m, and those of a class of N/m slots are
// means.
func TemplateLift(n, block int) uint64 { return 1 << (bits.Len(uint(n/block)-1) / 2) }

// ScoresSize returns the bytes of the reply to a query about blocks of templates.
func (s *Signature) ScoresSize(blocks []int) int64 {
	total, out := int64(HeaderSize), &s.Outputs[0]
	for _, m := range blocks {
		total += int64(PackedSize(s.Parameters.N(), out.ModulusBits) + PackedSize(m, out.First()))
	}
	return total
}
