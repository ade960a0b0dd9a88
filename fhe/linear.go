package fhe

import (
	"slices"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// linear is a baby-step giant-step linear map (see circuit.Linear).
//
// Babies with the same origin share one decomposition. The sums that wait at the giant steps are switched and added up
// times the special primes, which are divided out once for all that go to the same place (Bossuat et al., ePrint
// 2020/1203, algorithm 6), together with the primes of the rescaling where this is the result.
type linear struct {
	finish
	babies []turns
	giants []turns // in reverse order: what goes to a place is complete before it is turned itself
	sums   []sum
}

// turns are rotations from the same place.
type turns struct {
	from  int // shift
	steps []turn
}

type turn struct {
	shift, step int // place, and number of slots to rotate by
	permutation *kernel.Permutation
}

// sum is Σ plaintexts[k] ⊙ rot(x, babies[k]), which waits at a giant step.
type sum struct {
	giant int
	terms []terms
}

// terms are those terms of a sum whose plaintexts have runs of the same length.
type terms struct {
	run    int
	babies []int        // shifts
	limbs  [][][]uint64 // of each limb, the plaintexts
}

// add adds a term.
func (s *sum) add(baby int, p *plaintext) {
	i := slices.IndexFunc(s.terms, func(t terms) bool { return t.run == p.run })
	if i < 0 {
		i = len(s.terms)
		s.terms = append(s.terms, terms{run: p.run, limbs: make([][][]uint64, len(p.limbs))})
	}
	t := &s.terms[i]
	t.babies = append(t.babies, baby)
	for limb, v := range p.limbs {
		t.limbs[limb] = append(t.limbs[limb], v)
	}
}

func (b *builder) buildLinear(node circuit.Node) (operation, error) {
	p := b.program
	o := &linear{finish: b.buildFinish(node, node.Linear.Bias)}
	var err error
	if o.babies, err = b.turns(node.Linear.Babies, false); err != nil {
		return nil, err
	}
	if o.giants, err = b.turns(node.Linear.Giants, true); err != nil {
		return nil, err
	}
	scale := p.circuit.PlaintextScale(node, 0)
	at := map[int]int{}
	for _, d := range node.Linear.Diagonals {
		if d.Values.IsZero() {
			continue
		}
		i, known := at[d.Giant]
		if !known {
			i = len(o.sums)
			at[d.Giant] = i
			o.sums = append(o.sums, sum{giant: d.Giant})
		}
		o.sums[i].add(d.Baby, b.plaintext(d.Values, scale, node.Level))
	}
	return o, nil
}

// turns groups rotations by where they start, in the order in which the starts are listed, or backwards.
func (b *builder) turns(list []circuit.Rotation, backwards bool) ([]turns, error) {
	position := map[int]int{0: 0}
	groups := make([]turns, len(list)+1)
	for i, r := range list {
		permutation, err := b.program.params.Permutation(r.Shift - r.From)
		if err != nil {
			return nil, err
		}
		position[r.Shift] = i + 1
		groups[i+1].from = r.Shift
		group := &groups[position[r.From]]
		n := b.program.params.N()
		group.steps = append(group.steps, turn{r.Shift, ((r.Shift-r.From)%n + n) % n, permutation})
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
	return used, nil
}

func (o *linear) run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error) {
	babies := map[int]pair{0: operands[0]}
	for _, group := range o.babies {
		if err := e.turnBabies(group, keys, babies, o.level); err != nil {
			return pair{}, err
		}
	}
	sums := o.innerSums(e, babies)
	for shift, c := range babies {
		if shift != 0 {
			e.release(c)
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

// turnBabies adds the rotations of a group to babies.
func (e *evaluator) turnBabies(group turns, keys *EvaluationKeys, babies map[int]pair, level int) error {
	from := babies[group.from]
	results := make([]pair, len(group.steps))
	errs := make([]error, len(group.steps))
	for _, same := range bySpecial(group.steps, keys) {
		g, err := e.params.gadget(level, same.special)
		if err != nil {
			return err
		}
		d := e.decompose(g, from[1])
		e.pool.Do(len(same.steps), func(i int) {
			k := same.steps[i]
			t := &group.steps[k]
			results[k], errs[k] = e.rotate(from, d, keys.rotations[t.step], t.permutation)
		})
		e.releaseDecomposition(d)
	}
	for k, c := range results {
		if errs[k] != nil {
			return errs[k]
		}
		babies[group.steps[k].shift] = c
	}
	return nil
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

// innerPiece is how many coefficients of all babies are worked on at once: few enough that they stay in the second cache
// while the plaintexts stream by.
const innerPiece = 1024

// termLists holds a sum's ciphertexts, both parts.
var termLists = sync.Pool{New: func() any { return new([2][][]uint64) }}

// innerSums returns the sums over the babies, by giant step.
func (o *linear) innerSums(e *evaluator, babies map[int]pair) map[int]pair {
	sums := make(map[int]pair, len(o.sums))
	for _, s := range o.sums {
		sums[s.giant] = e.pair(o.level + 1)
	}
	moduli := e.params.Moduli(o.level, 0)
	pieces := e.params.N() / innerPiece
	e.pool.Do(len(moduli)*pieces, func(task int) {
		limb, start := task/pieces, task%pieces*innerPiece
		end := start + innerPiece
		m := moduli[limb]
		lists := termLists.Get().(*[2][][]uint64)
		defer termLists.Put(lists)
		for _, s := range o.sums {
			c := sums[s.giant]
			for i, t := range s.terms {
				first, second := lists[0][:0], lists[1][:0]
				for _, shift := range t.babies {
					x := babies[shift]
					first, second = append(first, x[0][limb][start:end]), append(second, x[1][limb][start:end])
				}
				m.InnerProduct2Packed(c[0][limb][start:end], c[1][limb][start:end], first, second, t.limbs[limb], start, t.run, i > 0)
				lists[0], lists[1] = first, second
			}
		}
	})
	return sums
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
			total = e.divide(division, total)
			e.pool.Do(2*(level+1), func(task int) {
				part, limb := task%2, task/2
				g.moduli[limb].Add(target[part][limb], target[part][limb], total[part][limb])
			})
			e.release(total)
		default:
			sums[group.from] = e.divide(division, total)
		}
	}
	for _, t := range waiting {
		e.release(sums[t.shift])
		delete(sums, t.shift)
	}
	return special, nil
}

// addTurned returns the sum of rotations times the special primes. Each worker adds up its own share; sums modulo primes
// are the same in any order.
func (e *evaluator) addTurned(g *gadget, d *division, list []turn, chosen []int, keys *EvaluationKeys, sums map[int]pair) pair {
	limbs := len(g.moduli)
	var mu sync.Mutex
	var idle []pair
	e.pool.Do(len(chosen), func(i int) {
		t := &list[chosen[i]]
		c := sums[t.shift]
		digits := e.decompose(g, c[1])
		switched, scratch := e.pair(limbs), e.pair(limbs)
		e.switchKey(switched, digits, keys.rotations[t.step])
		e.releaseDecomposition(digits)

		mu.Lock()
		var total pair
		fresh := len(idle) == 0
		if !fresh {
			total, idle = idle[len(idle)-1], idle[:len(idle)-1]
		}
		mu.Unlock()
		if fresh {
			total = e.pair(limbs)
		}
		e.pool.Do(2*limbs, func(task int) {
			part, limb := task%2, task/2
			m, v := g.moduli[limb], switched[part][limb]
			if part == 0 && limb <= g.level {
				m.MulScalarAdd(v, c[0][limb], d.product[limb])
			}
			if fresh {
				t.permutation.Apply(total[part][limb], v)
				return
			}
			w := scratch[part][limb]
			t.permutation.Apply(w, v)
			m.Add(total[part][limb], total[part][limb], w)
		})
		e.release(switched, scratch)
		mu.Lock()
		idle = append(idle, total)
		mu.Unlock()
	})
	total := idle[0]
	e.pool.Do(2*limbs, func(task int) {
		part, limb := task%2, task/2
		for _, other := range idle[1:] {
			g.moduli[limb].Add(total[part][limb], total[part][limb], other[part][limb])
		}
	})
	e.release(idle[1:]...)
	return total
}

// fold adds rotations of a value to itself, one after the other.
type fold struct {
	finish
	steps []turn
}

func (b *builder) buildFold(node circuit.Node) (operation, error) {
	o := &fold{finish: b.buildFinish(node, circuit.Vector{})}
	n := b.program.params.N()
	for _, step := range node.Fold.Steps {
		permutation, err := b.program.params.Permutation(step)
		if err != nil {
			return nil, err
		}
		o.steps = append(o.steps, turn{step: (step%n + n) % n, permutation: permutation})
	}
	return o, nil
}

func (o *fold) run(e *evaluator, keys *EvaluationKeys, operands []pair) (pair, error) {
	sum := operands[0]
	for i, t := range o.steps {
		key := keys.rotations[t.step]
		g, err := e.params.gadget(o.level, key.special)
		if err != nil {
			return pair{}, err
		}
		d := e.decompose(g, sum[1])
		rotated, err := e.rotate(sum, d, key, t.permutation)
		if err != nil {
			return pair{}, err
		}
		e.releaseDecomposition(d)
		e.pool.Do(2*(o.level+1), func(task int) {
			part, limb := task%2, task/2
			g.moduli[limb].Add(rotated[part][limb], rotated[part][limb], sum[part][limb])
		})
		if i > 0 {
			e.release(sum)
		}
		sum = rotated
	}
	if len(o.steps) == 0 {
		sum = e.copy(sum)
	}
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
