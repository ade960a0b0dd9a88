package main

import (
	"time"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/kernel"
)

// work is what a circuit takes at least, done the way that package fhe does it. Transforms, products and extensions are
// counted in vectors of the ring degree: one transform of a limb, one product that is added up in both parts of a
// ciphertext, one pair of a source and a target prime.
type work struct {
	transforms, products, extensions int
	plaintexts, keys, values         int64 // bytes that go through the processor: each key once, each value written and read
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
		w.transforms += width // what a digit has on its own limbs is there, but had to be transformed back
		w.extensions += size * (width - size)
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
	w.transforms += 2 * (stay + drop)
	w.extensions += 2 * stay * drop
}

// units are the times of one transform, one product and one extension, in cache, on one core.
type units struct{ transform, product, extension time.Duration }

// measureUnits must be called on one core.
func measureUnits(p circuit.Parameters) (units, error) {
	primes := append(append([]uint64(nil), p.Q...), p.P...)
	var moduli []*kernel.Modulus
	for _, q := range primes[:min(2, len(primes))] {
		m, err := kernel.NewModulus(q, p.LogN, p.Ring == circuit.ConjugateInvariant)
		if err != nil {
			return units{}, err
		}
		moduli = append(moduli, m)
	}
	m := moduli[0]
	const terms, piece = 16, 1024 // as the executor sums
	vectors := kernel.NewVectors(3*terms+2, piece)
	whole := kernel.NewVector(p.N())
	u := units{
		transform: unit(func() { m.Forward(whole, whole) }),
		product: unit(func() {
			m.InnerProduct2(vectors[0], vectors[1], vectors[2:2+terms], vectors[2+terms:2+2*terms], vectors[2+2*terms:])
		}) * time.Duration(p.N()/piece) / terms,
	}
	if len(moduli) > 1 {
		x, err := kernel.NewExtension(moduli[:1], moduli[1:])
		if err != nil {
			return units{}, err
		}
		u.extension = unit(func() { x.Apply(vectors[:1], vectors[1:2]) }) * time.Duration(p.N()/piece)
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

// arithmetic is the time that work takes on one core which never waits for memory.
func (u units) arithmetic(w work) time.Duration {
	return time.Duration(w.transforms)*u.transform + time.Duration(w.products)*u.product + time.Duration(w.extensions)*u.extension
}
