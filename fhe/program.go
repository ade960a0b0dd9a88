package fhe

import (
	"context"
	"fmt"
	"math"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// Program is a circuit made ready to run: its plaintexts encoded, its rotations grouped. It is safe for concurrent use.
type Program struct {
	params    *Parameters
	circuit   *circuit.Circuit
	signature *Signature
	keys      circuit.KeySet
	pool      *Pool
	nodes     []operation
	last      []int // for each value, the last node that uses it, or len(nodes) for an output
	bytes     int64
	arenas    sync.Pool
}

// operation is a prepared node. It writes the result to a new pair.
type operation interface {
	run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error)
}

// NewProgram checks a circuit and encodes its plaintexts, on the pool's workers.
func NewProgram(ctx context.Context, c *circuit.Circuit, pool *Pool) (*Program, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	params, err := NewParameters(c.Parameters)
	if err != nil {
		return nil, err
	}
	p := &Program{params: params, circuit: c, signature: SignatureOf(c), keys: c.Keys(), pool: pool}
	p.arenas.New = func() any { return &arena{n: params.N()} }
	b := &builder{program: p, plan: circuit.NewPlan(c)}
	for i, node := range c.Nodes {
		op, err := b.build(i, node)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
		p.nodes = append(p.nodes, op)
	}
	p.last = lastUses(c)
	if err := pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer pool.Leave()
	scratch := &arena{n: params.N()}
	pool.Do(len(b.work), func(i int) {
		if ctx.Err() == nil {
			polys := scratch.poly(len(params.q) + len(params.p))
			b.work[i](polys)
			scratch.release(polys)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// On returns the same program, which shares all plaintexts, on another pool.
func (p *Program) On(pool *Pool) *Program {
	other := &Program{params: p.params, circuit: p.circuit, signature: p.signature, keys: p.keys, pool: pool, nodes: p.nodes, last: p.last, bytes: p.bytes}
	other.arenas.New = p.arenas.New
	return other
}

// lastUses returns for each value after which node it is not needed any more.
func lastUses(c *circuit.Circuit) []int {
	last := make([]int, c.Values())
	for i := range last {
		last[i] = i - len(c.Inputs) // its own node
	}
	for i, node := range c.Nodes {
		for _, v := range node.In {
			last[v] = i
		}
	}
	for _, out := range c.Outputs {
		last[out.Value] = len(c.Nodes)
	}
	return last
}

// Parameters returns the circuit's parameters.
func (p *Program) Parameters() *Parameters { return p.params }

// Circuit returns the circuit. It must not be changed.
func (p *Program) Circuit() *circuit.Circuit { return p.circuit }

// Signature returns the circuit's signature. It must not be changed.
func (p *Program) Signature() *Signature { return p.signature }

// PlaintextBytes returns the memory that the encoded plaintexts take.
func (p *Program) PlaintextBytes() int64 { return p.bytes }

// builder prepares nodes.
type builder struct {
	program *Program
	plan    *circuit.Plan
	work    []func(scratch poly) // encodes them
	shared  []sharing
}

func (b *builder) build(i int, node circuit.Node) (operation, error) {
	c := b.program.circuit
	switch {
	case node.Linear != nil:
		return b.buildLinear(i, node), nil
	case node.Fold != nil:
		return b.buildFold(node), nil
	case node.Dot != nil:
		return b.buildDot(node), nil
	case node.Combine != nil:
		return b.buildCombine(node)
	default:
		if c.Packing != circuit.Slots {
			return nil, fmt.Errorf("product of two values needs slots")
		}
		return &multiply{b.buildFinish(node, circuit.Vector{}), node.In[0] == node.In[1]}, nil
	}
}

// finish is what all operations end with: dividing primes out and adding a constant vector.
type finish struct {
	level, rescale int
	bias           poly // nil for none
}

func (b *builder) buildFinish(node circuit.Node, bias circuit.Vector) finish {
	f := finish{level: node.Level, rescale: node.Rescale}
	if !bias.IsZero() {
		f.bias = b.plaintext(bias, node.Scale, node.Level-node.Rescale)
	}
	return f
}

// apply divides special primes and those of the rescaling out of c, which it consumes, and adds the bias.
func (f *finish) apply(e *evaluator, c pair, special int) (pair, error) {
	division, err := e.params.division(f.level, special, f.rescale)
	if err != nil {
		return pair{}, err
	}
	return e.divide(division, c, f.bias), nil
}

// dot multiplies by one polynomial.
type dot struct {
	finish
	weights []*kernel.Factors // of each limb
}

func (b *builder) buildDot(node circuit.Node) *dot {
	o := &dot{finish: b.buildFinish(node, node.Dot.Bias)}
	moduli := b.program.params.Moduli(node.Level, 0)
	o.weights = b.factors(moduli, 1, 1, b.program.circuit.Repeats(node.Dot.Weights))
	b.encode(node.Dot.Weights, b.program.circuit.PlaintextScale(node, 0), moduli, func(limb int, values []uint64) {
		o.weights[limb].Set(0, 0, values)
	})
	return o
}

func (o *dot) run(e *evaluator, _ *EvaluationKeys, operands []pair) (pair, error) {
	c := operands[0]
	product := e.pair(o.level + 1)
	e.pool.Do(o.level+1, func(limb int) {
		kernel.Sum([]kernel.Sums{{
			Factors: o.weights[limb],
			Terms:   [2][][]uint64{c[0][limb : limb+1], c[1][limb : limb+1]},
			Results: [2][][]uint64{product[0][limb : limb+1], product[1][limb : limb+1]},
		}}, 0, e.params.N())
	})
	return o.apply(e, product, 0)
}

// combine adds integer multiples.
type combine struct {
	finish
	factors  [][]uint64 // for each operand, its factor modulo each limb
	constant []uint64   // modulo each limb: in slots, the constant polynomial has the same value everywhere
}

func (b *builder) buildCombine(node circuit.Node) (operation, error) {
	p := b.program
	moduli := p.params.Moduli(node.Level, 0)
	o := &combine{}
	for k, f := range node.Combine.Factors {
		o.factors = append(o.factors, residuesOf(moduli, f*p.circuit.PlaintextScale(node, k)))
	}
	constant := circuit.Vector{}
	if p.circuit.Packing == circuit.Coefficients && node.Combine.Constant != 0 {
		constant = circuit.Vector{Period: 1, Values: []float64{node.Combine.Constant}}
	} else {
		o.constant = residuesOf(moduli, node.Combine.Constant*node.Scale*p.circuit.Divisor(node))
	}
	o.finish = b.buildFinish(node, constant)
	return o, nil
}

func residuesOf(moduli []*kernel.Modulus, x float64) []uint64 {
	list := make([]uint64, len(moduli))
	for i, m := range moduli {
		list[i] = Residue(m, math.RoundToEven(x))
	}
	return list
}

func (o *combine) run(e *evaluator, _ *EvaluationKeys, operands []pair) (pair, error) {
	moduli := e.params.Moduli(o.level, 0)
	sum := e.pair(len(moduli))
	e.pool.Do(2*len(moduli), func(task int) {
		part, limb := task%2, task/2
		m, v := moduli[limb], sum[part][limb]
		m.MulScalar(v, operands[0][part][limb], o.factors[0][limb])
		for k, factor := range o.factors[1:] {
			m.MulScalarAdd(v, operands[k+1][part][limb], factor[limb])
		}
		if part == 0 && o.constant != nil {
			m.AddScalar(v, v, o.constant[limb])
		}
	})
	return o.apply(e, sum, 0)
}

// multiply is the product of two values, relinearised.
type multiply struct {
	finish
	square bool
}

func (o *multiply) run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error) {
	key := keys.relinearisation
	g, err := e.params.gadget(o.level, key.special)
	if err != nil {
		return pair{}, err
	}
	division, err := e.params.division(o.level, key.special, o.rescale)
	if err != nil {
		return pair{}, err
	}
	product := [3]poly{e.arena.poly(o.level + 1), e.arena.poly(o.level + 1), e.arena.poly(o.level + 1)}
	a, b := operands[0], operands[1]
	w := e.flow()
	tensor := w.add(o.level+1, func(limb int) {
		m := g.moduli[limb]
		d0, d1, d2 := product[0][limb], product[1][limb], product[2][limb]
		if o.square {
			m.TensorSquare(d0, d1, d2, a[0][limb], a[1][limb])
		} else {
			m.Tensor(d0, d1, d2, a[0][limb], a[1][limb], b[0][limb], b[1][limb])
		}
	})
	result := w.relinearise(g, division, key, product, tensor.wait)
	w.run()
	e.arena.release(product[:]...)
	return result, nil
}
