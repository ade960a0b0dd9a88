//go:build amd64 && !purego

package kernel

import (
	"math/bits"

	"golang.org/x/sys/cpu"
)

var hasIFMA = cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512IFMA && cpu.X86.HasAVX512VBMI2

// hasFMA is what the code on doubles needs; it serves machines without IFMA.
var hasFMA = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// Features names the implementation that serves primes below 2^50 on this machine.
func Features() string {
	if hasIFMA {
		return "avx512ifma"
	}
	if hasFMA {
		return "avx2"
	}
	return "purego"
}

// maxVectorBits is the size of the primes that the vector code serves: it multiplies 52-bit words and needs room for 4q.
const maxVectorBits = 50

// acceleration holds what the vector code needs beside the plain tables.
type acceleration struct {
	enabled          bool
	constants        [28]uint64
	vectorTerms      int      // how many products a vector sum holds
	forward, inverse []uint64 // N twiddle factors, then floor(w * 2^52 / q) for each; nil for small rings
	plan             plan
	doubles          *doubles // instead of all this, on machines without IFMA; nil where it does not serve
}

// vectorised reports whether the vector code serves a prime.
func vectorised(q uint64) bool { return hasIFMA && q>>maxVectorBits == 0 }

func (m *Modulus) accelerate() {
	if !vectorised(m.q) {
		if hasFMA {
			m.accelerateDoubles()
		}
		return
	}
	m.enabled = true
	m.vectorTerms = vectorTerms(m.q)
	q := m.q
	negFold, negUnfold := subOnce(0, m.fold.value, q), subOnce(0, m.unfold.value, q)
	m.plan = newPlan(q, m.logN, m.conjugateInvariant)
	scale, width := m.scale.value, m.plan.width*q
	if m.plan.inverse != reduceSums && len(m.plan.passes)%2 == 1 { // each group of stages negates, of which the first pass runs two
		scale = q - scale
	}
	lastRoot := m.Product(m.inverse.value[1], scale)
	unfoldScale, unfoldRoot := m.Product(negUnfold, scale), m.Product(negUnfold, lastRoot)
	m.constants = [...]uint64{
		q, 1<<52 - q, 1 << 52 / q, 1, 1<<52 - 1,
		m.plan.offset * q, -m.plan.reduction, 2 * q, width, 3 * width, 7 * width,
		scale, m.shoup52(scale), lastRoot, m.shoup52(lastRoot),
		negFold, m.shoup52(negFold), negUnfold, m.shoup52(negUnfold),
		unfoldScale, m.shoup52(unfoldScale), unfoldRoot, m.shoup52(unfoldRoot),
		m.vectorRadix(), m.shoup52(m.vectorRadix()), uint64(52 - bits.Len64(q)), barrett52(q),
		m.plan.lazyBound(q),
	}
	if m.plan.passes != nil {
		m.acceleration.forward = vectorTable(&m.forward)
		m.acceleration.inverse = vectorTable(&m.inverse)
	}
}

// shoup52 returns floor(c * 2^52 / q).
func (m *Modulus) shoup52(c uint64) uint64 { return m.scalar(c).shoup >> 12 }

// barrett52 returns floor(2^(k+51) / q) for a prime of k bits.
func barrett52(q uint64) uint64 {
	k := uint(bits.Len64(q))
	quotient, _ := bits.Div64(1<<(k-1)>>12, 1<<(k-1)<<52, q)
	return quotient
}

// vectorTable joins the factors with their 52-bit companions; the plain table then shares the factors.
func vectorTable(table *shoupTable) []uint64 {
	n := len(table.value)
	joined := NewVector(2 * n)
	copy(joined, table.value)
	for i, s := range table.shoup {
		joined[n+i] = s >> 12
	}
	table.value = joined[:n]
	return joined
}
