package fhe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// Each benchmark has the same work on Lattigo beside it, in the same process: compare "ours" with "lattigo".

var benchmarkShapes = []struct {
	name string
	logN int
	q, p []int
}{
	{"N13P1", 13, []int{49, 38, 38, 38}, []int{49}},
	{"N14P2", 14, []int{49, 45, 45, 45, 45, 45, 45}, []int{49, 49}},
}

func benchmarkParameters(b *testing.B, logN int, q, p []int) circuit.Parameters {
	return parameters(b, logN, circuit.ConjugateInvariant, q, p)
}

func BenchmarkPrimitives(b *testing.B) {
	for _, shape := range benchmarkShapes {
		literal := benchmarkParameters(b, shape.logN, shape.q, shape.p)
		params, err := fhe.NewParameters(literal)
		if err != nil {
			b.Fatal(err)
		}
		key, err := secret.GenerateKey(params)
		if err != nil {
			b.Fatal(err)
		}
		top, n := literal.MaxLevel(), literal.N()
		set := circuit.KeySet{Relinearisation: top, Rotations: []circuit.RotationKey{{Step: 1, Level: top}}}
		one := circuit.KeySet{Relinearisation: -1, Rotations: set.Rotations}
		var file bytes.Buffer
		if err := key.WriteEvaluationKeys(context.Background(), &file, set, fhe.ID{}, nil, nil); err != nil {
			b.Fatal(err)
		}
		keyFile := file.Bytes()
		keys, err := fhe.ReadKeys(bytes.NewReader(keyFile), params, set, fhe.ID{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		evaluator := fhe.NewEvaluator(params, nil)
		ct := fhe.RandomCiphertext(params, top)
		values := uniform(rand.New(rand.NewPCG(1, 1)), n)
		scale := math.Exp2(38)
		c := &circuit.Circuit{Parameters: literal, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: top, Scale: scale}},
			Nodes:   []circuit.Node{{In: []int{0}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}}},
			Outputs: []circuit.Output{{Value: 1, Period: n, ModulusBits: 45}}}
		program, err := fhe.NewProgram(context.Background(), c, nil)
		if err != nil {
			b.Fatal(err)
		}
		signature := program.Signature()
		request, err := key.Encrypt(signature, modelID, [][]float64{values})
		if err != nil {
			b.Fatal(err)
		}
		inputs, err := fhe.ParseInputs(params, signature, modelID, request)
		if err != nil {
			b.Fatal(err)
		}
		replies, err := program.Run(context.Background(), keys, inputs)
		if err != nil {
			b.Fatal(err)
		}
		reply := fhe.MarshalReplies(signature, modelID, replies)

		lattigo := lattigoParameters(b, literal)
		keygen := rlwe.NewKeyGenerator(lattigo)
		sk := keygen.GenSecretKeyNew()
		galois := lattigo.GaloisElement(1)
		theirs := hefloat.NewEvaluator(lattigo, rlwe.NewMemEvaluationKeySet(keygen.GenRelinearizationKeyNew(sk), keygen.GenGaloisKeyNew(galois, sk)))
		encoder := hefloat.NewEncoder(lattigo)
		encryptor := rlwe.NewEncryptor(lattigo, sk)
		decryptor := rlwe.NewDecryptor(lattigo, sk)
		pt := hefloat.NewPlaintext(lattigo, top)
		if err := encoder.Encode(values, pt); err != nil {
			b.Fatal(err)
		}
		theirCt, err := encryptor.EncryptNew(pt)
		if err != nil {
			b.Fatal(err)
		}
		level0 := theirCt.CopyNew()
		level0.Resize(1, 0)
		out := hefloat.NewCiphertext(lattigo, 1, top)
		buffer := theirs.BuffDecompQP
		theirs.DecomposeNTT(top, len(literal.P)-1, len(literal.P), theirCt.Value[1], true, buffer)

		hoisted, err := evaluator.Hoist(ct, keys, 1)
		if err != nil {
			b.Fatal(err)
		}
		moduli := params.Moduli(top, 0)
		encoded, _ := fhe.RandomCiphertext(params, top).Parts()
		for _, primitive := range []struct {
			name          string
			ours, lattigo func() error
		}{
			{"rotate", func() error { return evaluator.Rotate(ct, keys, 1) }, func() error { return theirs.Rotate(theirCt, 1, out) }},
			{"hoisted-rotate", hoisted, func() error { return theirs.AutomorphismHoisted(top, theirCt, buffer, galois, out) }},
			{"square", func() error { return evaluator.Square(ct, keys) }, func() error { return theirs.MulRelin(theirCt, theirCt, out) }},
			{"rescale", func() error { return evaluator.Rescale(ct) }, func() error {
				copied := theirCt.CopyNew()
				copied.Scale = rlwe.NewScale(math.Exp2(90))
				return theirs.Rescale(copied, copied)
			}},
			{"encode", func() error {
				params.Encoder().Encode(encoded, moduli, circuit.Vector{Period: len(values), Values: values}, scale)
				for limb, m := range moduli {
					m.Forward(encoded[limb], encoded[limb])
				}
				return nil
			}, func() error { return encoder.Encode(values, pt) }},
			{"encrypt", func() error { // encoding and wire format included
				_, err := key.Encrypt(signature, modelID, [][]float64{values})
				return err
			}, func() error {
				if err := encoder.Encode(values, pt); err != nil {
					return err
				}
				return encryptor.Encrypt(pt, out)
			}},
			{"decrypt", func() error { // decoding and wire format included
				_, err := key.Decrypt(signature, modelID, reply)
				return err
			}, func() error {
				return encoder.Decode(decryptor.DecryptNew(level0), make([]float64, n))
			}},
			{"rotation-key", func() error { // wire format included
				return key.WriteEvaluationKeys(context.Background(), io.Discard, one, fhe.ID{}, nil, nil)
			}, func() error { keygen.GenGaloisKeyNew(galois, sk); return nil }},
			{"read-key", func() error {
				_, err := fhe.ReadKeys(bytes.NewReader(keyFile), params, set, fhe.ID{}, nil)
				return err
			}, nil},
			{"parse-request", func() error {
				_, err := fhe.ParseInputs(params, signature, modelID, request)
				return err
			}, nil},
		} {
			for name, run := range map[string]func() error{"ours": primitive.ours, "lattigo": primitive.lattigo} {
				if run == nil {
					continue
				}
				b.Run(shape.name+"/"+primitive.name+"/"+name, func(b *testing.B) {
					for b.Loop() {
						if err := run(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkDense is a dense 1024×1024 matrix times a vector repeated over the slots: 32 baby and 32 giant steps. Beside
// diagonals of period 1024, which is what a compiler makes of such a matrix, it takes full ones.
func BenchmarkDense(b *testing.B) {
	const size, babies = 1024, 32
	literal := benchmarkParameters(b, 13, []int{49, 38, 38, 38}, []int{49})
	rng := rand.New(rand.NewPCG(1, 1))
	top, scale := literal.MaxLevel(), math.Exp2(38)
	diagonals := hefloat.Diagonals[float64]{}
	for _, period := range []int{size, literal.N()} {
		linear := &circuit.Linear{}
		for k := 1; k < babies; k++ {
			linear.Babies = append(linear.Babies, circuit.Rotation{Shift: k})
			linear.Giants = append(linear.Giants, circuit.Rotation{Shift: babies * k})
		}
		for k := range size {
			v := circuit.Vector{Period: period, Values: uniform(rng, period)}
			linear.Diagonals = append(linear.Diagonals, circuit.Diagonal{Baby: k % babies, Giant: k / babies * babies, Values: v})
			diagonals[k] = v.Full(literal.N())
		}
		c := &circuit.Circuit{Parameters: literal, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: top, Scale: scale}},
			Nodes: []circuit.Node{
				{In: []int{0}, Level: top, Rescale: 1, Scale: scale, Linear: linear},
				{In: []int{1}, Level: 0, Scale: scale, Combine: &circuit.Combine{Factors: []float64{1}}},
			},
			Outputs: []circuit.Output{{Value: 2, Period: size, ModulusBits: 40}}}
		for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
			p := newPartyWith(b, c, c.Keys(), fhe.NewPool(workers))
			request, err := p.secret.Encrypt(p.program.Signature(), modelID, [][]float64{uniform(rng, literal.N())})
			if err != nil {
				b.Fatal(err)
			}
			inputs, err := fhe.ParseInputs(p.program.Parameters(), p.program.Signature(), modelID, request)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("period=%d/workers=%d/ours", period, workers), func(b *testing.B) {
				for b.Loop() {
					if _, err := p.program.Run(context.Background(), p.keys, inputs); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("workers=1/lattigo", func(b *testing.B) {
		lattigo := lattigoParameters(b, literal)
		lt := hefloat.NewLinearTransformation(lattigo, hefloat.LinearTransformationParameters{
			DiagonalsIndexList: diagonals.DiagonalsIndexList(), Level: top,
			Scale: rlwe.NewScale(scale), LogDimensions: lattigo.LogMaxDimensions(), LogBabyStepGianStepRatio: 0,
		})
		if err := hefloat.EncodeLinearTransformation(hefloat.NewEncoder(lattigo), diagonals, lt); err != nil {
			b.Fatal(err)
		}
		keygen := rlwe.NewKeyGenerator(lattigo)
		sk := keygen.GenSecretKeyNew()
		keys := keygen.GenGaloisKeysNew(lt.GaloisElements(lattigo), sk)
		evaluator := hefloat.NewLinearTransformationEvaluator(hefloat.NewEvaluator(lattigo, rlwe.NewMemEvaluationKeySet(nil, keys...)))
		ct := rlwe.NewEncryptor(lattigo, sk).EncryptZeroNew(top)
		ct.LogDimensions = lattigo.LogMaxDimensions()
		for b.Loop() {
			if _, err := evaluator.EvaluateNew(ct, lt); err != nil {
				b.Fatal(err)
			}
		}
	})
}
