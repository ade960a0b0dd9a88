// Command _asm generates the assembly of package kernel; run "go generate" there.
package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	transforms()
	vectors()
	sums()
	foldedPasses()
	mix()
	doubleTransforms()
	doubleVectors()
	Generate()
}

// Offsets in the constants of a modulus; package kernel fills them in the same order.
const (
	constQ = 8 * iota
	constNegQ
	constMu
	constOnes
	constMask
	constOffset
	constReduceStart
	constTwoQ
	constWidth
	constWidth3
	constWidth7
	constScale
	constScaleShoup
	constScaledRoot
	constScaledRootShoup
	constFold
	constFoldShoup
	constUnfold
	constUnfoldShoup
	constUnfoldScale
	constUnfoldScaleShoup
	constUnfoldRoot
	constUnfoldRootShoup
	constRadix
	constRadixShoup
	constBarrettShift
	constBarrettMu
	constLazy
)

var zmm = []VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

// registers hands out vector registers; temporaries go round, the processor renames them.
type registers struct {
	next      int
	temporary []VecPhysical
	turn      int
}

func (r *registers) take() VecPhysical {
	r.next++
	return zmm[r.next-1]
}

func (r *registers) takeMany(count int) []VecPhysical {
	r.next += count
	return slices.Clone(zmm[r.next-count : r.next])
}

// rest makes what is left temporaries.
func (r *registers) rest() { r.temporary = zmm[r.next:] }

func (r *registers) temp() VecPhysical {
	r.turn++
	return r.temporary[r.turn%len(r.temporary)]
}

// broadcast loads a field of the constants into all lanes of a new register.
func (r *registers) broadcast(constants Register, offset int) VecPhysical {
	z := r.take()
	VPBROADCASTQ(Mem{Base: constants, Disp: offset}, z)
	return z
}

// factor is a multiplier: registers, or memory broadcast to all lanes or read whole.
type factor struct {
	value, shoup Op
	broadcast    bool
}

func multiplyHigh(f factor, x, sum VecPhysical) {
	if f.broadcast {
		VPMADD52HUQ_BCST(f.shoup, x, sum)
	} else {
		VPMADD52HUQ(f.shoup, x, sum)
	}
}

func multiplyLow(f factor, x, sum VecPhysical) {
	if f.broadcast {
		VPMADD52LUQ_BCST(f.value, x, sum)
	} else {
		VPMADD52LUQ(f.value, x, sum)
	}
}

func argument(name string) GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// loop runs body count times; count is spent.
func loop(label string, count Register, body func()) {
	Label(label)
	body()
	DECQ(count)
	JNZ(LabelRef(label))
}

func finish() {
	VZEROUPPER()
	RET()
}
