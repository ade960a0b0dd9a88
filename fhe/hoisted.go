package fhe

import (
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// Double hoisting (Bossuat et al., ePrint 2020/1203, section 4): the babies of a map stay times the special primes, and
// so do its sums. No baby is divided, and no baby is kept as a whole: everything up to the sums happens limb by limb,
// with the digits of one limb in the second cache. What it costs is sums over the special primes as well, and a division
// of half of each sum before it is turned.

// What a term of a sum costs at one limb, in transforms of a limb: with a plaintext that has one word for many values,
// and with one whose values are read from memory.
const (
	runCost    = 0.3
	packedCost = 0.6
)

// hoistsTwice returns with how many special primes the babies of a map stay, or 0 where it is cheaper to divide them, or
// they are not rotations of one value by keys of one kind, or other maps want them too.
func (b *builder) hoistsTwice(node circuit.Node) int {
	p, l := b.program, node.Linear
	special := 0
	for i, r := range slices.Concat(l.Babies, l.Giants) {
		if i < len(l.Babies) && r.From != 0 {
			return 0
		}
		of := p.specialOf(r)
		if i > 0 && of != special {
			return 0
		}
		special = of
	}
	for _, other := range p.circuit.Nodes {
		if other.Linear != nil && other.Linear != l && other.In[0] == node.In[0] && other.Level == node.Level &&
			slices.Equal(other.Linear.Babies, l.Babies) {
			return 0
		}
	}
	limbs := node.Level + 1 + special
	saved := 2 * len(l.Babies) * limbs
	spent := float64((len(l.Giants) + 2) * limbs)
	for _, d := range l.Diagonals {
		if p.run(d.Values) > 1 {
			spent += float64(special) * runCost
		} else {
			spent += float64(special) * packedCost
		}
	}
	if spent >= float64(saved) {
		return 0
	}
	return special
}

// specialOf returns how many special primes the key of a rotation uses.
func (p *Program) specialOf(r circuit.Rotation) int {
	n := p.params.N()
	step := ((r.Shift-r.From)%n + n) % n
	i := slices.IndexFunc(p.keys.Rotations, func(k circuit.RotationKey) bool { return k.Step == step })
	return p.params.literal.SpecialPrimes(p.keys.Rotations[i].Level)
}

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
	pieces := (e.params.N() + innerPiece - 1) / innerPiece
	e.pool.Do(len(g.moduli), func(limb int) {
		m := g.moduli[limb]
		first, second := e.arena.poly(len(o.places)), e.arena.poly(len(o.places))
		e.pool.Do(len(o.places), func(i int) {
			if o.places[i] == 0 {
				timesSpecial(m, division, limb, first[i], c[0])
				timesSpecial(m, division, limb, second[i], c[1])
				return
			}
			switched := e.arena.poly(2)
			t := o.turnTo(o.places[i])
			e.switchLimb(digits, limb, keys.rotations[t.step], switched[0], switched[1])
			if limb <= o.level {
				m.MulScalarAdd(switched[0], c[0][limb], division.product[limb])
			}
			t.permutation.Apply(first[i], switched[0])
			t.permutation.Apply(second[i], switched[1])
			e.arena.release(switched)
		})
		list := o.sumsOf(limb, first, second, sums)
		e.pool.Do(pieces, func(piece int) { sumPiece(e, list, piece) })
		e.arena.release(first, second)
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

// timesSpecial writes a limb of a polynomial times the special primes: zero modulo each of them.
func timesSpecial(m *kernel.Modulus, d *division, limb int, dst []uint64, c poly) {
	if limb < len(c) {
		m.MulScalar(dst, c[limb], d.product[limb])
	} else {
		clear(dst)
	}
}

// turnTo returns the baby step to a place.
func (o *linear) turnTo(place int) *turn {
	steps := o.babies.turns[0].steps
	return &steps[slices.IndexFunc(steps, func(t turn) bool { return t.shift == place })]
}

// turnTimesSpecial is turnGiants for sums times the special primes.
func (e *evaluator) turnTimesSpecial(group turns, g *gadget, d *division, keys *EvaluationKeys, sums map[int]pair) {
	waiting := slices.DeleteFunc(slices.Clone(group.steps), func(t turn) bool { _, ok := sums[t.shift]; return !ok })
	if len(waiting) == 0 {
		return
	}
	total := e.addUp(g, len(waiting), func(i int, total pair) {
		t := &waiting[i]
		c := sums[t.shift]
		second := e.quotients(d, c[1])
		digits := e.digits(g, second[0])
		e.switchKey(digits, keys.rotations[t.step], func(limb int, switched [2][]uint64) {
			m := g.moduli[limb]
			m.Add(switched[0], switched[0], c[0][limb])
			m.AddPermuted(total[0][limb], switched[0], nil, 0, t.permutation)
			m.AddPermuted(total[1][limb], switched[1], nil, 0, t.permutation)
		})
		e.releaseDecomposition(digits)
		e.arena.release(c[0], second[0])
	})
	for _, t := range waiting {
		delete(sums, t.shift)
	}
	target, exists := sums[group.from]
	if !exists {
		sums[group.from] = total
		return
	}
	e.pool.Do(2*len(g.moduli), func(task int) {
		part, limb := task%2, task/2
		g.moduli[limb].Add(target[part][limb], target[part][limb], total[part][limb])
	})
	e.release(total)
}
