package fhe

import (
	"cmp"
	"fmt"
	"math/bits"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// Signature is what a user has to know of a circuit: how its inputs are encrypted and its outputs decrypted, and
// nothing of what it computes.
type Signature = wire.Signature

// Output is an output of a Signature: a circuit.Output with the scale of its value.
type Output = wire.Output

// SignatureOf returns a circuit's signature.
func SignatureOf(c *circuit.Circuit) *Signature { return wire.SignatureOf(c) }

// Ciphertext is a freshly encrypted input. Its second part is uniform and expanded from a seed.
type Ciphertext struct {
	seed  wire.Seed
	parts pair
}

// NewCiphertext returns the ciphertext of the index'th input at a level, its second part expanded from a seed and its
// first part zero: what encryption starts from.
func NewCiphertext(params *Parameters, seed [32]byte, index, level int) *Ciphertext {
	ct := &Ciphertext{seed, pair{kernel.NewVectors(level+1, params.N()), kernel.NewVectors(level+1, params.N())}}
	expander := wire.NewExpander(seed)
	for limb, m := range params.q[:level+1] {
		expander.Uniform(ct.parts[1][limb], m.Q(), wire.InputDomain, index, 0, limb)
	}
	return ct
}

// Level returns the ciphertext's level.
func (c *Ciphertext) Level() int { return c.parts.level() }

// Parts returns the two parts, one vector of NTT values a limb. The second must not be changed.
func (c *Ciphertext) Parts() (first, second [][]uint64) { return c.parts[0], c.parts[1] }

// ParseInputs reads encrypted inputs (FORMAT.md). The name is that of the model.
func ParseInputs(params *Parameters, s *Signature, id ID, data []byte) ([]*Ciphertext, error) {
	if err := checkInputs(s, id, data); err != nil {
		return nil, err
	}
	inputs := make([]*Ciphertext, 0, len(s.Inputs))
	for _, in := range circuit.Fresh(s.Inputs) {
		inputs = append(inputs, &Ciphertext{parts: pair{kernel.NewVectors(in.Level+1, params.N()), kernel.NewVectors(in.Level+1, params.N())}})
	}
	return inputs, readInputs(params, inputs, data, nil)
}

// checkInputs checks the header and the length of encrypted inputs.
func checkInputs(s *Signature, id ID, data []byte) error {
	if err := wire.CheckHeader(data, wire.Inputs, id, len(circuit.Fresh(s.Inputs))); err != nil {
		return err
	}
	if int64(len(data)) != s.InputSize() {
		return fmt.Errorf("%w: %d bytes of %s where %d are wanted", ErrFormat, len(data), wire.Inputs, s.InputSize())
	}
	return nil
}

// readInputs reads checked inputs into ciphertexts of their levels, on the pool's workers.
func readInputs(params *Parameters, inputs []*Ciphertext, data []byte, pool *Pool) error {
	data = data[wire.HeaderSize:]
	var calls []func() error
	for i, ct := range inputs {
		ct.seed = wire.Seed(data[:wire.SeedSize])
		data = data[wire.SeedSize:]
		expander := wire.NewExpander(ct.seed)
		for limb, m := range params.q[:ct.Level()+1] {
			bitSize := bits.Len64(m.Q())
			packed := data[:wire.PackedSize(params.N(), bitSize)]
			data = data[len(packed):]
			calls = append(calls, func() error {
				expander.Uniform(ct.parts[1][limb], m.Q(), wire.InputDomain, i, 0, limb)
				return nil
			}, func() error {
				if err := wire.Unpack(ct.parts[0][limb], packed, bitSize, m.Q()); err != nil {
					return fmt.Errorf("%w: input %d: %w", ErrFormat, i, err)
				}
				return nil
			})
		}
	}
	errs := make([]error, len(calls))
	pool.Do(len(calls), func(i int) { errs[i] = calls[i]() })
	return cmp.Or(errs...)
}

// MarshalInputs writes encrypted inputs (FORMAT.md). The name is that of the model.
func MarshalInputs(s *Signature, id ID, inputs []*Ciphertext) []byte {
	data := make([]byte, 0, s.InputSize())
	data = wire.AppendHeader(data, wire.Inputs, id, len(inputs))
	for _, ct := range inputs {
		data = append(data, ct.seed[:]...)
		for limb, v := range ct.parts[0] {
			data = appendPacked(data, v, bits.Len64(s.Parameters.Q[limb]))
		}
	}
	return data
}

func appendPacked(data []byte, values []uint64, bitSize int) []byte {
	start := len(data)
	data = append(data, make([]byte, wire.PackedSize(len(values), bitSize))...)
	wire.Pack(data[start:], values, bitSize)
	return data
}

// Reply is an encrypted output: a ciphertext modulo 2^ModulusBits in coefficients, of whose first part only those are
// there that the client needs (Signature.Kept), and only their highest bits where FirstBits says so.
type Reply struct {
	First  []uint64 // the kept coefficients
	Second []uint64 // all coefficients, of the ring of replies
}

// MarshalReplies writes encrypted replies (FORMAT.md). The name is that of the model.
func MarshalReplies(s *Signature, id ID, replies []*Reply) []byte {
	data := make([]byte, 0, s.ReplySize())
	data = wire.AppendHeader(data, wire.Replies, id, len(replies))
	for i, reply := range replies {
		data = appendPacked(data, reply.Second, s.Outputs[i].ModulusBits)
		data = appendPacked(data, reply.First, s.Outputs[i].First())
	}
	return data
}

// ParseReplies reads encrypted replies (FORMAT.md). The name is that of the model.
func ParseReplies(s *Signature, id ID, data []byte) ([]*Reply, error) {
	if err := wire.CheckHeader(data, wire.Replies, id, len(s.Outputs)); err != nil {
		return nil, err
	}
	if int64(len(data)) != s.ReplySize() {
		return nil, fmt.Errorf("%w: %d bytes of %s where %d are wanted", ErrFormat, len(data), wire.Replies, s.ReplySize())
	}
	data = data[wire.HeaderSize:]
	replies := make([]*Reply, len(s.Outputs))
	for i, out := range s.Outputs {
		reply := &Reply{make([]uint64, len(s.Kept(i))), make([]uint64, s.ReplyN())}
		var err error
		if data, err = reply.unpack(&out, data); err != nil {
			return nil, fmt.Errorf("%w: output %d: %w", ErrFormat, i, err)
		}
		replies[i] = reply
	}
	return replies, nil
}

// unpack reads the reply to an output and returns what follows. There is enough data.
func (r *Reply) unpack(out *Output, data []byte) ([]byte, error) {
	for _, half := range []struct {
		values []uint64
		bits   int
	}{{r.Second, out.ModulusBits}, {r.First, out.First()}} {
		size := wire.PackedSize(len(half.values), half.bits)
		if err := wire.Unpack(half.values, data[:size], half.bits, 1<<half.bits); err != nil {
			return nil, err
		}
		data = data[size:]
	}
	return data, nil
}
