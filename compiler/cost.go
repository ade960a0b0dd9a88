package compiler

import (
	"math/bits"

	"cipherpoint/circuit"
)

// Cost of the kernels on one core with AVX-512 IFMA, in nanoseconds a coefficient, fitted to single nodes of all shapes and
// to the recipes' on an otherwise idle machine; `bench costs` prints measured nodes beside the estimates, and the constants
// that fit the machine which it runs on.
const (
	costForward    = 0.12 // transform of a limb, times log2 N
	costInverse    = 0.14 // the same back
	costConversion = 0.7  // a pair of source and target primes
	costKey        = 0.8  // product of a digit with both halves of a key, which come from memory
	costDiagonal   = 0.9  // product of both halves of a ciphertext with a diagonal from memory
	costRun        = 0.4  // the same where the diagonal's values repeat
	costMove       = 0.5  // permutation, addition, scalar product
	costSplit      = 4    // of a reply that is switched to another ring
	costSwitched   = 5    // of each of its digits, both primes
)

// Latencies estimates the time of each node in milliseconds.
func Latencies(c *circuit.Circuit) []float64 {
	list := make([]float64, len(c.Nodes))
	latencies(c, circuit.NewPlan(c), func(node int, ms float64) { list[node] = ms })
	return list
}

// latencies calls f with the time of each node. The plan may be that of another schedule of the circuit.
func latencies(c *circuit.Circuit, plan *circuit.Plan, f func(node int, ms float64)) {
	scale := float64(c.Parameters.N()) / 1e6
	if c.Packing == circuit.Batch {
		for i, node := range c.Nodes {
			f(i, batchLatency(c, node)*scale)
		}
		return
	}
	plan.Work(c, func(node int, w circuit.Work) { f(node, cost(w, c.Parameters.LogN)*scale) })
}

// cost is the time of work in nanoseconds a coefficient.
func cost(w circuit.Work, logN int) float64 {
	return (costForward*float64(w.Forward)+costInverse*float64(w.Inverse))*float64(logN) + costConversion*float64(w.Conversions) +
		costKey*float64(w.KeyProducts) + costDiagonal*float64(w.Products) + costRun*float64(w.Runs) + costMove*float64(w.Moves)
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
