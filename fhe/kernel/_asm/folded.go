package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The conjugate-invariant ring joins each coefficient j with its mirror image N-j before the first stage. Here that
// happens in the registers of the pass that joins four parts: column j of part i has its mirror image in column N/4-j of
// part 3-i, so that columns are taken from both ends, eight at a time, until both hold the middle. The mirror images of
// columns 8k to 8k+7 are columns N/4-8k and down from there: one value of the vector that was taken from the upper end
// before, and seven of the one that is now. In the same way the upper end needs one value of the lower end's next vector.

const foldedArguments = ", part uint64, table *uint64, tableSize uint64, c *[28]uint64"

type folded struct {
	transform
	c              GPVirtual
	negFold        factor
	mirrored       VecPhysical
	lower, upper   []VecPhysical // of the columns that are joined, one vector of each part
	before, next   []VecPhysical // the upper columns before and the lower columns next, not yet folded
	dst, low, high GPVirtual     // bytes: where the columns stand in the first part
	row            func(base Register, row int) Mem
	roots          [3]factor
	masks, loads   int
	load           func(at GPVirtual, x []VecPhysical)
}

func foldedPasses() {
	forwardFolded("forwardFolded", plainValues)
	forwardFolded("forwardFoldedLift", liftedValues)
	forwardFolded("forwardFoldedShift", shiftedValues)
	forwardFolded("forwardFoldedExtend", extendedValues)
	inverseFolded()
}

// source is what a folded pass reads.
type source int

const (
	plainValues    source = iota // in [0, q)
	liftedValues                 // modulo another prime, to be reduced
	shiftedValues                // modulo another prime, to be left as large as that is
	extendedValues               // digits of a base conversion
)

func forwardFolded(name string, from source) {
	first, extra := "src *uint64", ""
	switch from {
	case liftedValues, shiftedValues:
		extra = ", half, wrap uint64"
	case extendedValues:
		first, extra = "src *[]uint64", ", target *uint64, sources uint64"
	}
	TEXT(name, NOSPLIT, "func(dst *uint64, "+first+foldedArguments+extra+")")
	Pragma("noescape")
	switch from {
	case plainValues:
		Doc(name + " folds and runs the two stages that join four parts.")
	case liftedValues:
		Doc(name + " is forwardFolded of values above half that stand for themselves minus a prime that is wrap mod q.")
	case shiftedValues:
		Doc(name + " is forwardFolded of values above half that stand for themselves plus wrap, none of which are reduced.")
	default:
		Doc(name + " is forwardFolded of what the digits of a base conversion stand for modulo a target, not reduced.")
	}
	f := &folded{}
	f.setup(name)
	var half, wrap VecPhysical
	if from == liftedValues || from == shiftedValues {
		half, wrap = f.take(), f.take()
		VPBROADCASTQ(argument("half"), half)
		VPBROADCASTQ(argument("wrap"), wrap)
	}
	f.rest()
	if from == extendedValues {
		f.load = f.extend
	} else {
		src := argument("src")
		f.load = func(at GPVirtual, x []VecPhysical) {
			base := GP64()
			LEAQ(Mem{Base: src, Index: at, Scale: 1}, base)
			for i := range x {
				VMOVDQU64(f.row(base, i), x[i])
				switch from {
				case liftedValues:
					f.lift(x[i], half, wrap)
				case shiftedValues:
					large := f.opmask()
					VPCMPUQ(U8(6), half, x[i], large)
					VPADDQ(wrap, x[i], large, x[i])
				}
			}
		}
	}
	f.run()
}

func (f *folded) setup(name string) {
	f.c = argument("c")
	f.negQ, f.quotientStart = f.broadcast(f.c, constNegQ), f.broadcast(f.c, constOnes)
	f.negFold = factor{value: f.broadcast(f.c, constFold), shoup: f.broadcast(f.c, constFold+8)}
	f.mirrored = f.mirror(name)
	f.lower, f.upper, f.before, f.next = f.takeMany(4), f.takeMany(4), f.takeMany(4), f.takeMany(4)
	roots, tableSize := argument("table"), argument("tableSize")
	for i := range f.roots {
		f.roots[i] = factor{value: Mem{Base: roots, Disp: 8 + 8*i},
			shoup: Mem{Base: roots, Index: tableSize, Scale: 8, Disp: 8 + 8*i}, broadcast: true}
	}
	stride := argument("part")
	SHLQ(U8(3), stride)
	f.row = rows(4, stride)
	f.dst, f.low, f.high = argument("dst"), GP64(), GP64()
	XORQ(f.low, f.low)
	LEAQ(Mem{Base: stride, Disp: -64}, f.high)
}

// mirror loads the order that takes the first value of one vector after seven of another, in reverse.
func (t *transform) mirror(name string) VecPhysical {
	z := t.take()
	table := GLOBL(name+"Mirror", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U64(8-i)) // the first value of the second vector has index 8
	}
	VMOVDQU64(table.Offset(0), z)
	return z
}

// run takes all columns.
func (f *folded) run() {
	f.load(f.low, f.lower)
	for i := range 3 {
		VMOVDQA64(f.lower[i+1], f.before[i])
	}
	VPXORQ(f.before[3], f.before[3], f.before[3]) // the first coefficient has no mirror image
	Label("column")
	store := GP64()
	LEAQ(Mem{Base: f.dst, Index: f.low, Scale: 1}, store)
	ADDQ(U8(64), f.low)
	f.load(f.low, f.next)
	f.load(f.high, f.upper)
	f.fold()
	for _, x := range [][]VecPhysical{f.lower, f.upper} {
		f.stages(x, func(stage, i int) factor { return f.roots[stage+i] }, func(stage int, x VecPhysical) {
			if stage == 0 {
				VPADDQ_BCST(Mem{Base: f.c, Disp: constOffset}, x, x)
			}
		})
		for i := range x {
			VMOVDQU64(x[i], f.row(store, i))
		}
		LEAQ(Mem{Base: f.dst, Index: f.high, Scale: 1}, store)
	}
	for i := range f.lower {
		VMOVDQA64(f.next[i], f.lower[i])
	}
	SUBQ(U8(64), f.high)
	CMPQ(f.low, f.high)
	JBE(LabelRef("column"))
	finish()
}

// fold adds to each vector its mirror image times a root: below 2q more.
func (f *folded) fold() {
	for i := range 2 {
		var images [2][2]VecPhysical
		for k, r := range []int{i, 3 - i} {
			images[0][k], images[1][k] = f.temp(), f.temp()
			VMOVDQA64(f.mirrored, images[0][k])
			VPERMI2Q(f.before[3-r], f.upper[3-r], images[0][k])
			VMOVDQA64(f.upper[3-r], f.before[3-r])
			VMOVDQA64(f.mirrored, images[1][k])
			VPERMI2Q(f.next[3-r], f.lower[3-r], images[1][k])
		}
		for side, x := range [][]VecPhysical{f.lower, f.upper} {
			for k, r := range []int{i, 3 - i} {
				quotient := f.temp()
				VPXORQ(quotient, quotient, quotient)
				multiplyHigh(f.negFold, images[side][k], quotient)
				multiplyLow(f.negFold, images[side][k], x[r])
				VPMADD52LUQ(f.negQ, quotient, x[r])
			}
		}
	}
}

func (f *folded) opmask() OpmaskPhysical {
	f.masks++
	return []OpmaskPhysical{K1, K2, K3, K4}[f.masks%4]
}

// lift brings x, any value below 2^52, into [0, q), less wrap where it was above half.
func (f *folded) lift(x, half, wrap VecPhysical) {
	negative := f.opmask()
	quotient := f.temp()
	VPCMPUQ(U8(6), half, x, negative)
	VPXORQ(quotient, quotient, quotient)
	VPMADD52HUQ_BCST(Mem{Base: f.c, Disp: constMu}, x, quotient)
	VPMADD52LUQ(f.negQ, quotient, x)
	less, more := f.temp(), f.temp()
	VPANDQ_BCST(Mem{Base: f.c, Disp: constMask}, x, x)
	VPSUBQ_BCST(Mem{Base: f.c, Disp: constQ}, x, less)
	VPMINUQ(less, x, x)
	VPSUBQ(wrap, x, negative, x)
	VPADDQ_BCST(Mem{Base: f.c, Disp: constQ}, x, more)
	VPMINUQ(more, x, x)
}

// extend sums up the products of digits with a target's weights, and of their overflow, which stands above the first
// digit, with minus the product of their primes. The sums have one quotient, short by less than two for each digit.
func (f *folded) extend(at GPVirtual, x []VecPhysical) {
	f.loads++
	target, header, terms, base := argument("target"), argument("src"), argument("sources"), GP64()
	quotients := make([]VecPhysical, len(x))
	weight, shoup, digit := f.temp(), f.temp(), f.temp()
	for i := range x {
		quotients[i] = f.temp()
		VPXORQ(quotients[i], quotients[i], quotients[i])
	}
	MOVQ(Mem{Base: header}, base)
	ADDQ(at, base)
	for i := range x {
		VPXORQ(x[i], x[i], x[i])
		VPSRLQ(U8(overflowShift), f.row(base, i), digit)
		VPMADD52LUQ_BCST(Mem{Base: target}, digit, x[i])
	}
	ADDQ(U8(8), target)
	loop(fmt.Sprint("terms", f.loads), terms, func() {
		MOVQ(Mem{Base: header}, base)
		ADDQ(at, base)
		VPBROADCASTQ(Mem{Base: target}, weight)
		VPBROADCASTQ(Mem{Base: target, Disp: 8}, shoup)
		for i := range x {
			VMOVDQU64(f.row(base, i), digit)
			ahead := f.row(base, i) // by sixteen streams and more, which are too many for the hardware to follow
			ahead.Disp = 4 * 64
			if at == f.high {
				ahead.Disp = -4 * 64
			}
			PREFETCHT0(ahead)
			VPMADD52HUQ(shoup, digit, quotients[i])
			VPMADD52LUQ(weight, digit, x[i])
		}
		ADDQ(U8(16), target)
		ADDQ(U8(24), header)
	})
	for i := range x {
		VPMADD52LUQ(f.negQ, quotients[i], x[i])
	}
}

// inverseFolded generates the last pass of the inverse, which ends with the sum of each coefficient and its mirror image
// times a root. Both are multiplied by what ends a transform at the same time, with one quotient. The upper columns are
// finished a round later, when the lower column is there that holds the first of their mirror images.
func inverseFolded() {
	const name = "inverseFolded"
	TEXT(name, NOSPLIT, "func(dst *uint64, part uint64, table *uint64, tableSize uint64, c *[28]uint64)")
	Pragma("noescape")
	Doc(name+" runs the two stages that join four parts, in place, and unfolds,",
		"but for coefficients 0 and N/2.")
	t := newInverse(inverseKinds[0], name)
	mirror := t.mirror(name)
	q, twoQ, mask := t.broadcast(t.c, constQ), t.broadcast(t.c, constTwoQ), t.broadcast(t.c, constMask)
	lower, upper, lowerBefore, upperBefore := t.takeMany(4), t.takeMany(4), t.takeMany(4), t.takeMany(4)
	t.rest()
	table, tableSize := argument("table"), argument("tableSize")
	stride := argument("part")
	SHLQ(U8(3), stride)
	row := rows(4, stride)
	low, high := argument("dst"), GP64()
	LEAQ(Mem{Base: low, Index: stride, Scale: 1, Disp: -64}, high)
	// finished writes columns: the mirror images are 8 values of which near has the first, in reverse.
	finished := func(x, near, far []VecPhysical, at func(row int) Mem) {
		for i := range x {
			image, sum, quotient, less := t.temp(), t.temp(), t.temp(), t.temp()
			VMOVDQA64(mirror, image)
			VPERMI2Q(near[3-i], far[3-i], image)
			VPXORQ(sum, sum, sum)
			VPXORQ(quotient, quotient, quotient)
			own, other := constScale, constUnfoldRoot
			if i >= 2 {
				own, other = constScaledRoot, constUnfoldScale
			}
			for _, term := range []struct {
				constant int
				x        VecPhysical
			}{{own, x[i]}, {other, image}} {
				w := constantFactor(t.c, term.constant)
				multiplyHigh(w, term.x, quotient)
				multiplyLow(w, term.x, sum)
			}
			VPMADD52LUQ(t.negQ, quotient, sum) // below 4q
			VPANDQ(mask, sum, sum)
			VPSUBQ(twoQ, sum, less)
			VPMINUQ(less, sum, sum)
			VPSUBQ(q, sum, less)
			VPMINUQ(less, sum, sum)
			VMOVDQU64(sum, at(i))
		}
	}
	first := GP64()
	MOVQ(low, first)
	Label("column")
	for _, side := range []struct {
		x    []VecPhysical
		base GPVirtual
	}{{lower, low}, {upper, high}} {
		for i := range side.x {
			VMOVDQU64(row(side.base, i), side.x[i])
		}
		t.group(side.x, func(level, i int) factor {
			return factor{value: Mem{Base: table, Disp: 8 * (1<<level + i)},
				shoup: Mem{Base: table, Index: tableSize, Scale: 8, Disp: 8 * (1<<level + i)}, broadcast: true}
		}, true)
	}
	CMPQ(low, first)
	JNE(LabelRef("upper"))
	for _, i := range []int{0, 2} {
		VMOVDQA64(lower[i+1], upperBefore[i])
		VPXORQ(upperBefore[i+1], upperBefore[i+1], upperBefore[i+1])
	}
	JMP(LabelRef("lower"))
	Label("upper")
	before := GP64()
	LEAQ(Mem{Base: high, Disp: 64}, before)
	finished(upperBefore, lower, lowerBefore, func(i int) Mem { return row(before, i) })
	Label("lower")
	finished(lower, upperBefore, upper, func(i int) Mem { return row(low, i) })
	for i := range lower {
		VMOVDQA64(lower[i], lowerBefore[i])
		VMOVDQA64(upper[i], upperBefore[i])
	}
	ADDQ(U8(64), low)
	SUBQ(U8(64), high)
	CMPQ(low, high)
	JBE(LabelRef("column"))
	ADDQ(U8(64), high)
	finished(upperBefore, upperBefore, lowerBefore, func(i int) Mem { return row(high, i) })
	finish()
}
