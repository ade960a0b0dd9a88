package secret

import (
	"crypto/rand"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// EncryptBatch encrypts the inputs of a batch, each a list of vectors: value j of vector i is element i of sample j.
// Vectors shorter than the ring's slots are filled up with zeros. It returns the request of s.InputSize() bytes under
// the name of the model, and works on the pool's workers, of which the caller holds one.
func (k *Key) EncryptBatch(s *fhe.Signature, model fhe.ID, inputs [][][]float64, pool *fhe.Pool) ([]byte, error) {
	if err := k.checkBatch(s); err != nil {
		return nil, err
	}
	if len(inputs) != len(s.Inputs) {
		return nil, fmt.Errorf("%d inputs: want %d", len(inputs), len(s.Inputs))
	}
	n := k.params.N()
	var seed wire.Seed
	rand.Read(seed[:])
	expander := wire.NewExpander(seed)
	request := make([]byte, 0, s.InputSize())
	request = append(wire.AppendHeader(request, wire.Batch, model, s.Width()), seed[:]...)
	first := 0
	for i, in := range s.Inputs {
		vectors := inputs[i]
		if len(vectors) != in.Width {
			return nil, fmt.Errorf("input %d has %d vectors: want %d", i, len(vectors), in.Width)
		}
		for e, v := range vectors {
			if len(v) > n {
				return nil, fmt.Errorf("vector %d of input %d has %d values: want at most %d", e, i, len(v), n)
			}
			for _, x := range v {
				if math.IsNaN(x) || math.IsInf(x, 0) {
					return nil, fmt.Errorf("vector %d of input %d has a value that is not finite", e, i)
				}
			}
		}
		size := int(wire.PolySize(n, s.Parameters.Q[:in.Level+1]...))
		packed := request[len(request) : len(request)+size*in.Width]
		request = request[:len(request)+len(packed)]
		scratch := sync.Pool{New: func() any { return kernel.NewVectors(in.Level+2, n) }}
		pool.Do(in.Width, func(e int) {
			polys := scratch.Get().([][]uint64)
			k.encryptVector(packed[e*size:(e+1)*size], expander, wire.BatchDomain, first+e, vectors[e], in, polys)
			scratch.Put(polys)
		})
		first += in.Width
	}
	return request, nil
}

func (k *Key) checkBatch(s *fhe.Signature) error {
	if err := k.check(s); err != nil {
		return err
	}
	if s.Packing != circuit.Batch {
		return fmt.Errorf("the model is not for batches")
	}
	return nil
}

// encryptVector writes the packed first half of a ciphertext of a batch or of templates.
func (k *Key) encryptVector(packed []byte, expander wire.Expander, domain wire.Domain, item int, vector []float64, in circuit.Input, scratch [][]uint64) {
	n := k.params.N()
	moduli := k.params.Moduli(in.Level, 0)
	values := make([]float64, n)
	copy(values, vector)
	first, product := scratch[:len(moduli)], scratch[len(moduli)]
	k.params.Encoder().Encode(first, moduli, circuit.Vector{Period: n, Values: values}, in.Scale)
	noise := make([]int8, n)
	random.New().Gaussian(noise)
	for limb, m := range moduli {
		b := first[limb]
		residues(product, noise, m)
		m.Add(b, b, product)
		m.Forward(b, b)
		expander.UniformBlocks(product, m.Q(), domain, item, limb)
		m.Mul(product, product, k.limbs[limb])
		m.Sub(b, b, product)
		bitSize := bits.Len64(m.Q())
		size := wire.PackedSize(n, bitSize)
		wire.Pack(packed[:size], b, bitSize)
		packed = packed[size:]
	}
	clear(noise)
	clear(values)
}

// DecryptBatch decrypts the reply to a batch and returns for each output a list of vectors: value j of vector i is
// element i of sample j. It works on the pool's workers, of which the caller holds one.
func (k *Key) DecryptBatch(s *fhe.Signature, model fhe.ID, reply []byte, pool *fhe.Pool) ([][][]float64, error) {
	if err := k.checkBatch(s); err != nil {
		return nil, err
	}
	replies, err := fhe.ParseBatchReplies(s, model, reply)
	if err != nil {
		return nil, err
	}
	outputs := make([][][]float64, len(s.Outputs))
	for i, out := range s.Outputs {
		outputs[i] = make([][]float64, out.Width)
		scale := out.Scale * math.Ldexp(1, out.ModulusBits) / float64(s.Parameters.Q[0])
		pool.Do(out.Width, func(e int) {
			product := k.multiplier.timesSecret(replies[e].Second)
			coefficients := make([]float64, len(product))
			for j, x := range replies[e].First {
				sum := int64(x+product[j]) << (64 - out.ModulusBits) >> (64 - out.ModulusBits)
				coefficients[j] = float64(sum) / scale
			}
			outputs[i][e] = make([]float64, len(product))
			k.params.Encoder().ToSlots(outputs[i][e], coefficients)
		})
		replies = replies[out.Width:]
	}
	return outputs, nil
}
