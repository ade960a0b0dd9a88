package main

import (
	"time"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/kernel"
)

// work is what a circuit takes at least, done the way that package fhe does it.
type work struct {
	circuit.Work

	plaintexts, keys, values int64 // bytes that go through the processor: each key once, each value written and read
}

// bytes is what has to be streamed.
func (w work) bytes() int64 { return w.plaintexts + w.keys + w.values }

// products is how many of them there are, whatever they are with.
func (w work) products() int { return w.KeyProducts + w.Products + w.Runs }

// workOf counts the work of a program.
func workOf(p *fhe.Program) work {
	c := p.Circuit()
	n := int64(c.Parameters.N())
	w := work{plaintexts: p.PlaintextBytes(), keys: fhe.KeysBytes(c.Parameters, c.Keys())}
	circuit.NewPlan(c).Work(c, func(_ int, of circuit.Work) { w.Add(1, of) })
	for _, node := range c.Nodes {
		limbs := node.Level + 1
		w.values += 2 * 8 * n * int64(limbs*len(node.In)+limbs-node.Rescale)
	}
	return w
}

// units are the times of one of each, in cache, on one core.
type units struct{ forward, inverse, product, lift, conversion, move time.Duration }

// measureUnits must be called on one core.
func measureUnits(p circuit.Parameters) (units, error) {
	var moduli []*kernel.Modulus
	for _, q := range append(append([]uint64(nil), p.Q...), p.P...) {
		m, err := kernel.NewModulus(q, p.LogN, p.Ring == circuit.ConjugateInvariant)
		if err != nil {
			return units{}, err
		}
		moduli = append(moduli, m)
	}
	m, last := moduli[0], moduli[len(moduli)-1]
	const terms, piece = 16, 1024 // as the executor sums
	pieces := time.Duration(p.N() / piece)
	vectors := kernel.NewVectors(3*terms+2, piece)
	whole := kernel.NewVector(p.N())
	u := units{
		forward: unit(func() { m.Forward(whole, whole) }),
		inverse: unit(func() { m.Inverse(whole, whole) }),
		product: unit(func() {
			m.InnerProduct2(vectors[0], vectors[1], vectors[2:2+terms], vectors[2+terms:2+2*terms], vectors[2+2*terms:])
		}) * pieces / terms,
		lift: unit(func() { m.Lift(vectors[0], vectors[1], last) }) * pieces,
		move: unit(func() { m.SubMulScalar(vectors[0], vectors[0], vectors[1], 3) }) * pieces,
	}
	if len(moduli) > 2 {
		x, err := kernel.NewExtension(moduli[:2], moduli[2:])
		if err != nil {
			return units{}, err
		}
		rows, targets := kernel.NewVectors(2, p.N()), time.Duration(len(moduli)-2)
		converted := unit(func() {
			x.Begin(rows, 0, p.N())
			for target := range int(targets) {
				x.BeginForward(whole, rows, target)
				for part := range kernel.Parts {
					moduli[2+target].FinishForward(whole, part, [3][]uint64{})
				}
			}
		})
		u.conversion = max(0, converted-targets*u.forward) / (2 * targets) // what it adds to transforms
	}
	return u, nil
}

// unit is the median time of f.
func unit(f func()) time.Duration {
	const repeats = 64
	var times []time.Duration
	for range 2 * rounds {
		start := time.Now()
		for range repeats {
			f()
		}
		times = append(times, time.Since(start)/repeats)
	}
	return median(times)
}

// of returns the time of work.
func (u units) of(w work) time.Duration {
	return time.Duration(w.Forward)*u.forward + time.Duration(w.Inverse)*u.inverse + time.Duration(w.products())*u.product +
		time.Duration(w.Lifts)*u.lift + time.Duration(w.Conversions)*u.conversion + time.Duration(w.Moves)*u.move
}
