package fhe

import (
	"slices"

	"cipherpoint/fhe/kernel"
)

// Double hoisting (Bossuat et al., ePrint 2020/1203, section 4): the babies of a map stay times the special primes, and
// so do its sums. No baby is divided, and no baby is kept as a whole: everything up to the sums happens limb by limb,
// with the digits of one limb in the second cache. What it costs is sums over the special primes as well, and a division
// of half of each sum before it is turned. circuit.Plan.HoistsTwice says where that pays: the compiler counts on it.

// fit reports whether keys, which may be made for higher levels than the circuit asks for, use so many special primes.
func (o *linear) fit(keys *EvaluationKeys) bool {
	for _, group := range slices.Concat(o.babies.turns, o.giants) {
		for _, t := range group.steps {
			if keys.rotations[t.step].special != o.special {
				return false
			}
		}
	}
	return true
}

// runTwiceHoisted returns the result times the special primes.
func (o *linear) runTwiceHoisted(e *evaluator, keys *EvaluationKeys, c pair) (pair, error) {
	g, err := e.params.gadget(o.level, o.special)
	if err != nil {
		return pair{}, err
	}
	division, err := e.params.division(o.level, o.special, 0)
	if err != nil {
		return pair{}, err
	}
	sums := o.newSums(e, len(g.moduli))
	digits := e.decompose(g, c[1])
	lists := make([][]*kernel.KeySum, len(g.moduli))
	for limb := range lists {
		lists[limb] = o.keySums(keys, c, digits, division, limb)
	}
	pieces := e.pieces()
	e.pool.Do(len(lists)*pieces, func(task int) {
		limb := task / pieces
		e.inPieces(task%pieces, func(start, end int) {
			o.sumPiece(g.moduli[limb], c, lists[limb], division, limb, start, end, sums)
		})
	})
	e.releaseDecomposition(digits)

	for _, group := range o.giants {
		e.turnTimesSpecial(group, g, division, keys, sums)
	}
	if result, ok := sums[0]; ok {
		return result, nil
	}
	return e.zero(len(g.moduli)), nil
}

// babyPieces holds the babies of a piece, both parts.
type babyPieces [2][][]uint64

// keySums returns the rotations of a value that are the babies at a limb, by their places; nil for the value itself.
func (o *linear) keySums(keys *EvaluationKeys, c pair, digits *decomposition, d *division, limb int) []*kernel.KeySum {
	steps := o.babies.turns[0].steps
	list := make([]*kernel.KeySum, len(o.places))
	for i, place := range o.places {
		if place == 0 {
			continue
		}
		at := slices.IndexFunc(steps, func(t turn) bool { return t.shift == place })
		list[i] = digits.keySum(limb, keys.rotations[steps[at].step])
		if limb <= o.level {
			list[i].Addends[0], list[i].Factor = c[0][limb], d.product[limb]
		}
		if i > 0 && list[i-1] != nil {
			list[i-1].Next = list[i].Key[0][0]
		}
	}
	return list
}

// sumPiece writes places start to end-1 of all sums at a limb: the babies there are made when they are due, and stay in
// the second cache until the sums have been taken.
func (o *linear) sumPiece(m *kernel.Modulus, c pair, list []*kernel.KeySum, d *division, limb, start, end int, sums map[int]pair) {
	babies, _ := o.pieces.Get().(*babyPieces)
	if babies == nil {
		vectors := kernel.NewVectors(2*len(o.places), innerPiece)
		babies = &babyPieces{vectors[:len(o.places)], vectors[len(o.places):]}
	}
	defer o.pieces.Put(babies)
	for i, s := range list {
		first, second := babies[0][i][:end-start], babies[1][i][:end-start]
		switch {
		case s != nil:
			m.KeySum(first, second, s, start, false)
		case limb <= o.level:
			m.MulScalar(first, c[0][limb][start:end], d.product[limb])
			m.MulScalar(second, c[1][limb][start:end], d.product[limb])
		default: // a multiple of the special primes
			clear(first)
			clear(second)
		}
	}
	kernel.Sum(o.sumsOf(limb, babies[0], babies[1], start, sums), start, end)
}

// turnTimesSpecial is turnGiants for sums times the special primes.
func (e *evaluator) turnTimesSpecial(group turns, g *gadget, d *division, keys *EvaluationKeys, sums map[int]pair) {
	waiting := slices.DeleteFunc(slices.Clone(group.steps), func(t turn) bool { _, ok := sums[t.shift]; return !ok })
	if len(waiting) == 0 {
		return
	}
	total, exists := sums[group.from]
	if !exists {
		total = e.pair(len(g.moduli))
		sums[group.from] = total
	}
	var before func(limb, i int)
	if exists {
		before = func(_, _ int) {}
	}
	w, stay, ones := e.flow(), len(d.inverse), slices.Repeat([]uint64{1}, len(g.moduli))
	w.addUp(len(waiting), before, func(i int) *decomposition {
		second := sums[waiting[i].shift][1]
		r := w.remainders(d, []poly{second[stay:]}, func(_, _ int) {})
		r.begin(w)
		quotients := w.add(stay, func(limb int) {
			r.subtract(second[limb], 0, limb)
		})
		return w.digits(g, second[:stay], quotients.wait)
	}, func(i int, digits *decomposition, before func(limb, i int)) func(limb, i int) {
		t := &waiting[i]
		c := sums[t.shift]
		return w.accumulate(total, digits, keys.rotations[t.step], pair{c[0]}, ones, before, func() { e.release(c) })
	})
	w.run()
	for _, t := range waiting {
		delete(sums, t.shift)
	}
}
