package fhe

import (
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// rows are sums Σ plaintexts[k] ⊙ rot(x, babies[k]) over the same babies, which wait at giant steps.
type rows struct {
	giants  []int
	places  []int             // of the babies, by index into those of the map
	factors []*kernel.Factors // of each limb
}

// row is one of them, with what it multiplies each of its babies by.
type row struct {
	giant, run int
	plaintexts map[int]circuit.Vector // by index of the baby's place
}

// buildSums groups a map's diagonals into sums and has them encoded.
func (b *builder) buildSums(o *linear, node circuit.Node) {
	p := b.program
	var list []row
	for _, d := range node.Linear.Diagonals {
		if d.Values.IsZero() {
			continue
		}
		i := slices.IndexFunc(list, func(r row) bool { return r.giant == d.Giant })
		if i < 0 {
			i = len(list)
			list = append(list, row{d.Giant, p.circuit.Repeats(d.Values), map[int]circuit.Vector{}})
		}
		place := slices.Index(o.places, d.Baby)
		if place < 0 {
			place = len(o.places)
			o.places = append(o.places, d.Baby)
		}
		list[i].run = min(list[i].run, p.circuit.Repeats(d.Values))
		list[i].plaintexts[place] = d.Values
	}
	scale, moduli := p.circuit.PlaintextScale(node, 0), p.params.Moduli(node.Level, o.special)
	for len(list) > 0 {
		var chosen []row
		chosen, list = together(list)
		group := rows{places: union(chosen)}
		group.factors = b.factors(moduli, len(chosen), len(group.places), chosen[0].run)
		for i, r := range chosen {
			group.giants = append(group.giants, r.giant)
			for term, place := range group.places {
				if v, ok := r.plaintexts[place]; ok {
					b.encode(v, scale, moduli, func(limb int, values []uint64) { group.factors[limb].Set(i, term, values) })
				}
			}
		}
		o.sums = append(o.sums, group)
	}
}

// together chooses the first row and others that it is cheaper to sum up with it, over all babies that any of them has,
// than apart. It returns them and the rest.
func together(list []row) (chosen, rest []row) {
	products := 0
	for _, r := range list {
		joined := union(append(chosen[:len(chosen):len(chosen)], r))
		// A product costs a third more in a sum that is taken alone.
		wasted := (len(chosen)+1)*len(joined) - products - len(r.plaintexts)
		if len(chosen) > 0 && (len(chosen) == kernel.MaxRows || r.run != chosen[0].run || 3*wasted > products+len(r.plaintexts)) {
			rest = append(rest, r)
			continue
		}
		chosen = append(chosen, r)
		products += len(r.plaintexts)
	}
	return chosen, rest
}

// union returns the places of all babies that rows have.
func union(list []row) []int {
	var places []int
	for _, r := range list {
		for place := range r.plaintexts {
			places = append(places, place)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// newSums returns memory for all sums, by giant step.
func (o *linear) newSums(e *evaluator, limbs int) map[int]pair {
	sums := map[int]pair{}
	for _, group := range o.sums {
		for _, giant := range group.giants {
			sums[giant] = e.pair(limbs)
		}
	}
	return sums
}

// innerSums returns the sums over the babies, by giant step.
func (o *linear) innerSums(e *evaluator, babies map[int]pair) map[int]pair {
	sums := o.newSums(e, o.level+1)
	lists := make([][]kernel.Sums, o.level+1)
	for limb := range lists {
		first, second := make([][]uint64, len(o.places)), make([][]uint64, len(o.places))
		for i, shift := range o.places {
			first[i], second[i] = babies[shift][0][limb], babies[shift][1][limb]
		}
		lists[limb] = o.sumsOf(limb, first, second, 0, sums)
	}
	pieces := e.pieces()
	e.pool.Do(len(lists)*pieces, func(task int) {
		e.inPieces(task%pieces, func(start, end int) { kernel.Sum(lists[task/pieces], start, end) })
	})
	return sums
}

// sumsOf returns what all sums at a limb consist of, given the babies there, from a place on, by the index of their shifts.
func (o *linear) sumsOf(limb int, first, second [][]uint64, from int, sums map[int]pair) []kernel.Sums {
	list := make([]kernel.Sums, len(o.sums))
	for i, group := range o.sums {
		s := kernel.Sums{Factors: group.factors[limb], From: from}
		for _, place := range group.places {
			s.Terms[0], s.Terms[1] = append(s.Terms[0], first[place]), append(s.Terms[1], second[place])
		}
		for _, giant := range group.giants {
			s.Results[0], s.Results[1] = append(s.Results[0], sums[giant][0][limb]), append(s.Results[1], sums[giant][1][limb])
		}
		list[i] = s
	}
	return list
}
