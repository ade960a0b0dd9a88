package compiler

import (
	"math"
	"slices"

	"cipherpoint/circuit"
)

// refine walks from a candidate of the coarse search, whose primes are all of one size, to cheaper ones beside it: it
// changes the size of each prime, the scale of the inputs and of each linear map a bit at a time, one or two together,
// for as long as that makes the candidate cheaper within the bound.
func (p *styled) refine(c *circuit.Circuit, start Candidate, want demands) Candidate {
	best := start
	for {
		improved := false
		for _, saving := range start.moves(c, true) {
			for _, other := range start.moves(c, false) {
				next := best.clone()
				saving(&next)
				other(&next)
				if p.tries(c, &next, best.objective, want) {
					best, improved = next, true
				}
			}
		}
		if !improved {
			return best
		}
	}
}

// moves are the steps to a candidate's neighbours: those that can save something by themselves, or all.
func (c *Candidate) moves(scheduled *circuit.Circuit, saving bool) []func(*Candidate) {
	var list []func(*Candidate)
	steps := []int{-1, 1, -3, 3}
	if saving {
		steps = []int{-1, -3}
	}
	add := func(change func(k *Candidate, by int)) {
		for _, by := range steps {
			list = append(list, func(k *Candidate) { change(k, by) })
		}
	}
	for i := range c.QBits {
		add(func(k *Candidate, by int) { k.QBits[i] += by })
	}
	if len(c.PBits) > 0 {
		add(func(k *Candidate, by int) {
			for i := range k.PBits {
				k.PBits[i] += by
			}
		})
	}
	if saving {
		return list
	}
	list = append(list, func(*Candidate) {})
	add(func(k *Candidate, by int) { k.scales.input += by })
	add(func(k *Candidate, by int) { k.scales.least += by })
	add(func(k *Candidate, by int) { k.scales.plaintext += by })
	for i, node := range scheduled.Nodes {
		if node.Linear != nil {
			add(func(k *Candidate, by int) { k.scales.own[i] += by })
		}
	}
	return list
}

func (c *Candidate) clone() Candidate {
	next := *c
	next.QBits, next.PBits = slices.Clone(c.QBits), slices.Clone(c.PBits)
	next.scales.own = map[int]int{}
	for node, bits := range c.scales.own {
		next.scales.own[node] = bits
	}
	return next
}

// tries prices a candidate and reports whether it runs and is cheaper than the limit.
func (p *styled) tries(c *circuit.Circuit, k *Candidate, limit float64, want demands) bool {
	for _, bits := range slices.Concat(k.QBits, k.PBits) {
		if bits < smallestPrime || bits > circuit.MaxPrimeBits {
			return false
		}
	}
	if c.Parameters.SetPrimes(k.QBits, k.PBits) != nil || c.Parameters.LogQP() > circuit.MaxLogQP(k.LogN) || !schedule(c, p.profile, k.scales) {
		return false
	}
	priced, ok := p.evaluate(c, limit, want)
	if !ok || !(priced.objective < limit) || math.IsNaN(priced.objective) {
		return false
	}
	priced.LogN, priced.QBits, priced.PBits, priced.scales = k.LogN, k.QBits, k.PBits, k.scales
	*k = priced
	return true
}
