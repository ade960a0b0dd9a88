package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// In the inverse the sums double at each stage while the products fall back below 2q. With every = false (q < 2^48) only
// the sums that a third stage would push beyond 2^52 are reduced, once every three stages; with every = true (q < 2^50)
// all of them are, at once.

// inverseButterfly maps x, y below b (a field of the constants) to x+y, (x-y)*w.
func (t *transform) inverseButterfly(x, y VecPhysical, b Mem, w factor) {
	difference, quotient := t.temp(), t.temp()
	VPSUBQ(y, x, difference)
	VPADDQ_BCST(b, difference, difference)
	VPADDQ(x, y, x)
	t.product(difference, w, y, quotient)
}

// product writes x*w in [0, 2q).
func (t *transform) product(x VecPhysical, w factor, dst, quotient VecPhysical) {
	VMOVDQA64(t.quotientStart, quotient)
	multiplyHigh(w, x, quotient)
	VMOVDQA64(t.quotientStart, dst)
	multiplyLow(w, x, dst)
	VPMADD52LUQ(t.negQ, quotient, dst)
}

func suffix(every bool) string {
	if every {
		return "Every"
	}
	return ""
}

// bound names the constant that is the largest value before the given stage of a pass (values below 2q enter a pass).
func bound(every bool, first, stage int) int {
	if every {
		return constTwoQ
	}
	return []int{constQ, constTwoQ, constFourQ, constEightQ}[first+stage]
}

func inverseFirst(every bool) {
	TEXT("inverseFirst"+suffix(every), NOSPLIT,
		"func(dst, src *uint64, blocks, root uint64, table *uint64, tableSize uint64, c *[23]uint64)")
	Pragma("noescape")
	Doc(fmt.Sprintf("inverseFirst%s runs the first six stages, inside blocks of 64 values.", suffix(every)))
	t := &transform{}
	dst, src, blocks := argument("dst"), argument("src"), argument("blocks")
	c := argument("c")
	roots := newBlockRoots(argument("table"), argument("tableSize"), argument("root"))
	t.inverseConstants(c)
	indices := t.shuffles("inverseShuffles"+suffix(every), []int{0, 3, 2, 1, 0})
	x := t.takeMany(8)
	spare := t.take()
	t.rest()

	loop("block", blocks, func() {
		for p := range 4 {
			a, b := x[2*p], x[2*p+1]
			VMOVDQU64(Mem{Base: src, Disp: 128 * p}, a)
			VMOVDQU64(Mem{Base: src, Disp: 128*p + 64}, b)
			for stage := range 3 {
				a, b, spare = t.shuffle(a, b, spare, indices[stage])
				t.inverseButterfly(a, b, Mem{Base: c, Disp: bound(every, 0, stage)}, roots.lanes(t, 5-stage, p))
				if every || stage == 2 {
					t.reduce(a)
				}
			}
			x[2*p], x[2*p+1], spare = t.shuffle(a, b, spare, indices[3])
		}
		for stage, distance := 0, 1; distance < 8; stage, distance = stage+1, 2*distance {
			t.inverseStage(x, distance, Mem{Base: c, Disp: bound(every, 1, stage)}, every || distance == 4,
				func(i int) factor { return roots.single(2-stage, i) })
		}
		for i := range x {
			VMOVDQU64(x[i], Mem{Base: dst, Disp: 64 * i})
		}
		ADDQ(U32(512), src)
		ADDQ(U32(512), dst)
		roots.next()
	})
	finish()
}

func (t *transform) inverseConstants(c Register) {
	t.negQ, t.mu = t.broadcast(c, constNegQ), t.broadcast(c, constMu)
	t.quotientStart = t.take()
	VPXORQ(t.quotientStart, t.quotientStart, t.quotientStart)
	t.reductionStart = t.quotientStart
}

// inverseStage runs one stage between registers.
func (t *transform) inverseStage(x []VecPhysical, distance int, b Mem, reduce bool, w func(i int) factor) {
	for i := range x {
		if i&distance == 0 {
			t.inverseButterfly(x[i], x[i+distance], b, w(i/(2*distance)))
		}
	}
	for i := range x {
		if i&distance == 0 && reduce {
			t.reduce(x[i])
		}
	}
}

// inversePass joins radix parts; the last one of a transform (root 1) multiplies by 1/N, too, and ends in [0, q).
func inversePass(radix int, every, last bool) {
	name := fmt.Sprintf("inverse%d%s", radix, suffix(every))
	if last {
		name += "Last"
	}
	TEXT(name, NOSPLIT, "func"+passArguments)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs the stages that join %d parts of each block.", name, radix))
	t := &transform{}
	c := argument("c")
	t.inverseConstants(c)
	passLoop(t, radix, func(x []VecPhysical, w func(level, i int) factor, load, store func(int)) {
		for i := range x {
			load(i)
		}
		levels := map[int]int{4: 2, 8: 3}[radix]
		for stage, distance := 0, 1; distance < radix; stage, distance = stage+1, 2*distance {
			level := levels - 1 - stage
			final := last && level == 0
			t.inverseStage(x, distance, Mem{Base: c, Disp: bound(every, 1, stage)},
				!final && (every || level == 0), func(i int) factor {
					if final {
						return constantFactor(c, constScaledRoot)
					}
					return w(level, i)
				})
		}
		for i := range x {
			if last {
				if i < radix/2 {
					y := t.temp()
					t.product(x[i], constantFactor(c, constScale), y, t.temp())
					VMOVDQA64(y, x[i])
				}
				less := t.temp()
				VPANDQ_BCST(Mem{Base: c, Disp: constMask}, x[i], x[i])
				VPSUBQ_BCST(Mem{Base: c, Disp: constQ}, x[i], less)
				VPMINUQ(less, x[i], x[i])
			}
			store(i)
		}
	})
}

func constantFactor(c Register, offset int) factor {
	return factor{value: Mem{Base: c, Disp: offset}, shoup: Mem{Base: c, Disp: offset + 8}, broadcast: true}
}

// fold joins each coefficient j with its mirror image N-j, for 8 <= j < N/2: x_j + f*x_(N-j).
func fold(inverse bool) {
	name, offset := "foldForward", constFold
	if inverse {
		name, offset = "foldInverse", constUnfold
	}
	TEXT(name, NOSPLIT, "func(dst, src *uint64, n uint64, c *[23]uint64)")
	Pragma("noescape")
	if inverse {
		Doc(name + " subtracts from each coefficient j its mirror image N-j times a root, 8 <= j < N/2, and ends in [0, q).")
	} else {
		Doc(name + " subtracts from each coefficient j its mirror image N-j times a root, 8 <= j < N/2, and ends below 3q.")
	}
	t := &transform{}
	dst, src, n := argument("dst"), argument("src"), argument("n")
	c := argument("c")
	t.negQ = t.broadcast(c, constNegQ)
	q, mask := t.broadcast(c, constQ), t.broadcast(c, constMask)
	twoQ := t.broadcast(c, constTwoQ)
	f := factor{value: t.broadcast(c, offset), shoup: t.broadcast(c, offset+8)}
	reversed := t.take()
	table := GLOBL(name+"Reversed", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U64(7-i))
	}
	VMOVDQU64(table.Offset(0), reversed)
	x, y, u, v := t.take(), t.take(), t.take(), t.take()
	t.rest()

	mirrorDst, mirrorSrc := GP64(), GP64()
	LEAQ(Mem{Base: src, Index: n, Scale: 8, Disp: -120}, mirrorSrc)
	LEAQ(Mem{Base: dst, Index: n, Scale: 8, Disp: -120}, mirrorDst)
	ADDQ(U8(64), src)
	ADDQ(U8(64), dst)
	SHRQ(U8(4), n)
	DECQ(n)
	loop("column", n, func() {
		VMOVDQU64(Mem{Base: src}, x)
		VPERMQ(Mem{Base: mirrorSrc}, reversed, y)
		VMOVDQA64(x, u)
		VMOVDQA64(y, v)
		for _, pair := range [][2]VecPhysical{{u, y}, {v, x}} {
			sum, other := pair[0], pair[1]
			quotient := t.temp()
			VPXORQ(quotient, quotient, quotient)
			multiplyHigh(f, other, quotient)
			multiplyLow(f, other, sum)
			VPMADD52LUQ(t.negQ, quotient, sum)
			if inverse {
				less := t.temp()
				VPANDQ(mask, sum, sum)
				VPSUBQ(twoQ, sum, less)
				VPMINUQ(less, sum, sum)
				t.below2q(sum, q, mask)
			}
		}
		VPERMQ(v, reversed, v)
		VMOVDQU64(u, Mem{Base: dst})
		VMOVDQU64(v, Mem{Base: mirrorDst})
		ADDQ(U8(64), src)
		ADDQ(U8(64), dst)
		SUBQ(U8(64), mirrorSrc)
		SUBQ(U8(64), mirrorDst)
	})
	finish()
}
