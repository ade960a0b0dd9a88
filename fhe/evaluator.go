package fhe

import (
	"slices"

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
	c, coefficients poly
	limbs           [][][]uint64
	whole           bool // limbs hold all digits transformed; else the coefficients of digits of several primes
	scratch         poly
}

// digits splits a polynomial into centred digits. They are extended to a limb and transformed when it is used, and so
// never leave the second cache, but digits of several primes are extended at once.
func (e *evaluator) digits(g *gadget, c poly) *decomposition {
	d := &decomposition{gadget: g, c: c, coefficients: e.arena.poly(g.level + 1), limbs: make([][][]uint64, len(g.moduli))}
	e.pool.Do(g.level+1, func(limb int) { g.moduli[limb].Inverse(d.coefficients[limb], c[limb]) })
	for i, digit := range g.digits {
		if digit.extension == nil {
			continue
		}
		targets := e.arena.poly(len(digit.others))
		d.scratch = append(d.scratch, targets...)
		for k, limb := range digit.others {
			if d.limbs[limb] == nil {
				d.limbs[limb] = make([][]uint64, len(g.digits))
			}
			d.limbs[limb][i] = targets[k]
		}
		e.extend(digit.extension, targets, d.coefficients[digit.first:digit.end])
	}
	return d
}

// decompose is digits for several uses: all limbs are extended and transformed at once.
func (e *evaluator) decompose(g *gadget, c poly) *decomposition {
	d := e.digits(g, c)
	scratch := make([]poly, len(g.moduli))
	e.pool.Do(len(g.moduli), func(limb int) { d.limbs[limb], scratch[limb] = e.transformed(d, limb) })
	d.scratch = append(d.scratch, slices.Concat(scratch...)...)
	d.whole = true
	return d
}

// transformed returns the digits at a limb, and vectors to release after their use.
func (e *evaluator) transformed(d *decomposition, limb int) (digits [][]uint64, scratch poly) {
	digits = make([][]uint64, len(d.digits))
	for i, digit := range d.digits {
		switch {
		case limb >= digit.first && limb < digit.end:
			digits[i] = d.c[limb]
		case digit.extension == nil:
			scratch = append(scratch, nil)
		default:
			digits[i] = d.limbs[limb][i]
		}
	}
	free := e.arena.poly(len(scratch))
	copy(scratch, free)
	for i := range digits {
		if digits[i] == nil {
			digits[i], free = free[0], free[1:]
		}
	}
	e.pool.Do(len(digits), func(i int) {
		digit, m := &d.digits[i], d.moduli[limb]
		switch {
		case limb >= digit.first && limb < digit.end:
		case digit.extension == nil:
			m.ForwardLifted(digits[i], d.coefficients[digit.first], d.moduli[digit.first])
		default:
			m.Forward(digits[i], digits[i])
		}
	})
	return digits, scratch
}

func (e *evaluator) releaseDecomposition(d *decomposition) {
	e.arena.release(d.scratch, d.coefficients)
}

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

// switchKey calls f for each limb with the key's inner product with a decomposition: an encryption, under the key's second
// secret, of the decomposed polynomial times the key's first secret and times the special primes. The vectors are lost
// after the call, and the decomposition after all, unless it is whole.
func (e *evaluator) switchKey(d *decomposition, key *SwitchingKey, f func(limb int, switched [2][]uint64)) {
	e.pool.Do(len(d.moduli), func(limb int) {
		switched := e.arena.poly(2)
		e.switchLimb(d, limb, key, switched[0], switched[1])
		f(limb, [2][]uint64(switched))
		e.arena.release(switched)
	})
}

// switchTo returns the key's inner product with a decomposition, plus a pair times the special primes.
func (e *evaluator) switchTo(d *decomposition, key *SwitchingKey, c pair, division *division) pair {
	sum := e.pair(len(d.moduli))
	e.pool.Do(len(d.moduli), func(limb int) {
		e.switchLimb(d, limb, key, sum[0][limb], sum[1][limb])
		for part := 0; part < 2 && limb <= d.level; part++ {
			d.moduli[limb].MulScalarAdd(sum[part][limb], c[part][limb], division.product[limb])
		}
	})
	return sum
}

// switchLimb writes the key's inner product at a limb.
func (e *evaluator) switchLimb(d *decomposition, limb int, key *SwitchingKey, dst0, dst1 []uint64) {
	digits, scratch := d.limbs[limb], poly(nil)
	if !d.whole {
		digits, scratch = e.transformed(d, limb)
	}
	rows := &key.limbs[d.keyLimb(key, limb)]
	d.moduli[limb].Packed2InnerProduct(dst0, dst1, rows[0][:len(digits)], rows[1][:len(digits)], digits)
	e.arena.release(scratch)
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
	return pair(e.quotients(d, c[:]...))
}

// quotients is divide for any number of polynomials.
func (e *evaluator) quotients(d *division, list ...poly) []poly {
	stay := len(d.inverse)
	quotients, rest := make([]poly, len(list)), make([]poly, len(list))
	for i, c := range list {
		quotients[i], rest[i] = c[:stay:stay], c[stay:]
	}
	e.remainders(d, rest, func(limb int, remainders [][]uint64) {
		for i, r := range remainders {
			v := quotients[i][limb]
			d.moduli[limb].SubMulScalar(v, v, r, d.inverse[limb])
		}
	})
	e.arena.release(rest...)
	return quotients
}

// remainders calls f for each limb that stays when polynomials are divided, with their remainders there: the limbs that
// do not stay, read as one centred number. What these hold is lost, and the remainders after the call.
func (e *evaluator) remainders(d *division, rest []poly, f func(limb int, remainders [][]uint64)) {
	stay, drop := len(d.inverse), len(d.divisor)
	e.pool.Do(len(rest)*drop, func(task int) {
		v := rest[task/drop][task%drop]
		d.divisor[task%drop].Inverse(v, v)
	})
	extended := make([]poly, len(rest))
	for i := range rest {
		if d.extension != nil {
			extended[i] = e.arena.poly(stay)
			e.extend(d.extension, extended[i], rest[i])
		}
	}
	e.pool.Do(stay, func(limb int) {
		m := d.moduli[limb]
		if d.extension == nil {
			remainders := e.arena.poly(len(rest))
			e.pool.Do(len(rest), func(i int) { m.ForwardLifted(remainders[i], rest[i][0], d.divisor[0]) })
			f(limb, remainders)
			e.arena.release(remainders)
			return
		}
		remainders := make([][]uint64, len(rest))
		e.pool.Do(len(rest), func(i int) {
			remainders[i] = extended[i][limb]
			m.Forward(remainders[i], remainders[i])
		})
		f(limb, remainders)
	})
	e.arena.release(extended...)
}

// rotate writes rot(c, step) for each of the pairs from its decomposed second part.
func (e *evaluator) rotate(c pair, d *decomposition, key *SwitchingKey, permutation *kernel.Permutation) (pair, error) {
	division, err := e.params.division(d.level, d.special, 0)
	if err != nil {
		return pair{}, err
	}
	limbs := d.level + 1
	rest, rotated := e.pair(d.special), e.pair(limbs)
	e.pool.Do(d.special, func(i int) { e.switchLimb(d, limbs+i, key, rest[0][i], rest[1][i]) })
	e.remainders(division, rest[:], func(limb int, remainders [][]uint64) {
		switched, m := e.arena.poly(2), d.moduli[limb]
		e.switchLimb(d, limb, key, switched[0], switched[1])
		more := [2][]uint64{c[0][limb], nil}
		e.pool.Do(2, func(part int) {
			m.PermuteQuotient(rotated[part][limb], switched[part], remainders[part], division.inverse[limb], more[part], permutation)
		})
		e.arena.release(switched)
	})
	e.release(rest)
	return rotated, nil
}
