package primitive

import (
	"testing"

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
		dense, err := Dense(b.Context(), shape.Parameters, 1024, false)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range append(operations, dense) {
			for name, run := range map[string]func() error{"ours": o.Ours, "lattigo": o.Lattigo} {
				if run == nil {
					continue
				}
				b.Run(shape.Name+"/"+o.Name+"/"+name, func(b *testing.B) {
					for b.Loop() {
						if err := run(); err != nil {
							b.Fatal(err)
						}
					}
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
	for _, full := range []bool{false, true} {
		dense, err := Dense(t.Context(), p, 16, full)
		if err != nil {
			t.Fatal(err)
		}
		operations = append(operations, dense)
	}
	seen := map[string]bool{}
	for _, o := range operations {
		if seen[o.Name] {
			t.Errorf("two operations are called %q", o.Name)
		}
		seen[o.Name] = true
		for _, run := range []func() error{o.Ours, o.Lattigo} {
			for range 2 {
				if run == nil {
					continue
				}
				if err := run(); err != nil {
					t.Errorf("%s: %v", o.Name, err)
				}
			}
		}
	}
	if len(seen) != 14 {
		t.Errorf("%d operations", len(seen))
	}
}
