package fhe

import "cipherpoint/fhe/kernel"

// Key switching and division by primes, as calls of a flow: a limb, or some places of it, each. Calls are listed in the
// order in which one worker finds what it needs in its second cache, a few limbs ahead of what they are needed for, so
// that several workers have something to do while one finishes what the others wait for.

const (
	// leastPiece is at how many places at least one call works where calls can be cut.
	leastPiece = 2048
	// innerPiece is at how many of them at a time, so that what is written stays in the first-level cache.
	innerPiece = 1024
	// aheadBytes is what the limbs that are worked on at a time may take: half of the second cache.
	aheadBytes = 1 << 20
)

// pieces returns into how many pieces calls on whole vectors are cut: of one or several parts of a transform.
func (e *evaluator) pieces() int { return max(1, min(kernel.Parts, e.params.N()/leastPiece)) }

// piece returns the places of the i'th piece.
func (e *evaluator) piece(i int) (start, end int) {
	size := e.params.N() / e.pieces()
	return i * size, (i + 1) * size
}

// partsOf calls f for all parts of a transform that the i'th piece consists of.
func (e *evaluator) partsOf(i int, f func(part int)) {
	count := kernel.Parts / e.pieces()
	for part := i * count; part < (i+1)*count; part++ {
		f(part)
	}
}

// inPieces calls f for all places of the i'th piece.
func (e *evaluator) inPieces(i int, f func(start, end int)) {
	start, last := e.piece(i)
	for ; start < last; start += innerPiece {
		f(start, min(start+innerPiece, last))
	}
}

// decomposition is a polynomial in digits: of each limb of a gadget, one vector for each digit. What a digit has on its
// own limbs is the polynomial itself and is shared with it.
type decomposition struct {
	*gadget
	coefficients poly
	limbs        [][][]uint64
	kept         bool // for several keys: limbs hold all digits, transformed

	inverse       stage
	begun, opened []stage // base conversions by digit, transforms by limb
}

// digits splits a polynomial into centred digits, each limb once ready says that it is there.
func (w *flow) digits(g *gadget, c poly, ready func(limb int)) *decomposition {
	arena, count := w.arena, len(g.digits)
	d := &decomposition{gadget: g, coefficients: make(poly, g.level+1), limbs: make([][][]uint64, len(g.moduli)),
		begun: make([]stage, count), opened: make([]stage, len(g.moduli))}
	vectors := make([][]uint64, len(g.moduli)*count)
	for limb := range d.limbs {
		d.limbs[limb], vectors = vectors[:count:count], vectors[count:]
		if own := g.own(limb); own >= 0 {
			d.limbs[limb][own] = c[limb]
		}
	}
	filled := w.add(1, func(int) { arena.fill(d.coefficients) })
	d.inverse = w.add(g.level+1, func(limb int) {
		filled.wait(0)
		ready(limb)
		g.moduli[limb].Inverse(d.coefficients[limb], c[limb])
	})
	for i, digit := range g.digits {
		if digit.extension != nil {
			d.begun[i] = w.begin(digit.extension, d.coefficients[digit.first:digit.end], func() {
				d.inverse.waitFor(digit.first, digit.end)
			})
		}
	}
	return d
}

// own returns the digit that a limb belongs to, or -1.
func (g *gadget) own(limb int) int {
	if limb > g.level {
		return -1
	}
	return limb / g.special
}

// begin begins a base conversion in pieces, each once ready says that the coefficients are there.
func (w *flow) begin(x *kernel.Extension, coefficients poly, ready func()) stage {
	return w.add(w.pieces(), func(i int) {
		ready()
		start, end := w.piece(i)
		x.Begin(coefficients, start, end)
	})
}

// open begins the transforms of the digits at a limb, where they have not been kept. Several workers finish what they have
// begun, a single one when it needs a part.
func (w *flow) open(d *decomposition, limb int) {
	if d.kept {
		return
	}
	own, count := d.own(limb), len(d.digits)
	if own >= 0 {
		count--
	}
	arena, m := w.arena, d.moduli[limb]
	d.opened[limb] = w.add(count, func(i int) {
		if own >= 0 && i >= own {
			i++
		}
		digit, v := &d.digits[i], arena.vector()
		if digit.extension == nil {
			d.inverse.wait(digit.first)
			m.BeginForward(v, d.coefficients[digit.first], d.moduli[digit.first])
		} else {
			d.begun[i].waitAll()
			digit.extension.BeginForward(v, d.coefficients[digit.first:digit.end], digit.target(limb))
		}
		if !w.alone {
			finishAll(m, v)
		}
		d.limbs[limb][i] = v
	})
}

func finishAll(m *kernel.Modulus, v []uint64) {
	for part := range kernel.Parts {
		m.FinishForward(v, part, [3][]uint64{})
	}
}

// finish finishes what becomes a part of a key's inner product of the digits at a limb, while the key is fetched.
func (d *decomposition) finish(limb, part int, s *kernel.KeySum) {
	own, from := d.own(limb), s.Permutation.Part(part)
	for k, v := range d.limbs[limb] {
		if k != own {
			d.moduli[limb].FinishForward(v, from, keyRows(s, k, part))
		}
	}
}

func keyRows(s *kernel.KeySum, digit, part int) [3][]uint64 {
	return [3][]uint64{partOf(s.Key[0][digit], part), partOf(s.Key[1][digit], part)}
}

func partOf(v []uint64, i int) []uint64 { return v[len(v)*i/kernel.Parts : len(v)*(i+1)/kernel.Parts] }

// finishRemainders finishes a part of both remainders that are subtracted from a key's inner product at a limb, while what
// that reads in another order than it stands in is fetched: digits that have been kept, or the limb's own and its key.
func (d *decomposition) finishRemainders(limb, part int, remainders [2][]uint64, s *kernel.KeySum) {
	own, from := d.own(limb), s.Permutation.Part(part)
	var next [2][3][]uint64
	if d.kept {
		for i, v := range s.Digits[:min(len(s.Digits), 5)] {
			next[i/3][i%3] = partOf(v, from)
		}
	} else {
		next = [2][3][]uint64{keyRows(s, own, part), {partOf(s.Digits[own], from)}}
	}
	if s.Addends[0] != nil {
		next[1][2] = partOf(s.Addends[0], from)
	}
	for i, v := range remainders {
		d.moduli[limb].FinishForward(v, part, next[i])
	}
}

// decompose returns the digits for several keys.
func (e *evaluator) decompose(g *gadget, c poly) *decomposition {
	w := e.flow()
	w.alone = false // who begins a digit finishes it: all of it is kept
	d := w.digits(g, c, always)
	for limb := range g.moduli {
		w.open(d, limb)
	}
	w.run()
	d.kept, d.inverse = true, stage{}
	clear(d.begun)
	clear(d.opened)
	return d
}

func always(int) {}

func (e *evaluator) releaseDecomposition(d *decomposition) {
	for limb := range d.limbs {
		d.releaseLimb(e.arena, limb)
	}
	e.arena.release(d.coefficients)
}

// releaseLimb takes the digits at a limb back.
func (d *decomposition) releaseLimb(a *arena, limb int) {
	own := d.own(limb)
	for i, v := range d.limbs[limb] {
		if i != own {
			a.releaseVector(v)
		}
	}
}

// ahead returns for how many limbs transforms are begun before they are needed: none by a single worker.
func (w *flow) ahead(d *decomposition) int {
	if w.alone {
		return 0
	}
	return max(1, min(len(d.moduli), aheadBytes/(8*w.params.N()*(len(d.digits)+2))))
}

// keySum returns the key's inner product at a limb, rotated: an encryption, under the key's second secret, of the
// decomposed polynomial times the key's first secret and times the special primes.
func (d *decomposition) keySum(limb int, key *SwitchingKey) *kernel.KeySum {
	rows, digits := &key.limbs[d.keyLimb(key, limb)], d.limbs[limb]
	return &kernel.KeySum{
		Key:         [2][][]uint64{rows[0][:len(digits)], rows[1][:len(digits)]},
		Digits:      digits,
		Permutation: key.permutation,
	}
}

// keyLimb returns the key's limb for a limb of the gadget: a key made for a higher level has limbs in between.
func (g *gadget) keyLimb(key *SwitchingKey, limb int) int {
	if limb <= g.level {
		return limb
	}
	return limb - g.level + key.level
}

// sumPieces makes calls of f with a key's inner product at a limb, for the pieces, once the digits are there.
func (w *flow) sumPieces(d *decomposition, limb int, key *SwitchingKey, addends pair, factors []uint64, f func(s *kernel.KeySum, i int), then func()) stage {
	s, arena := d.keySum(limb, key), w.arena
	if limb < len(factors) {
		s.Factor = factors[limb]
		for part, c := range addends {
			if c != nil {
				s.Addends[part] = c[limb]
			}
		}
	}
	count := w.pieces()
	finished := countdown(count, func() {
		if !d.kept {
			d.releaseLimb(arena, limb)
		}
		then()
	})
	return w.add(count, func(i int) {
		d.opened[limb].waitAll()
		if limb <= d.level {
			d.inverse.wait(limb)
		}
		if w.alone && !d.kept {
			w.partsOf(i, func(part int) { d.finish(limb, part, s) })
		}
		f(s, i)
		finished()
	})
}

// switchAndDivide writes to result a key's inner product with a decomposition, rotated, plus addends times the special
// primes, either part of which may be nil, divided. What is more is added to it without being rotated. Addends and more
// have to be there when the decomposed polynomial is. A decomposition that is not kept is released. The stages of the
// limbs are returned.
func (w *flow) switchAndDivide(result pair, d *decomposition, key *SwitchingKey, division *division, addends, more pair) []stage {
	arena, stay, drop := w.arena, len(division.inverse), len(division.divisor)
	rest := []poly{make(poly, drop), make(poly, drop)}
	begun := w.add(1, func(int) {
		arena.fill(rest[0])
		arena.fill(rest[1])
	})
	ahead := min(stay, w.ahead(d))
	for limb := stay; limb < stay+drop; limb++ {
		w.open(d, limb)
	}
	for limb := range ahead {
		w.open(d, limb)
	}
	dropped := make([]stage, drop)
	for k := range drop {
		m := d.moduli[stay+k]
		dropped[k] = w.sumPieces(d, stay+k, key, addends, division.product, func(s *kernel.KeySum, i int) {
			begun.wait(0)
			w.inPieces(i, func(start, end int) {
				m.KeySum(rest[0][k][start:end], rest[1][k][start:end], s, start, false)
			})
		}, func() {})
	}
	r := w.remainders(division, rest, func(_, k int) { dropped[k].waitAll() })
	r.begin(w)
	finished := countdown(stay, func() {
		arena.release(rest...)
		if !d.kept {
			arena.release(d.coefficients)
		}
	})
	stages := make([]stage, stay)
	for first, next := 0, 0; first < stay; first = next {
		next = min(first+max(ahead, 1), stay)
		size := next - first
		remainders := make([][2][]uint64, size)
		if first >= ahead {
			for limb := first; limb < first+size; limb++ {
				w.open(d, limb)
			}
		}
		there := w.add(2*size, func(i int) { remainders[i/2][i%2] = r.open(i%2, first+i/2, !w.alone) })
		for i := range size {
			limb := first + i
			m, inverse := d.moduli[limb], division.inverse[limb]
			stages[limb] = w.sumPieces(d, limb, key, addends, division.product, func(s *kernel.KeySum, at int) {
				there.waitFor(2*i, 2*i+2)
				if w.alone {
					w.partsOf(at, func(part int) { d.finishRemainders(limb, part, remainders[i], s) })
				}
				w.inPieces(at, func(start, end int) {
					dst := [2][]uint64{result[0][limb][start:end], result[1][limb][start:end]}
					m.KeySum(dst[0], dst[1], s, start, false)
					for part, v := range dst {
						m.SubMulScalar(v, v, remainders[i][part][start:end], inverse)
						if more[part] != nil {
							m.Add(v, v, more[part][limb][start:end])
						}
					}
				})
			}, func() {
				arena.releaseVector(remainders[i][0])
				arena.releaseVector(remainders[i][1])
				finished()
			})
		}
	}
	return stages
}

// accumulate adds a key's inner product with a decomposition, rotated, to a total: to each piece of its limbs once before
// says that it is there, or to nothing for nil. Addends join times factors, limbs without a factor not. The decomposition
// is released, and then called, in the end. What the next to add has to wait for is returned.
func (w *flow) accumulate(total pair, d *decomposition, key *SwitchingKey, addends pair, factors []uint64,
	before func(limb, i int), then func()) func(limb, i int) {
	arena, limbs := w.arena, len(d.moduli)
	finished := countdown(limbs, func() {
		arena.release(d.coefficients)
		then()
	})
	ahead := w.ahead(d)
	for limb := range ahead {
		w.open(d, limb)
	}
	stages := make([]stage, limbs)
	for limb, m := range d.moduli {
		if limb+ahead < limbs {
			w.open(d, limb+ahead)
		}
		stages[limb] = w.sumPieces(d, limb, key, addends, factors, func(s *kernel.KeySum, i int) {
			if before != nil {
				before(limb, i)
			}
			w.inPieces(i, func(start, end int) {
				m.KeySum(total[0][limb][start:end], total[1][limb][start:end], s, start, before != nil)
			})
		}, finished)
	}
	return func(limb, i int) { stages[limb].wait(i) }
}

// addUp accumulates n times, each time from a decomposition that is begun before the products of the one before, so that
// nobody waits for it.
func (w *flow) addUp(n int, before func(limb, i int), decompose func(i int) *decomposition,
	accumulate func(i int, d *decomposition, before func(limb, i int)) func(limb, i int)) func(limb, i int) {
	next := decompose(0)
	for i := range n {
		d := next
		if i+1 < n {
			next = decompose(i + 1)
		}
		before = accumulate(i, d, before)
	}
	return before
}

// remainders are what polynomials leave when they are divided: the limbs that do not stay, read as one centred number, at
// those that do.
type remainders struct {
	*division
	arena    *arena
	rest     []poly
	inverted stage
	begun    []stage // by polynomial
}

// remainders begins with the limbs that do not stay, whose content is lost, each once ready says that it is there.
func (w *flow) remainders(d *division, rest []poly, ready func(i, k int)) *remainders {
	drop := len(d.divisor)
	r := &remainders{division: d, arena: w.arena, rest: rest}
	r.inverted = w.add(len(rest)*drop, func(task int) {
		i, k := task/drop, task%drop
		ready(i, k)
		d.divisor[k].Inverse(rest[i][k], rest[i][k])
	})
	return r
}

// begin goes on to what the limbs that stay begin with.
func (r *remainders) begin(w *flow) {
	if r.extension == nil {
		return
	}
	drop := len(r.divisor)
	for i, rest := range r.rest {
		r.begun = append(r.begun, w.begin(r.extension, rest, func() { r.inverted.waitFor(i*drop, (i+1)*drop) }))
	}
}

// subtract subtracts a polynomial's remainder at a limb and divides.
func (r *remainders) subtract(v []uint64, i, limb int) {
	remainder := r.open(i, limb, true)
	r.moduli[limb].SubMulScalar(v, v, remainder, r.inverse[limb])
	r.arena.releaseVector(remainder)
}

// open returns a polynomial's remainder at a limb, its transform begun or finished, which the caller releases.
func (r *remainders) open(i, limb int, finish bool) []uint64 {
	m, v := r.moduli[limb], r.arena.vector()
	if r.extension == nil {
		r.inverted.wait(i)
		m.BeginForward(v, r.rest[i][0], r.divisor[0])
	} else {
		r.begun[i].waitAll()
		r.extension.BeginForward(v, r.rest[i], limb)
	}
	if finish {
		finishAll(m, v)
	}
	return v
}
