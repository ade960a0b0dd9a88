package fhe

import (
	"fmt"
	"math/bits"

	"cipherpoint/fhe/internal/wire"
)

// batchMessage is a request: a seed, then the packed first halves of all ciphertexts. It is read where it is.
type batchMessage struct {
	signature *Signature
	expander  wire.Expander
	inputs    [][]byte // the packed ciphertexts of each input
	sizes     []int    // of a ciphertext
}

// parseBatch checks the header and the size of a request. Coefficients are checked as they are read.
func parseBatch(s *Signature, id ID, data []byte) (*batchMessage, error) {
	if err := wire.CheckHeader(data, wire.Batch, id, s.Width()); err != nil {
		return nil, err
	}
	if int64(len(data)) != s.InputSize() {
		return nil, fmt.Errorf("%w: %d bytes of %s where %d are wanted", ErrFormat, len(data), wire.Batch, s.InputSize())
	}
	data = data[wire.HeaderSize:]
	b := &batchMessage{signature: s, expander: wire.NewExpander(wire.Seed(data[:wire.SeedSize]))}
	data = data[wire.SeedSize:]
	for _, in := range s.Inputs {
		size := int(wire.PolySize(s.Parameters.N(), s.Parameters.Q[:in.Level+1]...))
		b.sizes = append(b.sizes, size)
		b.inputs = append(b.inputs, data[:in.Width*size])
		data = data[in.Width*size:]
	}
	return b, nil
}

// block writes a block of one limb of those ciphertexts of an input that are used: the first halves, then the second ones.
func (b *batchMessage) block(dst []uint64, params *Parameters, input, first int, used []bool, limb, block int) error {
	q := b.signature.Parameters.Q
	n, width := params.N(), b.signature.Inputs[input].Width
	bitSize := bits.Len64(q[limb])
	// A block of 512 values ends at a whole byte.
	offset := int(wire.PolySize(n, q[:limb]...)) + block*wire.PackedSize(batchBlock, bitSize)
	for i := range width {
		if !used[i] {
			continue
		}
		packed := b.inputs[input][i*b.sizes[input]+offset:][:wire.PackedSize(batchBlock, bitSize)]
		if err := wire.Unpack(dst[i*batchBlock:(i+1)*batchBlock], packed, bitSize, q[limb]); err != nil {
			return fmt.Errorf("%w: ciphertext %d: %w", ErrFormat, first+i, err)
		}
		uniform := dst[(width+i)*batchBlock : (width+i+1)*batchBlock]
		b.expander.Uniform(uniform, q[limb], wire.BatchDomain, first+i, block, limb)
	}
	return nil
}

// ParseBatchReplies reads the encrypted reply to a batch (FORMAT.md): the ciphertexts of all outputs in their order.
// The name is that of the model.
func ParseBatchReplies(s *Signature, id ID, data []byte) ([]*Reply, error) {
	if err := wire.CheckHeader(data, wire.Replies, id, s.ReplyWidth()); err != nil {
		return nil, err
	}
	if int64(len(data)) != s.ReplySize() {
		return nil, fmt.Errorf("%w: %d bytes of %s where %d are wanted", ErrFormat, len(data), wire.Replies, s.ReplySize())
	}
	data = data[wire.HeaderSize:]
	n := s.Parameters.N()
	var replies []*Reply
	for _, out := range s.Outputs {
		size := wire.PackedSize(n, out.ModulusBits)
		for range out.Width {
			reply := &Reply{make([]uint64, n), make([]uint64, n)}
			for _, values := range [][]uint64{reply.Second, reply.First} {
				if err := wire.Unpack(values, data[:size], out.ModulusBits, 1<<out.ModulusBits); err != nil {
					return nil, fmt.Errorf("%w: ciphertext %d: %w", ErrFormat, len(replies), err)
				}
				data = data[size:]
			}
			replies = append(replies, reply)
		}
	}
	return replies, nil
}
