package fhe

import (
	"cipherpoint/circuit"
	"context"
	"fmt"
	"math/bits"
	"time"

	"cipherpoint/fhe/kernel"
)

// Observer is told how long each node took, by its index in the circuit. Calls come from the goroutine of the run.
type Observer func(node int, elapsed time.Duration)

// Answer answers a request under the name of the model: encrypted inputs with encrypted outputs (FORMAT.md). It waits for
// a worker of the pool, and gives up between two nodes when the context ends. The observer may be nil. It fails with
// ErrFormat or ErrForeign for bytes that are no inputs for this circuit.
func (p *Program) Answer(ctx context.Context, keys *EvaluationKeys, id ID, request []byte, observe Observer) ([]byte, error) {
	if err := checkInputs(p.signature, id, request); err != nil {
		return nil, err
	}
	if err := checkKeys(p.params, p.keys, keys); err != nil {
		return nil, err
	}
	var replies []*Reply
	err := p.occupy(ctx, func(e *evaluator) error {
		inputs := make([]*Ciphertext, len(p.circuit.Inputs))
		for i, in := range p.circuit.Inputs {
			inputs[i] = &Ciphertext{parts: e.pair(in.Level + 1)}
			defer e.release(inputs[i].parts)
		}
		err := readInputs(p.params, inputs, request, p.pool)
		if err == nil {
			replies, err = p.compute(ctx, e, keys, inputs, observe)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return MarshalReplies(p.signature, id, replies), nil
}

// Run is Answer without reading and writing bytes.
func (p *Program) Run(ctx context.Context, keys *EvaluationKeys, inputs []*Ciphertext) ([]*Reply, error) {
	return p.RunObserved(ctx, keys, inputs, nil)
}

// RunObserved is Run with an observer, which may be nil.
func (p *Program) RunObserved(ctx context.Context, keys *EvaluationKeys, inputs []*Ciphertext, observe Observer) ([]*Reply, error) {
	if err := p.check(keys, inputs); err != nil {
		return nil, err
	}
	var replies []*Reply
	err := p.occupy(ctx, func(e *evaluator) (err error) {
		replies, err = p.compute(ctx, e, keys, inputs, observe)
		return err
	})
	return replies, err
}

// occupy calls f on a worker.
func (p *Program) occupy(ctx context.Context, f func(e *evaluator) error) error {
	if err := p.pool.Enter(ctx); err != nil {
		return err
	}
	defer p.pool.Leave()
	arena := p.arenas.Get().(*arena)
	defer p.arenas.Put(arena)
	return f(&evaluator{params: p.params, pool: p.pool, arena: arena, held: map[*babies]*heldBabies{}})
}

func (p *Program) compute(ctx context.Context, e *evaluator, keys *EvaluationKeys, inputs []*Ciphertext, observe Observer) ([]*Reply, error) {
	values := make([]pair, p.circuit.Values())
	defer func() { // after an error, or with outputs that are in use to the end
		for _, c := range values[len(inputs):] {
			e.release(c)
		}
	}()
	for i, ct := range inputs {
		values[i] = ct.parts
	}
	for i, op := range p.nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		node := p.circuit.Nodes[i]
		operands := make([]pair, len(node.In))
		for k, v := range node.In {
			operands[k] = values[v].at(node.Level)
		}
		result, err := op.run(e, keys, operands)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
		values[len(inputs)+i] = result
		for v := len(inputs); v <= len(inputs)+i; v++ {
			if p.last[v] == i {
				e.release(values[v])
				values[v] = pair{}
			}
		}
		if observe != nil {
			observe(i, time.Since(start))
		}
	}
	replies, err := make([]*Reply, len(p.circuit.Outputs)), error(nil)
	for i, out := range p.circuit.Outputs {
		if replies[i], err = p.reply(e, keys, values[out.Value], i, out); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// check checks that keys and inputs fit the circuit.
func (p *Program) check(keys *EvaluationKeys, inputs []*Ciphertext) error {
	if err := checkKeys(p.params, p.keys, keys); err != nil {
		return err
	}
	if len(inputs) != len(p.circuit.Inputs) {
		return fmt.Errorf("%d encrypted inputs: want %d", len(inputs), len(p.circuit.Inputs))
	}
	for i, in := range p.circuit.Inputs {
		if inputs[i].Level() != in.Level || len(inputs[i].parts[0][0]) != p.params.N() {
			return fmt.Errorf("encrypted input %d is not at level %d", i, in.Level)
		}
	}
	return nil
}

// checkKeys checks that keys hold a set.
func checkKeys(params *Parameters, set circuit.KeySet, keys *EvaluationKeys) error {
	if set.Count() == 0 {
		return nil
	}
	if keys == nil {
		return fmt.Errorf("%w: none given, %d needed", ErrMissingKey, set.Count())
	}
	if !params.Same(keys.params.literal) {
		return fmt.Errorf("evaluation keys are for other parameters")
	}
	return keys.Covers(set)
}

// reply switches a ciphertext at level 0 to the modulus 2^ModulusBits, its first half to 2^FirstBits, flooded and in the ring of replies where the circuit
// asks for it. What the ring switch does depends on the flooded ciphertext and on the user's key alone, so that it tells
// the user nothing that flooding hides.
func (p *Program) reply(e *evaluator, keys *EvaluationKeys, c pair, output int, out circuit.Output) (*Reply, error) {
	m := p.params.q[0]
	coefficients := e.pair(1)
	defer e.release(coefficients)
	kept := p.signature.Kept(output)
	places := make([]int, len(kept)) // in the ring
	for i, k := range kept {
		places[i] = k * (p.params.N() / p.signature.ReplyN())
	}
	if out.Flood > 0 {
		flooded := e.pair(1)
		defer e.release(flooded)
		p.flood(flooded, c, keys, places, out.Flood)
		c = flooded
	}
	e.pool.Do(2, func(part int) { m.Inverse(coefficients[part][0], c[part][0]) })
	reply := &Reply{First: make([]uint64, len(kept)), Second: make([]uint64, p.signature.ReplyN())}
	for i, k := range places {
		reply.First[i] = coefficients[0][0][k]
	}
	second := coefficients[1][0]
	if literal := p.circuit.RingSwitch; literal != nil {
		r, err := p.params.RingSwitch(*literal)
		if err != nil {
			return nil, err
		}
		switched := e.switchRing(r, keys.ring, second)
		defer e.release(switched)
		for i, k := range kept {
			reply.First[i] = m.Reduce(reply.First[i] + switched[0][0][k])
		}
		second = switched[1][0][:r.N()]
	}
	switchModulus(reply.First, reply.First, m, out.First())
	switchModulus(reply.Second, second, m, out.ModulusBits)
	return reply, nil
}

// switchModulus writes round(x·2^bitSize/q) modulo 2^bitSize.
func switchModulus(dst, x []uint64, m *kernel.Modulus, bitSize int) {
	q, mask := m.Q(), uint64(1)<<bitSize-1
	for i, v := range x {
		high, low := bits.Mul64(v, 1<<bitSize)
		low, carry := bits.Add64(low, q/2, 0)
		quotient, _ := bits.Div64(high+carry, low, q)
		dst[i] = quotient & mask
	}
}
