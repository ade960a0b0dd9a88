//go:build amd64 && !purego

package kernel

import (
	"slices"
	"unsafe"
)

// The vector transform runs its stages in passes over memory: between 8 or 4 distant parts of a block at a time, and the
// six stages inside 64 neighbours at once. After the first pass every part is finished before the next one is touched, so
// that it stays in the first-level cache.

// kind tells what a forward pass does against the growth of its values, which a stage widens by q in both directions.
type kind uint8

const (
	addOffset  kind = iota // first pass: lifts the values so that they stay positive
	plain                  // nothing
	reduceOnly             // reduces the upper inputs before the first stage
	reduceBoth             // last six stages only: before the first and the fourth
	reduceEach             // before every stage
)

type pass struct {
	log  uint8 // log2 of the number of parts
	kind kind
}

type plan struct {
	passes    []pass // nil: the ring is too small for the vector code
	last      kind
	offset    uint64 // what addOffset adds, in multiples of q
	reduction uint64 // reductions end in [reduction*q, (reduction+2)*q)
	inverse   inverseKind
	width     uint64 // in multiples of q: below it are the values with which a pass of the inverse begins
	lazy      bool   // a forward transform may end without a reduction
	folded    bool   // the first pass of the forward transform folds as well (conjugate-invariant ring)
}

// inverseKind tells what the inverse does against the growth of its values: 12 times the width, if not all of them are
// reduced.
type inverseKind uint8

const (
	reduceFirst inverseKind = iota // reduces the first row of a pass
	reduceHalf                     // reduces the first half of the rows
	reduceSums                     // reduces every sum
)

// lazyBits is the size of the primes that leave room for a transform without any reduction.
const lazyBits = 45

// lazyBound returns a multiple of q that is larger than what lazy transforms end in: the largest that leaves a bit free.
// It is q where transforms are not lazy.
func (p *plan) lazyBound(q uint64) uint64 {
	if p.lazy {
		return 1 << 51 / q * q
	}
	return q
}

// lastStages is how many stages the last pass runs.
const lastStages = 6

func newPlan(q uint64, logN int, conjugateInvariant bool) plan {
	room := uint64(1) << 52 / q // at least 4
	p := plan{inverse: reduceSums}
	switch {
	case room > 12*8:
		p.inverse, p.width = reduceFirst, 8
	case room > 12*2:
		p.inverse, p.width = reduceHalf, 2
	}
	p.folded = conjugateInvariant && room >= 16 && logN != lastStages+3 // of three stages, two would leave one

	// After a reduction to [b, b+2)*q, s stages spread values over [b-s, b+2+s)*q. With b = s they stay positive and need
	// room for 2s+2.
	limit := (room - 2) / 2
	if limit < 3 {
		limit = 1
	}
	limit = min(limit, uint64(logN)+1)
	p.reduction, p.offset = limit, limit
	grown := uint64(0)
	if conjugateInvariant { // folding counts as a stage: it leaves [0, 3)*q
		p.offset, grown = limit-1, 1
	}
	next := func(stages uint64, keep kind) kind {
		switch {
		case grown+stages <= limit:
			grown += stages
			return keep
		case stages <= limit:
			grown = stages
			return reduceOnly
		case stages == lastStages && lastStages/2 <= limit:
			return reduceBoth
		}
		return reduceEach
	}
	keep := addOffset
	for rest := logN - lastStages; rest >= 2; {
		log := 3
		if rest == 2 || rest == 4 || p.folded && len(p.passes) == 0 {
			log = 2
		}
		rest -= log
		p.passes = append(p.passes, pass{uint8(log), next(uint64(log), keep)})
		keep = plain
	}
	p.lazy = p.passes != nil && q>>lazyBits == 0
	p.last = next(lastStages, plain)
	return p
}

// forwardFirst runs the first pass, or the whole transform in plain Go.
func (m *Modulus) forwardFirst(dst, src []uint64, lazy bool) {
	if m.acceleration.forward == nil {
		if m.doubles.transforms() {
			m.forwardDoublesFirst(dst, src)
		} else {
			m.forwardGeneric(dst, src, lazy && m.plainSums())
		}
		return
	}
	c, size := &m.constants, uint64(len(dst))
	first := m.plan.passes[0]
	switch {
	case m.plan.folded:
		forwardFolded(&dst[0], &src[0], size/4, &m.acceleration.forward[0], size, c)
	case m.conjugateInvariant:
		m.foldEdges(dst, src, m.fold)
		foldForward(&dst[0], &src[0], size, c)
		m.forwardPass(first, dst, dst, 1, 1)
	default:
		m.forwardPass(first, dst, src, 1, 1)
	}
}

func (m *Modulus) forwardLifted(dst, src []uint64, from *Modulus) {
	size, above := uint64(len(dst)), (from.q/m.q+1)*m.q
	switch {
	case m.acceleration.forward == nil && !m.doubles.transforms():
		m.forwardLiftedGeneric(dst, src, from.q, m.plainSums())
	case m.acceleration.forward == nil || !m.plan.folded || from.q>>maxVectorBits != 0:
		m.lift(dst, src, from.q)
		m.forwardFirst(dst, dst, true)
	case m.plan.lazy && above+(2*m.plan.reduction+4)*m.q <= m.plan.lazyBound(m.q):
		// What folding and the stages add to values is at most what they do where these are reduced before.
		forwardFoldedShift(&dst[0], &src[0], size/4, &m.acceleration.forward[0], size, &m.constants, from.q/2, above-from.q)
	default:
		forwardFoldedLift(&dst[0], &src[0], size/4, &m.acceleration.forward[0], size, &m.constants, from.q/2, m.Reduce(from.q))
	}
}

// forwardRest runs all passes after the first on a part. Lazy ones fetch next meanwhile.
func (m *Modulus) forwardRest(dst []uint64, part int, lazy bool, next [3][]uint64) {
	if m.acceleration.forward == nil {
		if m.doubles.transforms() {
			m.forwardDoublesRest(dst, part)
		}
		return
	}
	c, table, size := &m.constants, &m.acceleration.forward[0], uint64(len(dst))
	log, values := m.plan.passes[0].log, len(dst)/Parts
	longest := slices.MaxFunc(next[:], func(a, b []uint64) int { return len(a) - len(b) })
	for k, v := range next {
		if v == nil {
			next[k] = longest // what is fetched twice costs next to nothing
		}
	}
	lines := (8*len(longest) + values - 1) / values // of 8 values, for each block of 64
	for i := part << log / Parts; i < (part+1)<<log/Parts; i++ {
		block, root, blocks := dst[i*len(dst)>>log:(i+1)*len(dst)>>log], uint64(1<<log+i), uint64(1)
		for _, p := range m.plan.passes[1:] {
			m.forwardPass(p, block, block, blocks, root)
			blocks, root = blocks<<p.log, root<<p.log
		}
		switch {
		case lazy && m.plan.lazy:
			forwardLastLazy(&block[0], blocks, root, table, size, c,
				unsafe.SliceData(next[0]), unsafe.SliceData(next[1]), unsafe.SliceData(next[2]), uint64(lines))
			for k, v := range next {
				next[k] = v[min(len(v), 8*lines*int(blocks)):]
			}
		case m.plan.last == plain:
			forwardLastPlain(&block[0], blocks, root, table, size, c)
		case m.plan.last == reduceOnly:
			forwardLastReduce(&block[0], blocks, root, table, size, c)
		case m.plan.last == reduceBoth:
			forwardLastHalves(&block[0], blocks, root, table, size, c)
		default:
			forwardLastEvery(&block[0], blocks, root, table, size, c)
		}
	}
}

// forwardPass runs a pass over so many equal blocks, the first of which has the given root.
func (m *Modulus) forwardPass(p pass, dst, src []uint64, blocks, root uint64) {
	part := uint64(len(dst)) / blocks >> p.log
	d, s, table, size, c := &dst[0], &src[0], &m.acceleration.forward[0], uint64(1)<<m.logN, &m.constants
	switch {
	case p.log == 3 && p.kind == addOffset:
		forward8Offset(d, s, part, blocks, root, table, size, c)
	case p.log == 3 && p.kind == plain:
		forward8Plain(d, s, part, blocks, root, table, size, c)
	case p.log == 3 && p.kind == reduceOnly:
		forward8Reduce(d, s, part, blocks, root, table, size, c)
	case p.log == 3:
		forward8Every(d, s, part, blocks, root, table, size, c)
	case p.kind == addOffset:
		forward4Offset(d, s, part, blocks, root, table, size, c)
	case p.kind == plain:
		forward4Plain(d, s, part, blocks, root, table, size, c)
	case p.kind == reduceOnly:
		forward4Reduce(d, s, part, blocks, root, table, size, c)
	default:
		forward4Every(d, s, part, blocks, root, table, size, c)
	}
}

func (m *Modulus) inverseTransform(dst, src []uint64) {
	if m.acceleration.inverse == nil {
		if m.doubles.transforms() {
			m.inverseDoubles(dst, src)
		} else {
			m.inverseGeneric(dst, src)
		}
		return
	}
	c, table, size := &m.constants, &m.acceleration.inverse[0], uint64(len(dst))
	passes := m.plan.passes
	part := len(dst) >> passes[0].log
	for i := range 1 << passes[0].log {
		block, source := dst[i*part:(i+1)*part], src[i*part:(i+1)*part]
		root, blocks := uint64(1<<passes[0].log+i), uint64(1)
		for _, p := range passes[1:] {
			blocks, root = blocks<<p.log, root<<p.log
		}
		switch m.plan.inverse {
		case reduceFirst:
			inverseFirst(&block[0], &source[0], blocks, root, table, size, c)
		case reduceHalf:
			inverseFirstReduce(&block[0], &source[0], blocks, root, table, size, c)
		default:
			inverseFirstEvery(&block[0], &source[0], blocks, root, table, size, c)
		}
		for p := len(passes) - 1; p > 0; p-- {
			blocks, root = blocks>>passes[p].log, root>>passes[p].log
			m.inversePass(passes[p], block, blocks, root)
		}
	}
	if m.plan.folded && m.plan.inverse != reduceSums {
		inverseFolded(&dst[0], size/4, table, size, c)
		first, middle := dst[0], dst[size/2] // their own mirror images
		dst[0], dst[size/2] = reduceOnce(2*first, m.q), subOnce(middle, m.unfold.mul(middle, m.q), m.q)
		return
	}
	m.inversePass(passes[0], dst, 1, 1)
	if m.conjugateInvariant {
		m.foldEdges(dst, dst, m.unfold)
		dst[0] = reduceOnce(2*dst[0], m.q)
		foldInverse(&dst[0], &dst[0], size, c)
	}
}

// inversePass runs a pass in place; the one at root 1 is the last.
func (m *Modulus) inversePass(p pass, dst []uint64, blocks, root uint64) {
	part := uint64(len(dst)) / blocks >> p.log
	d, table, size, c := &dst[0], &m.acceleration.inverse[0], uint64(1)<<m.logN, &m.constants
	last := 0
	if root == 1 {
		last = 1
	}
	inversePasses[m.plan.inverse][p.log-2][last](d, d, part, blocks, root, table, size, c)
}

// inversePasses are by kind, by the number of stages and by whether they are the last.
var inversePasses = [3][2][2]func(dst, src *uint64, part, blocks, root uint64, table *uint64, tableSize uint64, c *[28]uint64){
	reduceFirst: {{inverse4, inverse4Last}, {inverse8, inverse8Last}},
	reduceHalf:  {{inverse4Reduce, inverse4ReduceLast}, {inverse8Reduce, inverse8ReduceLast}},
	reduceSums:  {{inverse4Every, inverse4EveryLast}, {inverse8Every, inverse8EveryLast}},
}

// foldEdges folds the coefficients that stand alone in their vectors: below 8, their mirror images, and the middle.
func (m *Modulus) foldEdges(dst, src []uint64, i scalar) {
	n, q := len(dst), m.q
	dst[0] = src[0]
	for j := 1; j < 8; j++ {
		x, y := src[j], src[n-j]
		dst[j], dst[n-j] = subOnce(x, i.mul(y, q), q), subOnce(y, i.mul(x, q), q)
	}
	x := src[n/2]
	dst[n/2] = subOnce(x, i.mul(x, q), q)
}
