package fhe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// BatchProgram is a circuit on batches (circuit.Batch) made ready to run. It is safe for concurrent use, but runs one
// batch at a time: that takes all cores, and the memory for several is not there.
//
// Sums, products and combinations work on each NTT point by itself. So they run in stages: whatever lies between two
// rescalings or relinearisations is computed for a few points of all ciphertexts at a time, which stay in the second
// cache, and only what a stage ends with is written to memory. Inputs are unpacked, and their uniform halves expanded,
// block by block as they are needed, so that a batch of hundreds of megabytes takes the memory of its bytes and little
// more.
type BatchProgram struct {
	params    *Parameters
	circuit   *circuit.Circuit
	signature *Signature
	keys      circuit.KeySet
	pool      *Pool
	nodes     []batchNode
	stages    []batchStage
	first     []int    // index of each input's first ciphertext
	used      [][]bool // of each input: which ciphertexts are read at all
	turn      chan struct{}
	arena     *arena
	scratch   sync.Pool
	bytes     int64
}

// batchNode is a prepared node.
type batchNode struct {
	circuit.Node
	degree    int // before it is relinearised
	matrix    *kernel.Mix
	constants [][]uint64 // of a Mix: for each limb, what is added to each row; of a Combine: to all
	factors   [][]uint64 // of a Combine: for each operand, its factor modulo each limb
}

// finishing reports whether a node ends with what needs whole polynomials.
func finishing(node circuit.Node) bool { return node.Rescale > 0 || node.Relinearise }

// NewBatchProgram checks a circuit on batches and prepares its scalars.
func NewBatchProgram(c *circuit.Circuit, pool *Pool) (*BatchProgram, error) {
	if c.Packing != circuit.Batch {
		return nil, errors.New("the circuit is not for batches")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	params, err := NewParameters(c.Parameters)
	if err != nil {
		return nil, err
	}
	p := &BatchProgram{params: params, circuit: c, signature: SignatureOf(c), keys: c.Keys(), pool: pool,
		turn: make(chan struct{}, 1), arena: &arena{n: params.N()}}
	width := 0
	for _, in := range c.Inputs {
		p.first, p.used = append(p.first, width), append(p.used, make([]bool, in.Width))
		width += in.Width
	}
	for i, node := range c.Nodes {
		b, err := p.prepare(node)
		if err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", i, node.Name, err)
		}
		p.nodes = append(p.nodes, b)
	}
	p.plan()
	return p, nil
}

// uses marks what a node reads of the inputs: trees ask for a few bits of all that a client sends.
func (p *BatchProgram) uses(node circuit.Node, rows [][]kernel.Scalar) {
	first := 0
	for _, v := range node.In {
		width := p.circuit.Width(v)
		if v < len(p.used) {
			for i := range p.used[v] {
				p.used[v][i] = p.used[v][i] || node.Mix == nil
			}
			for _, row := range rows {
				for _, s := range row {
					if s.Column >= first && s.Column < first+width {
						p.used[v][s.Column-first] = true
					}
				}
			}
		}
		first += width
	}
}

func (p *BatchProgram) prepare(node circuit.Node) (batchNode, error) {
	c := p.circuit
	b := batchNode{Node: node, degree: 1}
	for _, v := range node.In {
		b.degree = max(b.degree, c.Degree(v))
	}
	moduli := p.params.Moduli(node.Level, 0)
	scale := node.Scale * c.Divisor(node)
	switch {
	case node.Multiply != nil:
		b.degree = 2
		p.uses(node, nil)
	case node.Combine != nil:
		p.uses(node, nil)
		for k, f := range node.Combine.Factors {
			b.factors = append(b.factors, residuesOf(moduli, f*c.PlaintextScale(node, k)))
		}
		for _, x := range residuesOf(moduli, node.Combine.Constant*scale) {
			b.constants = append(b.constants, []uint64{x})
		}
	case node.Mix != nil:
		rows, columns := p.scalars(node)
		p.uses(node, rows)
		var err error
		if b.matrix, err = kernel.NewMix(rows, columns, c.MixBits(node)); err != nil {
			return b, err
		}
		p.bytes += b.matrix.Bytes()
		bias := node.Mix.Bias.Full(node.Mix.Rows)
		for _, m := range moduli {
			// In slots, the constant polynomial has the same value at every point.
			constants := make([]uint64, len(bias))
			for r, x := range bias {
				constants[r] = Residue(m, math.RoundToEven(x*scale))
			}
			b.constants = append(b.constants, constants)
		}
	}
	return b, nil
}

// scalars returns the rows of a Mix over the columns of all its operands, one after the other.
func (p *BatchProgram) scalars(node circuit.Node) (rows [][]kernel.Scalar, columns int) {
	rows = make([][]kernel.Scalar, node.Mix.Rows)
	for k, v := range node.In {
		width, scale := p.circuit.Width(v), p.circuit.PlaintextScale(node, k)
		m := node.Mix.Maps[k]
		for i, w := range m.Values {
			at := i
			if m.Index != nil {
				at = int(m.Index[i])
			}
			if s := int64(math.RoundToEven(w * scale)); s != 0 {
				rows[at/width] = append(rows[at/width], kernel.Scalar{Column: columns + at%width, Value: s})
			}
		}
		columns += width
	}
	return rows, columns
}

// batchStage are nodes that are computed together.
type batchStage struct {
	nodes []int
	level int         // the highest
	loads map[int]int // values from before, with the highest level that is used
	// stores are the values that are read after the stage, or have to be finished; ends are those read before for the
	// last time.
	stores, ends []int
	offsets      map[int]int // of each value in a worker's memory, in words
	joined       int         // of the operands of a Mix side by side
	words        int
	blocks       int // words for inputs
}

// plan puts nodes into stages.
func (p *BatchProgram) plan() {
	c := p.circuit
	inputs := len(c.Inputs)
	stageOf := make([]int, c.Values())
	last := make([]int, c.Values()) // stage that reads the value last
	for i, node := range c.Nodes {
		stage := 0
		for _, v := range node.In {
			s := stageOf[v]
			if v >= inputs && finishing(c.Nodes[v-inputs]) {
				s++
			}
			stage = max(stage, s)
		}
		stageOf[inputs+i] = stage
		for _, v := range node.In {
			last[v] = max(last[v], stage)
		}
		for len(p.stages) <= stage {
			p.stages = append(p.stages, batchStage{loads: map[int]int{}, offsets: map[int]int{}})
		}
		s := &p.stages[stage]
		s.nodes = append(s.nodes, i)
		s.level = max(s.level, node.Level)
	}
	for _, out := range c.Outputs {
		last[out.Value] = len(p.stages)
	}
	for k := range p.stages {
		s := &p.stages[k]
		place := func(v, parts int) {
			s.offsets[v] = s.words
			s.words += parts * p.stride(v)
		}
		for _, i := range s.nodes {
			node, v := &p.nodes[i], inputs+i
			for _, operand := range node.In {
				if operand >= inputs && stageOf[operand] == k && !finishing(c.Nodes[operand-inputs]) {
					continue
				}
				if _, known := s.loads[operand]; !known {
					place(operand, c.Degree(operand)+1)
					if operand < inputs {
						s.blocks += 2 * c.Inputs[operand].Width * batchBlock
					}
				}
				s.loads[operand] = max(s.loads[operand], node.Level)
			}
			place(v, node.degree+1)
			if finishing(node.Node) || last[v] > k {
				s.stores = append(s.stores, v)
			}
			if node.matrix != nil && len(node.In) > 1 {
				width := 0
				for _, operand := range node.In {
					width += c.Width(operand)
				}
				s.joined = max(s.joined, width*kernel.MixPoints)
			}
		}
		for v := inputs; v < c.Values(); v++ {
			if last[v] == k && stageOf[v] < k {
				s.ends = append(s.ends, v)
			}
		}
	}
}

// stride is the length of one part of a value in a worker's memory: a Mix needs a row more.
func (p *BatchProgram) stride(v int) int { return (p.circuit.Width(v) + 1) * kernel.MixPoints }

// Circuit returns the circuit. It must not be changed.
func (p *BatchProgram) Circuit() *circuit.Circuit { return p.circuit }

// Parameters returns the circuit's parameters.
func (p *BatchProgram) Parameters() *Parameters { return p.params }

// Signature returns the circuit's signature. It must not be changed.
func (p *BatchProgram) Signature() *Signature { return p.signature }

// PlaintextBytes returns the memory that the scalars take.
func (p *BatchProgram) PlaintextBytes() int64 { return p.bytes }

// Run answers a batch: the bytes of a request (FORMAT.md) under the name of the model. It fails with ErrFormat or
// ErrForeign for bytes that are no batch for this circuit.
func (p *BatchProgram) Run(ctx context.Context, keys *EvaluationKeys, id ID, request []byte, observe Observer) ([]byte, error) {
	if err := checkKeys(p.params, p.keys, keys); err != nil {
		return nil, err
	}
	message, err := parseBatch(p.signature, id, request)
	if err != nil {
		return nil, err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := p.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer p.pool.Leave()
	r := &batchRun{BatchProgram: p, ctx: ctx, message: message, keys: keys, values: make([][]batchValue, p.circuit.Values())}
	if observe != nil {
		r.spent = newSpent(len(p.nodes))
	}
	defer func() {
		for v := range r.values {
			r.release(v)
		}
	}()
	for i := range p.stages {
		if err := r.stage(&p.stages[i]); err != nil {
			return nil, err
		}
	}
	reply := r.reply(id)
	if observe != nil {
		for i := range p.nodes {
			observe(i, r.spent.of(i, p.pool.Workers()))
		}
	}
	return reply, nil
}
