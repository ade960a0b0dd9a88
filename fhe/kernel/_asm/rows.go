package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// maxRows is how many rows of factors are summed in one pass over the terms: as many as registers hold.
const maxRows = 4

// rowSums generates sums of terms, both parts of ciphertexts, times rows of factors: those of a vector of eight places
// follow those of the one before, step bytes after them. In runs they stand side by side and serve 2^shift vectors; packed
// ones are those of 2^shift vectors, of which the first words stand side by side, size bytes after them the second, and so
// on, each row so many bytes after the one before.
func rowSums(count int, b form) {
	name := fmt.Sprintf("sumRows%d%s", count, map[form]string{packed: "Packed", runs: "Runs"}[b])
	extra := ""
	if b == packed {
		extra = ", size, row, width, mask uint64"
	}
	TEXT(name, NOSPLIT, "func(dst0, dst1, a0, a1 *[]uint64, terms, to, from, vectors, position, shift, step uint64, factors *uint64, start uint64, c *[28]uint64"+extra+")")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s sums up terms times %d rows of factors, on top of the results with start = 1.", name, count))
	a, from, to := []GPVirtual{argument("a0"), argument("a1")}, argument("from"), argument("to")
	vectors, position := argument("vectors"), argument("position")
	var p registers
	var bits, shifts VecPhysical
	mask := p.broadcast(argument("c"), constMask)
	if b == packed {
		bits, shifts = p.take(), p.take()
		VPBROADCASTQ(argument("mask"), bits)
	}
	sums := make([][2]sum, count)
	for i := range sums {
		sums[i] = [2]sum{{p.take(), p.take()}, {p.take(), p.take()}}
	}
	x := [2]VecPhysical{p.take(), p.take()}
	y := p.takeMany(count)
	p.rest()
	result := func(row, part int) Mem {
		pointer := GP64()
		MOVQ(Mem{Base: argument(fmt.Sprint("dst", part)), Disp: 24 * row}, pointer)
		return Mem{Base: pointer, Index: to, Scale: 1}
	}

	var row func(base Register, i int) Mem
	if b == packed {
		row = rows(count, argument("row"))
	}
	Label("vector")
	at, term, terms, start, shift, factors := GP64(), GP64(), argument("terms"), argument("start"), argument("shift"), argument("factors")
	SHRXQ(shift, position, at)
	step := argument("step")
	IMULQ(step, at)
	ADDQ(factors, at)
	if b == packed {
		within, start := GP64(), GP64()
		MOVQ(U64(1), start)
		SHLXQ(shift, start, start)
		DECQ(start)
		MOVQ(position, within)
		ANDQ(start, within)
		word := bitsOf(within, 0, shifts)
		SHRQ(U8(6), word)
		size := argument("size")
		IMULQ(size, word)
		ADDQ(word, at)
	}
	XORQ(term, term)
	for _, parts := range sums {
		for _, s := range parts {
			VPXORQ(s.low, s.low, s.low)
			VPXORQ(s.high, s.high, s.high)
		}
	}
	after := GP64()
	if b == packed {
		Load(Param("size"), after)
		ADDQ(at, after)
	}
	TESTQ(start, start)
	JZ(LabelRef("term"))
	for row, parts := range sums {
		for part, s := range parts {
			VMOVDQU64(result(row, part), s.low)
		}
	}
	loop("term", terms, func() {
		for part := range x {
			pointer := GP64()
			MOVQ(Mem{Base: a[part], Index: term, Scale: 8}, pointer)
			VMOVDQU64(Mem{Base: pointer, Index: from, Scale: 1}, x[part])
		}
		for i := range count {
			if b == packed {
				unpack(row(at, i), row(after, i), shifts, bits, y[i], p.temp())
			} else {
				VPBROADCASTQ(Mem{Base: at, Disp: 8 * i}, y[i])
			}
		}
		if b == packed {
			ADDQ(U8(64), at)
			ADDQ(U8(64), after)
		} else {
			ADDQ(U8(8*count), at)
		}
		for row, parts := range sums {
			for part, s := range parts {
				VPMADD52LUQ(x[part], y[row], s.low)
			}
		}
		for row, parts := range sums {
			for part, s := range parts {
				VPMADD52HUQ(x[part], y[row], s.high)
			}
		}
		ADDQ(U8(3), term) // a slice header is three words
	})
	fields := modulusFields(argument("c"), mask)
	for row, parts := range sums {
		for part, s := range parts {
			s.reduce(fields, p.temp)
			VMOVDQU64(s.low, result(row, part))
		}
	}
	ADDQ(U8(64), from)
	ADDQ(U8(64), to)
	INCQ(position)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	finish()
}
