package model

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestLeaves(t *testing.T) {
	e := stump()
	first, second := math.Nextafter(1, 2), math.Nextafter(2, 3)
	want := []Leaf{
		{Tree: 0, Index: 0, Regions: []FeatureRegion{{0, Region{true, []float64{first}, false}}, {1, Region{true, []float64{second}, true}}}},
		{Tree: 0, Index: 1, Regions: []FeatureRegion{{0, Region{true, []float64{first}, false}}, {1, Region{false, []float64{second}, false}}}},
		{Tree: 0, Index: 2, Regions: []FeatureRegion{{0, Region{false, []float64{first}, true}}}},
		{Tree: 1, Index: 3},
	}
	for i := range want {
		want[i].Values = e.Values[want[i].Index]
	}
	if got := e.Leaves(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
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
		e.Intervals = append(e.Intervals, nil)
		if r.IntN(3) == 0 {
			e.Threshold[n] = 0
			e.Intervals[n] = [][]float64{{2, 3}, {-1, 1, 4}, {0, 2, 3, 5}}[r.IntN(3)]
		}
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
				if !slices.ContainsFunc(leaf.Regions, func(c FeatureRegion) bool { return !c.Holds(x.Data[c.Feature]) }) {
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
		"intervals":         func(e *TreeEnsemble) { e.Intervals = [][]float64{{1, 2}} },
		"interval order":    func(e *TreeEnsemble) { e.Threshold[0], e.Intervals = 0, [][]float64{{2, 1}, nil} },
		"two comparisons":   func(e *TreeEnsemble) { e.Intervals = [][]float64{{1, 2}, nil} },
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
