package fhe

import (
	"context"
	"slices"
)

// What the tests in package fhe_test look at beyond the API.

// Value runs the circuit up to a value and returns its two parts.
func (p *Program) Value(keys *EvaluationKeys, inputs []*Ciphertext, value int) (first, second [][]uint64, err error) {
	e := &evaluator{params: p.params, pool: p.pool, arena: &arena{n: p.params.N()}, held: map[*babies]*heldBabies{}}
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

// HoistsTwice reports whether a node is a linear map whose babies stay times the special primes.
func (p *Program) HoistsTwice(node int) bool {
	o, ok := p.nodes[node].(*linear)
	return ok && o.special > 0
}

// Rows returns a key's parts, before its rotation: of each limb, of each part, of each digit. Step 0 stands for relinearisation.
func (k *EvaluationKeys) Rows(step int) [][2][][]uint64 {
	key := k.relinearisation
	if step != 0 {
		key = k.rotations[step]
	}
	back, err := k.params.Permutation(-step)
	if err != nil {
		panic(err)
	}
	rows := make([][2][][]uint64, len(key.limbs))
	for limb, m := range k.params.Moduli(key.level, key.special) {
		for part, packed := range key.limbs[limb] {
			for _, digit := range packed {
				turned, values := make([]uint64, k.params.N()), make([]uint64, k.params.N())
				m.Unpack(turned, digit)
				back.Apply(values, turned)
				rows[limb][part] = append(rows[limb][part], values)
			}
		}
	}
	return rows
}

// Switched runs an identity's reply up to the ciphertext in the ring of replies, modulo q_0 and in coefficients.
func (p *Program) Switched(keys *EvaluationKeys, second []uint64) (first, switched []uint64, err error) {
	r, err := p.params.RingSwitch(*p.circuit.RingSwitch)
	if err != nil {
		return nil, nil, err
	}
	if err := p.pool.Enter(context.Background()); err != nil {
		return nil, nil, err
	}
	defer p.pool.Leave()
	arena := p.arenas.Get().(*arena)
	defer p.arenas.Put(arena)
	e := &evaluator{params: p.params, pool: p.pool, arena: arena}
	result := e.switchRing(r, keys.ring, second)
	defer e.release(result)
	return slices.Clone(result[0][0][:r.N()]), slices.Clone(result[1][0][:r.N()]), nil
}
