package main

import (
	"fmt"

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

func modulusFields(c Register, mask VecPhysical) fieldsOf {
	at := func(offset int) Mem { return Mem{Base: c, Disp: offset} }
	return fieldsOf{negQ: at(constNegQ), mu: at(constMu), radix: at(constRadix), radixShoup: at(constRadixShoup),
		twoQ: at(constTwoQ), q: at(constQ), mask: mask}
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
	innerProduct{name: "sumProducts2", doc: "a0[k]*b[k] and a1[k]*b[k]"}.generate()
	innerProduct{name: "sumPacked2Products", doc: "a0[k]*b[k] and a1[k]*b[k], a0 and a1 packed", packed: true}.generate()
	for rows := 1; rows <= maxRows; rows++ {
		rowSums(rows, packed)
		rowSums(rows, runs)
	}
	keyProducts{}.generate()
	beginExtension()
	extendRow()
}

// form is how a factor stands in memory.
type form int

const (
	packed form = iota // as many bits each as the prime has
	runs               // one word for some vectors of eight
)

// innerProduct is the sum of a few terms, started from nothing or from the memory of running sums (start = 1), and ended in the result vectors or, whole (end = 1) or reduced (end = 2), in the memory of
// running sums. Plain slices are addressed from the given byte offset on, packed ones from the given vector of eight on.
type innerProduct struct {
	name, doc string
	packed    bool

	registers
	dst             []GPVirtual
	offset, running GPVirtual
	position        GPVirtual
	bits            VecPhysical
	fields          fieldsOf
}

func (p innerProduct) generate() {
	extra := ""
	if p.packed {
		extra = ", position, width, mask uint64"
	}
	TEXT(p.name, NOSPLIT,
		"func(dst0, dst1 *uint64, a0, a1, b *[]uint64, terms, offset, count, start, end uint64, running *uint64, c *[28]uint64"+extra+")")
	Pragma("noescape")
	Doc(p.name + " sums up " + p.doc + ".")
	p.dst = []GPVirtual{argument("dst0"), argument("dst1")}
	p.offset, p.running = argument("offset"), argument("running")
	c := argument("c")
	p.fields = modulusFields(c, p.broadcast(c, constMask))
	if p.packed {
		p.position, p.bits = argument("position"), p.take()
		VPBROADCASTQ(argument("mask"), p.bits)
	}
	count := argument("count")
	for _, tile := range []struct {
		label string
		width int
	}{{"wide", 4}, {"narrow", 1}} {
		Label(tile.label)
		CMPQ(count, U8(tile.width))
		JB(LabelRef(tile.label + "Done"))
		p.column(tile.label, tile.width)
		ADDQ(U32(64*tile.width), p.offset)
		ADDQ(U32(256*tile.width), p.running)
		for _, dst := range p.dst {
			ADDQ(U32(64*tile.width), dst)
		}
		if p.packed {
			ADDQ(U8(tile.width), p.position)
		}
		SUBQ(U8(tile.width), count)
		JMP(LabelRef(tile.label))
		Label(tile.label + "Done")
	}
	finish()
}

// load reads vectors of a factor whose slice headers start at header.
func (p *innerProduct) load(header, term GPVirtual, width int) []VecPhysical {
	pointer := GP64()
	MOVQ(Mem{Base: header, Index: term, Scale: 8}, pointer)
	x := make([]VecPhysical, width)
	for v := range x {
		x[v] = p.temp()
		VMOVDQU64(Mem{Base: pointer, Index: p.offset, Scale: 1, Disp: 64 * v}, x[v])
	}
	return x
}

// column sums up the terms of width vectors of eight values of each side.
func (p innerProduct) column(label string, width int) {
	var all []sum
	for range width * len(p.dst) {
		all = append(all, sum{p.take(), p.take()})
	}
	words, shifts, x := make([]GPVirtual, width), make([]VecPhysical, width), []VecPhysical(nil)
	if p.packed {
		x = p.takeMany(2)
		for v := range words {
			shifts[v] = p.take()
			words[v] = bitsOf(p.position, v, shifts[v])
		}
	}
	p.rest()
	side := func(i int) []sum { return all[i*width : (i+1)*width] }
	running := func(i, half int) Mem { return Mem{Base: p.running, Disp: 128*i + 64*half} }

	start := argument("start")
	TESTQ(start, start)
	JNZ(LabelRef(label + "Continue"))
	for _, s := range all {
		VPXORQ(s.low, s.low, s.low)
		VPXORQ(s.high, s.high, s.high)
	}
	JMP(LabelRef(label + "Terms"))
	Label(label + "Continue")
	for i, s := range all {
		VMOVDQU64(running(i, 0), s.low)
		VMOVDQU64(running(i, 1), s.high)
	}

	Label(label + "Terms")
	term, terms := GP64(), argument("terms")
	XORQ(term, term)
	loop(label+"Term", terms, func() {
		y := p.load(argument("b"), term, width)
		for i := range p.dst {
			first := argument(fmt.Sprint("a", i))
			if p.packed {
				row := GP64()
				MOVQ(Mem{Base: first, Index: term, Scale: 8}, row)
				for v := range y {
					unpack(Mem{Base: row, Index: words[v], Scale: 1}, Mem{Base: row, Index: words[v], Scale: 1, Disp: 64}, shifts[v], p.bits, x[0], x[1])
					side(i)[v].add(x[0], y[v])
				}
				continue
			}
			for v, x := range p.load(first, term, width) {
				side(i)[v].add(x, y[v])
			}
		}
		ADDQ(U8(3), term) // a slice header is three words
	})

	end := argument("end")
	CMPQ(end, U8(1))
	JE(LabelRef(label + "Keep"))
	for _, s := range all {
		s.reduce(p.fields, p.temp)
	}
	CMPQ(end, U8(1))
	JA(LabelRef(label + "Reduced"))
	for i, dst := range p.dst {
		for v, s := range side(i) {
			VMOVDQU64(s.low, Mem{Base: dst, Disp: 64 * v})
		}
	}
	JMP(LabelRef(label + "End"))
	Label(label + "Reduced")
	for _, s := range all {
		VPXORQ(s.high, s.high, s.high)
	}
	Label(label + "Keep")
	for i, s := range all {
		VMOVDQU64(s.low, running(i, 0))
		VMOVDQU64(s.high, running(i, 1))
	}
	Label(label + "End")
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

// overflowShift is the constant of package kernel.
const overflowShift = 58

// beginExtension turns the residues of numbers, in place, into the digits that a conversion sums up; above the first one,
// from bit overflowShift on, stands by how many times the product of the primes the sum is too large.
func beginExtension() {
	TEXT("beginExtension", NOSPLIT, "func(rows *[]uint64, sources, offset, count uint64, source *uint64)")
	Pragma("noescape")
	Doc("beginExtension makes digits of count vectors of eight values that start offset bytes into each row.")
	rows, sources, offset, count, source := argument("rows"), argument("sources"), argument("offset"), argument("count"), argument("source")
	var r registers
	mask, half := r.take(), r.take()
	constant := GP64()
	MOVQ(U64(1<<52-1), constant)
	VPBROADCASTQ(constant, mask)
	MOVQ(U64(0x3fe0000000000000), constant) // 0.5
	VPBROADCASTQ(constant, half)
	fraction := r.take()
	r.rest()
	loop("column", count, func() {
		VPXORQ(fraction, fraction, fraction)
		i, row, header, pointer := GP64(), GP64(), GP64(), GP64()
		MOVQ(sources, i)
		MOVQ(source, row)
		MOVQ(rows, header)
		loop("source", i, func() {
			MOVQ(Mem{Base: header}, pointer)
			x, y, quotient, less := r.temp(), r.temp(), r.temp(), r.temp()
			VMOVDQU64(Mem{Base: pointer, Index: offset, Scale: 1}, x)
			VPXORQ(y, y, y)
			VPXORQ(quotient, quotient, quotient)
			VPMADD52HUQ_BCST(Mem{Base: row, Disp: sourceShoup}, x, quotient)
			VPMADD52LUQ_BCST(Mem{Base: row, Disp: sourceFactor}, x, y)
			VPMADD52LUQ_BCST(Mem{Base: row, Disp: sourceNegQ}, quotient, y)
			VPANDQ(mask, y, y)
			VPSUBQ_BCST(Mem{Base: row, Disp: sourceQ}, y, less)
			VPMINUQ(less, y, y)
			VMOVDQU64(y, Mem{Base: pointer, Index: offset, Scale: 1})
			VCVTUQQ2PD(y, y)
			VMULPD_BCST(Mem{Base: row, Disp: sourceInverse}, y, y)
			VADDPD(y, fraction, fraction)
			ADDQ(U8(sourceSize), row)
			ADDQ(U8(24), header)
		})
		over := r.temp()
		VADDPD(half, fraction, over)
		VCVTTPD2UQQ(over, over)
		VPSLLQ(U8(overflowShift), over, over)
		MOVQ(Mem{Base: rows}, pointer)
		first := Mem{Base: pointer, Index: offset, Scale: 1}
		VPORQ(first, over, over)
		VMOVDQU64(over, first)
		ADDQ(U8(64), offset)
	})
	finish()
}

// extendRow sums up what beginExtension left for one target.
func extendRow() {
	TEXT("extendRow", NOSPLIT, "func(dst *uint64, rows *[]uint64, sources, count uint64, target *uint64)")
	Pragma("noescape")
	Doc("extendRow converts count vectors of eight values to one modulus.")
	dst, rows, sources, count, target := argument("dst"), argument("rows"), argument("sources"), argument("count"), argument("target")
	offset := GP64()
	XORQ(offset, offset)
	var r registers
	mask := r.take()
	constant := GP64()
	MOVQ(U64(1<<52-1), constant)
	VPBROADCASTQ(constant, mask)
	s := sum{r.take(), r.take()}
	r.rest()
	at := func(offset int) Mem { return Mem{Base: target, Disp: offset} }
	loop("column", count, func() {
		VPXORQ(s.low, s.low, s.low)
		VPXORQ(s.high, s.high, s.high)
		header, pointer, weight, terms := GP64(), GP64(), GP64(), GP64()
		MOVQ(rows, header)
		MOVQ(sources, terms)
		LEAQ(at(targetWeights+8), weight)
		MOVQ(Mem{Base: header}, pointer)
		over, w := r.temp(), r.temp()
		VPSRLQ(U8(overflowShift), Mem{Base: pointer, Index: offset, Scale: 1}, over)
		VPBROADCASTQ(at(targetWeights), w)
		s.add(over, w)
		loop("term", terms, func() {
			y, w := r.temp(), r.temp()
			MOVQ(Mem{Base: header}, pointer)
			VPBROADCASTQ(Mem{Base: weight}, w)
			VMOVDQU64(Mem{Base: pointer, Index: offset, Scale: 1}, y)
			s.add(y, w)
			ADDQ(U8(8), weight)
			ADDQ(U8(24), header)
		})
		s.reduce(fieldsOf{q: at(targetQ), negQ: at(targetNegQ), mu: at(targetMu), radix: at(targetRadix),
			radixShoup: at(targetRadixShoup), twoQ: at(targetTwoQ), mask: mask}, r.temp)
		VMOVDQU64(s.low, Mem{Base: dst, Index: offset, Scale: 1})
		ADDQ(U8(64), offset)
	})
	finish()
}
