package fhe

import (
	"cmp"
	"slices"
	"sync"

	"cipherpoint/circuit"
)

// linear is a baby-step giant-step linear map (see circuit.Linear).
//
// Babies with the same origin share one decomposition. The sums that wait at the giant steps are switched and added up
// times the special primes, which are divided out once for all that go to the same place (Bossuat et al., ePrint
// 2020/1203, algorithm 6), together with the primes of the rescaling where this is the result.
type linear struct {
	finish
	babies  *babies
	giants  []turns // in reverse order: what goes to a place is complete before it is turned itself
	places  []int   // shifts of the babies that sums read
	sums    []rows
	special int // primes that the babies stay times, see runTwiceHoisted; 0 for none
	pieces  sync.Pool
}

// babies are the rotations of a value, which all its maps at one level share that want the same ones.
type babies struct {
	turns []turns
	users int // maps
}

// heldBabies are the rotations of a run that maps are still waiting for.
type heldBabies struct {
	rotated map[int]pair // by shift; 0 is the value itself
	users   int
}

// sharing is what babies are known by.
type sharing struct {
	value, level int
	rotations    []circuit.Rotation
	babies       *babies
}

// turns are rotations from the same place.
type turns struct {
	from  int // shift
	steps []turn
}

type turn struct {
	shift, step int // place, and number of slots to rotate by
}

func (b *builder) buildLinear(i int, node circuit.Node) operation {
	o := &linear{finish: b.buildFinish(node, node.Linear.Bias)}
	o.babies, o.giants = b.babies(node), b.turns(node.Linear.Giants, true)
	o.special = b.plan.HoistsTwice(b.program.circuit, i)
	b.buildSums(o, node)
	return o
}

// babies returns the rotations of a map's value, those of an earlier map where they are the same.
func (b *builder) babies(node circuit.Node) *babies {
	for _, s := range b.shared {
		if s.value == node.In[0] && s.level == node.Level && slices.Equal(s.rotations, node.Linear.Babies) {
			s.babies.users++
			return s.babies
		}
	}
	set := &babies{turns: b.turns(node.Linear.Babies, false), users: 1}
	b.shared = append(b.shared, sharing{node.In[0], node.Level, node.Linear.Babies, set})
	return set
}

// turns groups rotations by where they start, in the order in which the starts are listed, or backwards.
func (b *builder) turns(list []circuit.Rotation, backwards bool) []turns {
	position := map[int]int{0: 0}
	groups := make([]turns, len(list)+1)
	for i, r := range list {
		position[r.Shift] = i + 1
		groups[i+1].from = r.Shift
		group := &groups[position[r.From]]
		n := b.program.params.N()
		group.steps = append(group.steps, turn{r.Shift, ((r.Shift-r.From)%n + n) % n})
	}
	var used []turns
	for _, group := range groups {
		if len(group.steps) > 0 {
			used = append(used, group)
		}
	}
	if backwards {
		for i, j := 0, len(used)-1; i < j; i, j = i+1, j-1 {
			used[i], used[j] = used[j], used[i]
		}
	}
	return used
}

func (o *linear) run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error) {
	if o.special > 0 && o.fit(keys) {
		result, err := o.runTwiceHoisted(e, keys, operands[0])
		if err != nil {
			return pair{}, err
		}
		return o.apply(e, result, o.special)
	}
	held, err := e.hold(o.babies, keys, operands[0], o.level)
	if err != nil {
		return pair{}, err
	}
	sums := o.innerSums(e, held.rotated)
	if held.users--; held.users == 0 {
		delete(e.held, o.babies)
		for shift, c := range held.rotated {
			if shift != 0 {
				e.release(c)
			}
		}
	}
	if len(o.sums) == 0 { // a map of zeros
		return o.apply(e, e.zero(o.level+1), 0)
	}
	return o.turnGiants(e, keys, sums)
}

func (e *evaluator) zero(limbs int) pair {
	c := e.pair(limbs)
	for _, part := range c {
		for _, v := range part {
			clear(v)
		}
	}
	return c
}

// hold returns the rotations of a value, made now or by another map before.
func (e *evaluator) hold(b *babies, keys *EvaluationKeys, value pair, level int) (*heldBabies, error) {
	held := e.held[b]
	if held != nil {
		return held, nil
	}
	held = &heldBabies{map[int]pair{0: value}, b.users}
	for rest := b.turns; len(rest) > 0; {
		// Those whose places are there can be turned side by side: the first at least.
		ready := slices.IndexFunc(rest, func(t turns) bool { _, ok := held.rotated[t.from]; return !ok })
		if ready < 0 {
			ready = len(rest)
		}
		results, errs := make([][]pair, ready), make([]error, ready)
		e.pool.Do(ready, func(i int) {
			results[i], errs[i] = e.turnBabies(rest[i], keys, held.rotated[rest[i].from], level)
		})
		for i, group := range rest[:ready] {
			if errs[i] != nil {
				return nil, errs[i]
			}
			for k, t := range group.steps {
				held.rotated[t.shift] = results[i][k]
			}
		}
		rest = rest[ready:]
	}
	e.held[b] = held
	return held, nil
}

// turnBabies returns the rotations of a group.
func (e *evaluator) turnBabies(group turns, keys *EvaluationKeys, from pair, level int) ([]pair, error) {
	results := make([]pair, len(group.steps))
	errs := make([]error, len(group.steps))
	for _, same := range bySpecial(group.steps, keys) {
		g, err := e.params.gadget(level, same.special)
		if err != nil {
			return nil, err
		}
		if len(same.steps) == 1 {
			k := same.steps[0]
			results[k], errs[k] = e.rotate(from, keys.rotations[group.steps[k].step])
			continue
		}
		d := e.decompose(g, from[1])
		digits := func(*flow) *decomposition { return d }
		e.pool.Do(len(same.steps), func(i int) {
			k := same.steps[i]
			results[k], errs[k] = e.rotateHoisted(from, keys.rotations[group.steps[k].step], digits)
		})
		e.releaseDecomposition(d)
	}
	return results, cmp.Or(errs...)
}

// alike are the steps, by index, whose keys use the same number of special primes: they can share a decomposition. Keys
// of one circuit differ in this only below the level that has a prime for each special one.
type alike struct {
	special int
	steps   []int
}

func bySpecial(steps []turn, keys *EvaluationKeys) []alike {
	var groups []alike
next:
	for k, t := range steps {
		special := keys.rotations[t.step].special
		for i := range groups {
			if groups[i].special == special {
				groups[i].steps = append(groups[i].steps, k)
				continue next
			}
		}
		groups = append(groups, alike{special, []int{k}})
	}
	return groups
}

// turnGiants rotates the sums to where they go and adds them there, down to place 0.
func (o *linear) turnGiants(e *evaluator, keys *EvaluationKeys, sums map[int]pair) (pair, error) {
	w, finished := e.flow(), false
	ready := map[int]func(limb int){} // says when a sum is there
	for shift := range sums {
		ready[shift] = always
	}
	for _, group := range o.giants {
		waiting := slices.DeleteFunc(slices.Clone(group.steps), func(t turn) bool { _, ok := sums[t.shift]; return !ok })
		groups := bySpecial(waiting, keys)
		for at, same := range groups {
			f := finish{level: o.level}
			if group.from == 0 && at == len(groups)-1 {
				f, finished = o.finish, true
			}
			g, err := e.params.gadget(o.level, same.special)
			if err != nil {
				return pair{}, err
			}
			division, err := e.params.division(o.level, same.special, f.rescale)
			if err != nil {
				return pair{}, err
			}
			total := e.pair(len(g.moduli))
			before := w.lift(total, sums[group.from], g, division, ready[group.from])
			before = w.addUp(len(same.steps), before, func(i int) *decomposition {
				shift := waiting[same.steps[i]].shift
				return w.digits(g, sums[shift][1], ready[shift])
			}, func(i int, d *decomposition, before func(limb, i int)) func(limb, i int) {
				t := &waiting[same.steps[i]]
				c := sums[t.shift]
				return w.accumulate(total, d, keys.rotations[t.step], pair{c[0]}, division.product, before, func() { e.release(c) })
			})
			sum, calls := w.divide(division, total, f.bias, func(limb int) {
				for i := range w.pieces() {
					before(limb, i)
				}
			})
			sums[group.from] = sum
			ready[group.from] = func(limb int) { calls.waitFor(2*limb, 2*limb+2) }
		}
	}
	w.run()
	if finished {
		return sums[0], nil
	}
	return o.apply(e, sums[0], 0)
}

// lift writes a pair, if there is one, times the special primes to a total, and releases it. It returns what to wait for.
func (w *flow) lift(total, c pair, g *gadget, d *division, ready func(limb int)) func(limb, i int) {
	if c[0] == nil {
		return nil
	}
	arena := w.arena
	finished := countdown(2*len(g.moduli), func() { arena.release(c[0], c[1]) })
	calls := w.add(2*len(g.moduli), func(task int) {
		part, limb := task%2, task/2
		if limb <= g.level {
			ready(limb)
			g.moduli[limb].MulScalar(total[part][limb], c[part][limb], d.product[limb])
		} else {
			clear(total[part][limb])
		}
		finished()
	})
	return func(limb, _ int) { calls.waitFor(2*limb, 2*limb+2) }
}

// fold adds rotations of a value to itself, one after the other.
type fold struct {
	finish
	steps []turn
}

func (b *builder) buildFold(node circuit.Node) operation {
	o := &fold{finish: b.buildFinish(node, circuit.Vector{})}
	n := b.program.params.N()
	for _, step := range node.Fold.Steps {
		o.steps = append(o.steps, turn{step: (step%n + n) % n})
	}
	return o
}

func (o *fold) run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error) {
	sum := operands[0]
	if len(o.steps) == 0 {
		return o.apply(e, e.copy(sum), 0)
	}
	// A sum takes the place of that before the one that it is made from: where a limb of that has been read, it is done.
	sums := [2]pair{e.pair(o.level + 1), e.pair(o.level + 1)}
	w, ready := e.flow(), always
	for i, t := range o.steps {
		key := keys.rotations[t.step]
		g, err := e.params.gadget(o.level, key.special)
		if err != nil {
			return pair{}, err
		}
		division, err := e.params.division(o.level, key.special, 0)
		if err != nil {
			return pair{}, err
		}
		stages := w.switchAndDivide(sums[i%2], w.digits(g, sum[1], ready), key, division, pair{sum[0]}, sum)
		sum, ready = sums[i%2], func(limb int) { stages[limb].waitAll() }
	}
	w.run()
	e.release(sums[len(o.steps)%2])
	return o.apply(e, sum, 0)
}

func (e *evaluator) copy(c pair) pair {
	result := e.pair(len(c[0]))
	for part := range c {
		for limb, v := range c[part] {
			copy(result[part][limb], v)
		}
	}
	return result
}
