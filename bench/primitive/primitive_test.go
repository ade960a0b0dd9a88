package primitive

import (
	"fmt"
	"testing"
	"time"

	"cipherpoint/circuit"
)

// BenchmarkOperations runs each operation in turns with Lattigo's and reports how many times as long that takes.
func BenchmarkOperations(b *testing.B) {
	shapes, err := Shapes()
	if err != nil {
		b.Fatal(err)
	}
	for _, shape := range shapes {
		operations, err := Operations(b.Context(), shape.Parameters)
		if err != nil {
			b.Fatal(err)
		}
		for name, full := range map[string]bool{"dense map, compact": false, "dense map, full diagonals": true} {
			dense, err := NewCircuit(b.Context(), name, Dense(shape.Parameters, 1024, full), nil, 1)
			if err != nil {
				b.Fatal(err)
			}
			operations = append(operations, dense.Operation)
		}
		for _, o := range operations {
			b.Run(shape.Name+"/"+o.Name, func(b *testing.B) { o.benchmark(b) })
		}
	}
}

// turn is how long one side is repeated before the other's turn: what the other left in the caches does not count.
const turn = 20 * time.Millisecond

func (o *Operation) benchmark(b *testing.B) {
	ours, lattigo := side{run: o.Ours}, side{run: o.Lattigo}
	for b.Loop() {
		ours.take(b)
		lattigo.take(b)
	}
	b.ReportMetric(ours.mean(), "ns/op")
	if o.Lattigo != nil {
		b.ReportMetric(lattigo.mean()/ours.mean(), "ratio")
	}
}

type side struct {
	run   Run
	total time.Duration
	count int
}

func (s *side) take(b *testing.B) {
	for start := time.Now(); s.run != nil && time.Since(start) < turn; s.count++ {
		elapsed, err := s.run()
		if err != nil {
			b.Fatal(err)
		}
		s.total += elapsed
	}
}

// mean returns nanoseconds.
func (s *side) mean() float64 { return float64(s.total) / float64(s.count) }

// TestOperations runs each twice: what is measured may not change what it is measured on.
func TestOperations(t *testing.T) {
	p, err := circuit.NewParameters(12, circuit.ConjugateInvariant, []int{38, 34}, []int{34})
	if err != nil {
		t.Fatal(err)
	}
	operations, err := Operations(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for name, full := range map[string]bool{"compact": false, "full": true} {
		for threads := 1; threads <= 2; threads++ {
			dense, err := NewCircuit(t.Context(), fmt.Sprintf("%s, %d", name, threads), Dense(p, 16, full), nil, threads)
			if err != nil {
				t.Fatal(err)
			}
			linear := dense.Program.Circuit().Nodes[0].Linear
			if count := dense.Keys.Set().Count(); count != len(linear.Babies)+len(linear.Giants) {
				t.Errorf("%d keys", count)
			}
			if ours, theirs, err := dense.Errors(t.Context()); err != nil || ours > 1e-2 || theirs > 1e-2 {
				t.Errorf("errors %g and %g, %v", ours, theirs, err)
			}
			operations = append(operations, dense.Operation)
		}
	}
	seen := map[string]bool{}
	for _, o := range operations {
		if seen[o.Name] {
			t.Errorf("two operations are called %q", o.Name)
		}
		seen[o.Name] = true
		for side, run := range map[string]Run{"ours": o.Ours, "lattigo": o.Lattigo} {
			if run == nil {
				continue
			}
			for range 2 {
				if elapsed, err := run(); err != nil || elapsed <= 0 {
					t.Errorf("%s, %s: %v, %v", o.Name, side, elapsed, err)
				}
			}
		}
	}
}
