package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The conjugate-invariant ring joins each coefficient j with its mirror image N-j before the first stage. Here that
// happens in the registers of the pass that joins four parts: column j of part i has its mirror image in column N/4-j of
// part 3-i, so that columns are taken from both ends, 1 to 8 with N/4-8 to N/4-1 and so on until both hold the middle.
// Column 0 is left to the caller. (The inverse gained nothing from this.)

const foldedArguments = "(dst, src *uint64, part uint64, table *uint64, tableSize uint64, c *[23]uint64"

type folded struct {
	transform
	negFold  factor
	q, mask  VecPhysical
	reversed VecPhysical
	lower    []VecPhysical // of the lower columns, one vector of each part
	upper    []VecPhysical
	roots    [3]factor
	masks    int
}

func foldedPasses() {
	forwardFolded("forwardFolded", plainValues)
	forwardFolded("forwardFoldedLift", liftedValues)
	forwardFolded("forwardFoldedShift", shiftedValues)
}

func (f *folded) constants(c Register) {
	f.negQ = f.broadcast(c, constNegQ)
	f.q, f.mask = f.broadcast(c, constQ), f.broadcast(c, constMask)
	f.negFold = factor{value: f.broadcast(c, constFold), shoup: f.broadcast(c, constFold+8)}
	f.lower, f.upper = f.takeMany(4), f.takeMany(4)
	table, tableSize := argument("table"), argument("tableSize")
	for i := range f.roots {
		value, shoup := f.take(), f.take()
		VPBROADCASTQ(Mem{Base: table, Disp: 8 + 8*i}, value)
		VPBROADCASTQ(Mem{Base: table, Index: tableSize, Scale: 8, Disp: 8 + 8*i}, shoup)
		f.roots[i] = factor{value: value, shoup: shoup}
	}
}

// reverse loads the order that mirrors a vector.
func (f *folded) reverse(name string) {
	f.reversed = f.take()
	table := GLOBL(name+"Reversed", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U64(7-i))
	}
	VMOVDQU64(table.Offset(0), f.reversed)
}

// columns calls body with all vectors of both columns loaded and stores them after it.
func (f *folded) columns(body func()) {
	stride := argument("part")
	count := GP64()
	MOVQ(stride, count)
	SHRQ(U8(4), count)
	SHLQ(U8(3), stride)
	row := rows(4, stride)
	var lower, upper [2]GPVirtual
	for i, name := range []string{"dst", "src"} {
		base := argument(name)
		lower[i], upper[i] = GP64(), GP64()
		LEAQ(Mem{Base: base, Disp: 8}, lower[i])
		LEAQ(Mem{Base: base, Index: stride, Scale: 1, Disp: -64}, upper[i])
	}
	loop("column", count, func() {
		for i := range f.lower {
			VMOVDQU64(row(lower[1], i), f.lower[i])
			VMOVDQU64(row(upper[1], i), f.upper[i])
		}
		body()
		for i := range f.lower {
			VMOVDQU64(f.lower[i], row(lower[0], i))
			VMOVDQU64(f.upper[i], row(upper[0], i))
		}
		for i := range lower {
			ADDQ(U8(64), lower[i])
			SUBQ(U8(64), upper[i])
		}
	})
	finish()
}

// fold adds to each vector its mirror image times a root: below 2q more.
func (f *folded) fold() {
	for i, x := range f.lower {
		y := f.upper[3-i]
		mirrorX, mirrorY := f.temp(), f.temp()
		VPERMQ(x, f.reversed, mirrorX)
		VPERMQ(y, f.reversed, mirrorY)
		for _, pair := range [][2]VecPhysical{{x, mirrorY}, {y, mirrorX}} {
			quotient := f.temp()
			VPXORQ(quotient, quotient, quotient)
			multiplyHigh(f.negFold, pair[1], quotient)
			multiplyLow(f.negFold, pair[1], pair[0])
			VPMADD52LUQ(f.negQ, quotient, pair[0])
		}
	}
}

// source is what a folded pass reads.
type source int

const (
	plainValues   source = iota // in [0, q)
	liftedValues                // modulo another prime, to be reduced
	shiftedValues               // modulo another prime, to be left as large as that is
)

func forwardFolded(name string, from source) {
	extra := ""
	if from != plainValues {
		extra = ", half, wrap uint64"
	}
	TEXT(name, NOSPLIT, "func"+foldedArguments+extra+")")
	Pragma("noescape")
	switch from {
	case plainValues:
		Doc(name + " folds and runs the two stages that join four parts.")
	case liftedValues:
		Doc(name + " is forwardFolded of values above half that stand for themselves minus a prime that is wrap mod q.")
	default:
		Doc(name + " is forwardFolded of values above half that stand for themselves plus wrap, none of which are reduced.")
	}
	f := &folded{}
	c := argument("c")
	f.constants(c)
	f.quotientStart = f.broadcast(c, constOnes)
	offset := f.broadcast(c, constOffset)
	f.reverse(name)
	var half, wrap VecPhysical
	if from == liftedValues {
		f.mu = f.broadcast(c, constMu)
	}
	if from != plainValues {
		half, wrap = f.take(), f.take()
		VPBROADCASTQ(argument("half"), half)
		VPBROADCASTQ(argument("wrap"), wrap)
	}
	f.rest()
	f.columns(func() {
		for _, x := range append(append([]VecPhysical{}, f.lower...), f.upper...) {
			switch from {
			case liftedValues:
				f.lift(x, half, wrap)
			case shiftedValues:
				large := f.opmask()
				VPCMPUQ(U8(6), half, x, large)
				VPADDQ(wrap, x, large, x)
			}
		}
		f.fold()
		for _, x := range [][]VecPhysical{f.lower, f.upper} {
			f.stages(x, func(stage, i int) factor { return f.roots[stage+i] }, func(stage int, x VecPhysical) {
				if stage == 0 {
					VPADDQ(offset, x, x)
				}
			})
		}
	})
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
	VPMADD52HUQ(f.mu, x, quotient)
	VPMADD52LUQ(f.negQ, quotient, x)
	f.below2q(x, f.q, f.mask)
	more := f.temp()
	VPSUBQ(wrap, x, negative, x)
	VPADDQ(f.q, x, more)
	VPMINUQ(more, x, x)
}
