package fhe_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// batchCircuit has what batches are made of: a product that stays unrelinearised through a sum and a combination with a
// value of degree 1, a map of two operands, rescaling in the middle, and a second product.
func batchCircuit(t testing.TB) *circuit.Circuit {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 32}, []int{34})
	rng := rand.New(rand.NewPCG(3, 4))
	matrix := func(rows, columns int) circuit.Vector {
		v := circuit.Vector{Period: rows * columns}
		for at := range rows * columns {
			if rng.IntN(3) > 0 {
				v.Index = append(v.Index, uint32(at))
				v.Values = append(v.Values, math.Round(32*(2*rng.Float64()-1))/32)
			}
		}
		return v
	}
	bias := func(rows int) circuit.Vector {
		v := circuit.Vector{Period: rows}
		for range rows {
			v.Values = append(v.Values, rng.Float64()-0.5)
		}
		return v
	}
	in, weights := math.Exp2(20), math.Exp2(6)
	hidden := in * weights
	square := hidden * hidden
	q1 := float64(params.Q[1])
	return &circuit.Circuit{
		Name: "batch", Parameters: params, Packing: circuit.Batch,
		Inputs: []circuit.Input{{Name: "a", Level: 1, Scale: in, Width: 5}, {Name: "b", Level: 1, Scale: in, Width: 3}},
		Nodes: []circuit.Node{
			{Name: "first", In: []int{0, 1}, Level: 1, Scale: hidden,
				Mix: &circuit.Mix{Rows: 9, Maps: []circuit.Vector{matrix(9, 5), matrix(9, 3)}, Bias: bias(9)}},
			{Name: "square", In: []int{2, 2}, Level: 1, Scale: square, Multiply: &circuit.Multiply{}},
			{Name: "polynomial", In: []int{3, 2}, Level: 1, Scale: square,
				Combine: &circuit.Combine{Factors: []float64{1, 0.25}, Constant: 0.125}},
			{Name: "last", In: []int{4}, Level: 1, Rescale: 1, Scale: square * weights / q1, Relinearise: true,
				Mix: &circuit.Mix{Rows: 2, Maps: []circuit.Vector{matrix(2, 9)}, Bias: bias(2)}},
		},
		Outputs: []circuit.Output{{Name: "scores", Value: 5, Width: 2, ModulusBits: 35}},
	}
}

func batchKeys(t testing.TB, c *circuit.Circuit, params *fhe.Parameters) (*secret.Key, *fhe.EvaluationKeys) {
	key, err := secret.GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(context.Background(), &file, c.Keys(), fhe.ID{9}, nil, nil); err != nil {
		t.Fatal(err)
	}
	keys, err := fhe.ReadKeys(&file, params, c.Keys(), fhe.ID{9}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return key, keys
}

func TestBatch(t *testing.T) {
	c := batchCircuit(t)
	for _, workers := range []int{1, 3} {
		program, err := fhe.NewBatchProgram(c, fhe.NewPool(workers))
		if err != nil {
			t.Fatal(err)
		}
		s := program.Signature()
		key, keys := batchKeys(t, c, program.Parameters())
		rng := rand.New(rand.NewPCG(5, 6))
		samples := []int{c.Parameters.N(), 7}[workers/3]
		inputs := make([][][]float64, len(c.Inputs))
		for i, in := range c.Inputs {
			inputs[i] = make([][]float64, in.Width)
			for e := range inputs[i] {
				for range samples {
					inputs[i][e] = append(inputs[i][e], 2*rng.Float64()-1)
				}
			}
		}
		request, err := key.EncryptBatch(s, modelID, inputs, nil)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(request)) != s.InputSize() {
			t.Fatalf("request of %d bytes, want %d", len(request), s.InputSize())
		}
		observed := 0
		reply, err := program.Run(context.Background(), keys, modelID, request, func(int, time.Duration) { observed++ })
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(reply)) != s.ReplySize() || observed != len(c.Nodes) {
			t.Fatalf("reply of %d bytes, want %d; %d nodes observed", len(reply), s.ReplySize(), observed)
		}
		out, err := key.DecryptBatch(s, modelID, reply, nil)
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for j := range samples {
			vectors := make([][]float64, len(inputs))
			for i := range inputs {
				for _, v := range inputs[i] {
					vectors[i] = append(vectors[i], v[j])
				}
			}
			want, err := c.Run(vectors...)
			if err != nil {
				t.Fatal(err)
			}
			for e, x := range want[0] {
				worst = max(worst, math.Abs(out[0][e][j]-x))
			}
		}
		if !(worst < 0.01) {
			t.Errorf("%d workers: largest error %.3g", workers, worst)
		}
		t.Logf("largest error %.3g", worst)
	}
}

func TestBatchRefuses(t *testing.T) {
	c := batchCircuit(t)
	program, err := fhe.NewBatchProgram(c, fhe.NewPool(2))
	if err != nil {
		t.Fatal(err)
	}
	s := program.Signature()
	key, keys := batchKeys(t, c, program.Parameters())
	inputs := [][][]float64{make([][]float64, 5), make([][]float64, 3)}
	good, err := key.EncryptBatch(s, modelID, inputs, nil)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, by byte) []byte {
		b := bytes.Clone(good)
		b[at] ^= by
		return b
	}
	outOfRange := bytes.Clone(good)
	for i := range 8 {
		outOfRange[len(good)-1-i] = 0xff
	}
	for name, test := range map[string]struct {
		data []byte
		id   fhe.ID
		want error
	}{
		"good":               {good, modelID, nil},
		"empty":              {nil, modelID, fhe.ErrFormat},
		"header only":        {good[:28], modelID, fhe.ErrFormat},
		"truncated":          {good[:len(good)-1], modelID, fhe.ErrFormat},
		"too long":           {append(bytes.Clone(good), 0), modelID, fhe.ErrFormat},
		"another count":      {changed(24, 1), modelID, fhe.ErrFormat},
		"inputs of no batch": {changed(6, 4^2), modelID, fhe.ErrFormat},
		"another model":      {good, fhe.ID{8}, fhe.ErrForeign},
		"residue too large":  {outOfRange, modelID, fhe.ErrFormat},
	} {
		reply, err := program.Run(context.Background(), keys, test.id, test.data, nil)
		if !errors.Is(err, test.want) || (err == nil) != (reply != nil) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if _, err := program.Run(context.Background(), nil, modelID, good, nil); !errors.Is(err, fhe.ErrMissingKey) {
		t.Errorf("without keys: %v", err)
	}
	ended, end := context.WithCancel(context.Background())
	end()
	if _, err := program.Run(ended, keys, modelID, good, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for _, wrong := range [][][][]float64{nil, {nil, nil}, {make([][]float64, 5), {{math.NaN()}, nil, nil}},
		{make([][]float64, 5), {make([]float64, 4097), nil, nil}}} {
		if _, err := key.EncryptBatch(s, modelID, wrong, nil); err == nil {
			t.Error("wrong inputs are encrypted")
		}
	}
}

func FuzzBatch(f *testing.F) {
	c := batchCircuit(f)
	program, err := fhe.NewBatchProgram(c, fhe.NewPool(1))
	if err != nil {
		f.Fatal(err)
	}
	key, keys := batchKeys(f, c, program.Parameters())
	good, err := key.EncryptBatch(program.Signature(), modelID, [][][]float64{make([][]float64, 5), make([][]float64, 3)}, nil)
	if err != nil {
		f.Fatal(err)
	}
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		reply, err := program.Run(context.Background(), keys, modelID, edit(good, changes), nil)
		if err == nil && int64(len(reply)) != program.Signature().ReplySize() {
			t.Fatalf("reply of %d bytes", len(reply))
		}
		if err != nil && (reply != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign)) {
			t.Fatalf("refused with %v", err)
		}
	})
}

func FuzzParseBatchReplies(f *testing.F) {
	c := batchCircuit(f)
	s := fhe.SignatureOf(c)
	good := make([]byte, s.ReplySize())
	copy(good, "cpfhe\x01\x03\x00")
	copy(good[8:], modelID[:])
	good[24] = 2
	if _, err := fhe.ParseBatchReplies(s, modelID, good); err != nil {
		f.Fatal(err)
	}
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		replies, err := fhe.ParseBatchReplies(s, modelID, edit(good, changes))
		if err == nil && len(replies) != 2 {
			t.Fatalf("%d replies", len(replies))
		}
		if err != nil && (replies != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign)) {
			t.Fatalf("refused with %v", err)
		}
	})
}
