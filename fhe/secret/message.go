package secret

import (
	"crypto/rand"
	"fmt"
	"math"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// Encrypt encrypts a model's input vectors, of Slots() values each, and returns the request of s.InputSize() bytes.
// The name is that of the model. A signature must not be changed after its first use.
func (k *Key) Encrypt(s *fhe.Signature, model fhe.ID, vectors [][]float64) ([]byte, error) {
	return k.encrypt(s, model, vectors, func(int) (wire.Seed, *random.Stream) {
		var seed wire.Seed
		rand.Read(seed[:])
		return seed, random.New()
	})
}

// encrypt is Encrypt with the seed of the uniform half and the stream of errors given for each input.
func (k *Key) encrypt(s *fhe.Signature, model fhe.ID, vectors [][]float64, randomness func(input int) (wire.Seed, *random.Stream)) ([]byte, error) {
	if err := k.check(s); err != nil {
		return nil, err
	}
	fresh := circuit.Fresh(s.Inputs)
	if len(vectors) != len(fresh) {
		return nil, fmt.Errorf("%d input vectors: want %d", len(vectors), len(fresh))
	}
	n := k.params.N()
	inputs := make([]*fhe.Ciphertext, len(vectors))
	noise := make([]int8, n)
	for i, in := range fresh {
		if len(vectors[i]) != n {
			return nil, fmt.Errorf("input vector %d has %d values: want %d", i, len(vectors[i]), n)
		}
		for _, x := range vectors[i] {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("input vector %d has a value that is not finite", i)
			}
		}
		moduli := k.params.Moduli(in.Level, 0)
		seed, errors := randomness(i)
		ct := fhe.NewCiphertext(k.params, seed, i, in.Level)
		first, second := ct.Parts()
		k.params.Encoder().Encode(first, moduli, circuit.Vector{Period: n, Values: vectors[i]}, in.Scale)
		errors.Gaussian(noise)
		product := kernel.NewVector(n)
		for limb, m := range moduli {
			b := first[limb]
			residues(product, noise, m)
			m.Add(b, b, product)
			m.Forward(b, b)
			m.Mul(product, second[limb], k.limbs[limb])
			m.Sub(b, b, product)
		}
		inputs[i] = ct
	}
	clear(noise)
	return fhe.MarshalInputs(s, model, inputs), nil
}

// check makes sure that a signature is valid and for the key. The last one is remembered: to test primes takes as long as to
// decrypt.
func (k *Key) check(s *fhe.Signature) error {
	if k.checked.Load() == s {
		return nil
	}
	if err := s.Validate(); err != nil {
		return err
	}
	if !k.params.Same(s.Parameters) {
		return fmt.Errorf("the model has other parameters than the secret key")
	}
	k.checked.Store(s)
	return nil
}

// Decrypt decrypts the reply to a request and returns for each output what circuit.Run returns for it: the sums of the
// slots in each class modulo Period, or the listed coefficients.
func (k *Key) Decrypt(s *fhe.Signature, model fhe.ID, reply []byte) ([][]float64, error) {
	if err := k.check(s); err != nil {
		return nil, err
	}
	replies, err := fhe.ParseReplies(s, model, reply)
	if err != nil {
		return nil, err
	}
	multiplier := k.multiplier
	if s.RingSwitch != nil {
		small, err := k.smallKey(s.RingSwitch.LogN)
		if err != nil {
			return nil, err
		}
		multiplier = small.multiplier
	}
	outputs := make([][]float64, len(replies))
	for i, r := range replies {
		out := s.Outputs[i]
		product := multiplier.timesSecret(r.Second)
		kept := s.Kept(i)
		scale := out.Scale * math.Ldexp(1, out.ModulusBits) / float64(s.Parameters.Q[0])
		coefficients := make([]float64, len(kept))
		for j, at := range kept {
			sum := int64(r.First[j]<<(out.ModulusBits-out.First())+product[at]) << (64 - out.ModulusBits) >> (64 - out.ModulusBits)
			coefficients[j] = float64(sum) / scale
		}
		if out.Coefficients != nil {
			outputs[i] = coefficients
			continue
		}
		means := make([]float64, out.Period)
		k.params.Encoder().ToSlots(means, coefficients)
		for j := range means {
			means[j] *= float64(k.params.N() / out.Period)
		}
		outputs[i] = means
	}
	return outputs, nil
}
