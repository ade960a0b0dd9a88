package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Sums of products keep their low and high 52-bit halves apart, in 64-bit lanes. The caller bounds the number of terms so
// that the low halves stay below 2^64 and the high halves, with the carry of the low ones, below 2^52.

// sum is a running sum of products.
type sum struct{ low, high VecPhysical }

func (s sum) add(a, b VecPhysical) {
	VPMADD52LUQ(a, b, s.low)
	VPMADD52HUQ(a, b, s.high)
}

// fieldsOf addresses the constants that a reduction needs.
type fieldsOf struct {
	negQ, mu, radix, radixShoup, twoQ, q Mem
	mask                                 VecPhysical
}

// reduce brings the sum into [0, q), in the low register.
func (s sum) reduce(f fieldsOf, temp func() VecPhysical) {
	quotient, less := temp(), temp()
	VPSRLQ(U8(52), s.low, quotient)
	VPADDQ(quotient, s.high, s.high)
	VPXORQ(quotient, quotient, quotient)
	VPMADD52HUQ_BCST(f.mu, s.low, quotient)
	VPMADD52LUQ_BCST(f.negQ, quotient, s.low)
	quotient = temp()
	VPXORQ(quotient, quotient, quotient)
	VPMADD52HUQ_BCST(f.radixShoup, s.high, quotient)
	VPMADD52LUQ_BCST(f.radix, s.high, s.low)
	VPMADD52LUQ_BCST(f.negQ, quotient, s.low) // below 4q
	VPANDQ(f.mask, s.low, s.low)
	VPSUBQ_BCST(f.twoQ, s.low, less)
	VPMINUQ(less, s.low, s.low)
	VPSUBQ_BCST(f.q, s.low, less)
	VPMINUQ(less, s.low, s.low)
}

func sums() {
	innerProduct("innerProductVector", "writes the sum of a[k]*b[k] mod q, or adds it to dst.", []string{""})
	innerProduct("innerProduct2Vector", "writes the sums of a0[k]*b[k] and a1[k]*b[k] mod q, or adds them.", []string{"0", "1"})
	extend()
}

// width is how many vectors of eight values of each sum stand in registers.
const width = 4

func innerProduct(name, doc string, sides []string) {
	dstNames, aNames := "dst"+sides[0], "a"+sides[0]
	if len(sides) == 2 {
		dstNames, aNames = dstNames+", dst1", aNames+", a1"
	}
	TEXT(name, NOSPLIT, "func("+dstNames+" *uint64, "+aNames+", b *[]uint64, terms, limit, count, add uint64, c *[22]uint64)")
	Pragma("noescape")
	Doc(name+" "+doc, "At most limit terms are summed up between reductions.")
	var dst, a []GPVirtual
	for _, side := range sides {
		dst, a = append(dst, argument("dst"+side)), append(a, argument("a"+side))
	}
	b, count := argument("b"), argument("count")
	c := argument("c")
	var r registers
	mask := r.broadcast(c, constMask)
	f := fieldsOf{
		negQ: Mem{Base: c, Disp: constNegQ}, mu: Mem{Base: c, Disp: constMu},
		radix: Mem{Base: c, Disp: constRadix}, radixShoup: Mem{Base: c, Disp: constRadixShoup},
		mask: mask, twoQ: Mem{Base: c, Disp: constTwoQ}, q: Mem{Base: c, Disp: constQ},
	}
	offset := GP64()
	XORQ(offset, offset)
	for _, tile := range []struct {
		label string
		width int
	}{{"wide", width}, {"narrow", 1}} {
		Label(tile.label)
		CMPQ(count, U8(tile.width))
		JB(LabelRef(tile.label + "Done"))
		innerProductTile(r, tile.label, tile.width, dst, a, b, offset, f)
		ADDQ(U32(64*tile.width), offset)
		SUBQ(U8(tile.width), count)
		JMP(LabelRef(tile.label))
		Label(tile.label + "Done")
	}
	finish()
}

func innerProductTile(r registers, label string, width int, dst, a []GPVirtual, b, offset GPVirtual, f fieldsOf) {
	sums := make([][]sum, len(dst))
	for side := range dst {
		sums[side] = make([]sum, width)
		for i := range sums[side] {
			sums[side][i] = sum{r.take(), r.take()}
			VPXORQ(sums[side][i].low, sums[side][i].low, sums[side][i].low)
		}
	}
	r.rest()
	add := argument("add")
	TESTQ(add, add)
	JZ(LabelRef(label + "Start"))
	for side := range dst {
		for i, s := range sums[side] {
			VMOVDQU64(Mem{Base: dst[side], Index: offset, Scale: 1, Disp: 64 * i}, s.low)
		}
	}
	Label(label + "Start")
	term, rest, chunk := GP64(), argument("terms"), GP64()
	XORQ(term, term)

	Label(label + "Chunk")
	for side := range dst {
		for _, s := range sums[side] {
			VPXORQ(s.high, s.high, s.high)
		}
	}
	Load(Param("limit"), chunk)
	CMPQ(rest, chunk)
	CMOVQCS(rest, chunk)
	SUBQ(chunk, rest)
	TESTQ(chunk, chunk)
	JZ(LabelRef(label + "Reduce"))
	loop(label+"Term", chunk, func() {
		pointer := GP64()
		MOVQ(Mem{Base: b, Index: term, Scale: 8}, pointer)
		y := make([]VecPhysical, width)
		for i := range y {
			y[i] = r.temp()
			VMOVDQU64(Mem{Base: pointer, Index: offset, Scale: 1, Disp: 64 * i}, y[i])
		}
		for side := range dst {
			pointer := GP64()
			MOVQ(Mem{Base: a[side], Index: term, Scale: 8}, pointer)
			for i, s := range sums[side] {
				x := r.temp()
				VMOVDQU64(Mem{Base: pointer, Index: offset, Scale: 1, Disp: 64 * i}, x)
				s.add(x, y[i])
			}
		}
		ADDQ(U8(3), term) // a slice header is three words
	})
	Label(label + "Reduce")
	for side := range dst {
		for _, s := range sums[side] {
			s.reduce(f, r.temp)
		}
	}
	TESTQ(rest, rest)
	JNZ(LabelRef(label + "Chunk"))
	for side := range dst {
		for i, s := range sums[side] {
			VMOVDQU64(s.low, Mem{Base: dst[side], Index: offset, Scale: 1, Disp: 64 * i})
		}
	}
}

// Layout of the tables of an extension, in words: for each source d, (D/d)^-1, its Shoup companion, 1/d as a float, 2^52-d;
// for each target six constants and then the weights.
const (
	sourceQ = 8 * iota
	sourceFactor
	sourceShoup
	sourceInverse
	sourceNegQ
	sourceSize
)

const (
	targetQ = 8 * iota
	targetNegQ
	targetMu
	targetRadix
	targetRadixShoup
	targetTwoQ
	targetWeights
)

func extend() {
	TEXT("extendVector", NOSPLIT, "func(dst, src *[]uint64, targets, sources uint64, target, source *uint64, count uint64, digits *uint64)")
	Pragma("noescape")
	Doc("extendVector converts count pairs of vectors of eight values from one base to another.")
	dst, src := argument("dst"), argument("src")
	target, source := argument("target"), argument("source")
	digits := argument("digits")
	offset := GP64()
	XORQ(offset, offset)
	var r registers
	mask, half := r.take(), r.take()
	constant := GP64()
	MOVQ(U64(1<<52-1), constant)
	VPBROADCASTQ(constant, mask)
	MOVQ(U64(0x3fe0000000000000), constant) // 0.5
	VPBROADCASTQ(constant, half)
	fractions := []VecPhysical{r.take(), r.take()}
	parts := []sum{{r.take(), r.take()}, {r.take(), r.take()}}
	r.rest()

	Label("column")
	for _, z := range fractions {
		VPXORQ(z, z, z)
	}
	digit, i, row, header := GP64(), argument("sources"), GP64(), GP64()
	MOVQ(digits, digit)
	MOVQ(source, row)
	MOVQ(src, header)
	loop("source", i, func() {
		pointer := GP64()
		MOVQ(Mem{Base: header}, pointer)
		for v := range fractions {
			x, y, quotient, less := r.temp(), r.temp(), r.temp(), r.temp()
			VMOVDQU64(Mem{Base: pointer, Index: offset, Scale: 1, Disp: 64 * v}, x)
			VPXORQ(y, y, y)
			VPXORQ(quotient, quotient, quotient)
			VPMADD52HUQ_BCST(Mem{Base: row, Disp: sourceShoup}, x, quotient)
			VPMADD52LUQ_BCST(Mem{Base: row, Disp: sourceFactor}, x, y)
			VPMADD52LUQ_BCST(Mem{Base: row, Disp: sourceNegQ}, quotient, y)
			VPANDQ(mask, y, y)
			VPSUBQ_BCST(Mem{Base: row, Disp: sourceQ}, y, less)
			VPMINUQ(less, y, y)
			VMOVDQU64(y, Mem{Base: digit, Disp: 64 * v})
			VCVTUQQ2PD(y, y)
			VMULPD_BCST(Mem{Base: row, Disp: sourceInverse}, y, y)
			VADDPD(y, fractions[v], fractions[v])
		}
		ADDQ(U8(sourceSize), row)
		ADDQ(U32(128), digit)
		ADDQ(U8(24), header)
	})
	for v, z := range fractions {
		VADDPD(half, z, z)
		VCVTTPD2UQQ(z, z)
		VMOVDQU64(z, Mem{Base: digit, Disp: 64 * v})
	}

	j := argument("targets")
	MOVQ(target, row)
	MOVQ(dst, header)
	loop("target", j, func() {
		for _, s := range parts {
			VPXORQ(s.low, s.low, s.low)
			VPXORQ(s.high, s.high, s.high)
		}
		terms := argument("sources")
		INCQ(terms)
		MOVQ(digits, digit)
		constants := GP64()
		MOVQ(row, constants)
		ADDQ(U8(targetWeights), row)
		loop("term", terms, func() {
			w := r.temp()
			VPBROADCASTQ(Mem{Base: row}, w)
			for v, s := range parts {
				y := r.temp()
				VMOVDQU64(Mem{Base: digit, Disp: 64 * v}, y)
				s.add(y, w)
			}
			ADDQ(U8(8), row)
			ADDQ(U32(128), digit)
		})
		pointer := GP64()
		MOVQ(Mem{Base: header}, pointer)
		for v, s := range parts {
			at := func(offset int) Mem { return Mem{Base: constants, Disp: offset} }
			s.reduce(fieldsOf{q: at(targetQ), negQ: at(targetNegQ), mu: at(targetMu), radix: at(targetRadix),
				radixShoup: at(targetRadixShoup), twoQ: at(targetTwoQ), mask: mask}, r.temp)
			VMOVDQU64(s.low, Mem{Base: pointer, Index: offset, Scale: 1, Disp: 64 * v})
		}
		ADDQ(U8(24), header)
	})
	ADDQ(U32(128), offset)
	count := GP64()
	Load(Param("count"), count)
	SHLQ(U8(7), count)
	CMPQ(offset, count)
	JB(LabelRef("column"))
	finish()
}
