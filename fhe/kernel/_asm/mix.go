package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// mix generates sums of products by scalars: eight rows of two registers stay while the columns go by.
func mix() {
	const rows, width = 8, 2
	TEXT("mixVector", NOSPLIT, "func(dst, src *uint64, columns *uint32, scalars *uint64, count, shift uint64, rows *[8]uint32, offsets *[8]uint64, constants *[3]uint64)")
	Pragma("noescape")
	Doc("mixVector writes sums of count columns of src times scalars to rows of dst, reduced.")
	dst, src, columns, scalars := argument("dst"), argument("src"), argument("columns"), argument("scalars")
	count := argument("count")
	r := &registers{}
	sums := r.takeMany(rows * width)
	plain, x := r.takeMany(width), r.takeMany(width)
	scalar := r.takeMany(4)
	for _, z := range append(sums, plain...) {
		VPXORQ(z, z, z)
	}
	at := GP64()
	loop("loop", count, func() {
		MOVL(Mem{Base: columns}, at.As32())
		for i := range width {
			VMOVDQU64(Mem{Base: src, Index: at, Scale: 1, Disp: 64 * i}, x[i])
			VPADDQ(x[i], plain[i], plain[i])
		}
		for row := range rows {
			s := scalar[row%len(scalar)]
			VPBROADCASTQ(Mem{Base: scalars, Disp: 8 * row}, s)
			for i := range width {
				VPMADD52LUQ(s, x[i], sums[row*width+i])
			}
		}
		ADDQ(U8(4), columns)
		ADDQ(U8(8*rows), scalars)
	})

	shift := r.take().AsX()
	VMOVQ(argument("shift"), shift)
	for i := range width {
		VPSLLQ(shift, plain[i], plain[i])
	}
	constants, offsets, places := argument("constants"), argument("offsets"), argument("rows")
	// What the loop is done with.
	q, inverse, again := x[0], x[1], scalar[0]
	VPBROADCASTQ(Mem{Base: constants}, q)
	VPBROADCASTQ(Mem{Base: constants, Disp: 8}, inverse)
	VPBROADCASTQ(Mem{Base: constants, Disp: 16}, again)
	temp := append([]VecPhysical{}, scalar[1:]...)
	old, quotient := temp[0], temp[1]
	for row := range rows {
		MOVL(Mem{Base: places, Disp: 4 * row}, at.As32())
		for i := range width {
			y := sums[row*width+i]
			place := Mem{Base: dst, Index: at, Scale: 8, Disp: 64 * i}
			VPSUBQ(plain[i], y, y)
			VPADDQ_BCST(Mem{Base: offsets, Disp: 8 * row}, y, y)
			VPANDQ(place, again, old)
			VPADDQ(old, y, y)
			// The quotient by floating point is off by at most one.
			VCVTUQQ2PD(y, quotient)
			VMULPD(inverse, quotient, quotient)
			VCVTTPD2UQQ(quotient, quotient)
			VPMULLQ(q, quotient, quotient)
			VPSUBQ(quotient, y, y)
			VPADDQ(q, y, quotient)
			VPMINUQ(quotient, y, y)
			VPSUBQ(q, y, quotient)
			VPMINUQ(quotient, y, y)
			VMOVDQU64(y, place)
		}
	}
	finish()
}
