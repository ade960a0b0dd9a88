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
			m.ForwardLazy(digits[i], digits[i])
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

// inPieces calls f for pieces of all places, few enough at a time that what is written stays in the first-level cache.
func (e *evaluator) inPieces(f func(start, end int)) {
	n := e.params.N()
	e.pool.Do((n+piece-1)/piece, func(i int) { f(i*piece, min((i+1)*piece, n)) })
}

// piece is at how many places parallel tasks work at a time.
const piece = 1024

// switchTo returns a key's inner product with a decomposition, an encryption, under the key's second secret, of the
// decomposed polynomial times the key's first secret and times the special primes, plus a pair times these.
func (e *evaluator) switchTo(d *decomposition, key *SwitchingKey, c pair, division *division) pair {
	sum := e.pair(len(d.moduli))
	e.pool.Do(len(d.moduli), func(limb int) {
		s, scratch := e.keySum(d, limb, key)
		if limb <= d.level {
			s.Addends, s.Factor = [2][]uint64{c[0][limb], c[1][limb]}, division.product[limb]
		}
		e.inPieces(func(start, end int) {
			d.moduli[limb].KeySum(sum[0][limb][start:end], sum[1][limb][start:end], s, start, false)
		})
		e.arena.release(scratch)
	})
	return sum
}

// keySum returns the key's inner product at a limb, rotated, and vectors to release after its use. The decomposition is
// lost after all of them, unless it is whole.
func (e *evaluator) keySum(d *decomposition, limb int, key *SwitchingKey) (*kernel.KeySum, poly) {
	digits, scratch := d.limbs[limb], poly(nil)
	if !d.whole {
		digits, scratch = e.transformed(d, limb)
	}
	rows := &key.limbs[d.keyLimb(key, limb)]
	return &kernel.KeySum{
		Key:         [2][][]uint64{rows[0][:len(digits)], rows[1][:len(digits)]},
		Digits:      digits,
		Permutation: key.permutation,
	}, scratch
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
			m.ForwardLazy(remainders[i], remainders[i])
		})
		f(limb, remainders)
	})
	e.arena.release(extended...)
}

// rotate returns a pair rotated by the key's step, from its decomposed second part.
func (e *evaluator) rotate(c pair, d *decomposition, key *SwitchingKey) (pair, error) {
	division, err := e.params.division(d.level, d.special, 0)
	if err != nil {
		return pair{}, err
	}
	limbs := d.level + 1
	rest, rotated := e.pair(d.special), e.pair(limbs)
	e.pool.Do(d.special, func(i int) {
		s, scratch := e.keySum(d, limbs+i, key)
		e.inPieces(func(start, end int) {
			d.moduli[limbs+i].KeySum(rest[0][i][start:end], rest[1][i][start:end], s, start, false)
		})
		e.arena.release(scratch)
	})
	e.remainders(division, rest[:], func(limb int, remainders [][]uint64) {
		m := d.moduli[limb]
		s, scratch := e.keySum(d, limb, key)
		s.Addends[0], s.Factor = c[0][limb], division.product[limb]
		e.inPieces(func(start, end int) {
			first, second := rotated[0][limb][start:end], rotated[1][limb][start:end]
			m.KeySum(first, second, s, start, false)
			m.SubMulScalar(first, first, remainders[0][start:end], division.inverse[limb])
			m.SubMulScalar(second, second, remainders[1][start:end], division.inverse[limb])
		})
		e.arena.release(scratch)
	})
	e.release(rest)
	return rotated, nil
}

// addRotated adds a rotation times the special primes to a total. Its first part, which the decomposed second part
// belongs to, is multiplied by a factor for each limb, or has to hold all limbs already.
func (e *evaluator) addRotated(total pair, first poly, d *decomposition, key *SwitchingKey, factors []uint64) {
	e.pool.Do(len(d.moduli), func(limb int) {
		s, scratch := e.keySum(d, limb, key)
		switch {
		case factors == nil:
			s.Addends[0], s.Factor = first[limb], 1
		case limb < len(factors):
			s.Addends[0], s.Factor = first[limb], factors[limb]
		}
		e.inPieces(func(start, end int) {
			d.moduli[limb].KeySum(total[0][limb][start:end], total[1][limb][start:end], s, start, true)
		})
		e.arena.release(scratch)
	})
}
