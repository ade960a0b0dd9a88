package fhe

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// batchBlock is how many points a worker prepares the inputs of at a time.
const batchBlock = wire.BatchBlock

// batchRun is one run of a program.
type batchRun struct {
	*BatchProgram
	ctx     context.Context
	message *batchMessage
	keys    *EvaluationKeys
	values  [][]batchValue // that were stored, one for each ciphertext
	spent   *spent         // nil where nobody asks
}

// batchValue is a stored ciphertext: one polynomial for each power of the secret.
type batchValue []poly

func (r *batchRun) release(v int) {
	for _, c := range r.values[v] {
		r.arena.release(c...)
	}
	r.values[v] = nil
}

// worker is the memory for a block of all inputs and for a few points of all values of a stage.
type worker struct{ block, points, joined []uint64 }

func (p *BatchProgram) worker(s *batchStage) *worker {
	w, _ := p.scratch.Get().(*worker)
	if w == nil {
		w = new(worker)
	}
	for _, part := range []struct {
		have *[]uint64
		want int
	}{{&w.block, s.blocks}, {&w.points, s.words}, {&w.joined, s.joined}} {
		if len(*part.have) < part.want {
			*part.have = kernel.NewVector(part.want)
		}
	}
	return w
}

// stage computes the nodes of a stage and finishes what it stores.
func (r *batchRun) stage(s *batchStage) error {
	c := r.circuit
	for _, v := range s.stores {
		node := &r.nodes[v-len(c.Inputs)]
		r.values[v] = make([]batchValue, c.Width(v))
		for i := range r.values[v] {
			for range node.degree + 1 {
				r.values[v][i] = append(r.values[v][i], r.arena.poly(node.Level+1))
			}
		}
	}
	blocks := r.params.N() / batchBlock
	var failed error
	var once sync.Once
	var stop atomic.Bool
	r.pool.Do((s.level+1)*blocks, func(task int) {
		if stop.Load() {
			return
		}
		err := r.ctx.Err()
		if err == nil {
			err = r.block(s, s.level-task/blocks, task%blocks)
		}
		if err != nil {
			stop.Store(true)
			once.Do(func() { failed = err })
		}
	})
	if failed != nil {
		return failed
	}
	for _, v := range s.stores {
		if err := r.finish(v); err != nil {
			return err
		}
	}
	for _, v := range s.ends {
		r.release(v)
	}
	return nil
}

// block computes a stage on the points of a block of one limb.
func (r *batchRun) block(s *batchStage, limb, block int) error {
	w := r.worker(s)
	defer r.scratch.Put(w)
	inputs := map[int][]uint64{}
	free := w.block
	for v, level := range s.loads {
		if v >= len(r.circuit.Inputs) || level < limb {
			continue
		}
		size := 2 * r.circuit.Inputs[v].Width * batchBlock
		inputs[v], free = free[:size], free[size:]
		if err := r.message.block(inputs[v], r.params, v, r.first[v], r.used[v], limb, block); err != nil {
			return err
		}
	}
	for start := 0; start < batchBlock; start += kernel.MixPoints {
		for v, level := range s.loads {
			if level < limb {
				continue
			}
			width := r.circuit.Width(v)
			for part := range r.circuit.Degree(v) + 1 {
				dst := r.points(s, w, v, part)
				if block, input := inputs[v]; input {
					for i := range width {
						copy(dst[i*kernel.MixPoints:][:kernel.MixPoints], block[(part*width+i)*batchBlock+start:])
					}
					continue
				}
				for i, c := range r.values[v] {
					copy(dst[i*kernel.MixPoints:][:kernel.MixPoints], c[part][limb][block*batchBlock+start:])
				}
			}
		}
		for _, i := range s.nodes {
			if r.nodes[i].Level < limb {
				continue
			}
			if r.spent == nil {
				r.compute(s, w, i, limb)
				continue
			}
			begin := time.Now()
			r.compute(s, w, i, limb)
			r.spent.add(i, time.Since(begin))
		}
		for _, v := range s.stores {
			node := &r.nodes[v-len(r.circuit.Inputs)]
			if node.Level < limb {
				continue
			}
			for part := range node.degree + 1 {
				src := r.points(s, w, v, part)
				for i, c := range r.values[v] {
					copy(c[part][limb][block*batchBlock+start:], src[i*kernel.MixPoints:][:kernel.MixPoints])
				}
			}
		}
	}
	return nil
}

// points is where a worker has one part of a value.
func (r *batchRun) points(s *batchStage, w *worker, v, part int) []uint64 {
	stride := r.stride(v)
	return w.points[s.offsets[v]+part*stride:][:stride]
}

// compute runs a node on the points that a worker has.
func (r *batchRun) compute(s *batchStage, w *worker, i, limb int) {
	node := &r.nodes[i]
	m := r.params.q[limb]
	value := len(r.circuit.Inputs) + i
	size := r.circuit.Width(value) * kernel.MixPoints
	operand := func(k, part int) []uint64 { return r.points(s, w, node.In[k], part) }
	result := func(part int) []uint64 { return r.points(s, w, value, part) }
	switch {
	case node.matrix != nil:
		for part := range node.degree + 1 {
			var constants []uint64
			if part == 0 {
				constants = node.constants[limb]
			}
			src := operand(0, part)
			if len(node.In) > 1 {
				src = r.join(w, node, operand, part)
			}
			m.Mix(node.matrix, result(part), src, constants)
		}
	case node.Multiply != nil:
		d0, d1, d2 := result(0)[:size], result(1)[:size], result(2)[:size]
		if node.In[0] == node.In[1] {
			m.TensorSquare(d0, d1, d2, operand(0, 0), operand(0, 1))
		} else {
			m.Tensor(d0, d1, d2, operand(0, 0), operand(0, 1), operand(1, 0), operand(1, 1))
		}
	default:
		for part := range node.degree + 1 {
			sum := result(part)[:size]
			begun := false
			for k, v := range node.In {
				switch {
				case part > r.circuit.Degree(v):
				case begun:
					m.MulScalarAdd(sum, operand(k, part), node.factors[k][limb])
				default:
					m.MulScalar(sum, operand(k, part), node.factors[k][limb])
					begun = true
				}
			}
			if part == 0 {
				m.AddScalar(sum, sum, node.constants[limb][0])
			}
		}
	}
}

// join puts the operands of a Mix side by side; those of a lower degree are zero.
func (r *batchRun) join(w *worker, node *batchNode, operand func(k, part int) []uint64, part int) []uint64 {
	at := 0
	for k, v := range node.In {
		size := r.circuit.Width(v) * kernel.MixPoints
		if dst := w.joined[at : at+size]; part <= r.circuit.Degree(v) {
			copy(dst, operand(k, part))
		} else {
			clear(dst)
		}
		at += size
	}
	return w.joined[:at]
}

// finish relinearises and rescales the ciphertexts of a stored value, where its node says so.
func (r *batchRun) finish(v int) error {
	node := &r.nodes[v-len(r.circuit.Inputs)]
	if !finishing(node.Node) {
		return nil
	}
	special := 0
	if node.Relinearise {
		special = r.keys.relinearisation.special
	}
	division, err := r.params.division(node.Level, special, node.Rescale)
	if err != nil {
		return err
	}
	var g *gadget
	if node.Relinearise {
		if g, err = r.params.gadget(node.Level, special); err != nil {
			return err
		}
	}
	e := &evaluator{params: r.params, arena: r.arena} // ciphertexts are shared out, not their limbs
	begin := time.Now()
	r.pool.Do(len(r.values[v]), func(i int) {
		c := r.values[v][i]
		if g == nil {
			result := e.divide(division, pair{c[0], c[1]}, nil)
			r.values[v][i] = batchValue{result[0], result[1]}
			return
		}
		if len(c) < 3 {
			c = append(c, e.zero(node.Level + 1)[0])
		}
		w := e.flow()
		result := w.relinearise(g, division, r.keys.relinearisation, [3]poly(c), always)
		w.run()
		e.arena.release(c...)
		r.values[v][i] = batchValue{result[0], result[1]}
	})
	if r.spent != nil {
		r.spent.add(v-len(r.circuit.Inputs), time.Since(begin)*time.Duration(r.pool.Workers()))
	}
	return r.ctx.Err()
}

// reply returns the encrypted outputs.
func (r *batchRun) reply(id ID) []byte {
	width := r.signature.ReplyWidth()
	reply := wire.AppendHeader(make([]byte, 0, r.signature.ReplySize()), wire.Replies, id, width)
	m, n := r.params.q[0], r.params.N()
	for _, out := range r.circuit.Outputs {
		size := wire.PackedSize(n, out.ModulusBits)
		start := len(reply)
		reply = reply[:start+2*size*out.Width]
		list := r.values[out.Value]
		r.pool.Do(2*out.Width, func(task int) {
			i, part := task/2, 1-task%2 // the second part comes first
			coefficients := r.arena.poly(1)
			v := coefficients[0]
			m.Inverse(v, list[i][part][0])
			switchModulus(v, v, m, out.ModulusBits)
			wire.Pack(reply[start+task*size:start+(task+1)*size], v, out.ModulusBits)
			r.arena.release(coefficients)
		})
	}
	return reply
}

// spent adds up the time that each node took on all workers.
type spent struct{ nodes []atomic.Int64 }

func newSpent(nodes int) *spent { return &spent{make([]atomic.Int64, nodes)} }

func (s *spent) add(node int, d time.Duration) { s.nodes[node].Add(int64(d)) }

// of returns the time that a node would have taken alone on all workers.
func (s *spent) of(node, workers int) time.Duration {
	return time.Duration(s.nodes[node].Load()) / time.Duration(workers)
}
