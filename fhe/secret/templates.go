package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

var errNoTemplates = errors.New("the model keeps no templates of its users")

// EncryptTemplates encrypts templates, of Dimensions values each and of length one at most, and returns the file that an
// endpoint keeps under the name of its set. It works on the pool's workers, of which the caller holds one.
func (k *Key) EncryptTemplates(s *fhe.Signature, set fhe.ID, templates [][]float64, pool *fhe.Pool) ([]byte, error) {
	stored, err := k.stored(s)
	if err != nil {
		return nil, err
	}
	if len(templates) == 0 {
		return nil, errors.New("no templates")
	}
	for i, t := range templates {
		sum := 0.0
		for _, x := range t {
			sum += x * x
		}
		if len(t) != stored.Dimensions || !(sum <= 1+1e-6) {
			return nil, fmt.Errorf("template %d: want %d values and a length of one at most", i, stored.Dimensions)
		}
	}
	p := s.Parameters
	count := wire.TemplateCiphertexts(p, stored.Dimensions, len(templates))
	blocks, err := wire.TemplateBlocks(p, stored.Dimensions, count)
	if err != nil {
		return nil, err
	}
	var seed wire.Seed
	rand.Read(seed[:])
	expander := wire.NewExpander(seed)
	file := append(wire.AppendHeader(make([]byte, 0, wire.TemplatesSize(p, count)), wire.Stored, set, count), seed[:]...)
	size, item, first := int(wire.PolySize(p.N(), p.Q[0])), 0, 0
	scratch := sync.Pool{New: func() any { return kernel.NewVectors(2, p.N()) }}
	for _, block := range blocks {
		part := templates[first:min(first+block, len(templates))]
		ciphertexts := stored.Dimensions * block / p.N()
		packed := file[len(file) : len(file)+ciphertexts*size]
		file = file[:len(file)+len(packed)]
		pool.Do(ciphertexts, func(c int) {
			v := make([]float64, p.N())
			for j := range v {
				if t := j % block; t < len(part) {
					v[j] = circuit.Sign(t) * part[t][(j*stored.Dimensions/p.N()+c)%stored.Dimensions]
				}
			}
			polys := scratch.Get().([][]uint64)
			k.encryptVector(packed[c*size:(c+1)*size], expander, wire.TemplateDomain, item+c, v, *stored, polys)
			scratch.Put(polys)
		})
		first, item = first+block, item+ciphertexts
	}
	return file, nil
}

func (k *Key) stored(s *fhe.Signature) (*circuit.Input, error) {
	if err := k.check(s); err != nil {
		return nil, err
	}
	stored := circuit.Stored(s.Inputs)
	if stored == nil {
		return nil, errNoTemplates
	}
	return stored, nil
}

// DecryptTemplates decrypts a file of templates that EncryptTemplates wrote and returns all that it has room for: those
// that are not there are close to zero.
func (k *Key) DecryptTemplates(s *fhe.Signature, set fhe.ID, file []byte) ([][]float64, error) {
	stored, err := k.stored(s)
	if err != nil {
		return nil, err
	}
	p, d := s.Parameters, stored.Dimensions
	count, err := wire.CheckTemplateHeader(file, set)
	if err != nil {
		return nil, err
	}
	blocks, err := wire.TemplateBlocks(p, d, count)
	if err != nil {
		return nil, err
	}
	if int64(len(file)) != wire.TemplatesSize(p, count) {
		return nil, fmt.Errorf("%w: %d bytes of %s", fhe.ErrFormat, len(file), wire.Stored)
	}
	m := k.params.Moduli(0, 0)[0]
	expander := wire.NewExpander(wire.Seed(file[wire.HeaderSize:]))
	file = file[wire.HeaderSize+wire.SeedSize:]
	size, item := int(wire.PolySize(p.N(), p.Q[0])), 0
	vectors := kernel.NewVectors(2, p.N())
	coefficients, slots := make([]float64, p.N()), make([]float64, p.N())
	var templates [][]float64
	for _, block := range blocks {
		first := len(templates)
		for range block {
			templates = append(templates, make([]float64, d))
		}
		for c := range d * block / p.N() {
			if err := wire.Unpack(vectors[0], file[:size], bits.Len64(m.Q()), m.Q()); err != nil {
				return nil, fmt.Errorf("%w: %w", fhe.ErrFormat, err)
			}
			file = file[size:]
			expander.UniformBlocks(vectors[1], m.Q(), wire.TemplateDomain, item, 0)
			item++
			m.Mul(vectors[1], vectors[1], k.limbs[0])
			m.Add(vectors[0], vectors[0], vectors[1])
			m.Inverse(vectors[0], vectors[0])
			for i, x := range vectors[0] {
				coefficients[i] = float64(int64(x)) / stored.Scale
				if x > m.Q()/2 {
					coefficients[i] = float64(int64(x-m.Q())) / stored.Scale
				}
			}
			k.params.Encoder().ToSlots(slots, coefficients)
			for j, x := range slots {
				templates[first+j%block][(j*d/p.N()+c)%d] = circuit.Sign(j%block) * x
			}
		}
	}
	return templates, nil
}

// DecryptScores decrypts the reply to a query about blocks of templates and returns the scores of all that the blocks have
// room for, block by block.
func (k *Key) DecryptScores(s *fhe.Signature, model fhe.ID, blocks []int, reply []byte) ([][]float64, error) {
	if _, err := k.stored(s); err != nil {
		return nil, err
	}
	replies, err := fhe.ParseScores(s, model, blocks, reply)
	if err != nil {
		return nil, err
	}
	out, n := s.Outputs[0], s.Parameters.N()
	scores := make([][]float64, len(blocks))
	for i, r := range replies {
		block := blocks[i]
		product := k.multiplier.timesSecret(r.Second)
		scale := out.Scale * float64(wire.TemplateLift(n, block)) * math.Ldexp(1, out.ModulusBits) / float64(s.Parameters.Q[0])
		coefficients := make([]float64, block)
		for j := range coefficients {
			sum := int64(r.First[j]<<(out.ModulusBits-out.First())+product[j*(n/block)]) << (64 - out.ModulusBits) >> (64 - out.ModulusBits)
			coefficients[j] = float64(sum) / scale
		}
		scores[i] = make([]float64, block)
		k.params.Encoder().ToSlots(scores[i], coefficients)
		for t := range scores[i] {
			scores[i][t] *= circuit.Sign(t) * float64(n/block)
		}
	}
	return scores, nil
}
