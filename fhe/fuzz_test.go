package fhe_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// Encodings are tens of kilobytes, nearly all of them coefficients that any bits are good for. So that fuzzers reach
// what matters, their inputs are edits of a good encoding: a length to cut or extend to, then triples of an offset and
// what to xor there.

// edit returns good as edited.
func edit(good, edits []byte) []byte {
	if len(edits) < 4 {
		return good
	}
	length := int(binary.LittleEndian.Uint32(edits) % uint32(len(good)+16))
	edited := make([]byte, length)
	copy(edited, good)
	for edits = edits[4:]; len(edits) >= 5; edits = edits[5:] {
		if at := int(binary.LittleEndian.Uint32(edits)); at < length {
			edited[at] ^= edits[4]
		}
	}
	return edited
}

// edits of a good encoding of some length.
func edits(length int, changes ...uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(length))
	for _, at := range changes {
		b = append(binary.LittleEndian.AppendUint32(b, at), 0xff)
	}
	return b
}

func fuzzCircuit(t testing.TB) *circuit.Circuit {
	params := parameters(t, 12, circuit.ConjugateInvariant, []int{36, 30}, []int{38})
	scale := math.Exp2(28)
	return &circuit.Circuit{
		Parameters: params, Packing: circuit.Slots,
		Inputs: []circuit.Input{{Level: 1, Scale: scale}, {Level: 0, Scale: scale}},
		Nodes: []circuit.Node{
			{In: []int{0}, Level: 1, Scale: scale, Fold: &circuit.Fold{Steps: []int{5}}},
			{In: []int{2, 0}, Level: 1, Rescale: 1, Scale: scale * scale / float64(params.Q[1]), Multiply: &circuit.Multiply{}},
		},
		Outputs:    []circuit.Output{{Value: 3, Period: 1, ModulusBits: 35}, {Value: 1, Period: 64, ModulusBits: 30}},
		RingSwitch: &circuit.RingSwitch{LogN: 11, P: 40961, Digits: 3},
	}
}

func FuzzParseInputs(f *testing.F) {
	c := fuzzCircuit(f)
	params, key := fuzzKey(f, c)
	s := fhe.SignatureOf(c)
	good, err := key.Encrypt(s, modelID, [][]float64{make([]float64, params.N()), make([]float64, params.N())})
	if err != nil {
		f.Fatal(err)
	}
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		data := edit(good, changes)
		inputs, err := fhe.ParseInputs(params, s, modelID, data)
		if err != nil {
			if inputs != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
				t.Fatalf("refused with %v, %v", inputs, err)
			}
			return
		}
		if !bytes.Equal(fhe.MarshalInputs(s, modelID, inputs), data) {
			t.Fatal("accepted another encoding of the same inputs")
		}
	})
}

func FuzzParseReplies(f *testing.F) {
	c := fuzzCircuit(f)
	s := fhe.SignatureOf(c)
	n := s.ReplyN()
	good := fhe.MarshalReplies(s, modelID, []*fhe.Reply{
		{First: make([]uint64, 1), Second: make([]uint64, n)},
		{First: make([]uint64, 64), Second: make([]uint64, n)},
	})
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		data := edit(good, changes)
		replies, err := fhe.ParseReplies(s, modelID, data)
		if err != nil {
			if replies != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
				t.Fatalf("refused with %v, %v", replies, err)
			}
			return
		}
		if !bytes.Equal(fhe.MarshalReplies(s, modelID, replies), data) {
			t.Fatal("accepted another encoding of the same replies")
		}
	})
}

func FuzzReadKeys(f *testing.F) {
	c := fuzzCircuit(f)
	params, key := fuzzKey(f, c)
	set := c.Keys()
	set.Encryption = true
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(context.Background(), &file, set, fhe.ID{9}, nil, nil); err != nil {
		f.Fatal(err)
	}
	good := file.Bytes()
	seed(f, len(good))
	f.Fuzz(func(t *testing.T, changes []byte) {
		data := edit(good, changes)
		keys, err := fhe.ReadKeys(bytes.NewReader(data), params, set, fhe.ID{9}, nil)
		if err != nil {
			if keys != nil || !errors.Is(err, fhe.ErrFormat) && !errors.Is(err, fhe.ErrForeign) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var again bytes.Buffer
		if n, err := keys.WriteTo(&again); err != nil || n != int64(len(data)) || !bytes.Equal(again.Bytes(), data) {
			t.Fatalf("accepted another encoding of the same keys (%d bytes, %v)", n, err)
		}
	})
}

func fuzzKey(t testing.TB, c *circuit.Circuit) (*fhe.Parameters, *secret.Key) {
	params, err := fhe.NewParameters(c.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	key, err := secret.GenerateKey(params)
	if err != nil {
		t.Fatal(err)
	}
	return params, key
}

func seed(f *testing.F, length int) {
	f.Add([]byte{})
	f.Add(edits(0))
	f.Add(edits(27))
	f.Add(edits(length - 1))
	f.Add(edits(length + 1))
	for at := range uint32(64) { // header, seed and first coefficients
		f.Add(edits(length, at))
	}
	f.Add(edits(length, uint32(length)-1))
}

// TestReadKeysRefuses has one line for each class of failure.
func TestReadKeysRefuses(t *testing.T) {
	c := fuzzCircuit(t)
	params, key := fuzzKey(t, c)
	var file bytes.Buffer
	if err := key.WriteEvaluationKeys(context.Background(), &file, c.Keys(), fhe.ID{9}, nil, nil); err != nil {
		t.Fatal(err)
	}
	good := file.Bytes()
	outOfRange := bytes.Clone(good)
	for i := range 8 {
		outOfRange[28+32+i] = 0xff
	}
	for name, test := range map[string]struct {
		data []byte
		id   fhe.ID
		want error
	}{
		"good":                  {good, fhe.ID{9}, nil},
		"empty":                 {nil, fhe.ID{9}, fhe.ErrFormat},
		"header only":           {good[:28], fhe.ID{9}, fhe.ErrFormat},
		"truncated":             {good[:len(good)-1], fhe.ID{9}, fhe.ErrFormat},
		"too long":              {append(bytes.Clone(good), 0), fhe.ID{9}, fhe.ErrFormat},
		"another key set":       {good, fhe.ID{8}, fhe.ErrForeign},
		"residue out of range":  {outOfRange, fhe.ID{9}, fhe.ErrFormat},
		"no key file":           {bytes.Repeat([]byte("x"), len(good)), fhe.ID{9}, fhe.ErrFormat},
		"request for key file":  {append([]byte("cpfhe\x01\x02"), good[7:]...), fhe.ID{9}, fhe.ErrFormat},
		"version of the future": {append([]byte("cpfhe\x02"), good[6:]...), fhe.ID{9}, fhe.ErrFormat},
	} {
		if _, err := fhe.ReadKeys(bytes.NewReader(test.data), params, c.Keys(), test.id, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	failing := errors.New("line cut")
	if _, err := fhe.ReadKeys(io.MultiReader(bytes.NewReader(good[:1000]), &brokenReader{failing}), params, c.Keys(), fhe.ID{9}, nil); !errors.Is(err, failing) {
		t.Errorf("reader that fails: got %v", err)
	}
}

type brokenReader struct{ err error }

func (r *brokenReader) Read([]byte) (int, error) { return 0, r.err }
