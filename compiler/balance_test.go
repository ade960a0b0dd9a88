package compiler

import (
	"math/rand/v2"
	"testing"

	"cipherpoint/model"
)

// TestFeaturesOfDifferentSizesAreBalanced compiles a network for features from a billion to a billionth.
func TestFeaturesOfDifferentSizesAreBalanced(t *testing.T) {
	notShort(t)
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []float64{1e9, 1e3, 1, 1e-3, 1e-9}
	weight := randomTensor(r, 0.5, 6, len(sizes))
	for i := range weight.Data {
		weight.Data[i] /= sizes[i%len(sizes)]
	}
	g, err := model.New("sizes", model.Shape{len(sizes)}).Dense(weight, []float64{1, 0, 0, 0, 0, -1}).Square().Dense(randomTensor(r, 0.5, 2, 6), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := randomRows(r, 64, len(sizes))
	for _, row := range rows {
		for k, size := range sizes {
			row[k] *= size
		}
	}
	result, err := Compile(g, rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	simulated, err := result.Simulate(rows)
	if err != nil {
		t.Fatal(err)
	}
	if largest := LargestError(simulated); largest > result.MaxScoreError {
		t.Errorf("an error of %g, %g is promised", largest, result.MaxScoreError)
	}
	if nodes := result.Pipeline.Prefix.Nodes; len(nodes) != 1 || nodes[0].Op.Kind() != "Scale" {
		t.Errorf("the client does %v", nodes)
	}
}
