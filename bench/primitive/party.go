package primitive

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"

	"cipherpoint/bench/lattigo"
	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// party is a user with a server that runs one circuit.
type party struct {
	program *fhe.Program
	secret  *secret.Key
	set     circuit.KeySet
	keyFile []byte
	keys    *fhe.EvaluationKeys
	request []byte
	inputs  []*fhe.Ciphertext
}

// id names keys and models here, where nothing is stored.
var id fhe.ID

// newParty prepares a circuit on one thread, with a set of keys, and encrypts its input vectors.
func newParty(ctx context.Context, c *circuit.Circuit, set circuit.KeySet, vectors [][]float64) (*party, error) {
	p := &party{set: set}
	var err error
	if p.program, err = fhe.NewProgram(ctx, c, nil); err != nil {
		return nil, err
	}
	params := p.program.Parameters()
	if p.secret, err = secret.GenerateKey(params); err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := p.secret.WriteEvaluationKeys(ctx, &file, set, id, nil, nil); err != nil {
		return nil, err
	}
	p.keyFile = file.Bytes()
	if p.keys, err = fhe.ReadKeys(bytes.NewReader(p.keyFile), params, set, id, nil); err != nil {
		return nil, err
	}
	if p.request, err = p.secret.Encrypt(p.program.Signature(), id, vectors); err != nil {
		return nil, err
	}
	p.inputs, err = fhe.ParseInputs(params, p.program.Signature(), id, p.request)
	return p, err
}

// Circuit is a whole circuit as an operation: what happens between an encrypted input that was read and a result that is
// not yet prepared for the wire.
type Circuit struct {
	Operation
	Program *fhe.Program
	Keys    *fhe.EvaluationKeys
}

// NewCircuit prepares a circuit for so many threads on both sides, with keys and encrypted random inputs. Time depends
// on none of their values.
func NewCircuit(ctx context.Context, name string, c *circuit.Circuit, threads int) (*Circuit, error) {
	rng := rand.New(rand.NewPCG(1, 1))
	vectors := make([][]float64, len(c.Inputs))
	for i := range vectors {
		vectors[i] = uniform(rng, c.Parameters.Slots())
	}
	p, err := newParty(ctx, c, c.Keys(), vectors)
	if err != nil {
		return nil, err
	}
	program := p.program
	if threads > 1 {
		if program, err = fhe.NewProgram(ctx, c, fhe.NewPool(threads)); err != nil {
			return nil, err
		}
	}
	reference, err := lattigo.NewProgram(c, threads)
	if err != nil {
		return nil, err
	}
	session := reference.NewSession()
	theirs, err := session.Encrypt(vectors)
	if err != nil {
		return nil, err
	}
	ours := func() (total time.Duration, err error) {
		_, err = program.RunObserved(ctx, p.keys, p.inputs, func(_ int, elapsed time.Duration) { total += elapsed })
		return total, err
	}
	return &Circuit{Operation{name, ours, timed(func() error {
		_, err := session.Run(theirs)
		return err
	})}, program, p.keys}, nil
}
