package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Packed vectors are eight streams of bits side by side, each with the values at one place of registers, so that all loads
// are aligned and eight values come out of two registers with one shift and one mask.

// bitsOf returns how many bytes from the start of a packed vector the words stand that hold its eight values at position+v
// and broadcasts by how much these are shifted.
func bitsOf(position GPVirtual, v int, shift VecPhysical) GPVirtual {
	at, low := GP64(), GP64()
	LEAQ(Mem{Base: position, Disp: v}, at)
	width := argument("width")
	IMULQ(width, at)
	MOVQ(at, low)
	ANDQ(U8(63), low)
	VPBROADCASTQ(low, shift)
	ANDQ(I8(-64), at)
	return at
}

// unpack reads eight values.
func unpack(from, after Mem, shift, mask, x, next VecPhysical) {
	VMOVDQU64(from, x)
	VMOVDQU64(after, next)
	VPSHRDVQ(shift, next, x)
	VPANDQ(mask, x, x)
}
