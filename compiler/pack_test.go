package compiler

import (
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/pipeline"
)

// TestPacksEveryWay compares what each packing of each variant of a program answers with the model.
func TestPacksEveryWay(t *testing.T) {
	for name, g := range models(t) {
		if name == "tanh" {
			continue // is approximated first
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			split, err := lower(g, grid)
			if err != nil {
				t.Fatal(err)
			}
			k := &compilation{split: split}
			rows := randomRows(rand.New(rand.NewPCG(3, 3)), 1, g.Inputs[0].Shape.Size())
			if err := k.calibrate(rows); err != nil {
				t.Fatal(err)
			}
			want, err := g.RunRows(rows)
			if err != nil {
				t.Fatal(err)
			}
			for apart, program := range split.variants {
				for _, d := range program.decisions(circuit.MinLogN) {
					d.plan = plans[0]
					p, err := program.pack(circuit.MinLogN, d)
					if err != nil {
						t.Fatalf("%d pools apart, %s: %v", apart, openingNames(d), err)
					}
					out, err := p.circuit.Run(k.spreadOut(p)[0]...)
					if err != nil {
						t.Fatal(err)
					}
					_, answer, err := (&pipeline.Pipeline{Prefix: split.prefix, Inputs: p.inputs, Outputs: p.outputs, Suffix: split.suffix}).Decode(out)
					if err != nil {
						t.Fatal(err)
					}
					for i, w := range want[0] {
						if math.Abs(answer[i]-w) > 1e-9*(1+math.Abs(w)) {
							t.Fatalf("%d pools apart, %s: answer %d is %g, of the model %g", apart, openingNames(d), i, answer[i], w)
						}
					}
				}
			}
		})
	}
}
