package primitive

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"cipherpoint/circuit"
)

// BenchmarkOperations has the same work on Lattigo beside each: compare "ours" with "lattigo".
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
		for _, threads := range []int{1, runtime.GOMAXPROCS(0)} {
			dense, err := NewCircuit(b.Context(), fmt.Sprintf("dense map, %d threads", threads), Dense(shape.Parameters, 1024, false), nil, threads)
			if err != nil {
				b.Fatal(err)
			}
			operations = append(operations, dense.Operation)
		}
		for _, o := range operations {
			for name, run := range map[string]Run{"ours": o.Ours, "lattigo": o.Lattigo} {
				if run == nil {
					continue
				}
				b.Run(shape.Name+"/"+o.Name+"/"+name, func(b *testing.B) {
					total := time.Duration(0)
					for b.Loop() {
						elapsed, err := run()
						if err != nil {
							b.Fatal(err)
						}
						total += elapsed
					}
					b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/op")
				})
			}
		}
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
