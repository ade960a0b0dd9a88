package fhe_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// matchCircuit compares with templates of so many dimensions.
func matchCircuit(t testing.TB, dimensions int) *circuit.Circuit {
	return &circuit.Circuit{
		Parameters: parameters(t, 12, circuit.ConjugateInvariant, []int{40}, []int{49}), Packing: circuit.Slots,
		Inputs:  []circuit.Input{{Name: "query", Scale: math.Exp2(23)}, {Name: "templates", Scale: math.Exp2(19), Dimensions: dimensions}},
		Nodes:   []circuit.Node{{In: []int{0, 1}, Scale: math.Exp2(42), Match: &circuit.Match{}}},
		Outputs: []circuit.Output{{Value: 2, Period: 4096, ModulusBits: 20}},
	}
}

// goodTemplates is a file of 600 templates of 4 dimensions: 1,024 in a ciphertext.
func goodTemplates(t testing.TB) (*fhe.Parameters, *secret.Key, *circuit.Circuit, []byte) {
	c := matchCircuit(t, 4)
	params, key := fuzzKey(t, c)
	list := make([][]float64, 600)
	for i := range list {
		list[i] = []float64{0.5, 0.5, -0.5, float64(i) / 1200}
	}
	file, err := key.EncryptTemplates(fhe.SignatureOf(c), fhe.ID{7}, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return params, key, c, file
}

func FuzzReadTemplates(f *testing.F) {
	params, key, c, good := goodTemplates(f)
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		data := edit(good, changes)
		templates, err := fhe.ReadTemplates(bytes.NewReader(data), params, 4, fhe.ID{7}, nil)
		if err != nil {
			if templates != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
				t.Fatalf("refused with %v, %v", templates, err)
			}
			return
		}
		if err := fhe.CheckTemplatesSize(params.Literal(), 4, int64(len(data))); err != nil {
			t.Fatalf("read %d bytes, a size that is refused: %v", len(data), err)
		}
		if _, err := key.DecryptTemplates(fhe.SignatureOf(c), fhe.ID{7}, data); err != nil {
			t.Fatalf("read what cannot be decrypted: %v", err)
		}
	})
}

func FuzzParseScores(f *testing.F) {
	params, key, c, file := goodTemplates(f)
	s := fhe.SignatureOf(c)
	var keyFile bytes.Buffer
	if err := key.WriteEvaluationKeys(f.Context(), &keyFile, c.Keys(), fhe.ID{}, nil, nil); err != nil {
		f.Fatal(err)
	}
	keys, err := fhe.ReadKeys(&keyFile, params, c.Keys(), fhe.ID{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	templates, err := fhe.ReadTemplates(bytes.NewReader(file), params, 4, fhe.ID{7}, nil)
	if err != nil {
		f.Fatal(err)
	}
	request, err := key.Encrypt(s, modelID, [][]float64{make([]float64, params.N())})
	if err != nil {
		f.Fatal(err)
	}
	matcher, err := fhe.NewMatcher(c, nil)
	if err != nil {
		f.Fatal(err)
	}
	good, err := matcher.Run(f.Context(), keys, modelID, request, []*fhe.Templates{templates})
	if err != nil {
		f.Fatal(err)
	}
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		data := edit(good, changes)
		scores, err := key.DecryptScores(s, modelID, []int{1024}, data)
		if err != nil {
			if scores != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
				t.Fatalf("refused with %v, %v", scores, err)
			}
			return
		}
		if len(data) != len(good) || len(scores) != 1 || len(scores[0]) != 1024 {
			t.Fatalf("%d bytes are scores", len(data))
		}
	})
}

func TestTemplateBlocks(t *testing.T) {
	p := matchCircuit(t, 128).Parameters
	for _, test := range []struct{ templates, ciphertexts, blocks, last int }{
		{1, 1, 1, 32}, {32, 1, 1, 32}, {33, 2, 1, 64}, {100, 4, 1, 128}, {2049, 128, 1, 4096}, {4096, 128, 1, 4096}, {4097, 129, 2, 32},
		{10000, 320, 3, 2048}, {1000000, 31264, 245, 1024},
	} {
		count := fhe.TemplateCiphertexts(p, 128, test.templates)
		blocks, err := fhe.TemplateBlocks(p, 128, count)
		if err != nil || count != test.ciphertexts || len(blocks) != test.blocks || blocks[len(blocks)-1] != test.last {
			t.Errorf("%d templates: %d ciphertexts, blocks %v, %v", test.templates, count, blocks, err)
		}
		if err := fhe.CheckTemplatesSize(p, 128, fhe.TemplatesSize(p, count)); err != nil {
			t.Error(err)
		}
	}
	for _, count := range []int{-1, 0, 3, 131, 1<<20 + 128} {
		if _, err := fhe.TemplateBlocks(p, 128, count); !errors.Is(err, fhe.ErrFormat) {
			t.Errorf("%d ciphertexts: %v", count, err)
		}
	}
	for _, size := range []int64{-1, 0, 60, fhe.TemplatesSize(p, 1) + 1, fhe.TemplatesSize(p, 3), math.MaxInt64} {
		if err := fhe.CheckTemplatesSize(p, 128, size); !errors.Is(err, fhe.ErrFormat) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestMatchIsValidated(t *testing.T) {
	if err := matchCircuit(t, 128).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*circuit.Circuit){
		"dimensions":      func(c *circuit.Circuit) { c.Inputs[1].Dimensions = 100 },
		"one dimension":   func(c *circuit.Circuit) { c.Inputs[1].Dimensions = 1 },
		"too many":        func(c *circuit.Circuit) { c.Inputs[1].Dimensions = 4096 },
		"two stored":      func(c *circuit.Circuit) { c.Inputs[0].Dimensions = 128 },
		"none stored":     func(c *circuit.Circuit) { c.Inputs[1].Dimensions = 0 },
		"scale":           func(c *circuit.Circuit) { c.Nodes[0].Scale *= 2 },
		"operands":        func(c *circuit.Circuit) { c.Nodes[0].In = []int{1, 0} },
		"no operands":     func(c *circuit.Circuit) { c.Nodes[0].In = nil },
		"another node":    func(c *circuit.Circuit) { c.Nodes = append(c.Nodes, c.Nodes[0]) },
		"another input":   func(c *circuit.Circuit) { c.Inputs = append(c.Inputs, circuit.Input{Scale: 2}) },
		"another output":  func(c *circuit.Circuit) { c.Outputs = append(c.Outputs, c.Outputs[0]) },
		"stored is sent":  func(c *circuit.Circuit) { c.Outputs[0].Value = 1 },
		"sums":            func(c *circuit.Circuit) { c.Outputs[0].Period = 64 },
		"flooded":         func(c *circuit.Circuit) { c.Outputs[0].Flood = 100 },
		"no special":      func(c *circuit.Circuit) { c.Parameters.P = nil },
		"another product": func(c *circuit.Circuit) { c.Nodes[0].Match, c.Nodes[0].Multiply = nil, &circuit.Multiply{} },
	} {
		c := matchCircuit(t, 128)
		change(c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
