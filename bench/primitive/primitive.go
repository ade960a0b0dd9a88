// Package primitive holds the single operations that the benchmarks compare with Lattigo's, each ready to be run again
// and again.
//
//	operations, err := primitive.Operations(ctx, shape)
//	elapsed, err := operations[0].Ours()    // or Lattigo()
//
// Both sides work on one thread, with parameters of the same shape and fresh keys of their own. Where ours do more, as to
// write what goes over the wire, the operation says so.
package primitive

import (
	"bytes"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"

	"cipherpoint/bench/lattigo"
	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/kernel"
)

// Run does a piece of work once and returns how long it took.
type Run func() (time.Duration, error)

// Operation is one piece of work, as we do it and as Lattigo does; Lattigo is nil for what it has no counterpart of.
type Operation struct {
	Name          string
	Ours, Lattigo Run
}

func operation(name string, ours, lattigo func() error) Operation {
	o := Operation{Name: name, Ours: timed(ours)}
	if lattigo != nil {
		o.Lattigo = timed(lattigo)
	}
	return o
}

func timed(f func() error) Run {
	return func() (time.Duration, error) {
		start := time.Now()
		err := f()
		return time.Since(start), err
	}
}

// Shape is a ring with its primes.
type Shape struct {
	Name       string
	Parameters circuit.Parameters
}

// Shapes are the ring degrees that small and deep models use, with as many primes of equal size as are secure.
func Shapes() ([]Shape, error) {
	var shapes []Shape
	for _, s := range []struct {
		name   string
		logN   int
		qs, ps []int
	}{
		{"N = 2^13, 5+1 limbs", 13, []int{38, 34, 34, 34, 34}, []int{38}},
		{"N = 2^14, 8+2 limbs", 14, []int{45, 42, 42, 42, 42, 42, 42, 42}, []int{45, 45}},
	} {
		p, err := circuit.NewParameters(s.logN, circuit.ConjugateInvariant, s.qs, s.ps)
		if err != nil {
			return nil, err
		}
		shapes = append(shapes, Shape{s.name, p})
	}
	return shapes, nil
}

// step is the rotation that is measured.
const step = 1

// bed is what operations work on.
type bed struct {
	*party   // whose circuit hands its input on
	literal  circuit.Parameters
	top      int
	scale    float64
	values   []float64
	params   *fhe.Parameters
	reply    []byte
	evaluate fhe.Primitives
	theirs   theirs
}

// theirs is Lattigo's side.
type theirs struct {
	params    hefloat.Parameters
	generator *rlwe.KeyGenerator
	secret    *rlwe.SecretKey
	encoder   *hefloat.Encoder
	encryptor *rlwe.Encryptor
	decryptor *rlwe.Decryptor
	evaluator *hefloat.Evaluator
	plaintext *rlwe.Plaintext
	input     *rlwe.Ciphertext
}

func newBed(ctx context.Context, p circuit.Parameters) (*bed, error) {
	b := &bed{literal: p, top: p.MaxLevel(), scale: math.Exp2(34)}
	b.values = uniform(rand.New(rand.NewPCG(1, 1)), p.Slots())
	c := &circuit.Circuit{Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: b.top, Scale: b.scale}},
		Nodes:   []circuit.Node{{In: []int{0}, Level: 0, Scale: b.scale, Combine: &circuit.Combine{Factors: []float64{1}}}},
		Outputs: []circuit.Output{{Value: 1, Period: p.Slots(), ModulusBits: 36}}}
	set := circuit.KeySet{Relinearisation: b.top, Rotations: []circuit.RotationKey{{Step: step, Level: b.top}}}
	var err error
	if b.party, err = newParty(ctx, c, set, [][]float64{b.values}); err != nil {
		return nil, err
	}
	b.params = b.program.Parameters()
	b.evaluate = fhe.NewPrimitives(b.params, nil)
	replies, err := b.program.Run(ctx, b.keys, b.inputs)
	if err != nil {
		return nil, err
	}
	b.reply = fhe.MarshalReplies(b.program.Signature(), id, replies)
	b.theirs, err = newTheirs(b)
	return b, err
}

func newTheirs(b *bed) (t theirs, err error) {
	if t.params, err = lattigo.NewParameters(b.literal); err != nil {
		return t, err
	}
	t.generator = rlwe.NewKeyGenerator(t.params)
	t.secret = t.generator.GenSecretKeyNew()
	t.encoder = hefloat.NewEncoder(t.params)
	t.encryptor = rlwe.NewEncryptor(t.params, t.secret)
	t.decryptor = rlwe.NewDecryptor(t.params, t.secret)
	t.evaluator = hefloat.NewEvaluator(t.params, rlwe.NewMemEvaluationKeySet(t.generator.GenRelinearizationKeyNew(t.secret),
		t.generator.GenGaloisKeyNew(t.params.GaloisElement(step), t.secret)))
	t.plaintext = hefloat.NewPlaintext(t.params, b.top)
	t.plaintext.Scale = rlwe.NewScale(b.scale)
	if err := t.encoder.Encode(b.values, t.plaintext); err != nil {
		return t, err
	}
	t.input, err = t.encryptor.EncryptNew(t.plaintext)
	return t, err
}

func uniform(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 2*rng.Float64() - 1
	}
	return x
}

// Operations returns everything that is compared but linear maps.
func Operations(ctx context.Context, p circuit.Parameters) ([]Operation, error) {
	b, err := newBed(ctx, p)
	if err != nil {
		return nil, err
	}
	server, err := b.server()
	if err != nil {
		return nil, err
	}
	return append(server, b.client(ctx)...), nil
}

// server returns what an endpoint does.
func (b *bed) server() ([]Operation, error) {
	t := &b.theirs
	hoisted, err := b.evaluate.Hoist(b.inputs[0], b.keys, step)
	if err != nil {
		return nil, err
	}
	out := hefloat.NewCiphertext(t.params, 1, b.top)
	digits := t.evaluator.ShallowCopy().GetBuffDecompQP() // not those that other operations overwrite
	special := len(b.literal.P)
	t.evaluator.DecomposeNTT(b.top, special-1, special, t.input.Value[1], true, digits)
	galois := t.params.GaloisElement(step)
	limb := kernel.NewVector(b.literal.N())
	copy(limb, t.input.Value[0].Coeffs[0])
	modulus, theirModulus := b.params.Moduli(b.top, 0)[0], t.params.RingQ().SubRings[0]
	large, rescaled := t.input.CopyNew(), hefloat.NewCiphertext(t.params, 1, b.top-1)
	large.Scale = rlwe.NewScale(b.scale * b.scale)
	return []Operation{
		operation("NTT of a limb", func() error { modulus.Forward(limb, limb); return nil }, func() error { theirModulus.NTT(limb, limb); return nil }),
		operation("inverse NTT of a limb", func() error { modulus.Inverse(limb, limb); return nil }, func() error { theirModulus.INTT(limb, limb); return nil }),
		operation("rotation", func() error { return b.evaluate.Rotate(b.inputs[0], b.keys, step) }, func() error { return t.evaluator.Rotate(t.input, step, out) }),
		operation("hoisted rotation", hoisted, func() error { return t.evaluator.AutomorphismHoisted(b.top, t.input, digits, galois, out) }),
		operation("square and relinearise", func() error { return b.evaluate.Square(b.inputs[0], b.keys) }, func() error { return t.evaluator.MulRelin(t.input, t.input, out) }),
		operation("rescale", func() error { return b.evaluate.Rescale(b.inputs[0]) }, func() error { return t.evaluator.Rescale(large, rescaled) }),
		operation("parse request", func() error {
			_, err := fhe.ParseInputs(b.params, b.program.Signature(), id, b.request)
			return err
		}, nil),
		operation("read two keys", func() error {
			_, err := fhe.ReadKeys(bytes.NewReader(b.keyFile), b.params, b.set, id, nil)
			return err
		}, nil),
	}, nil
}

// client returns what a user does.
func (b *bed) client(ctx context.Context) []Operation {
	t := &b.theirs
	moduli := b.params.Moduli(b.top, 0)
	encoded := make([][]uint64, len(moduli))
	for i := range encoded {
		encoded[i] = make([]uint64, b.literal.N())
	}
	vector := circuit.Vector{Period: len(b.values), Values: b.values}
	decoded := make([]float64, b.literal.Slots())
	fresh := hefloat.NewCiphertext(t.params, 1, b.top)
	level0 := t.input.CopyNew()
	level0.Resize(1, 0)
	rotation := circuit.KeySet{Relinearisation: -1, Rotations: b.set.Rotations}
	galois := t.params.GaloisElement(step)
	return []Operation{
		operation("encode", func() error {
			b.params.Encoder().Encode(encoded, moduli, vector, b.scale)
			for limb, m := range moduli {
				m.Forward(encoded[limb], encoded[limb])
			}
			return nil
		}, func() error { return t.encoder.Encode(b.values, t.plaintext) }),
		operation("encryption, ours with wire format", func() error {
			_, err := b.secret.Encrypt(b.program.Signature(), id, [][]float64{b.values})
			return err
		}, func() error {
			if err := t.encoder.Encode(b.values, t.plaintext); err != nil {
				return err
			}
			return t.encryptor.Encrypt(t.plaintext, fresh)
		}),
		operation("decryption, ours with wire format", func() error {
			_, err := b.secret.Decrypt(b.program.Signature(), id, b.reply)
			return err
		}, func() error { return t.encoder.Decode(t.decryptor.DecryptNew(level0), decoded) }),
		operation("rotation key, ours with wire format", func() error {
			return b.secret.WriteEvaluationKeys(ctx, io.Discard, rotation, id, nil, nil)
		}, func() error { t.generator.GenGaloisKeyNew(galois, t.secret); return nil }),
	}
}
