package compiler

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cipherpoint/internal/race"
	"cipherpoint/model"
)

// rewritten are models with operators that cannot run encrypted where they have to, and rows.
func rewritten(t *testing.T) (graphs map[string]*model.Graph, rows map[string][][]float64) {
	r := rand.New(rand.NewPCG(3, 3))
	inner := func(op model.Op, classes int) *model.Builder {
		return model.New("inner", model.Shape{6}).Dense(randomTensor(r, 0.2, classes, 6), nil).Apply(op).Dense(randomTensor(r, 1, 2, classes), nil)
	}
	lookup := model.New("lookup", model.Shape{3}).Apply(&model.Embedding{Table: randomTensor(r, 1, 5, 2)}).Apply(&model.ReduceSum{Axes: []int{0}}).Softmax()
	graphs, rows = map[string]*model.Graph{}, map[string][][]float64{}
	for name, b := range map[string]*model.Builder{
		"softmax of 2": inner(&model.Softmax{}, 2), "softmax of 4": inner(&model.Softmax{}, 4), "log softmax": inner(&model.LogSoftmax{}, 3),
		"norm": inner(&model.Normalizer{Norm: model.NormL2}, 20), "norm of sizes": inner(&model.Normalizer{Norm: model.NormL1}, 20), "lookup": lookup,
		"shares of shares": model.New("shares", model.Shape{6}).Dense(randomTensor(r, 0.2, 2, 6), nil).Softmax().Apply(&model.Normalizer{Norm: model.NormL1}).Dense(randomTensor(r, 1, 1, 2), nil),
	} {
		g, err := b.Graph()
		if err != nil {
			t.Fatal(err)
		}
		graphs[name], rows[name] = g, randomRows(r, 96, 6)
	}
	rows["lookup"] = nil
	for range 96 {
		rows["lookup"] = append(rows["lookup"], []float64{float64(r.IntN(5)), float64(r.IntN(5)), float64(r.IntN(5))})
	}
	return graphs, rows
}

// TestRewrittenModelsAnswerTheSame compares rewritten models with the original ones, in float, and compiles them.
func TestRewrittenModelsAnswerTheSame(t *testing.T) {
	graphs, rows := rewritten(t)
	for name, g := range graphs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other, err := Rewrite(g)
			if err != nil {
				t.Fatal(err)
			}
			want, err := g.RunRows(rows[name])
			if err != nil {
				t.Fatal(err)
			}
			got, err := other.RunRows(rows[name])
			if err != nil {
				t.Fatal(err)
			}
			if d := largestDifference(got, want); !(d <= 1e-12) {
				t.Errorf("answers differ by %g", d)
			}
			if strings.HasPrefix(name, "norm") || name == "log softmax" || race.Enabled {
				return // takes long
			}
			result, err := Compile(other, rows[name], Options{MaxScoreError: 0.25})
			if err != nil {
				t.Fatal(err)
			}
			simulated, err := result.Simulate(rows[name][:1])
			if err != nil {
				t.Fatal(err)
			}
			for k, w := range want[0] {
				if d := math.Abs(simulated[0].NoisyAnswer[k] - w); d > 0.25 {
					t.Errorf("%g encrypted, want %g", simulated[0].NoisyAnswer[k], w)
				}
			}
		})
	}
}

// TestRewritingLeavesTheClientItsPart says that what can stay at the ends does.
func TestRewritingLeavesTheClientItsPart(t *testing.T) {
	g, err := model.New("ends", model.Shape{4}).Apply(&model.Normalizer{Norm: model.NormL2}).Dense(randomTensor(rand.New(rand.NewPCG(1, 1)), 1, 3, 4), nil).Softmax().Graph()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Rewrite(g)
	if err != nil || len(other.Nodes) != len(g.Nodes) {
		t.Errorf("%d nodes of %d: %v", len(other.Nodes), len(g.Nodes), err)
	}
}
