package compiler_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/compiler"
	"cipherpoint/model"
)

// smallCNN is a convolution, a square, and two dense layers with another square between them.
func smallCNN(t testing.TB, side, filters int) (*model.Graph, [][]float64) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(shape ...int) model.Tensor {
		x := model.NewTensor(shape)
		for i := range x.Data {
			x.Data[i] = rng.NormFloat64() / 3
		}
		return x
	}
	out := side - 2
	g, err := model.New("small", model.Shape{1, side, side}).
		Conv(random(filters, 1, 3, 3), random(filters).Data, model.Window{}).Square().Flatten().
		Dense(random(8, filters*out*out), random(8).Data).Square().
		Dense(random(3, 8), random(3).Data).Softmax().Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([][]float64, 64)
	for i := range rows {
		for range side * side {
			rows[i] = append(rows[i], rng.Float64())
		}
	}
	return g, rows
}

func TestBatch(t *testing.T) {
	g, rows := smallCNN(t, 6, 3)
	r, err := compiler.Compile(g, rows, compiler.Options{Packing: compiler.PackBatch, Classes: []string{"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Circuit
	t.Log("\n" + c.String())
	if c.Packing != circuit.Batch || len(c.Inputs) != 1 || c.Inputs[0].Width != 36 || c.Outputs[0].Width != 3 || len(c.Keys().Rotations) > 0 {
		t.Fatalf("no batch of 36 features and 3 scores:\n%s", c)
	}
	for _, node := range c.Nodes {
		if node.Mix != nil && !c.MixFits(node) {
			t.Errorf("%s: scalars do not fit", node.Name)
		}
	}
	simulated, err := r.Simulate(rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range simulated {
		for k := range s.Scores {
			if d := math.Abs(s.Scores[k] - s.NoisyScores[k]); !(d <= r.MaxScoreError) {
				t.Errorf("row %d: noise of %.3g, with a bound of %.3g", i, d, r.MaxScoreError)
			}
		}
	}
}

func TestBatchRefuses(t *testing.T) {
	g, rows := smallCNN(t, 6, 3)
	for name, o := range map[string]compiler.Options{
		"unknown packing": {Packing: "rows"},
		"flood":           {Packing: compiler.PackBatch, Flood: 10},
	} {
		if _, err := compiler.Compile(g, rows, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
