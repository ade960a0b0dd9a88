package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Without a multiplier of 52-bit words, residues are integers in double precision, four to a register (van der Hoeven,
// Lecerf and Quintin, "Modular SIMD arithmetic in Mathemagix", 2016, section 3). A product is exact as the sum of its
// rounded value h and what a fused multiply-add says was lost; h less a multiple of q is exact again. Values below 2^52
// in size times a factor below q/2 in size end below 3q/4 in size; package kernel has the bounds of whole transforms.

// Offsets in the constants, four lanes each; package kernel fills them in the same order.
const (
	doubleQ = 32 * iota
	doubleInverse
	doubleRound // 1.5 * 2^52: added and subtracted, it rounds to an integer
	doubleWord  // 2^52: its lowest bits as an integer are those of the word that is added
)

var ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

// doubles hands out registers and emits arithmetic on them. The prime and what rounds stay in the last two.
type doubles struct {
	c         GPVirtual
	q, round  VecPhysical
	x         []VecPhysical
	temporary []VecPhysical
	turn      int
}

func newDoubles(values int) *doubles {
	d := &doubles{c: argument("c"), q: Y14, round: Y15, x: ymm[:values], temporary: ymm[values:14]}
	VMOVUPD(d.constant(doubleQ), d.q)
	VMOVUPD(d.constant(doubleRound), d.round)
	return d
}

func (d *doubles) constant(offset int) Mem { return Mem{Base: d.c, Disp: offset} }

func (d *doubles) temp() VecPhysical {
	d.turn++
	return d.temporary[d.turn%len(d.temporary)]
}

// root is a factor with its quotient by q, in memory: one for all lanes, or four.
type root struct {
	value, quotient Mem
	four            bool
}

func (d *doubles) load(m Mem, four bool) VecPhysical {
	y := d.temp()
	if four {
		VMOVUPD(m, y)
	} else {
		VBROADCASTSD(m, y)
	}
	return y
}

// subtractMultiple takes from h quotient times q; round is still added to the quotient.
func (d *doubles) subtractMultiple(h, quotient VecPhysical) {
	VSUBPD(d.round, quotient, quotient)
	VFNMADD231PD(d.q, quotient, h)
}

// product returns x*w, below 3q/4 in size.
func (d *doubles) product(x VecPhysical, w root) VecPhysical {
	value, quotient, h := d.load(w.value, w.four), d.load(w.quotient, w.four), d.temp()
	VMULPD(value, x, h)
	VFMADD213PD(d.round, x, quotient)
	VFMSUB213PD(h, x, value)
	d.subtractMultiple(h, quotient)
	VADDPD(value, h, h)
	return h
}

// reduce brings x, below 2^52 in size, to half of q and a little.
func (d *doubles) reduce(x VecPhysical) {
	quotient := d.temp()
	VMOVUPD(d.constant(doubleInverse), quotient)
	VFMADD213PD(d.round, x, quotient)
	d.subtractMultiple(x, quotient)
}

// fromWord reads integers below 2^52.
func (d *doubles) fromWord(m Mem, x VecPhysical) {
	VMOVUPD(d.constant(doubleWord), x)
	VORPD(m, x, x)
	VSUBPD(d.constant(doubleWord), x, x)
}

// toWord makes x, below q in size, an integer in [0, q).
func (d *doubles) toWord(x VecPhysical) {
	negative := d.temp()
	VXORPD(negative, negative, negative)
	VCMPPD(U8(1), negative, x, negative) // x < 0
	VANDPD(d.q, negative, negative)
	VADDPD(negative, x, x)
	VADDPD(d.constant(doubleWord), x, x)
	VXORPD(d.constant(doubleWord), x, x)
}

func (d *doubles) forward(x, y VecPhysical, w root) {
	p := d.product(y, w)
	VSUBPD(p, x, y)
	VADDPD(p, x, x)
}

func (d *doubles) inverse(x, y VecPhysical, w root) {
	difference := d.temp()
	VSUBPD(y, x, difference)
	VADDPD(y, x, x)
	VMOVAPD(d.product(difference, w), y)
}

// transpose exchanges lanes and registers of four registers, through temporaries.
func (d *doubles) transpose() {
	x := d.x
	a, b, c, e := d.temp(), d.temp(), d.temp(), d.temp()
	VUNPCKLPD(x[1], x[0], a)
	VUNPCKHPD(x[1], x[0], b)
	VUNPCKLPD(x[3], x[2], c)
	VUNPCKHPD(x[3], x[2], e)
	VPERM2F128(U8(0x20), c, a, x[0])
	VPERM2F128(U8(0x20), e, b, x[1])
	VPERM2F128(U8(0x31), c, a, x[2])
	VPERM2F128(U8(0x31), e, b, x[3])
}

func doubleTransforms() {
	for _, radix := range []int{8, 4} {
		doublePass("forwardDoubles", radix, true)
		doublePass("forwardDoubles", radix, false)
		doublePass("inverseDoubles", radix, false)
		doublePass("inverseDoubles", radix, true)
	}
	forwardDoublesLast()
	inverseDoublesFirst()
	foldDoubles(false)
	foldDoubles(true)
}

// doublePass generates a pass between distant parts of each block. At the edge of a transform, which is the first pass of
// the forward and the last of the inverse one, it reads or writes words.
func doublePass(name string, radix int, edge bool) {
	forward := name == "forwardDoubles"
	name = fmt.Sprintf("%s%d", name, radix)
	doc := fmt.Sprintf("runs the stages that join %d parts of each block.", radix)
	switch {
	case edge && forward:
		name, doc = name+"First", doc[:len(doc)-1]+", from words."
	case edge:
		name, doc = name+"Last", doc[:len(doc)-1]+", and scales, to words."
	}
	TEXT(name, NOSPLIT, "func(dst, src *uint64, part, blocks, root uint64, table *float64, tableSize uint64, c *[4][4]float64)")
	Pragma("noescape")
	Doc(name + " " + doc)
	d := newDoubles(radix)
	dst, src := argument("dst"), argument("src")
	stride := argument("part")
	blocks, rootIndex := argument("blocks"), argument("root")
	table, tableSize := argument("table"), argument("tableSize")
	SHLQ(U8(3), stride)
	SHLQ(U8(3), tableSize)
	row := rows(radix, stride)
	levels := make([]GPVirtual, 0, 3)
	for n := 1; n < radix; n *= 2 {
		levels = append(levels, GP64())
	}
	w := func(level, i int) root {
		at := levels[level]
		return root{value: Mem{Base: at, Disp: 8 * i}, quotient: Mem{Base: at, Index: tableSize, Scale: 1, Disp: 8 * i}}
	}
	x := d.x

	Label("block")
	LEAQ(Mem{Base: table, Index: rootIndex, Scale: 8}, levels[0])
	for l := 1; l < len(levels); l++ {
		Comment("the roots of the next stage stand at twice the index")
		MOVQ(levels[l-1], levels[l])
		SUBQ(table, levels[l])
		LEAQ(Mem{Base: table, Index: levels[l], Scale: 2}, levels[l])
	}
	columns := GP64()
	MOVQ(stride, columns)
	SHRQ(U8(5), columns)
	loop("column", columns, func() {
		for i := range x {
			if forward && edge {
				d.fromWord(row(src, i), x[i])
			} else {
				VMOVUPD(row(src, i), x[i])
			}
		}
		if forward {
			for _, v := range x[:radix/2] {
				if !edge {
					d.reduce(v)
				}
			}
			for level, distance := 0, radix/2; distance > 0; level, distance = level+1, distance/2 {
				d.stage(distance, func(i, k int) { d.forward(x[i], x[k], w(level, i/(2*distance))) })
			}
		} else {
			for level, distance := len(levels)-1, 1; distance < radix; level, distance = level-1, 2*distance {
				if distance == 4 { // sums of four; of eight they would be too large
					d.reduce(x[0])
					d.reduce(x[4])
				}
				d.stage(distance, func(i, k int) { d.inverse(x[i], x[k], w(level, i/(2*distance))) })
			}
			for i := range x[:radix/2] {
				if edge {
					VMOVAPD(d.product(x[i], root{value: Mem{Base: table}, quotient: Mem{Base: table, Index: tableSize, Scale: 1}}), x[i])
				} else {
					d.reduce(x[i])
				}
			}
		}
		for i := range x {
			if !forward && edge {
				d.toWord(x[i])
			}
			VMOVUPD(x[i], row(dst, i))
		}
		ADDQ(U8(32), src)
		ADDQ(U8(32), dst)
	})
	rest := GP64()
	Comment("to the next block")
	IMUL3Q(U8(radix-1), stride, rest)
	ADDQ(rest, src)
	ADDQ(rest, dst)
	INCQ(rootIndex)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	finish()
}

// stage calls butterfly for every pair of registers at a distance.
func (d *doubles) stage(distance int, butterfly func(i, k int)) {
	for i := range d.x {
		if i&distance == 0 {
			butterfly(i, i+distance)
		}
	}
}

// doubleBlocks is the frame of the passes inside blocks of 16 values, four registers: the roots of stages 8 and 4 apart
// are broadcast; 2 apart there are four, one for each group of four; 1 apart eight, the first of each group before the
// second ones.
func doubleBlocks(name, doc, pointers string, body func(d *doubles, w func(level, i int) root)) {
	TEXT(name, NOSPLIT, "func("+pointers+" *uint64, blocks, root uint64, table *float64, tableSize uint64, c *[4][4]float64)")
	Pragma("noescape")
	Doc(name + " " + doc)
	d := newDoubles(4)
	blocks, rootIndex := argument("blocks"), argument("root")
	table, tableSize := argument("table"), argument("tableSize")
	SHLQ(U8(3), tableSize)
	SHLQ(U8(3), rootIndex)
	var levels [4]GPVirtual
	for l := range levels {
		levels[l] = GP64()
		LEAQ(Mem{Base: table, Index: rootIndex, Scale: 1}, levels[l])
		SHLQ(U8(1), rootIndex)
	}
	dst := argument("dst")
	src := dst
	if pointers != "dst" {
		src = argument("src")
	}
	loop("block", blocks, func() {
		for i, x := range d.x {
			if pointers == "dst" {
				VMOVUPD(Mem{Base: src, Disp: 32 * i}, x)
			} else {
				d.fromWord(Mem{Base: src, Disp: 32 * i}, x)
			}
		}
		body(d, func(level, i int) root {
			four := level >= 2
			disp := 8 * i
			if four {
				disp = 32 * i
			}
			at := levels[level]
			return root{Mem{Base: at, Disp: disp}, Mem{Base: at, Index: tableSize, Scale: 1, Disp: disp}, four}
		})
		for i, x := range d.x {
			VMOVUPD(x, Mem{Base: dst, Disp: 32 * i})
		}
		if pointers != "dst" {
			ADDQ(U32(128), src)
		}
		ADDQ(U32(128), dst)
		for l := range levels {
			ADDQ(U8(8<<l), levels[l])
		}
	})
	finish()
}

func forwardDoublesLast() {
	doubleBlocks("forwardDoublesLast", "runs the last four stages, inside blocks of 16 values, to words.", "dst",
		func(d *doubles, w func(level, i int) root) {
			x := d.x
			d.reduce(x[0])
			d.reduce(x[1])
			d.stage(2, func(i, k int) { d.forward(x[i], x[k], w(0, 0)) })
			d.stage(1, func(i, k int) { d.forward(x[i], x[k], w(1, i/2)) })
			d.transpose()
			d.stage(2, func(i, k int) { d.forward(x[i], x[k], w(2, 0)) })
			d.stage(1, func(i, k int) { d.forward(x[i], x[k], w(3, i/2)) })
			for _, x := range x {
				d.reduce(x)
				d.toWord(x)
			}
			d.transpose()
		})
}

func inverseDoublesFirst() {
	doubleBlocks("inverseDoublesFirst", "runs the first four stages, inside blocks of 16 values, from words.", "dst, src",
		func(d *doubles, w func(level, i int) root) {
			x := d.x
			d.transpose()
			d.stage(1, func(i, k int) { d.inverse(x[i], x[k], w(3, i/2)) })
			d.stage(2, func(i, k int) { d.inverse(x[i], x[k], w(2, 0)) })
			d.reduce(x[0])
			d.reduce(x[1])
			d.transpose()
			d.stage(1, func(i, k int) { d.inverse(x[i], x[k], w(1, i/2)) })
			d.stage(2, func(i, k int) { d.inverse(x[i], x[k], w(0, 0)) })
			d.reduce(x[0])
			d.reduce(x[1])
		})
}

// foldDoubles joins coefficients 8 and on with their mirror images, up to the middle.
func foldDoubles(words bool) {
	name, doc := "foldForwardDoubles", "adds to coefficients, words, their mirror images times w; the caller does the first 8 and the middle."
	if words {
		name, doc = "foldInverseDoubles", "is foldForwardDoubles that ends with words."
	}
	TEXT(name, NOSPLIT, "func(dst, src *uint64, size uint64, w *[2]float64, c *[4][4]float64)")
	Pragma("noescape")
	Doc(name + " " + doc)
	d := newDoubles(2)
	factor := argument("w")
	count := argument("size")
	var lower, upper [2]GPVirtual
	for i, name := range []string{"dst", "src"} {
		base := argument(name)
		lower[i], upper[i] = GP64(), GP64()
		LEAQ(Mem{Base: base, Disp: 64}, lower[i])
		LEAQ(Mem{Base: base, Index: count, Scale: 8, Disp: -8*8 - 3*8}, upper[i])
	}
	SHRQ(U8(3), count)
	SUBQ(U8(2), count)
	w := root{value: Mem{Base: factor}, quotient: Mem{Base: factor, Disp: 8}}
	loop("column", count, func() {
		x, y := d.x[0], d.x[1]
		d.fromWord(Mem{Base: lower[1]}, x)
		d.fromWord(Mem{Base: upper[1]}, y)
		mirrorX, mirrorY := ymm[12], ymm[13]
		VPERMPD(U8(0x1b), x, mirrorX)
		VPERMPD(U8(0x1b), y, mirrorY)
		d.temporary = ymm[2:12]
		VADDPD(d.product(mirrorY, w), x, x)
		VADDPD(d.product(mirrorX, w), y, y)
		for i, v := range d.x {
			if words {
				d.reduce(v)
				d.toWord(v)
			}
			VMOVUPD(v, Mem{Base: [2]GPVirtual{lower[0], upper[0]}[i]})
		}
		ADDQ(U8(32), lower[0])
		ADDQ(U8(32), lower[1])
		SUBQ(U8(32), upper[0])
		SUBQ(U8(32), upper[1])
	})
	finish()
}
