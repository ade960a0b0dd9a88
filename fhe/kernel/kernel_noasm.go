//go:build !amd64 || purego

package kernel

// Features names the implementation that serves primes below 2^50 on this machine.
func Features() string { return "purego" }

type acceleration struct{}

func (m *Modulus) accelerate() {}

type extensionAcceleration struct{}

func (e *Extension) accelerate() {}

func (m *Modulus) forwardFirst(dst, src []uint64, lazy bool)    { m.forwardGeneric(dst, src, lazy) }
func (m *Modulus) forwardRest([]uint64, int, bool, [3][]uint64) {}
func (m *Modulus) inverseTransform(dst, src []uint64)           { m.inverseGeneric(dst, src) }
func (m *Modulus) forwardLifted(dst, src []uint64, from *Modulus) {
	m.forwardLiftedGeneric(dst, src, from.q, true)
}
func (m *Modulus) add(dst, a, b []uint64)                    { addGeneric(dst, a, b, m.q) }
func (m *Modulus) sub(dst, a, b []uint64)                    { subGeneric(dst, a, b, m.q) }
func (m *Modulus) neg(dst, a []uint64)                       { negGeneric(dst, a, m.q) }
func (m *Modulus) mul(dst, a, b []uint64)                    { m.mulGeneric(dst, a, b) }
func (m *Modulus) addScalar(dst, a []uint64, c uint64)       { addScalarGeneric(dst, a, c, m.q) }
func (m *Modulus) mulScalar(dst, a []uint64, c scalar)       { mulScalarGeneric(dst, a, c, m.q) }
func (m *Modulus) mulScalarAdd(dst, a []uint64, c scalar)    { mulScalarAddGeneric(dst, a, c, m.q) }
func (m *Modulus) subMulScalar(dst, a, b []uint64, c scalar) { subMulScalarGeneric(dst, a, b, c, m.q) }
func (m *Modulus) lift(dst, src []uint64, p uint64)          { m.liftGeneric(dst, src, p) }
func (m *Modulus) tensor(d0, d1, d2, a0, a1, b0, b1 []uint64) {
	m.tensorGeneric(d0, d1, d2, a0, a1, b0, b1)
}
func (m *Modulus) tensorSquare(d0, d1, d2, a0, a1 []uint64) {
	m.tensorSquareGeneric(d0, d1, d2, a0, a1)
}
func (m *Modulus) innerProduct2(d0, d1 []uint64, a0, a1, b [][]uint64) {
	m.sums2Generic(d0, d1, a0, a1, b, 0, 0, 1)
}
func vectorised(uint64) bool       { return false }
func (m *Modulus) packedBits() int { return 64 }
func (m *Modulus) plainSums() bool { return true }
func (m *Modulus) packed2InnerProduct(d0, d1 []uint64, a0, a1, b [][]uint64) {
	m.sums2Generic(d0, d1, a0, a1, b, 0, 0, 1)
}
func (m *Modulus) sums2(d0, d1 []uint64, a0, a1, b [][]uint64, start, run int) {
	m.sums2Generic(d0, d1, a0, a1, b, 0, start, run)
}
func (m *Modulus) keySum(d0, d1 []uint64, s *KeySum, start int, add bool) {
	m.keySumGeneric(d0, d1, s, start, add)
}
func (s *Sums) take(start, end int)                        { s.takeVectors(start, end) }
func (p *Permutation) apply(dst, src []uint64)             { p.gather(dst, src, 0) }
func (e *Extension) begin(rows [][]uint64, start, end int) { e.beginGeneric(rows, start, end) }
func (e *Extension) convert(dst []uint64, rows [][]uint64, target int) {
	e.convertGeneric(dst, rows, target, 0)
}
func (e *Extension) beginForward(dst []uint64, rows [][]uint64, target int) bool { return false }
