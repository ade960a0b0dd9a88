package trees

import (
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/model"
)

// stump is a tree of two splits on two features.
func stump(r *rand.Rand, outputs int) *model.TreeEnsemble {
	e := &model.TreeEnsemble{Features: 2, Comparison: model.LessOrEqual, Aggregate: model.AggregateSum, Roots: []int{0},
		Feature: []int{0, 1}, Threshold: []float64{r.NormFloat64(), r.NormFloat64()}, Left: []int{-1, -2}, Right: []int{1, -3}}
	for range 3 {
		values := make([]float64, outputs)
		for k := range values {
			values[k] = r.NormFloat64()
		}
		e.Values = append(e.Values, values)
	}
	return e
}

func TestJoin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	forest := &model.TreeEnsemble{Features: 2, Comparison: model.LessOrEqual, Aggregate: model.AggregateAverage, Base: []float64{0.5, 0, -1}}
	for first, tree := range []*model.TreeEnsemble{stump(r, 3), stump(r, 3)} {
		adopt(forest, tree, 3)
		copy(forest.Values[3*first:], tree.Values)
	}
	missing := stump(r, 3)
	missing.MissingLeft = []bool{true, false}
	one := func() *model.Activation { return &model.Activation{Function: model.Float32} }
	g := &model.Graph{Name: "g", Inputs: []model.Port{{Name: "x", Shape: model.Shape{2}}}, Outputs: []string{"sum", "votes"}, Nodes: []model.Node{
		{Name: "f1", Op: one(), Inputs: []string{"x"}, Output: "f1"},
		{Name: "t1", Op: stump(r, 3), Inputs: []string{"f1"}, Output: "t1"},
		{Name: "label", Op: &model.ArgMax{}, Inputs: []string{"t1"}, Output: "label"},
		{Name: "vote", Op: &model.Compare{Operator: "==", Value: 1}, Inputs: []string{"label"}, Output: "vote"},
		{Name: "votes", Op: &model.Reshape{Shape: model.Shape{1, 1}}, Inputs: []string{"vote"}, Output: "votes"},
		{Name: "f2", Op: one(), Inputs: []string{"x"}, Output: "f2"},
		{Name: "t2", Op: forest, Inputs: []string{"f2"}, Output: "t2"},
		{Name: "t3", Op: missing, Inputs: []string{"f2"}, Output: "t3"},
		{Name: "t1 again", Op: &model.Multiply{}, Inputs: []string{"t1", "t1"}, Output: "t1 again"},
		{Name: "a", Op: &model.Add{}, Inputs: []string{"t1 again", "t2"}, Output: "a"},
		{Name: "sum", Op: &model.Add{}, Inputs: []string{"a", "t3"}, Output: "sum"},
	}}
	joined, err := Join(g)
	if err != nil {
		t.Fatal(err)
	}
	ensembles := 0
	for _, node := range joined.Nodes {
		if e, ok := node.Op.(*model.TreeEnsemble); ok {
			ensembles++
			if len(e.Roots) != 4 {
				t.Errorf("%d trees: the first one is to be there once", len(e.Roots))
			}
		}
	}
	if ensembles != 1 {
		t.Errorf("%d ensembles are left", ensembles)
	}
	for range 200 {
		row := []float64{r.NormFloat64(), r.NormFloat64()}
		if r.IntN(4) == 0 {
			row[r.IntN(2)] = math.NaN()
		}
		want, err := g.RunRows([][]float64{row})
		if err != nil {
			t.Fatal(err)
		}
		got, err := joined.RunRows([][]float64{row})
		if err != nil {
			t.Fatal(err)
		}
		for k, w := range want[0] {
			if math.Abs(got[0][k]-w) > 1e-12 {
				t.Fatalf("%v: got %v, want %v", row, got[0], want[0])
			}
		}
	}
}
