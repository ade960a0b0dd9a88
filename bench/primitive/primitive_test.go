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

func (o *Operation) benchmark(b *testing.B) {
	var ours, lattigo time.Duration
	add := func(run Run, total *time.Duration) {
		elapsed, err := run()
		if err != nil {
			b.Fatal(err)
		}
		*total += elapsed
	}
	for b.Loop() {
		add(o.Ours, &ours)
		if o.Lattigo != nil {
			add(o.Lattigo, &lattigo)
		}
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/op")
	if o.Lattigo != nil {
		b.ReportMetric(float64(lattigo)/float64(ours), "ratio")
	}
}

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
			if count := dense.Keys.Set().Count(); count != 6 {
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
