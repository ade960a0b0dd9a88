package primitive

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"

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
	vectors [][]float64
	party   *party
	session *lattigo.Session
	theirs  []*rlwe.Ciphertext
}

// NewCircuit prepares a circuit for so many threads on both sides, with keys of their own, and encrypts inputs: vectors
// that are repeated over the slots, or random ones for nil.
func NewCircuit(ctx context.Context, name string, c *circuit.Circuit, inputs [][]float64, threads int) (*Circuit, error) {
	r, err := NewAlone(ctx, name, c, inputs)
	if err != nil {
		return nil, err
	}
	if threads > 1 {
		if r.Program, err = fhe.NewProgram(ctx, c, fhe.NewPool(threads)); err != nil {
			return nil, err
		}
	}
	reference, err := lattigo.NewProgram(c, threads)
	if err != nil {
		return nil, err
	}
	r.session = reference.NewSession()
	if r.theirs, err = r.session.Encrypt(r.vectors); err != nil {
		return nil, err
	}
	r.Lattigo = timed(func() error {
		_, err := r.session.Run(r.theirs)
		return err
	})
	return r, nil
}

// NewAlone is NewCircuit for one thread, without Lattigo's side and without Errors.
func NewAlone(ctx context.Context, name string, c *circuit.Circuit, inputs [][]float64) (*Circuit, error) {
	rng := rand.New(rand.NewPCG(1, 1))
	vectors := make([][]float64, len(c.Inputs))
	for i := range vectors {
		if inputs == nil {
			vectors[i] = uniform(rng, c.Parameters.Slots())
		} else {
			vectors[i] = circuit.Vector{Period: len(inputs[i]), Values: inputs[i]}.Full(c.Parameters.Slots())
		}
	}
	p, err := newParty(ctx, c, c.Keys(), vectors)
	if err != nil {
		return nil, err
	}
	r := &Circuit{Program: p.program, Keys: p.keys, vectors: vectors, party: p}
	r.Operation = Operation{Name: name, Ours: func() (total time.Duration, err error) {
		err = r.Nodes(ctx, func(_ int, elapsed time.Duration) { total += elapsed })
		return total, err
	}}
	return r, nil
}

// Nodes runs our side and says how long each node took.
func (r *Circuit) Nodes(ctx context.Context, observe fhe.Observer) error {
	_, err := r.Program.RunObserved(ctx, r.Keys, r.party.inputs, observe)
	return err
}

// Reply is a whole run as our side of an operation, with what prepares the result for the wire.
func (r *Circuit) Reply(ctx context.Context) Run {
	return timed(func() error {
		_, err := r.Program.Run(ctx, r.Keys, r.party.inputs)
		return err
	})
}

// Errors returns the largest difference of both sides' decrypted answers from those of the circuit in float, as a share
// of the largest of these.
func (r *Circuit) Errors(ctx context.Context) (ours, theirs float64, err error) {
	want, err := r.Program.Circuit().Run(r.vectors...)
	if err != nil {
		return 0, 0, err
	}
	replies, err := r.Program.Run(ctx, r.Keys, r.party.inputs)
	if err != nil {
		return 0, 0, err
	}
	signature := r.Program.Signature()
	own, err := r.party.secret.Decrypt(signature, id, fhe.MarshalReplies(signature, id, replies))
	if err != nil {
		return 0, 0, err
	}
	outputs, err := r.session.Run(r.theirs)
	if err != nil {
		return 0, 0, err
	}
	lattigos, err := r.session.Decrypt(outputs)
	if err != nil {
		return 0, 0, err
	}
	return difference(own, want), difference(lattigos, want), nil
}

func difference(got, want [][]float64) float64 {
	worst, largest := 0.0, 0.0
	for i := range want {
		for k, w := range want[i] {
			worst, largest = max(worst, math.Abs(got[i][k]-w)), max(largest, math.Abs(w))
		}
	}
	return worst / largest
}
