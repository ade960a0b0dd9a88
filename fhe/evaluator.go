package fhe

// evaluator is the arithmetic on ciphertexts within one run. Ciphertexts are pairs of polynomials (c_0, c_1) with
// c_0 + c_1·s = message + error.
type evaluator struct {
	params *Parameters
	pool   *Pool
	arena  *arena
	held   map[*babies]*heldBabies // of the run of a Program
}

// pair is a ciphertext, or one times the special primes over these as well. Both parts have the same limbs.
type pair [2]poly

// at returns the pair at a lower level.
func (c pair) at(level int) pair { return pair{c[0][:level+1], c[1][:level+1]} }

func (c pair) level() int { return len(c[0]) - 1 }

func (e *evaluator) pair(limbs int) pair { return pair{e.arena.poly(limbs), e.arena.poly(limbs)} }

func (e *evaluator) release(pairs ...pair) {
	for _, c := range pairs {
		e.arena.release(c[0], c[1])
	}
}

// divide divides a pair over the limbs of d by d's divisor, rounding to the nearest, and adds a plaintext to what stays;
// nil for none. The pair's limbs beyond are released.
func (e *evaluator) divide(d *division, c pair, bias poly) pair {
	w := e.flow()
	quotient, _ := w.divide(d, c, bias, always)
	w.run()
	return quotient
}

// divide adds the calls of evaluator.divide, each limb once ready says that it is there. Two for each limb that stays are
// returned.
func (w *flow) divide(d *division, c pair, bias poly, ready func(limb int)) (pair, stage) {
	arena, stay := w.arena, len(d.inverse)
	quotient, rest := pair{c[0][:stay:stay], c[1][:stay:stay]}, []poly{c[0][stay:], c[1][stay:]}
	var r *remainders
	if len(d.divisor) > 0 {
		r = w.remainders(d, rest, func(_, k int) { ready(stay + k) })
		r.begin(w)
	}
	finished := countdown(2*stay, func() { arena.release(rest...) })
	return quotient, w.add(2*stay, func(task int) {
		part, limb := task%2, task/2
		m, v := d.moduli[limb], quotient[part][limb]
		ready(limb)
		if r != nil {
			r.subtract(v, part, limb)
		}
		if part == 0 && bias != nil {
			m.Add(v, v, bias[limb])
		}
		finished()
	})
}

// rotate returns a pair rotated by the key's step.
func (e *evaluator) rotate(c pair, key *SwitchingKey) (pair, error) {
	g, err := e.params.gadget(c.level(), key.special)
	if err != nil {
		return pair{}, err
	}
	return e.rotateHoisted(c, key, func(w *flow) *decomposition { return w.digits(g, c[1], always) })
}

// rotateHoisted is rotate with a decomposition of the pair's second part.
func (e *evaluator) rotateHoisted(c pair, key *SwitchingKey, digits func(w *flow) *decomposition) (pair, error) {
	division, err := e.params.division(c.level(), key.special, 0)
	if err != nil {
		return pair{}, err
	}
	w, rotated := e.flow(), e.pair(len(c[0]))
	w.switchAndDivide(rotated, digits(w), key, division, pair{c[0]}, pair{})
	w.run()
	return rotated, nil
}

// relinearise turns a product of degree 2 in the secret into a pair, divided. It waits for a stage of the product's limbs.
// The rest of the product joins times the special primes, so that one division serves both.
func (w *flow) relinearise(g *gadget, division *division, key *SwitchingKey, product [3]poly, ready func(limb int)) pair {
	result := w.pair(len(division.inverse))
	w.switchAndDivide(result, w.digits(g, product[2], ready), key, division, pair(product[:2]), pair{})
	return result
}
