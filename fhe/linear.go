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

func (b *builder) buildLinear(node circuit.Node) operation {
	o := &linear{finish: b.buildFinish(node, node.Linear.Bias)}
	o.babies, o.giants = b.babies(node), b.turns(node.Linear.Giants, true)
	o.special = b.hoistsTwice(node)
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
	special := 0
	for _, group := range o.giants {
		var err error
		if special, err = e.turnGiants(group, keys, sums, o.level); err != nil {
			return pair{}, err
		}
	}
	result, ok := sums[0]
	if !ok { // a map of zeros
		result = e.zero(o.level + 1)
	}
	return o.apply(e, result, special)
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

// turnGiants rotates the sums of a group to where they go and adds them there. What comes to place 0 is left times the
// special primes, whose number it returns.
func (e *evaluator) turnGiants(group turns, keys *EvaluationKeys, sums map[int]pair, level int) (int, error) {
	var waiting []turn
	for _, t := range group.steps {
		if _, ok := sums[t.shift]; ok {
			waiting = append(waiting, t)
		}
	}
	special := 0
	groups := bySpecial(waiting, keys)
	for at, same := range groups {
		last := group.from == 0 && at == len(groups)-1
		g, err := e.params.gadget(level, same.special)
		if err != nil {
			return 0, err
		}
		division, err := e.params.division(level, same.special, 0)
		if err != nil {
			return 0, err
		}
		total := e.addTurned(g, division, waiting, same.steps, keys, sums)
		target, exists := sums[group.from]
		switch {
		case last:
			special = same.special
			if exists {
				e.pool.Do(2*(level+1), func(task int) {
					part, limb := task%2, task/2
					g.moduli[limb].MulScalarAdd(total[part][limb], target[part][limb], division.product[limb])
				})
				e.release(target)
			}
			sums[0] = total
		case exists:
			total = e.divide(division, total, nil)
			e.pool.Do(2*(level+1), func(task int) {
				part, limb := task%2, task/2
				g.moduli[limb].Add(target[part][limb], target[part][limb], total[part][limb])
			})
			e.release(total)
		default:
			sums[group.from] = e.divide(division, total, nil)
		}
	}
	for _, t := range waiting {
		delete(sums, t.shift)
	}
	return special, nil
}

// addTurned returns the sum of rotations times the special primes, and releases what is rotated.
func (e *evaluator) addTurned(g *gadget, d *division, list []turn, chosen []int, keys *EvaluationKeys, sums map[int]pair) pair {
	return e.addUp(g, len(chosen), func(w *flow, i int) *decomposition {
		return w.digits(g, sums[list[chosen[i]].shift][1], always)
	}, func(w *flow, i int, total pair, digits *decomposition, before []stage) []stage {
		t := &list[chosen[i]]
		c := sums[t.shift]
		return w.accumulate(total, digits, keys.rotations[t.step], pair{c[0]}, d.product, before, func() { e.release(c) })
	})
}

// addUp returns a sum over the limbs of a gadget: of what is added to a total, from one decomposition after the other.
func (e *evaluator) addUp(g *gadget, n int, decompose func(w *flow, i int) *decomposition,
	add func(w *flow, i int, total pair, d *decomposition, before []stage) []stage) pair {
	total, w := e.pair(len(g.moduli)), e.flow()
	next := decompose(w, 0)
	var before []stage
	for i := range n {
		d := next
		if i+1 < n { // before the products of this one, so that nobody waits for it
			next = decompose(w, i+1)
		}
		before = add(w, i, total, d, before)
	}
	w.run()
	return total
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
