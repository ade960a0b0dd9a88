package fhe

import (
	"fmt"
	"io"
	"math/bits"
	"sync/atomic"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// Templates are encrypted templates that a user has stored, ready for a Matcher. They are immutable and safe for
// concurrent use.
type Templates struct {
	params     *Parameters
	dimensions int
	blocks     []templateBlock
	bytes      int64
}

// templateBlock is a block of templates (circuit.Match): for each piece of the points both parts of all ciphertexts, packed.
type templateBlock struct {
	size   int // templates
	pieces [][2][][]uint64
}

// templatePiece is how many points of a ciphertext are kept together. The matching pieces of all rotations of a query of
// 128 dimensions take half of a second cache of 2 MB.
const templatePiece = wire.BatchBlock

// Bytes returns the memory that the templates take.
func (t *Templates) Bytes() int64 { return t.bytes }

// TemplateBlocks returns how many templates each block of a file of so many ciphertexts holds.
func TemplateBlocks(p circuit.Parameters, dimensions, ciphertexts int) ([]int, error) {
	return wire.TemplateBlocks(p, dimensions, ciphertexts)
}

// TemplateCiphertexts returns the least number of ciphertexts for so many templates.
func TemplateCiphertexts(p circuit.Parameters, dimensions, templates int) int {
	return wire.TemplateCiphertexts(p, dimensions, templates)
}

// TemplatesSize returns the bytes of a file of so many ciphertexts of templates.
func TemplatesSize(p circuit.Parameters, ciphertexts int) int64 {
	return wire.TemplatesSize(p, ciphertexts)
}

// CheckTemplatesSize returns ErrFormat for a size that no file of templates has.
func CheckTemplatesSize(p circuit.Parameters, dimensions int, size int64) error {
	each := wire.TemplatesSize(p, 1) - wire.TemplatesSize(p, 0)
	count := (size - wire.TemplatesSize(p, 0)) / each
	if size != wire.TemplatesSize(p, int(count)) {
		return fmt.Errorf("%w: no %s have %d bytes", ErrFormat, wire.Stored, size)
	}
	_, err := wire.TemplateBlocks(p, dimensions, int(count))
	return err
}

// ReadTemplates reads a file of templates (FORMAT.md) to its end. The name is what the file must hold. Memory is taken
// block by block as bytes arrive. It borrows idle workers of the pool, of which the caller holds one (Pool.Enter).
func ReadTemplates(r io.Reader, params *Parameters, dimensions int, id ID, pool *Pool) (*Templates, error) {
	head := make([]byte, wire.HeaderSize+wire.SeedSize)
	if err := readFull(r, head); err != nil {
		return nil, err
	}
	count, err := wire.CheckTemplateHeader(head, id)
	if err != nil {
		return nil, err
	}
	sizes, err := wire.TemplateBlocks(params.literal, dimensions, count)
	if err != nil {
		return nil, err
	}
	expander := wire.NewExpander(wire.Seed(head[wire.HeaderSize:]))
	t := &Templates{params: params, dimensions: dimensions}
	modulus, n, item := params.q[0], params.N(), 0
	bitSize := bits.Len64(modulus.Q())
	packedSize := wire.PackedSize(n, bitSize)
	var packed []byte
	for _, size := range sizes {
		ciphertexts := dimensions * size / n
		if packed == nil {
			packed = make([]byte, ciphertexts*packedSize)
		}
		if err := readFull(r, packed[:ciphertexts*packedSize]); err != nil {
			return nil, err
		}
		block := newTemplateBlock(modulus, size, ciphertexts)
		var damaged atomic.Bool
		pool.Do(ciphertexts, func(c int) {
			vectors := kernel.NewVectors(2, n)
			if wire.Unpack(vectors[0], packed[c*packedSize:][:packedSize], bitSize, modulus.Q()) != nil {
				damaged.Store(true)
			}
			expander.UniformBlocks(vectors[1], modulus.Q(), wire.TemplateDomain, item+c, 0)
			for piece := range block.pieces {
				for part, v := range vectors {
					modulus.Pack(block.pieces[piece][part][c], v[piece*templatePiece:(piece+1)*templatePiece])
				}
			}
		})
		if damaged.Load() {
			return nil, fmt.Errorf("%w: block %d of templates: %w", ErrFormat, len(t.blocks), wire.ErrRange)
		}
		t.blocks = append(t.blocks, block)
		t.bytes += int64(ciphertexts) * 2 * int64(n/templatePiece) * int64(modulus.PackedLen(templatePiece)) * 8
		item += ciphertexts
	}
	if n, err := io.ReadFull(r, head[:1]); n != 0 {
		return nil, fmt.Errorf("%w: bytes after the last template", ErrFormat)
	} else if err != io.EOF {
		return nil, err
	}
	return t, nil
}

func newTemplateBlock(modulus *kernel.Modulus, size, ciphertexts int) templateBlock {
	block := templateBlock{size: size, pieces: make([][2][][]uint64, modulus.N()/templatePiece)}
	for i := range block.pieces {
		vectors := kernel.NewVectors(2*ciphertexts, modulus.PackedLen(templatePiece))
		block.pieces[i] = [2][][]uint64{vectors[:ciphertexts], vectors[ciphertexts:]}
	}
	return block
}
