package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLeaves(t *testing.T) {
	first := Condition{Node: 0, Feature: 0, Threshold: 1}
	second := Condition{Node: 1, Feature: 1, Threshold: 2}
	way := func(c Condition, left, missing bool) Condition {
		c.Left, c.Missing = left, missing
		return c
	}
	e := stump()
	want := []Leaf{
		{Tree: 0, Index: 0, Path: []Condition{way(first, true, false), way(second, true, true)}, Values: e.Values[0]},
		{Tree: 0, Index: 1, Path: []Condition{way(first, true, false), way(second, false, false)}, Values: e.Values[1]},
		{Tree: 0, Index: 2, Path: []Condition{way(first, false, true)}, Values: e.Values[2]},
		{Tree: 1, Index: 3, Values: e.Values[3]},
	}
	got := e.Leaves()
	if len(got) != len(want) {
		t.Fatalf("got %d leaves, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Tree != w.Tree || g.Index != w.Index || !slices.Equal(g.Path, w.Path) || !slices.Equal(g.Values, w.Values) {
			t.Errorf("leaf %d: got %+v, want %+v", i, g, w)
		}
	}
}

// randomTrees grows trees with integer thresholds, so that equality with a threshold is frequent.
func randomTrees(r *rand.Rand, trees, features, outputs int) *TreeEnsemble {
	e := &TreeEnsemble{Features: features, Comparison: LessOrEqual, Aggregate: AggregateSum}
	if r.IntN(2) == 0 {
		e.Comparison = Less
	}
	if r.IntN(2) == 0 {
		e.Aggregate = AggregateAverage
	}
	var grow func(depth int) int
	grow = func(depth int) int {
		if depth == 0 || r.IntN(4) == 0 {
			e.Values = append(e.Values, randomTensor(r, outputs).Data)
			return ^(len(e.Values) - 1)
		}
		n := len(e.Feature)
		e.Feature = append(e.Feature, r.IntN(features))
		e.Threshold = append(e.Threshold, float64(r.IntN(5)))
		e.MissingLeft = append(e.MissingLeft, r.IntN(2) == 0)
		e.Left, e.Right = append(e.Left, 0), append(e.Right, 0)
		e.Left[n] = grow(depth - 1)
		e.Right[n] = grow(depth - 1)
		return n
	}
	for range trees {
		e.Roots = append(e.Roots, grow(4))
	}
	e.Base = randomTensor(r, outputs).Data
	return e
}

// holds evaluates a condition from its definition, apart from the walk down the tree.
func holds(e *TreeEnsemble, c Condition, v float64) bool {
	switch {
	case math.IsNaN(v):
		return c.Missing
	case e.Comparison == LessOrEqual:
		return (v <= c.Threshold) == c.Left
	default:
		return (v < c.Threshold) == c.Left
	}
}

// TestLeavesAgreeWithEval sums the values of the leaves whose conditions all hold.
func TestLeavesAgreeWithEval(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		e := randomTrees(r, 5, 3, 2)
		leaves := e.Leaves()
		for range 50 {
			x := NewTensor(Shape{3})
			for i := range x.Data {
				x.Data[i] = float64(r.IntN(7) - 1)
				if x.Data[i] == 5 {
					x.Data[i] = nan
				}
			}
			want := make([]float64, 2)
			reached := make([]int, len(e.Roots))
			for _, leaf := range leaves {
				if !slices.ContainsFunc(leaf.Path, func(c Condition) bool { return !holds(e, c, x.Data[c.Feature]) }) {
					reached[leaf.Tree]++
					want[0] += leaf.Values[0]
					want[1] += leaf.Values[1]
				}
			}
			for i := range want {
				if e.Aggregate == AggregateAverage {
					want[i] /= float64(len(e.Roots))
				}
				want[i] += e.Base[i]
			}
			got, err := e.Eval([]Tensor{x})
			if err != nil {
				t.Fatal(err)
			}
			if !near(got.Data, want, 1e-13, 1e-13) || !slices.Equal(reached, []int{1, 1, 1, 1, 1}) {
				t.Fatalf("got %v, want %v; leaves reached %v", got.Data, want, reached)
			}
		}
	}
}

func TestTreeErrors(t *testing.T) {
	cases := map[string]func(e *TreeEnsemble){
		"comparison":        func(e *TreeEnsemble) { e.Comparison = ">" },
		"aggregate":         func(e *TreeEnsemble) { e.Aggregate = "max" },
		"no trees":          func(e *TreeEnsemble) { e.Roots = nil },
		"no outputs":        func(e *TreeEnsemble) { e.Values = [][]float64{{}, {}, {}, {}} },
		"ragged leaves":     func(e *TreeEnsemble) { e.Values[1] = []float64{1} },
		"base":              func(e *TreeEnsemble) { e.Base = []float64{1} },
		"lengths":           func(e *TreeEnsemble) { e.Threshold = e.Threshold[:1] },
		"missing":           func(e *TreeEnsemble) { e.MissingLeft = []bool{true} },
		"feature":           func(e *TreeEnsemble) { e.Feature[1] = 2 },
		"negative feature":  func(e *TreeEnsemble) { e.Feature[1] = -1 },
		"threshold":         func(e *TreeEnsemble) { e.Threshold[0] = nan },
		"node outside":      func(e *TreeEnsemble) { e.Left[0] = 2 },
		"leaf outside":      func(e *TreeEnsemble) { e.Right[0] = math.MinInt },
		"cycle":             func(e *TreeEnsemble) { e.Left[1] = 0 },
		"shared leaf":       func(e *TreeEnsemble) { e.Left[1] = ^1 },
		"root within":       func(e *TreeEnsemble) { e.Roots[1] = 1 },
		"unused leaf":       func(e *TreeEnsemble) { e.Roots = e.Roots[:1] },
		"number of feature": func(e *TreeEnsemble) { e.Features = 3 },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			e := stump()
			spoil(e)
			if _, err := e.Infer([]Shape{{2}}); err == nil {
				t.Error("was accepted")
			}
			// What Infer refuses, Eval may refuse or compute, but not panic on or loop over.
			for _, x := range [][]float64{{0, 0}, {0, 9}, {9, 0}} {
				_, _ = e.Eval([]Tensor{Vector(x...)})
			}
		})
	}
	if _, err := stump().Eval([]Tensor{Vector(1, 2, 3)}); err == nil {
		t.Error("too many features were accepted")
	}
}

// TestDeepTree has 200,000 nodes on one path: nothing may recurse.
func TestDeepTree(t *testing.T) {
	const depth = 200_000
	e := &TreeEnsemble{Features: 1, Comparison: Less, Aggregate: AggregateSum, Roots: []int{0}}
	for i := range depth {
		e.Feature = append(e.Feature, 0)
		e.Threshold = append(e.Threshold, -1)
		e.Left = append(e.Left, ^i)
		e.Right = append(e.Right, i+1)
		e.Values = append(e.Values, []float64{0})
	}
	e.Right[depth-1] = ^depth
	e.Values = append(e.Values, []float64{7})
	if _, err := e.Infer([]Shape{{1}}); err != nil {
		t.Fatal(err)
	}
	y, err := e.Eval([]Tensor{Vector(0)})
	if err != nil || y.Data[0] != 7 {
		t.Errorf("got %v, %v", y.Data, err)
	}
}
