// Package lattigo runs circuits on Lattigo v5's own evaluator: what the benchmarks compare with.
//
//	program, err := lattigo.NewProgram(circuit, threads)
//	session := program.NewSession()
//	inputs, err := session.Encrypt(vectors)
//	outputs, err := session.Run(inputs)
//	answer, err := session.Decrypt(outputs)
//
// Circuits are run as somebody who knows Lattigo well would write them: linear maps by its double-hoisted baby-step
// giant-step with the number of baby steps that costs least, rotations by keys of their own (a key costs nothing here),
// operands at lower levels without copies. Lattigo works on one thread; with more, linear maps have their baby steps and
// then their giant steps shared out over copies of the evaluator.
//
// Danger: a Session holds both sides' keys. It is for tests and benchmarks.
package lattigo

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"

	"cipherpoint/circuit"
)

// NewParameters returns Lattigo's form of parameters.
func NewParameters(p circuit.Parameters) (hefloat.Parameters, error) {
	kind := ring.Standard
	if p.Ring == circuit.ConjugateInvariant {
		kind = ring.ConjugateInvariant
	}
	return hefloat.NewParametersFromLiteral(hefloat.ParametersLiteral{
		LogN: p.LogN, Q: p.Q, P: p.P, RingType: kind, LogDefaultScale: 40, Xs: ring.Ternary{P: 2.0 / 3},
	})
}

// Program is a circuit whose plaintexts are encoded for Lattigo. It is safe for concurrent use.
type Program struct {
	circuit *circuit.Circuit
	params  hefloat.Parameters
	threads int
	nodes   []operation
	galois  map[uint64]bool // the automorphisms that need keys
}

// operation runs a node on operands at its level, on one evaluator a thread. It leaves the primes to be divided out.
type operation func(evaluators []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error)

// NewProgram encodes a circuit for at least one thread.
func NewProgram(c *circuit.Circuit, threads int) (*Program, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	params, err := NewParameters(c.Parameters)
	if err != nil {
		return nil, err
	}
	p := &Program{circuit: c, params: params, threads: max(threads, 1), galois: map[uint64]bool{}}
	b := &builder{p, hefloat.NewEncoder(params)}
	for i, node := range c.Nodes {
		op, err := b.build(node)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
		p.nodes = append(p.nodes, op)
	}
	return p, nil
}

// Session is a user's keys with a server that has them. It runs one request at a time.
type Session struct {
	program    *Program
	encoder    *hefloat.Encoder
	encryptor  *rlwe.Encryptor
	decryptor  *rlwe.Decryptor
	evaluators []*hefloat.Evaluator // one a thread
}

// NewSession makes fresh keys.
func (p *Program) NewSession() *Session {
	generator := rlwe.NewKeyGenerator(p.params)
	secret := generator.GenSecretKeyNew()
	var keys rlwe.EvaluationKeySet
	if len(p.circuit.Parameters.P) > 0 {
		keys = rlwe.NewMemEvaluationKeySet(generator.GenRelinearizationKeyNew(secret),
			generator.GenGaloisKeysNew(slices.Sorted(maps.Keys(p.galois)), secret)...)
	}
	s := &Session{
		program: p, encoder: hefloat.NewEncoder(p.params),
		encryptor: rlwe.NewEncryptor(p.params, secret), decryptor: rlwe.NewDecryptor(p.params, secret),
	}
	s.evaluators = []*hefloat.Evaluator{hefloat.NewEvaluator(p.params, keys)}
	for len(s.evaluators) < p.threads {
		s.evaluators = append(s.evaluators, s.evaluators[0].ShallowCopy())
	}
	return s
}

// Encrypt encrypts input vectors of Slots() values each.
func (s *Session) Encrypt(vectors [][]float64) ([]*rlwe.Ciphertext, error) {
	inputs := make([]*rlwe.Ciphertext, len(vectors))
	for i, in := range s.program.circuit.Inputs {
		pt := s.program.plaintext(in.Level, in.Scale)
		err := s.encoder.Encode(vectors[i], pt)
		if err == nil {
			inputs[i], err = s.encryptor.EncryptNew(pt)
		}
		if err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// plaintext returns an empty plaintext.
func (p *Program) plaintext(level int, scale float64) *rlwe.Plaintext {
	pt := hefloat.NewPlaintext(p.params, level)
	pt.Scale = rlwe.NewScale(scale)
	pt.IsBatched = p.circuit.Packing == circuit.Slots
	return pt
}

// Run runs the circuit and returns its outputs' values.
func (s *Session) Run(inputs []*rlwe.Ciphertext) ([]*rlwe.Ciphertext, error) {
	c := s.program.circuit
	values := append(make([]*rlwe.Ciphertext, 0, c.Values()), inputs...)
	for i, node := range c.Nodes {
		operands := make([]*rlwe.Ciphertext, len(node.In))
		for k, v := range node.In {
			operands[k] = at(values[v], node.Level)
		}
		result, err := s.program.nodes[i](s.evaluators, operands)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
		values = append(values, result)
	}
	outputs := make([]*rlwe.Ciphertext, len(c.Outputs))
	for i, out := range c.Outputs {
		outputs[i] = values[out.Value]
	}
	return outputs, nil
}

// at looks at a ciphertext at a lower level.
func at(ct *rlwe.Ciphertext, level int) *rlwe.Ciphertext {
	low := &rlwe.Ciphertext{Element: rlwe.Element[ring.Poly]{MetaData: ct.MetaData, Value: make([]ring.Poly, len(ct.Value))}}
	for i, p := range ct.Value {
		low.Value[i].Coeffs = p.Coeffs[:level+1]
	}
	return low
}

// Decrypt returns of each output what circuit.Run returns.
func (s *Session) Decrypt(outputs []*rlwe.Ciphertext) ([][]float64, error) {
	answers := make([][]float64, len(outputs))
	for i, ct := range outputs {
		values := make([]float64, s.program.circuit.Parameters.Slots())
		if err := s.encoder.Decode(s.decryptor.DecryptNew(ct), values); err != nil {
			return nil, err
		}
		out := s.program.circuit.Outputs[i]
		if out.Coefficients != nil {
			for _, k := range out.Coefficients {
				answers[i] = append(answers[i], values[k])
			}
			continue
		}
		answers[i] = make([]float64, out.Period)
		for j, v := range values {
			answers[i][j%out.Period] += v
		}
	}
	return answers, nil
}
