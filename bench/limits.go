package main

import (
	"time"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/kernel"
)

// work is what a circuit takes at least, done the way that package fhe does it, counted in vectors of the ring degree: a
// transform of a limb, forward or back; a product that is added up in both parts of a ciphertext; residues of one prime lifted to another;
// a pair of a source and a target of a base conversion with several sources.
type work struct {
	forwards, inverses, products, lifts, extensions int

	plaintexts, keys, values int64 // bytes that go through the processor: each key once, each value written and read
}

// bytes is what has to be streamed.
func (w work) bytes() int64 { return w.plaintexts + w.keys + w.values }

// workOf counts the work of a program.
func workOf(p *fhe.Program) work {
	c := p.Circuit()
	n := int64(c.Parameters.N())
	w := work{plaintexts: p.PlaintextBytes(), keys: fhe.KeysBytes(c.Parameters, c.Keys())}
	for _, node := range c.Nodes {
		limbs := node.Level + 1
		w.values += 2 * 8 * n * int64(limbs*len(node.In)+limbs-node.Rescale)
		s := c.Parameters.SpecialPrimes(node.Level)
		switch {
		case node.Linear != nil:
			w.linear(node, limbs, s)
		case node.Fold != nil:
			for range node.Fold.Steps {
				w.decompose(limbs, s)
				w.switchKey(limbs, s)
				w.divide(limbs, s)
			}
		case node.Multiply != nil:
			w.decompose(limbs, s)
			w.switchKey(limbs, s)
			w.divide(limbs-node.Rescale, s+node.Rescale)
		default:
			w.divide(limbs-node.Rescale, node.Rescale)
		}
	}
	return w
}

func (w *work) linear(node circuit.Node, limbs, s int) {
	origins := map[int]bool{}
	for _, baby := range node.Linear.Babies {
		if !origins[baby.From] {
			origins[baby.From] = true
			w.decompose(limbs, s)
		}
		w.switchKey(limbs, s)
		w.divide(limbs, s)
	}
	w.products += limbs * len(node.Linear.Diagonals)
	targets := map[int]bool{}
	for _, giant := range node.Linear.Giants {
		w.decompose(limbs, s)
		w.switchKey(limbs, s)
		if giant.From != 0 && !targets[giant.From] {
			w.divide(limbs, s)
		}
		targets[giant.From] = true
	}
	if targets[0] { // one division for the special primes and the rescaling
		w.divide(limbs-node.Rescale, s+node.Rescale)
	} else {
		w.divide(limbs-node.Rescale, node.Rescale)
	}
}

func (w *work) decompose(limbs, special int) {
	width := limbs + special
	for first := 0; first < limbs; first += special {
		size := min(special, limbs-first)
		w.inverses += size
		w.forwards += width - size // what a digit has on its own limbs is there
		w.convert(size, width-size)
	}
}

func (w *work) switchKey(limbs, special int) {
	digits := (limbs + special - 1) / special
	w.products += digits * (limbs + special)
}

func (w *work) divide(stay, drop int) {
	if drop == 0 {
		return
	}
	w.inverses += 2 * drop
	w.forwards += 2 * stay
	w.convert(drop, stay)
	w.convert(drop, stay)
}

func (w *work) convert(from, to int) {
	if from == 1 {
		w.lifts += to
	} else {
		w.extensions += from * to
	}
}

// units are the times of one of each, in cache, on one core.
type units struct{ forward, inverse, product, lift, extension time.Duration }

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
	}
	if len(moduli) > 2 {
		x, err := kernel.NewExtension(moduli[:2], moduli[2:])
		if err != nil {
			return units{}, err
		}
		targets := len(moduli) - 2
		u.extension = unit(func() { x.Apply(vectors[2:2+targets], vectors[:2]) }) * pieces / time.Duration(2*targets)
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
	return time.Duration(w.forwards)*u.forward + time.Duration(w.inverses)*u.inverse + time.Duration(w.products)*u.product +
		time.Duration(w.lifts)*u.lift + time.Duration(w.extensions)*u.extension
}
