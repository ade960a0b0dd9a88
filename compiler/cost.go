package compiler

import (
	"math/bits"

	"cipherpoint/circuit"
)

// Costs are those of the kernels on one core, in nanoseconds a coefficient.
type Costs struct {
	Forward    float64 // transform of a limb, times log2 N
	Inverse    float64 // the same back
	Conversion float64 // a pair of source and target primes
	Key        float64 // product of a digit with both halves of a key
	Diagonal   float64 // product of both halves of a ciphertext with a diagonal
	Run        float64 // the same where the diagonal's values repeat
	Move       float64 // permutation, addition, scalar product
}

// IFMA is the class of machines that circuits are compiled for: Costs with AVX-512 IFMA, fitted to nodes of all shapes on an
// otherwise idle machine. `bench costs` prints measured nodes beside the estimates, and the Costs that fit the machine which
// it runs on; docs/decisions/0003-packing.md says what other classes would change.
var IFMA = Costs{Forward: 0.12, Inverse: 0.14, Conversion: 0.7, Key: 0.8, Diagonal: 0.9, Run: 0.4, Move: 0.5}

// The switch of a reply to another ring, on the same machines.
const (
	costSplit    = 4
	costSwitched = 5 // of each of its digits, both primes
)

// Of returns the time of work, in nanoseconds a coefficient.
func (c Costs) Of(w circuit.Work, logN int) float64 {
	return (c.Forward*float64(w.Forward)+c.Inverse*float64(w.Inverse))*float64(logN) + c.Conversion*float64(w.Conversions) +
		c.Key*float64(w.KeyProducts) + c.Diagonal*float64(w.Products) + c.Run*float64(w.Runs) + c.Move*float64(w.Moves)
}

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
	plan.Work(c, func(node int, w circuit.Work) { f(node, IFMA.Of(w, c.Parameters.LogN)*scale) })
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
