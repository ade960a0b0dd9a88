package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// productOf returns x*y of values in [0, q), below 3q/4 in size.
func (d *doubles) productOf(x, y VecPhysical) VecPhysical {
	h, lost, quotient := d.temp(), d.temp(), d.temp()
	VMULPD(y, x, h)
	VMOVUPD(d.constant(doubleInverse), quotient)
	VMOVAPD(h, lost)
	VFMADD213PD(d.round, h, quotient)
	VFMSUB231PD(y, x, lost)
	d.subtractMultiple(h, quotient)
	VADDPD(lost, h, h)
	return h
}

// eachDoubles generates a function over count vectors of four values, with the streams in the order of names, the first
// of which are written.
func eachDoubles(name, doc, extra string, names []string, setup func(d *doubles), body func(d *doubles, at func(i int) Mem)) {
	signature := "func("
	for i, n := range names {
		if i > 0 {
			signature += ", "
		}
		signature += n
	}
	TEXT(name, NOSPLIT, signature+" *uint64, count uint64"+extra+", c *[4][4]float64)")
	Pragma("noescape")
	Doc(name + " " + doc)
	d := newDoubles(4)
	var pointers []GPVirtual
	for _, n := range names {
		pointers = append(pointers, argument(n))
	}
	count := argument("count")
	setup(d)
	loop("loop", count, func() {
		body(d, func(i int) Mem { return Mem{Base: pointers[i]} })
		for _, p := range pointers {
			ADDQ(U8(32), p)
		}
	})
	finish()
}

func doubleVectors() {
	nothing := func(*doubles) {}
	eachDoubles("mulDoubles", "writes a*b mod q.", "", []string{"dst", "a", "b"}, nothing, func(d *doubles, at func(int) Mem) {
		d.fromWord(at(1), d.x[0])
		d.fromWord(at(2), d.x[1])
		p := d.productOf(d.x[0], d.x[1])
		d.toWord(p)
		VMOVUPD(p, at(0))
	})
	eachDoubles("tensorDoubles", "writes a0*b0, a0*b1+a1*b0 and a1*b1 mod q.", "",
		[]string{"d0", "d1", "d2", "a0", "a1", "b0", "b1"}, nothing, func(d *doubles, at func(int) Mem) {
			for i, x := range d.x {
				d.fromWord(at(3+i), x)
			}
			write := func(i int, p VecPhysical) {
				d.toWord(p)
				VMOVUPD(p, at(i))
			}
			write(0, d.productOf(d.x[0], d.x[2]))
			sum := d.productOf(d.x[0], d.x[3])
			p := d.productOf(d.x[1], d.x[2])
			VADDPD(p, sum, sum)
			d.reduce(sum)
			write(1, sum)
			write(2, d.productOf(d.x[1], d.x[3]))
		})

	var w root
	scalar := func(*doubles) {
		factor := argument("w")
		w = root{value: Mem{Base: factor}, quotient: Mem{Base: factor, Disp: 8}}
	}
	const scalarArgument = ", w *[2]float64"
	eachDoubles("mulScalarDoubles", "writes a*w mod q.", scalarArgument, []string{"dst", "a"}, scalar,
		func(d *doubles, at func(int) Mem) {
			d.fromWord(at(1), d.x[0])
			p := d.product(d.x[0], w)
			d.toWord(p)
			VMOVUPD(p, at(0))
		})
	eachDoubles("mulScalarAddDoubles", "adds a*w to dst mod q.", scalarArgument, []string{"dst", "a"}, scalar,
		func(d *doubles, at func(int) Mem) {
			d.fromWord(at(0), d.x[0])
			d.fromWord(at(1), d.x[1])
			VADDPD(d.product(d.x[1], w), d.x[0], d.x[0])
			d.reduce(d.x[0])
			d.toWord(d.x[0])
			VMOVUPD(d.x[0], at(0))
		})
	eachDoubles("subMulScalarDoubles", "writes (a-b)*w mod q.", scalarArgument, []string{"dst", "a", "b"}, scalar,
		func(d *doubles, at func(int) Mem) {
			d.fromWord(at(1), d.x[0])
			d.fromWord(at(2), d.x[1])
			VSUBPD(d.x[1], d.x[0], d.x[0])
			p := d.product(d.x[0], w)
			d.toWord(p)
			VMOVUPD(p, at(0))
		})
	eachDoubles("liftDoubles", "reads src as centred modulo p: what is above p[0] stands for itself minus p[1].", ", p *[2]float64",
		[]string{"dst", "src"}, func(d *doubles) {
			p := argument("p")
			VBROADCASTSD(Mem{Base: p}, d.x[2])
			VBROADCASTSD(Mem{Base: p, Disp: 8}, d.x[3])
		}, func(d *doubles, at func(int) Mem) {
			x, above := d.x[0], d.temp()
			d.fromWord(at(1), x)
			VCMPPD(U8(0x1e), d.x[2], x, above)
			VANDPD(d.x[3], above, above)
			VSUBPD(above, x, x)
			d.reduce(x)
			d.toWord(x)
			VMOVUPD(x, at(0))
		})
	var reciprocal VecPhysical
	eachDoubles("digitDoubles", "writes a*w mod q and adds it times p[0] to the doubles sums, rounded before.",
		scalarArgument+", p *[1]float64", []string{"dst", "sums", "a"}, func(d *doubles) {
			scalar(d)
			reciprocal = d.x[1]
			VBROADCASTSD(Mem{Base: argument("p")}, reciprocal)
		}, func(d *doubles, at func(int) Mem) {
			d.fromWord(at(2), d.x[0])
			digit := d.product(d.x[0], w)
			d.toWord(digit)
			VMOVUPD(digit, at(0))
			VORPD(d.constant(doubleWord), digit, digit)
			VSUBPD(d.constant(doubleWord), digit, digit)
			VMULPD(reciprocal, digit, digit)
			VADDPD(at(1), digit, digit)
			VMOVUPD(digit, at(1))
		})
	sumDoubles(false)
	sumDoubles(true)
}

// sumDoubles generates both sums that share the factor b, eight values at a time. Four products below 3q/4 on top of a
// value below q stay below 4q.
func sumDoubles(runs bool) {
	name, doc := "sumDoubles2", "writes from0 (or zero) plus the sum of a0[k]*b[k], and the same for a1, mod q. Offsets are in bytes."
	extra := ", start uint64"
	if runs {
		name, doc = "sumDoubles2Runs", "is sumDoubles2 of factors b with one word for each run of 8<<shift values, from place 8*position on."
		extra = ", position, shift uint64"
	}
	TEXT(name, NOSPLIT, "func(dst0, dst1, from0, from1 *uint64, a0, a1, b *[]uint64, terms, offset, count uint64, c *[4][4]float64"+extra+")")
	Pragma("noescape")
	Doc(name + " " + doc)
	d := newDoubles(6)
	a := [2]GPVirtual{argument("a0"), argument("a1")}
	b, offset, count := argument("b"), argument("offset"), argument("count")
	var position, start GPVirtual
	if runs {
		position = argument("position")
	} else {
		start = argument("start")
	}
	at, k, left, few, p := GP64(), GP64(), GP64(), GP64(), GP64()
	XORQ(at, at)
	sums, factors := [2][]VecPhysical{d.x[:2], d.x[2:4]}, d.x[4:6]

	Label("column")
	Load(Param("from0"), p)
	TESTQ(p, p)
	JZ(LabelRef("zero"))
	for i, name := range []string{"from0", "from1"} {
		Load(Param(name), p)
		for v := range 2 {
			d.fromWord(Mem{Base: p, Index: at, Scale: 1, Disp: 32 * v}, sums[i][v])
		}
	}
	JMP(LabelRef("start"))
	Label("zero")
	for i := range 2 {
		for v := range 2 {
			VXORPD(sums[i][v], sums[i][v], sums[i][v])
		}
	}
	Label("start")
	Load(Param("terms"), left)
	XORQ(k, k)
	Label("group")
	MOVQ(U32(4), few)
	CMPQ(left, few)
	CMOVQLT(left, few)
	SUBQ(few, left)
	loop("term", few, func() {
		MOVQ(Mem{Base: b, Index: k, Scale: 1}, p)
		if runs {
			word := GP64()
			Load(Param("shift"), RCX)
			MOVQ(position, word)
			SHRQ(CL, word)
			VPBROADCASTQ(Mem{Base: p, Index: word, Scale: 8}, factors[0])
			VORPD(d.constant(doubleWord), factors[0], factors[0])
			VSUBPD(d.constant(doubleWord), factors[0], factors[0])
		} else {
			ADDQ(start, p)
			for v := range 2 {
				d.fromWord(Mem{Base: p, Index: at, Scale: 1, Disp: 32 * v}, factors[v])
			}
		}
		for i := range 2 {
			MOVQ(Mem{Base: a[i], Index: k, Scale: 1}, p)
			for v := range 2 {
				x, y := d.temp(), factors[v]
				if runs {
					y = factors[0]
				}
				d.fromWord(Mem{Base: p, Index: offset, Scale: 1, Disp: 32 * v}, x)
				VADDPD(d.productOf(x, y), sums[i][v], sums[i][v])
			}
		}
		ADDQ(U8(24), k)
	})
	for i := range 2 {
		for v := range 2 {
			d.reduce(sums[i][v])
		}
	}
	TESTQ(left, left)
	JNZ(LabelRef("group"))
	for i, name := range []string{"dst0", "dst1"} {
		Load(Param(name), p)
		for v := range 2 {
			d.toWord(sums[i][v])
			VMOVUPD(sums[i][v], Mem{Base: p, Index: at, Scale: 1, Disp: 32 * v})
		}
	}
	ADDQ(U8(64), at)
	ADDQ(U8(64), offset)
	if runs {
		INCQ(position)
	}
	DECQ(count)
	JNZ(LabelRef("column"))
	finish()
}
