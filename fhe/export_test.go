package fhe

import (
	"context"
)

// What the tests in package fhe_test look at beyond the API.

// Value runs the circuit up to a value and returns its two parts.
func (p *Program) Value(keys *EvaluationKeys, inputs []*Ciphertext, value int) (first, second [][]uint64, err error) {
	e := &evaluator{p.params, p.pool, &arena{n: p.params.N()}}
	if err := p.pool.Enter(context.Background()); err != nil {
		return nil, nil, err
	}
	defer p.pool.Leave()
	values := make([]pair, 0, value+1)
	for _, ct := range inputs {
		values = append(values, ct.parts)
	}
	for i := 0; len(values) <= value; i++ {
		node := p.circuit.Nodes[i]
		operands := make([]pair, len(node.In))
		for k, v := range node.In {
			operands[k] = values[v].at(node.Level)
		}
		result, err := p.nodes[i].run(e, keys, operands)
		if err != nil {
			return nil, nil, err
		}
		values = append(values, result)
	}
	return values[value][0], values[value][1], nil
}

// Rows returns a key's parts: of each limb, of each part, of each digit. Step 0 stands for relinearisation.
func (k *EvaluationKeys) Rows(step int) [][2][][]uint64 {
	if step == 0 {
		return k.relinearisation.limbs
	}
	return k.rotations[step].limbs
}

// Evaluator gives benchmarks the primitives.
type Evaluator struct{ *evaluator }

func NewEvaluator(params *Parameters, pool *Pool) Evaluator {
	return Evaluator{&evaluator{params, pool, &arena{n: params.N()}}}
}

// Rotate is one rotation, its decomposition included.
func (e Evaluator) Rotate(c *Ciphertext, keys *EvaluationKeys, step int) error {
	key := keys.rotations[step]
	permutation, err := e.params.Permutation(step)
	if err != nil {
		return err
	}
	g, err := e.params.gadget(c.Level(), key.special)
	if err != nil {
		return err
	}
	d := e.decompose(g, c.parts[1])
	rotated, err := e.rotate(c.parts, d, key, permutation)
	e.release(rotated)
	e.releaseDecomposition(d)
	return err
}

// Hoist decomposes once and returns the rotation that follows.
func (e Evaluator) Hoist(c *Ciphertext, keys *EvaluationKeys, step int) (func() error, error) {
	key := keys.rotations[step]
	permutation, err := e.params.Permutation(step)
	if err != nil {
		return nil, err
	}
	g, err := e.params.gadget(c.Level(), key.special)
	if err != nil {
		return nil, err
	}
	d := e.decompose(g, c.parts[1])
	return func() error {
		rotated, err := e.rotate(c.parts, d, key, permutation)
		e.release(rotated)
		return err
	}, nil
}

// Square is a square, relinearised, not rescaled.
func (e Evaluator) Square(c *Ciphertext, keys *EvaluationKeys) error {
	o := &multiply{finish{level: c.Level()}, true}
	result, err := o.run(e.evaluator, keys, []pair{c.parts, c.parts})
	e.release(result)
	return err
}

// Rescale divides the last prime out of a copy.
func (e Evaluator) Rescale(c *Ciphertext) error {
	o := &finish{level: c.Level(), rescale: 1}
	result, err := o.apply(e.evaluator, e.copy(c.parts), 0)
	e.release(result)
	return err
}

// RandomCiphertext returns a ciphertext of uniform residues, for benchmarks.
func RandomCiphertext(params *Parameters, level int) *Ciphertext {
	a := NewCiphertext(params, [32]byte{1}, 0, level)
	b := NewCiphertext(params, [32]byte{2}, 0, level)
	a.parts[0] = b.parts[1]
	return a
}
