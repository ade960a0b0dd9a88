package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Values are residues modulo 2^52: the multiplier reads only the low 52 bits of a lane, so what carries beyond them is
// left there until the last step masks it. A butterfly's product w*y - floor(y*w'/2^52)*q with w' = floor(w*2^52/q) lies
// in [0, 2q) for every y below 2^52; starting the quotient at 1 instead of 0 centres it to [-q, q). So the sums grow by q
// in both directions at each stage, and a prime of fewer bits needs fewer reductions: kernel.plan chooses.

func transforms() {
	for _, radix := range []int{8, 4} {
		for _, kind := range []string{"Offset", "Plain", "Reduce", "Every"} {
			forwardPass(radix, kind)
		}
	}
	for _, kind := range []string{"Lazy", "Plain", "Reduce", "Halves", "Every"} {
		forwardLast(kind)
	}
	for _, kind := range inverseKinds {
		inverseFirst(kind)
		for _, radix := range []int{8, 4} {
			inversePass(radix, kind, false)
			inversePass(radix, kind, true)
		}
	}
	fold(false)
	fold(true)
}

type transform struct {
	registers
	negQ, mu       VecPhysical
	quotientStart  VecPhysical // 1 (forward) or 0 (elementwise)
	reductionStart VecPhysical // makes a reduction end in [b, b+2q) instead of [0, 2q)
}

// butterfly maps x, y to x+wy, x-wy.
func (t *transform) butterfly(x, y VecPhysical, w factor) {
	quotient, double := t.temp(), t.temp()
	VMOVDQA64(t.quotientStart, quotient)
	multiplyHigh(w, y, quotient)
	VPADDQ(x, x, double)
	multiplyLow(w, y, x)
	VPMADD52LUQ(t.negQ, quotient, x)
	VPSUBQ(x, double, y)
}

// reduce brings any x below 2^52 into [b, b+2q), b = 0 unless reductionStart says otherwise.
func (t *transform) reduce(x VecPhysical) {
	quotient := t.temp()
	VMOVDQA64(t.reductionStart, quotient)
	VPMADD52HUQ(t.mu, x, quotient)
	VPMADD52LUQ(t.negQ, quotient, x)
}

// stages runs log2(len(x)) stages of a block between registers; before is called on the upper inputs of each stage.
func (t *transform) stages(x []VecPhysical, w func(stage, i int) factor, before func(stage int, x VecPhysical)) {
	for stage, distance := 0, len(x)/2; distance > 0; stage, distance = stage+1, distance/2 {
		for i := range x {
			if i&distance == 0 {
				before(stage, x[i])
			}
		}
		for i := range x {
			if i&distance == 0 {
				t.butterfly(x[i], x[i+distance], w(stage, i/(2*distance)))
			}
		}
	}
}

// rows addresses the 8 (or up to 4) interleaved parts of a block, stride bytes apart.
func rows(radix int, stride Register) func(base Register, row int) Mem {
	three, five, seven := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	if radix == 8 {
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, five)
		LEAQ(Mem{Base: three, Index: stride, Scale: 4}, seven)
	}
	return func(base Register, row int) Mem {
		switch row {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: three, Scale: 1}
		case 5:
			return Mem{Base: base, Index: five, Scale: 1}
		case 6:
			return Mem{Base: base, Index: three, Scale: 2}
		case 7:
			return Mem{Base: base, Index: seven, Scale: 1}
		}
		return Mem{Base: base, Index: stride, Scale: uint8(row)}
	}
}

const passArguments = "(dst, src *uint64, part, blocks, root uint64, table *uint64, tableSize uint64, c *[28]uint64)"

// passLoop is the frame of a pass between distant parts: for every block it loads the block's roots into registers and
// then calls body for each column of radix vectors.
func passLoop(t *transform, radix int, body func(x []VecPhysical, w func(level, i int) factor, load, store func(row int))) {
	dst, src := argument("dst"), argument("src")
	stride := argument("part")
	blocks, root := argument("blocks"), argument("root")
	table, tableSize := argument("table"), argument("tableSize")
	SHLQ(U8(3), stride)
	SHLQ(U8(3), tableSize)
	row := rows(radix, stride)
	x := t.takeMany(radix)
	values, shoups := t.takeMany(radix-1), t.takeMany(radix-1)
	t.rest()

	Label("block")
	level := GP64()
	LEAQ(Mem{Base: table, Index: root, Scale: 8}, level)
	for l, first := 0, 0; first < radix-1; l, first = l+1, 2*first+1 {
		if l > 0 {
			// The roots of the next stage stand at twice the index.
			Comment("next stage")
			SUBQ(table, level)
			LEAQ(Mem{Base: table, Index: level, Scale: 2}, level)
		}
		for i := 0; i <= first; i++ {
			VPBROADCASTQ(Mem{Base: level, Disp: 8 * i}, values[first+i])
			VPBROADCASTQ(Mem{Base: level, Index: tableSize, Scale: 1, Disp: 8 * i}, shoups[first+i])
		}
	}
	w := func(level, i int) factor {
		n := 1<<level - 1 + i
		return factor{value: values[n], shoup: shoups[n]}
	}
	columns := GP64()
	MOVQ(stride, columns)
	SHRQ(U8(6), columns)
	loop("column", columns, func() {
		body(x, w,
			func(i int) { VMOVDQU64(row(src, i), x[i]) },
			func(i int) { VMOVDQU64(x[i], row(dst, i)) })
		ADDQ(U8(64), src)
		ADDQ(U8(64), dst)
	})
	rest := GP64()
	Comment("to the next block")
	IMUL3Q(U8(radix-1), stride, rest)
	ADDQ(rest, src)
	ADDQ(rest, dst)
	INCQ(root)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	finish()
}

func forwardPass(radix int, kind string) {
	TEXT(fmt.Sprintf("forward%d%s", radix, kind), NOSPLIT, "func"+passArguments)
	Pragma("noescape")
	Doc(fmt.Sprintf("forward%d%s runs the stages that join %d parts of each block.", radix, kind, radix))
	t := &transform{}
	c := argument("c")
	t.negQ, t.quotientStart = t.broadcast(c, constNegQ), t.broadcast(c, constOnes)
	var offset VecPhysical
	switch kind {
	case "Offset":
		offset = t.broadcast(c, constOffset)
	case "Reduce", "Every":
		t.mu, t.reductionStart = t.broadcast(c, constMu), t.broadcast(c, constReduceStart)
	}
	passLoop(t, radix, func(x []VecPhysical, w func(level, i int) factor, load, store func(int)) {
		for i := range x {
			load(i)
		}
		t.stages(x, w, func(stage int, x VecPhysical) {
			switch {
			case kind == "Offset" && stage == 0:
				VPADDQ(offset, x, x)
			case kind == "Every" || kind == "Reduce" && stage == 0:
				t.reduce(x)
			}
		})
		for i := range x {
			store(i)
		}
	})
}

// Inside 16 neighbours the last three stages pair values 4, 2 and 1 apart. Each order lists which value every lane of a
// pair of registers holds: partners stand in the same lane, and lanes follow the order in which the table's roots come
// when one load repeats 2 or 4 of them.
var orders = [4][16]int{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15},
	{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
	{0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15},
}

// shuffles returns, for each step through the orders, registers with the lane indices of the two halves.
func (t *transform) shuffles(name string, steps []int) [][2]VecPhysical {
	table := GLOBL(name, RODATA|NOPTR)
	indices := make([][2]VecPhysical, len(steps)-1)
	for s := range indices {
		from, to := orders[steps[s]], orders[steps[s+1]]
		position := map[int]int{}
		for lane, value := range from {
			position[value] = lane
		}
		for lane, value := range to {
			DATA(128*s+8*lane, U64(position[value]))
		}
		for half := range indices[s] {
			z := t.take()
			VMOVDQU64(table.Offset(128*s+64*half), z)
			indices[s][half] = z
		}
	}
	return indices
}

// shuffle reorders a pair of registers; it returns the new pair and leaves the others free.
func (t *transform) shuffle(a, b, spare VecPhysical, index [2]VecPhysical) (x, y, free VecPhysical) {
	VMOVDQA64(a, spare)
	VPERMT2Q(b, index[0], a)
	VPERMT2Q(b, index[1], spare)
	return a, spare, b
}

// blockRoots addresses the roots of a block of 64 by level: 1, 2, 4 for the stages between registers; then 8, 16 and 32
// roots for the stages 4, 2 and 1 apart, of which pair p of registers takes 2, 4 and 8.
type blockRoots struct {
	level     [6]GPVirtual
	tableSize GPVirtual
}

func newBlockRoots(table, tableSize, root GPVirtual) *blockRoots {
	r := &blockRoots{tableSize: tableSize}
	SHLQ(U8(3), tableSize)
	SHLQ(U8(3), root)
	for l := range r.level {
		r.level[l] = GP64()
		LEAQ(Mem{Base: table, Index: root, Scale: 1}, r.level[l])
		if l < 5 {
			SHLQ(U8(1), root)
		}
	}
	return r
}

func (r *blockRoots) next() {
	for l := range r.level {
		ADDQ(U32(8<<l), r.level[l])
	}
}

func (r *blockRoots) value(level, disp int) Mem { return Mem{Base: r.level[level], Disp: disp} }

func (r *blockRoots) shoup(level, disp int) Mem {
	return Mem{Base: r.level[level], Index: r.tableSize, Scale: 1, Disp: disp}
}

func (r *blockRoots) single(level, i int) factor {
	return factor{value: r.value(level, 8*i), shoup: r.shoup(level, 8*i), broadcast: true}
}

// lanes loads the roots of pair p for the stage 4, 2 or 1 apart (level 3, 4, 5), repeated as the orders want them.
func (r *blockRoots) lanes(t *transform, level, p int) factor {
	disp := 16 << (level - 3) * p
	value, shoup := r.value(level, disp), r.shoup(level, disp)
	if level == 5 {
		return factor{value: value, shoup: shoup}
	}
	v, s := t.temp(), t.temp()
	if level == 3 {
		VBROADCASTI64X2(value, v)
		VBROADCASTI64X2(shoup, s)
	} else {
		VBROADCASTI64X4(value, v)
		VBROADCASTI64X4(shoup, s)
	}
	return factor{value: v, shoup: s}
}

func forwardLast(kind string) {
	end, next := "ends in [0, q)", ""
	if kind == "Lazy" {
		end = "reduces nothing, and fetches so many lines a block of what is read next"
		next = ", next0, next1, next2 *uint64, lines uint64"
	}
	TEXT("forwardLast"+kind, NOSPLIT, "func(dst *uint64, blocks, root uint64, table *uint64, tableSize uint64, c *[28]uint64"+next+")")
	Pragma("noescape")
	Doc(fmt.Sprintf("forwardLast%s runs the last six stages, inside blocks of 64 values, in place, and %s.", kind, end))
	t := &transform{}
	dst, blocks := argument("dst"), argument("blocks")
	c := argument("c")
	roots := newBlockRoots(argument("table"), argument("tableSize"), argument("root"))
	t.negQ, t.quotientStart = t.broadcast(c, constNegQ), t.broadcast(c, constOnes)
	t.mu = t.broadcast(c, constMu)
	if kind != "Plain" && kind != "Lazy" {
		t.reductionStart = t.broadcast(c, constReduceStart)
	}
	q, mask := t.broadcast(c, constQ), t.broadcast(c, constMask)
	indices := t.shuffles("forwardShuffles"+kind, []int{0, 1, 2, 3, 0})
	x := t.takeMany(8)
	spare := t.take()
	t.rest()
	fetch := func() {}
	if kind == "Lazy" {
		fetch = fetcher(argument("lines"), argument("next0"), argument("next1"), argument("next2"))
	}

	loop("block", blocks, func() {
		for i := range x {
			VMOVDQU64(Mem{Base: dst, Disp: 64 * i}, x[i])
		}
		t.stages(x, roots.single, func(stage int, x VecPhysical) {
			if kind == "Every" || (kind == "Reduce" || kind == "Halves") && stage == 0 {
				t.reduce(x)
			}
		})
		for p := range 4 {
			a, b := x[2*p], x[2*p+1]
			for level := 3; level < 6; level++ {
				a, b, spare = t.shuffle(a, b, spare, indices[level-3])
				if kind == "Every" || kind == "Halves" && level == 3 {
					t.reduce(a)
				}
				t.butterfly(a, b, roots.lanes(t, level, p))
			}
			if kind != "Lazy" {
				t.normalise(a, q, mask)
				t.normalise(b, q, mask)
			}
			a, b, spare = t.shuffle(a, b, spare, indices[3])
			VMOVDQU64(a, Mem{Base: dst, Disp: 128 * p})
			VMOVDQU64(b, Mem{Base: dst, Disp: 128*p + 64})
			x[2*p], x[2*p+1] = a, b
		}
		fetch()
		ADDQ(U32(512), dst)
		roots.next()
	})
	finish()
}

// fetcher returns what fetches the next lines of vectors.
func fetcher(lines GPVirtual, vectors ...GPVirtual) func() {
	return func() {
		left := GP64()
		MOVQ(lines, left)
		TESTQ(left, left)
		JZ(LabelRef("fetched"))
		loop("line", left, func() {
			for _, next := range vectors {
				PREFETCHT1(Mem{Base: next})
				ADDQ(U8(64), next)
			}
		})
		Label("fetched")
	}
}

// normalise brings any v below 2^52 into [0, q).
func (t *transform) normalise(v, q, mask VecPhysical) {
	quotient := t.temp()
	VPXORQ(quotient, quotient, quotient)
	VPMADD52HUQ(t.mu, v, quotient)
	VPMADD52LUQ(t.negQ, quotient, v)
	t.below2q(v, q, mask)
}

// below2q masks v, which lies in [0, 2q), and brings it into [0, q).
func (t *transform) below2q(v, q, mask VecPhysical) {
	less := t.temp()
	VPANDQ(mask, v, v)
	VPSUBQ(q, v, less)
	VPMINUQ(less, v, v)
}
