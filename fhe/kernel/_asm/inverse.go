package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// In the inverse the sums double at each stage while the products fall back below 2q. What a butterfly multiplies, x-y,
// must not become negative. For primes of up to 47 bits values with an even number of ones in their row are negated when
// a group of two or three stages begins: a butterfly then subtracts to add, adds to subtract and needs no offset, and all
// results are negated. It is enough that what they are subtracted from is large: with values in [0, W) of which row 0 is
// subtracted from 7W, row 6 from 3W, rows 3 and 5 from W (of four rows, row 0 from 3W and row 3 from W), all sums and
// differences of a group lie in [0, 12W). Products start their quotient below 0 where they are what others are subtracted
// from. Of larger primes all sums are reduced at once.

// inverseKind tells how values are kept small.
type inverseKind struct {
	suffix  string
	reduced int // rows of a group that are reduced in the end, those which may be largest; 0: all sums of every stage
}

// Rows are below 8q, 4q or 2q after a group, but for the first: W is 8q or 2q.
var inverseKinds = []inverseKind{{"", 1}, {"Reduce", 4}, {"Every", 0}}

// product writes x*w in [0, 2q).
func (t *transform) product(x VecPhysical, w factor, dst, quotient VecPhysical) {
	VPXORQ(quotient, quotient, quotient)
	t.productFrom(x, w, dst, quotient)
}

// productFrom is product with a quotient that has been started.
func (t *transform) productFrom(x VecPhysical, w factor, dst, quotient VecPhysical) {
	multiplyHigh(w, x, quotient)
	VPXORQ(dst, dst, dst)
	multiplyLow(w, x, dst)
	VPMADD52LUQ(t.negQ, quotient, dst)
}

type inverse struct {
	transform
	inverseKind
	c      GPVirtual
	starts Mem // -2 and -4, then those of lanes
}

func newInverse(kind inverseKind, name string) *inverse {
	t := &inverse{inverseKind: kind, c: argument("c"), starts: GLOBL(name+"Starts", RODATA|NOPTR)}
	for i := range 2 {
		DATA(8*i, I64(-2<<i))
	}
	for stage := range 2 {
		for lane, position := range orders[3-stage][8:] {
			DATA(16+64*stage+8*lane, I64(-offsetOf(stage, 3, position%8)))
		}
	}
	t.negQ, t.mu = t.broadcast(t.c, constNegQ), t.broadcast(t.c, constMu)
	t.reductionStart = t.take()
	VPXORQ(t.reductionStart, t.reductionStart, t.reductionStart)
	return t
}

// offsetOf returns how many q the product of a stage of a group has to have in a row: what is subtracted from it later.
func offsetOf(stage, stages, row int) int {
	if rest := stages - 1 - stage; rest > 0 && row>>(stage+1) == 0 {
		return 1 << rest
	}
	return 0
}

// negated tells from how many W a row of a group is subtracted; 0 for rows that stay.
func negated(rows, row int) int {
	if rows == 8 {
		return []int{7, 0, 0, 1, 0, 1, 3, 0}[row]
	}
	return []int{3, 0, 0, 1}[row]
}

// sumAndDifference maps x, y below a bound to x+y, x-y, which are not negative. Rows that are negated give both of a pair
// the sign of the first.
func (t *inverse) sumAndDifference(x, y, difference VecPhysical) {
	if t.reduced == 0 {
		VPSUBQ(y, x, difference)
		VPADDQ_BCST(Mem{Base: t.c, Disp: constTwoQ}, difference, difference)
		VPADDQ(x, y, x)
	} else {
		VPADDQ(x, y, difference)
		VPSUBQ(y, x, x)
	}
}

// butterfly maps x, y to x+y, (x-y)*w.
func (t *inverse) butterfly(x, y VecPhysical, w factor, start func(quotient VecPhysical)) {
	difference, quotient := t.temp(), t.temp()
	t.sumAndDifference(x, y, difference)
	start(quotient)
	t.productFrom(difference, w, y, quotient)
}

// group runs the stages between registers, but for the products of the last one where it is the last of a transform.
func (t *inverse) group(x []VecPhysical, w func(level, i int) factor, last bool) {
	stages := map[int]int{4: 2, 8: 3}[len(x)]
	for i := range x {
		if k := negated(len(x), i); k > 0 && t.reduced > 0 {
			from := t.temp()
			VPBROADCASTQ(Mem{Base: t.c, Disp: map[int]int{1: constWidth, 3: constWidth3, 7: constWidth7}[k]}, from)
			VPSUBQ(x[i], from, x[i])
		}
	}
	for stage, distance := 0, 1; distance < len(x); stage, distance = stage+1, 2*distance {
		final := last && 2*distance == len(x)
		for i := range x {
			if i&distance != 0 {
				continue
			}
			if final {
				difference := t.temp()
				t.sumAndDifference(x[i], x[i+distance], difference)
				VMOVDQA64(difference, x[i+distance])
				continue
			}
			t.butterfly(x[i], x[i+distance], w(stages-1-stage, i/(2*distance)), func(quotient VecPhysical) {
				if k := offsetOf(stage, stages, i+distance); k > 0 && t.reduced > 0 {
					VPBROADCASTQ(t.starts.Offset(8*(k/2-1)), quotient)
				} else {
					VPXORQ(quotient, quotient, quotient)
				}
			})
		}
		for i := range x {
			if !final && (t.reduced == 0 && i&distance == 0 || 2*distance == len(x) && i < t.reduced) {
				t.reduce(x[i])
			}
		}
	}
}

func inverseFirst(kind inverseKind) {
	name := "inverseFirst" + kind.suffix
	TEXT(name, NOSPLIT, "func(dst, src *uint64, blocks, root uint64, table *uint64, tableSize uint64, c *[28]uint64)")
	Pragma("noescape")
	Doc(name + " runs the first six stages, inside blocks of 64 values.")
	t := newInverse(kind, name)
	dst, src, blocks := argument("dst"), argument("src"), argument("blocks")
	roots := newBlockRoots(argument("table"), argument("tableSize"), argument("root"))
	indices := t.shuffles(name+"Shuffles", []int{0, 3, 2, 1, 0})
	// As in a group with W = q: the lanes of each half of a pair that are negated, and from what they are subtracted.
	q, from := t.broadcast(t.c, constQ), t.take()
	if kind.reduced > 0 {
		widths, mask := GLOBL(name+"Widths", RODATA|NOPTR), GP32()
		masks := [2]uint32{}
		for lane, position := range orders[3] {
			k := negated(8, position%8)
			if k > 0 {
				masks[lane/8] |= 1 << (lane % 8)
			}
			if lane < 8 {
				DATA(8*lane, U64(k))
			}
		}
		VPXORQ(from, from, from)
		VPMADD52LUQ(widths.Offset(0), q, from)
		for i, k := range []OpmaskPhysical{K1, K2} {
			MOVL(U32(masks[i]), mask)
			KMOVW(mask, k)
		}
	}
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
				if kind.reduced > 0 && stage == 0 {
					VPSUBQ(a, from, K1, a)
					VPSUBQ(b, q, K2, b)
				}
				t.butterfly(a, b, roots.lanes(&t.transform, 5-stage, p), func(quotient VecPhysical) {
					if kind.reduced > 0 && stage < 2 {
						VMOVDQU64(t.starts.Offset(16+64*stage), quotient)
					} else {
						VPXORQ(quotient, quotient, quotient)
					}
				})
				if kind.reduced == 0 || kind.reduced == 4 && stage == 2 {
					t.reduce(a)
				}
			}
			x[2*p], x[2*p+1], spare = t.shuffle(a, b, spare, indices[3])
		}
		t.group(x, roots.single, false)
		for i := range x {
			VMOVDQU64(x[i], Mem{Base: dst, Disp: 64 * i})
		}
		ADDQ(U32(512), src)
		ADDQ(U32(512), dst)
		roots.next()
	})
	finish()
}

// inversePass joins radix parts; the last one of a transform (root 1) multiplies by 1/N, too, and ends in [0, q).
func inversePass(radix int, kind inverseKind, last bool) {
	name := fmt.Sprintf("inverse%d%s", radix, kind.suffix)
	if last {
		name += "Last"
	}
	TEXT(name, NOSPLIT, "func"+passArguments)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s runs the stages that join %d parts of each block.", name, radix))
	t := newInverse(kind, name)
	passLoop(&t.transform, radix, func(x []VecPhysical, w func(level, i int) factor, load, store func(int)) {
		for i := range x {
			load(i)
		}
		t.group(x, w, last)
		for i := range x {
			if last {
				w := constantFactor(t.c, constScale)
				if i >= radix/2 {
					w = constantFactor(t.c, constScaledRoot)
				}
				y, less := t.temp(), t.temp()
				t.product(x[i], w, y, t.temp())
				VPANDQ_BCST(Mem{Base: t.c, Disp: constMask}, y, y)
				VPSUBQ_BCST(Mem{Base: t.c, Disp: constQ}, y, less)
				VPMINUQ(less, y, x[i])
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
	TEXT(name, NOSPLIT, "func(dst, src *uint64, n uint64, c *[28]uint64)")
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
