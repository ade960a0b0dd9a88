package compiler

import (
	"math/bits"
	"slices"

	"cipherpoint/circuit"
)

// Cost of the kernels on one core with AVX-512 IFMA, in nanoseconds a coefficient of one limb; `bench` prints the
// measured latencies beside the estimates.
const (
	costNTT       = 0.065 // times log2 N
	costProduct   = 0.35  // multiply-accumulate into both halves, operand from memory
	costMove      = 0.2   // permutation, addition, scalar product
	costExtension = 0.45  // a pair of source and target primes
	costSplit     = 4     // of a reply that is switched to another ring
	costSwitched  = 5     // of each of its digits, both primes
)

// Latency estimates the time of one node in milliseconds.
func Latency(c *circuit.Circuit, node circuit.Node) float64 {
	p := c.Parameters
	if c.Packing == circuit.Batch {
		return batchLatency(c, node) * float64(p.N()) / 1e6
	}
	l, s := float64(node.Level+1), float64(p.SpecialPrimes(node.Level))
	digits := float64(p.Digits(node.Level))
	ntt := costNTT * float64(p.LogN)
	decompose := l*ntt + (digits*(l+s)-l)*ntt + l*(l+s)*costExtension
	product := digits * (l + s) * costProduct
	down := 2 * (s*ntt + l*ntt + s*l*costExtension + l*costMove)
	hoisted := product + down + 2*l*costMove
	ns := 0.0
	switch {
	case node.Linear != nil:
		babies := node.Linear.Babies
		ns += float64(len(babies)) * hoisted
		for i, r := range babies { // digits are made once of each vector that is rotated
			if !slices.ContainsFunc(babies[:i], func(o circuit.Rotation) bool { return o.From == r.From }) {
				ns += decompose
			}
		}
		ns += float64(len(node.Linear.Giants)) * (decompose + hoisted + 2*l*costMove)
		ns += float64(len(node.Linear.Diagonals)) * l * costProduct
	case node.Fold != nil:
		ns += float64(len(node.Fold.Steps)) * (decompose + hoisted + 2*l*costMove)
	case node.Multiply != nil:
		ns += decompose + product + down + 4*l*costMove
	case node.Combine != nil:
		ns += float64(len(node.In)) * 2 * l * costMove
	case node.Dot != nil:
		ns += 2 * l * (costMove + ntt)
	}
	for r := range node.Rescale {
		left := l - float64(r) - 1
		ns += 2 * (ntt + left*(ntt+3*costMove))
	}
	return ns * float64(p.N()) / 1e6
}

// switchingKeyBytes is the size of one key on the wire: the seeded half is free, the other is packed to the primes' bits.
func switchingKeyBytes(p circuit.Parameters, level int) float64 {
	return float64(p.Digits(level)) * polynomialBytes(p.N(), p.Q[:level+1], p.P[:p.SpecialPrimes(level)])
}

func polynomialBytes(n int, primes ...[]uint64) float64 {
	width := 0
	for _, list := range primes {
		for _, q := range list {
			width += bits.Len64(q)
		}
	}
	return float64(n*width) / 8
}
