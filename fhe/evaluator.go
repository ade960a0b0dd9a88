package fhe

import (
	"cipherpoint/fhe/kernel"
)

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

// decomposition is a polynomial in digits: of each limb of a gadget, one vector for each digit. What a digit has on its
// own limbs is the polynomial itself and is shared with it.
type decomposition struct {
	*gadget
	limbs   [][][]uint64
	scratch poly
}

// decompose splits a polynomial into centred digits and extends each to all limbs of the gadget.
func (e *evaluator) decompose(g *gadget, c poly) *decomposition {
	d := &decomposition{gadget: g, limbs: make([][][]uint64, len(g.moduli))}
	count := 0
	for _, digit := range g.digits {
		count += len(digit.others)
	}
	d.scratch = e.arena.poly(count)
	next := d.scratch
	for limb := range d.limbs {
		d.limbs[limb] = make([][]uint64, len(g.digits))
		for i, digit := range g.digits {
			if limb >= digit.first && limb < digit.end {
				d.limbs[limb][i] = c[limb]
			} else {
				d.limbs[limb][i], next = next[0], next[1:]
			}
		}
	}

	coefficients := e.arena.poly(g.level + 1)
	e.pool.Do(g.level+1, func(limb int) { g.moduli[limb].Inverse(coefficients[limb], c[limb]) })
	for i, digit := range g.digits {
		if digit.extension != nil {
			targets := make([][]uint64, len(digit.others))
			for k, limb := range digit.others {
				targets[k] = d.limbs[limb][i]
			}
			e.extend(digit.extension, targets, coefficients[digit.first:digit.end])
		}
	}
	width := len(g.moduli)
	e.pool.Do(len(g.digits)*width, func(task int) {
		i, limb := task/width, task%width
		digit := &g.digits[i]
		if limb >= digit.first && limb < digit.end {
			return
		}
		m, v := g.moduli[limb], d.limbs[limb][i]
		if digit.extension == nil {
			m.ForwardLifted(v, coefficients[digit.first], g.moduli[digit.first])
		} else {
			m.Forward(v, v)
		}
	})
	e.arena.release(coefficients)
	return d
}

func (e *evaluator) releaseDecomposition(d *decomposition) { e.arena.release(d.scratch) }

// extensionPiece is how many coefficients of a base conversion make one parallel task.
const extensionPiece = 1024

// extend runs a base conversion in pieces.
func (e *evaluator) extend(x *kernel.Extension, dst, src [][]uint64) {
	n := len(src[0])
	piece := func(vectors [][]uint64, start int) [][]uint64 {
		cut := make([][]uint64, len(vectors))
		for i, v := range vectors {
			cut[i] = v[start:min(start+extensionPiece, n)]
		}
		return cut
	}
	e.pool.Do((n+extensionPiece-1)/extensionPiece, func(i int) {
		x.Apply(piece(dst, i*extensionPiece), piece(src, i*extensionPiece))
	})
}

// switchKey writes the key's inner product with a decomposition: an encryption, under the key's second secret, of the
// decomposed polynomial times the key's first secret and times the special primes.
func (e *evaluator) switchKey(dst pair, d *decomposition, key *SwitchingKey) {
	e.pool.Do(len(d.moduli), func(limb int) {
		rows := &key.limbs[d.keyLimb(key, limb)]
		digits := len(d.digits)
		d.moduli[limb].Packed2InnerProduct(dst[0][limb], dst[1][limb], rows[0][:digits], rows[1][:digits], d.limbs[limb])
	})
}

// keyLimb returns the key's limb for a limb of the gadget: a key made for a higher level has limbs in between.
func (g *gadget) keyLimb(key *SwitchingKey, limb int) int {
	if limb <= g.level {
		return limb
	}
	return limb - g.level + key.level
}

// divide divides a pair over the limbs of d by d's divisor, rounding to the nearest, and returns the limbs that stay.
// The pair's limbs beyond are released.
func (e *evaluator) divide(d *division, c pair) pair {
	if len(d.divisor) == 0 {
		return c
	}
	quotient, rest := c.cut(len(d.inverse))
	e.remainders(d, c, func(part, limb int, remainder []uint64) {
		v := quotient[part][limb]
		d.moduli[limb].SubMulScalar(v, v, remainder, d.inverse[limb])
	})
	e.release(rest)
	return quotient
}

// cut returns the first limbs and the others.
func (c pair) cut(limbs int) (pair, pair) {
	return pair{c[0][:limbs:limbs], c[1][:limbs:limbs]}, pair{c[0][limbs:], c[1][limbs:]}
}

// remainders calls f for each limb that stays when a pair is divided, with the remainder there: the limbs beyond, read
// as one centred number. These limbs of the pair are lost.
func (e *evaluator) remainders(d *division, c pair, f func(part, limb int, remainder []uint64)) {
	stay, drop := len(d.inverse), len(d.divisor)
	e.pool.Do(2*drop, func(task int) {
		v := c[task/drop][stay+task%drop]
		d.divisor[task%drop].Inverse(v, v)
	})
	_, rest := c.cut(stay)
	remainder := e.pair(stay)
	if d.extension != nil {
		for part := range rest {
			e.extend(d.extension, remainder[part], rest[part])
		}
	}
	e.pool.Do(2*stay, func(task int) {
		part, limb := task/stay, task%stay
		m, r := d.moduli[limb], remainder[part][limb]
		if d.extension == nil {
			m.ForwardLifted(r, rest[part][0], d.divisor[0])
		} else {
			m.Forward(r, r)
		}
		f(part, limb, r)
	})
	e.release(remainder)
}

// rotate writes rot(c, step) for each of the pairs from its decomposed second part.
func (e *evaluator) rotate(c pair, d *decomposition, key *SwitchingKey, permutation *kernel.Permutation) (pair, error) {
	division, err := e.params.division(d.level, d.special, 0)
	if err != nil {
		return pair{}, err
	}
	switched := e.pair(len(d.moduli))
	e.switchKey(switched, d, key)
	rotated := e.pair(d.level + 1)
	e.remainders(division, switched, func(part, limb int, remainder []uint64) {
		var more []uint64
		if part == 0 {
			more = c[0][limb]
		}
		d.moduli[limb].PermuteQuotient(rotated[part][limb], switched[part][limb], remainder, division.inverse[limb], more, permutation)
	})
	e.release(switched)
	return rotated, nil
}
