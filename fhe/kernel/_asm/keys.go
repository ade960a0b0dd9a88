package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// keyProducts is the inner product of digits, read in the order of a permutation, with both parts of a key, which are
// packed in this order already.
type keyProducts struct {
	registers
	scalar, bits, mask       VecPhysical
	position, blocks, offset GPVirtual
}

func (k keyProducts) generate() {
	TEXT("keyProductsVector", NOSPLIT, "func(dst0, dst1 *uint64, a0, a1, b *[]uint64, terms, position, count uint64, "+
		"blocks *uint32, inner *[8][8]uint64, add0, add1 *uint64, scalar, start, ahead uint64, c *[28]uint64, width, mask uint64)")
	Pragma("noescape")
	Doc("keyProductsVector sums up a0[k]*b[k] and a1[k]*b[k], on top of the results with start = 1, and of add0 and add1",
		"times a scalar. It fetches what is so many bytes ahead of a0 and a1.")
	k.mask = k.broadcast(argument("c"), constMask)
	k.scalar, k.bits = k.take(), k.take()
	VPBROADCASTQ(argument("scalar"), k.scalar)
	VPBROADCASTQ(argument("mask"), k.bits)
	k.position, k.blocks, k.offset = argument("position"), argument("blocks"), GP64()
	XORQ(k.offset, k.offset)
	count := argument("count")
	for _, width := range []int{2, 1} {
		label := fmt.Sprint("width", width)
		Label(label)
		CMPQ(count, U8(width))
		JB(LabelRef(label + "Done"))
		k.column(label, width)
		SUBQ(U8(width), count)
		JMP(LabelRef(label))
		Label(label + "Done")
	}
	finish()
}

// column writes width vectors of eight values of each part.
func (k keyProducts) column(label string, width int) {
	parts := make([][2]sum, width)
	blocks, orders := make([]GPVirtual, width), k.takeMany(width)
	words, shifts := make([]GPVirtual, width), k.takeMany(width)
	for v := range parts {
		parts[v] = [2]sum{{k.take(), k.take()}, {k.take(), k.take()}}
	}
	k.rest()
	result := func(v, part int) Mem {
		return Mem{Base: argument(fmt.Sprint("dst", part)), Index: k.offset, Scale: 1, Disp: 64 * v}
	}
	for v := range parts {
		blocks[v] = permutedBlock(Mem{Base: k.blocks, Disp: 4 * v}, argument("inner"), orders[v])
		words[v] = bitsOf(k.position, v, shifts[v])
		for _, s := range parts[v] {
			VPXORQ(s.low, s.low, s.low)
			VPXORQ(s.high, s.high, s.high)
		}
	}
	start := argument("start")
	TESTQ(start, start)
	JZ(LabelRef(label + "Fresh"))
	for v := range parts {
		for part, s := range parts[v] {
			VMOVDQU64(result(v, part), s.low)
		}
	}
	Label(label + "Fresh")
	for part := range 2 {
		none := fmt.Sprint(label, "None", part)
		more := argument(fmt.Sprint("add", part))
		TESTQ(more, more)
		JZ(LabelRef(none))
		for v := range parts {
			x := k.temp()
			VPERMQ(Mem{Base: more, Index: blocks[v], Scale: 8}, orders[v], x)
			parts[v][part].add(x, k.scalar)
		}
		Label(none)
	}
	term, terms := GP64(), argument("terms")
	XORQ(term, term)
	loop(label+"Term", terms, func() {
		digit, x := GP64(), make([]VecPhysical, width)
		MOVQ(Mem{Base: argument("b"), Index: term, Scale: 8}, digit)
		for v := range x {
			x[v] = k.temp()
			VPERMQ(Mem{Base: digit, Index: blocks[v], Scale: 8}, orders[v], x[v])
		}
		for part := range 2 {
			row := GP64()
			MOVQ(Mem{Base: argument(fmt.Sprint("a", part)), Index: term, Scale: 8}, row)
			ahead := GP64()
			Load(Param("ahead"), ahead)
			ADDQ(row, ahead)
			PREFETCHT1(Mem{Base: ahead, Index: words[0], Scale: 1})
			for v := range x {
				y := k.temp()
				unpack(Mem{Base: row, Index: words[v], Scale: 1}, Mem{Base: row, Index: words[v], Scale: 1, Disp: 64}, shifts[v], k.bits, y, k.temp())
				parts[v][part].add(x[v], y)
			}
		}
		ADDQ(U8(3), term) // a slice header is three words
	})
	fields := modulusFields(argument("c"), k.mask)
	for v := range parts {
		for part, s := range parts[v] {
			s.reduce(fields, k.temp)
			VMOVDQU64(s.low, result(v, part))
		}
	}
	ADDQ(U8(64*width), k.offset)
	ADDQ(U8(4*width), k.blocks)
	ADDQ(U8(width), k.position)
}
