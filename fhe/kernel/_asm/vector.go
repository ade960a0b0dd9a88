package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// elementwise is the frame of the functions that treat each value by itself.
type elementwise struct {
	transform
	c       GPVirtual
	q, mask VecPhysical
}

// values of eight lanes each: pointers that advance together.
type stream struct {
	pointers []GPVirtual
}

func (s stream) at(i int) Mem { return Mem{Base: s.pointers[i]} }

// each generates a function over count vectors of eight values: setup once, body for each, with the streams in the order
// of names.
func each(name, doc, extra string, names []string, setup func(e *elementwise), body func(e *elementwise, s stream)) {
	signature := "func("
	for i, n := range names {
		if i > 0 {
			signature += ", "
		}
		signature += n
	}
	TEXT(name, NOSPLIT, signature+" *uint64, count uint64"+extra+", c *[28]uint64)")
	Pragma("noescape")
	Doc(name + " " + doc)
	e := &elementwise{}
	var s stream
	for _, n := range names {
		s.pointers = append(s.pointers, argument(n))
	}
	count := argument("count")
	e.c = argument("c")
	e.q = e.broadcast(e.c, constQ)
	setup(e)
	e.rest()
	loop("loop", count, func() {
		body(e, s)
		for _, p := range s.pointers {
			ADDQ(U8(64), p)
		}
	})
	finish()
}

// scalarArgument broadcasts an argument.
func (e *elementwise) scalarArgument(name string) VecPhysical {
	z := e.take()
	VPBROADCASTQ(argument(name), z)
	return z
}

func (e *elementwise) load(m Mem) VecPhysical {
	z := e.temp()
	VMOVDQU64(m, z)
	return z
}

// once brings x below 2m into [0, m).
func (e *elementwise) once(x, m VecPhysical) {
	less := e.temp()
	VPSUBQ(m, x, less)
	VPMINUQ(less, x, x)
}

// difference writes a-b mod q onto a.
func (e *elementwise) difference(a VecPhysical, b Op) {
	more := e.temp()
	VPSUBQ(b, a, a)
	VPADDQ(e.q, a, more)
	VPMINUQ(more, a, a)
}

// multiplication loads what products need.
func (e *elementwise) multiplication() {
	e.negQ, e.mask = e.broadcast(e.c, constNegQ), e.broadcast(e.c, constMask)
	e.quotientStart = e.take()
	VPXORQ(e.quotientStart, e.quotientStart, e.quotientStart)
}

func (e *elementwise) scalarFactor() factor {
	return factor{value: e.scalarArgument("value"), shoup: e.scalarArgument("shoup")}
}

// scaled returns x*w in [0, q).
func (e *elementwise) scaled(x VecPhysical, w factor) VecPhysical {
	y := e.temp()
	e.product(x, w, y, e.temp())
	e.below2q(y, e.q, e.mask)
	return y
}

// barrett reduces sums of one or two products of values below q, a prime of k bits. With the one factor shifted left by
// 52-k and the other by 1, the high halves add up to c1 = floor(c / 2^(k-1)), short by less than one for each product,
// and floor(c1*M / 2^52) with M = floor(2^(k+51)/q) falls short of c/q by less than 4: the remainder is below 4q.
type barrett struct{ shift, mu, twoQ VecPhysical }

func (e *elementwise) barrett() barrett {
	return barrett{e.broadcast(e.c, constBarrettShift), e.broadcast(e.c, constBarrettMu), e.broadcast(e.c, constTwoQ)}
}

func (e *elementwise) sumOfProducts(r barrett, factors ...[2]VecPhysical) VecPhysical {
	low, high, quotient := e.temp(), e.temp(), e.temp()
	for _, z := range []VecPhysical{low, high, quotient} {
		VMOVDQA64(e.quotientStart, z)
	}
	for _, f := range factors {
		shifted, doubled := e.temp(), e.temp()
		VPSLLVQ(r.shift, f[0], shifted)
		VPADDQ(f[1], f[1], doubled)
		VPMADD52HUQ(doubled, shifted, high)
		VPMADD52LUQ(f[0], f[1], low)
	}
	VPMADD52HUQ(r.mu, high, quotient)
	VPMADD52LUQ(e.negQ, quotient, low)
	VPANDQ(e.mask, low, low)
	e.once(low, r.twoQ)
	e.once(low, e.q)
	return low
}

func vectors() {
	nothing := func(*elementwise) {}
	each("addVector", "writes a+b mod q.", "", []string{"dst", "a", "b"}, nothing, func(e *elementwise, s stream) {
		x := e.load(s.at(1))
		VPADDQ(s.at(2), x, x)
		e.once(x, e.q)
		VMOVDQU64(x, s.at(0))
	})
	each("subVector", "writes a-b mod q.", "", []string{"dst", "a", "b"}, nothing, func(e *elementwise, s stream) {
		x := e.load(s.at(1))
		e.difference(x, s.at(2))
		VMOVDQU64(x, s.at(0))
	})
	each("negVector", "writes -a mod q.", "", []string{"dst", "a"}, nothing, func(e *elementwise, s stream) {
		x := e.temp()
		VPXORQ(x, x, x)
		e.difference(x, s.at(1))
		VMOVDQU64(x, s.at(0))
	})

	var value VecPhysical
	each("addScalarVector", "writes a+value mod q.", ", value uint64", []string{"dst", "a"},
		func(e *elementwise) { value = e.scalarArgument("value") },
		func(e *elementwise, s stream) {
			x := e.load(s.at(1))
			VPADDQ(value, x, x)
			e.once(x, e.q)
			VMOVDQU64(x, s.at(0))
		})

	var w factor
	scalarSetup := func(e *elementwise) {
		e.multiplication()
		w = e.scalarFactor()
	}
	const scalarArguments = ", value, shoup uint64"
	each("mulScalarVector", "writes a*value mod q; shoup is floor(value*2^52/q).", scalarArguments, []string{"dst", "a"},
		scalarSetup, func(e *elementwise, s stream) {
			VMOVDQU64(e.scaled(e.load(s.at(1)), w), s.at(0))
		})
	each("mulScalarAddVector", "adds a*value mod q to dst; shoup is floor(value*2^52/q).", scalarArguments,
		[]string{"dst", "a"}, scalarSetup, func(e *elementwise, s stream) {
			x := e.scaled(e.load(s.at(1)), w)
			VPADDQ(s.at(0), x, x)
			e.once(x, e.q)
			VMOVDQU64(x, s.at(0))
		})
	var lazy VecPhysical
	each("subMulScalarVector", "writes (a-b)*value mod q, b up to the largest of lazy transforms; shoup is floor(value*2^52/q).", scalarArguments,
		[]string{"dst", "a", "b"}, func(e *elementwise) {
			scalarSetup(e)
			lazy = e.broadcast(e.c, constLazy)
		}, func(e *elementwise, s stream) {
			x := e.load(s.at(1))
			VPADDQ(lazy, x, x)
			VPSUBQ(s.at(2), x, x)
			VMOVDQU64(e.scaled(x, w), s.at(0))
		})

	var r barrett
	barrettSetup := func(e *elementwise) {
		e.multiplication()
		r = e.barrett()
	}
	each("mulVector", "writes a*b mod q.", "", []string{"dst", "a", "b"}, barrettSetup, func(e *elementwise, s stream) {
		x, y := e.load(s.at(1)), e.load(s.at(2))
		VMOVDQU64(e.sumOfProducts(r, [2]VecPhysical{x, y}), s.at(0))
	})
	each("tensorVector", "writes a0*b0, a0*b1+a1*b0 and a1*b1 mod q.", "",
		[]string{"d0", "d1", "d2", "a0", "a1", "b0", "b1"}, func(e *elementwise) {
			barrettSetup(e)
		}, func(e *elementwise, s stream) {
			var v [4]VecPhysical
			for i := range v {
				v[i] = zmm[28+i]
				VMOVDQU64(s.at(3+i), v[i])
			}
			e.temporary = zmm[e.next:28]
			VMOVDQU64(e.sumOfProducts(r, [2]VecPhysical{v[0], v[2]}), s.at(0))
			VMOVDQU64(e.sumOfProducts(r, [2]VecPhysical{v[0], v[3]}, [2]VecPhysical{v[1], v[2]}), s.at(1))
			VMOVDQU64(e.sumOfProducts(r, [2]VecPhysical{v[1], v[3]}), s.at(2))
		})

	var half, wrap VecPhysical
	each("liftVector", "reads src as centred: what is above half stands for itself minus a prime that is wrap mod q.",
		", half, wrap uint64", []string{"dst", "src"}, func(e *elementwise) {
			e.multiplication()
			e.mu = e.broadcast(e.c, constMu)
			half, wrap = e.scalarArgument("half"), e.scalarArgument("wrap")
		}, func(e *elementwise, s stream) {
			x := e.load(s.at(1))
			VPCMPUQ(U8(6), half, x, K1) // x > half
			quotient := e.temp()
			VMOVDQA64(e.quotientStart, quotient)
			VPMADD52HUQ(e.mu, x, quotient)
			VPMADD52LUQ(e.negQ, quotient, x)
			e.below2q(x, e.q, e.mask)
			negative := e.temp()
			VMOVDQA64(x, negative)
			e.difference(negative, wrap)
			VMOVDQA64(negative, K1, x)
			VMOVDQU64(x, s.at(0))
		})
	permute()
}

// permute generates a function that reads blocks of eight values in a permutation's order.
func permute() {
	TEXT("permuteVector", NOSPLIT, "func(dst, src *uint64, blocks *uint32, count uint64, inner *[8][8]uint64)")
	Pragma("noescape")
	Doc("permuteVector moves whole blocks of eight values and reorders each.")
	dst, src, blocks, count := argument("dst"), argument("src"), argument("blocks"), argument("count")
	inner, order, x := argument("inner"), zmm[0], zmm[1]
	loop("loop", count, func() {
		block := permutedBlock(Mem{Base: blocks}, inner, order)
		VPERMQ(Mem{Base: src, Index: block, Scale: 8}, order, x)
		VMOVDQU64(x, Mem{Base: dst})
		ADDQ(U8(4), blocks)
		ADDQ(U8(64), dst)
	})
	finish()
}

// permutedBlock returns the place of a block and loads the order of the values inside it.
func permutedBlock(entry Mem, inner GPVirtual, order VecPhysical) GPVirtual {
	block, place := GP64(), GP64()
	MOVL(entry, block.As32())
	MOVL(block.As32(), place.As32())
	ANDL(U8(7), place.As32())
	SHLL(U8(6), place.As32())
	ANDL(I8(-8), block.As32())
	VMOVDQU64(Mem{Base: inner, Index: place, Scale: 1}, order)
	return block
}
