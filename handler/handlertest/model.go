// Package handlertest has a stand-in for a compiled model, for tests of what lies around models. It keeps the contract
// of handler.Model without any cryptography: its output is a hash of key and input.
package handlertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"

	"cipherpoint/handler"
)

// Model is the stand-in. Its fields are set before use.
type Model struct {
	Set    [16]byte // key set
	ID     byte     // tells inputs of different models with one key set apart
	Key    int64    // size of a key, at least 32
	Input  int      // size of an input, at least 17
	Batch  int      // samples in an input; 0 is one
	Memory int64    // what an expanded key claims to occupy

	// OnLoad and OnInfer, where set, run in place of the work: to wait, to fail, to panic.
	OnLoad, OnInfer func(context.Context) error

	Loads, Inferences atomic.Int64
}

// New returns a model with key set and id, keys of 3000 bytes and inputs of 100.
func New(set, id byte) *Model {
	return &Model{Set: [16]byte{set}, ID: id, Key: 3000, Input: 100, Memory: 1000}
}

// NewKey returns a valid key; different owners have different ones.
func (m *Model) NewKey(owner string) []byte {
	key := make([]byte, m.Key)
	copy(key, m.Set[:])
	stream := sha256.Sum256([]byte(owner))
	for i := 16; i < len(key)-16; i++ {
		key[i] = stream[i%len(stream)] + byte(i>>8)
	}
	copy(key[len(key)-16:], m.Set[:])
	return key
}

// NewInput returns a valid input; different contents have different ones.
func (m *Model) NewInput(content string) []byte {
	input := make([]byte, m.Input)
	copy(input, m.Set[:])
	input[16] = m.ID
	copy(input[17:], content)
	return input
}

// Output returns what the model answers.
func (m *Model) Output(key, input []byte) []byte {
	sum := sha256.Sum256(append(bytes.Clone(key), input...))
	return sum[:]
}

func (m *Model) Summary() handler.Summary {
	return handler.Summary{ID: fmt.Sprintf("%02x", m.ID), Name: "stand-in", Kind: "hash"}
}

func (m *Model) ClientZip() []byte { return []byte("client part of the stand-in") }
func (m *Model) KeySet() [16]byte  { return m.Set }
func (m *Model) KeyBytes() int64   { return m.Key }
func (m *Model) RequestBytes() int { return m.Input }
func (m *Model) ReplyBytes() int   { return sha256.Size }
func (m *Model) BatchSize() int    { return max(m.Batch, 1) }

type keys struct {
	content []byte
	memory  int64
}

func (k *keys) Bytes() int64 { return k.memory }

func (m *Model) LoadKeys(ctx context.Context, r io.Reader) (handler.Keys, error) {
	m.Loads.Add(1)
	if m.OnLoad != nil {
		if err := m.OnLoad(ctx); err != nil {
			return nil, err
		}
	}
	content := make([]byte, m.Key)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	if !bytes.HasPrefix(content, m.Set[:]) || !bytes.HasSuffix(content, m.Set[:]) {
		return nil, fmt.Errorf("%w: key of another model", handler.ErrUnsuitable)
	}
	return &keys{content, m.Memory}, nil
}

func (m *Model) Infer(ctx context.Context, k handler.Keys, input []byte) ([]byte, error) {
	m.Inferences.Add(1)
	if m.OnInfer != nil {
		if err := m.OnInfer(ctx); err != nil {
			return nil, err
		}
	}
	if !bytes.HasPrefix(input, m.Set[:]) || input[16] != m.ID {
		return nil, fmt.Errorf("%w: input of another model", handler.ErrUnsuitable)
	}
	return m.Output(k.(*keys).content, input), nil
}

var _ handler.Model = (*Model)(nil)
