package fhe

import "cipherpoint/circuit"

// Primitives runs the single operations that programs consist of, for benchmarks. Results are thrown away. It is not safe
// for concurrent use.
type Primitives struct{ e *evaluator }

// NewPrimitives returns primitives that work on the pool's workers.
func NewPrimitives(params *Parameters, pool *Pool) Primitives {
	return Primitives{&evaluator{params: params, pool: pool, arena: &arena{n: params.N()}}}
}

// Rotate is one rotation, its decomposition included.
func (p Primitives) Rotate(c *Ciphertext, keys *EvaluationKeys, step int) error {
	if err := covers(c, keys, step); err != nil {
		return err
	}
	rotated, err := p.e.rotate(c.parts, keys.rotations[step])
	p.e.release(rotated)
	return err
}

// Hoist decomposes once and returns the rotation that follows.
func (p Primitives) Hoist(c *Ciphertext, keys *EvaluationKeys, step int) (rotate func() error, err error) {
	if err := covers(c, keys, step); err != nil {
		return nil, err
	}
	key := keys.rotations[step]
	g, err := p.e.params.gadget(c.Level(), key.special)
	if err != nil {
		return nil, err
	}
	d := p.e.decompose(g, c.parts[1])
	digits := func(*flow) *decomposition { return d }
	return func() error {
		rotated, err := p.e.rotateHoisted(c.parts, key, digits)
		p.e.release(rotated)
		return err
	}, nil
}

func covers(c *Ciphertext, keys *EvaluationKeys, step int) error {
	return keys.Covers(circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{{Step: step, Level: c.Level()}}})
}

// Square is a square, relinearised, not rescaled.
func (p Primitives) Square(c *Ciphertext, keys *EvaluationKeys) error {
	if err := keys.Covers(circuit.KeySet{Relinearisation: c.Level()}); err != nil {
		return err
	}
	o := &multiply{finish{level: c.Level()}, true}
	result, err := o.run(p.e, keys, []pair{c.parts, c.parts})
	p.e.release(result)
	return err
}

// Rescale divides the last prime out of a copy.
func (p Primitives) Rescale(c *Ciphertext) error {
	o := &finish{level: c.Level(), rescale: 1}
	result, err := o.apply(p.e, p.e.copy(c.parts), 0)
	p.e.release(result)
	return err
}
