package trees

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"cipherpoint/internal/testdata"
	"cipherpoint/model/dataset"
)

// table is a problem that one tree of depth 2 solves: class 1 where both features are above their edges.
func table(n int) (*dataset.Set, Grid) {
	r := rand.New(rand.NewPCG(1, 1))
	s := &dataset.Set{Labels: []string{"no", "yes"}, Shape: []int{2}, Ranges: []dataset.Range{{Min: 0, Max: 1}, {Min: 0, Max: 1}}}
	for range n {
		x := []float64{r.Float64(), r.Float64()}
		y := 0.0
		if x[0] >= 0.5 && x[1] >= 0.25 {
			y = 1
		}
		s.X, s.Y = append(s.X, x), append(s.Y, y)
	}
	return s, Grid{Edges: [][]float64{Uniform(0, 1, 63), Uniform(0, 1, 63)}}
}

var trainers = map[string]Trainer{
	"tree":     CART{Growth: Growth{MaxDepth: 3, MaxLeaves: 8, MinSamples: 1}},
	"forest":   Forest{Growth: Growth{MaxDepth: 3, MaxLeaves: 8, MinSamples: 1, Features: 1}, Trees: 9, Seed: 1},
	"refined":  Forest{Growth: Growth{MaxDepth: 3, MaxLeaves: 8, MinSamples: 1, Features: 1}, Trees: 9, Refine: 1, Seed: 1},
	"boosting": Boosting{Growth: Growth{MaxDepth: 2, MaxLeaves: 4, MinSamples: 1}, Rounds: 12, Shrinkage: 0.5, L2: 1, Subsample: 0.8, Seed: 1},
}

func TestTrainersSolveAProblemOnTheGrid(t *testing.T) {
	s, g := table(600)
	for name, trainer := range trainers {
		e, err := trainer.Train(s, g)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Edges of the grid are 1/64 apart, so one of them is the problem's own.
		if accuracy := e.Accuracy(s); accuracy < 0.99 {
			t.Errorf("%s: accuracy %.3f", name, accuracy)
		}
		m := e.Model()
		for i, f := range m.Feature {
			if !slices.Contains(g.Edges[f], m.Threshold[i]) {
				t.Errorf("%s: threshold %g of feature %d is not on the grid", name, m.Threshold[i], f)
			}
		}
	}
}

func TestGraphsAnswerAsEnsembles(t *testing.T) {
	s, g := table(300)
	for name, trainer := range trainers {
		e, err := trainer.Train(s, g)
		if err != nil {
			t.Fatal(err)
		}
		graph, err := e.Graph(name)
		if err != nil {
			t.Fatal(err)
		}
		answers, err := graph.RunRows(s.X)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range s.X {
			p := answers[i][0]
			if p < -1e-9 || p > 1+1e-9 || (p > 0.5) != (e.Predict(x) == 1) {
				t.Fatalf("%s: row %d: the graph says %g, the ensemble class %g", name, i, p, e.Predict(x))
			}
		}
		tensors := e.Model()
		if tensors.Outputs() != 1 {
			t.Errorf("%s: %d scores for two classes", name, tensors.Outputs())
		}
	}
}

func TestTrainingDependsOnTheSeedAlone(t *testing.T) {
	s, g := table(300)
	for name, trainer := range trainers {
		first, err := trainer.Train(s, g)
		if err != nil {
			t.Fatal(err)
		}
		second, err := trainer.Train(s, g)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(first, second) {
			t.Errorf("%s: two trainings differ", name)
		}
	}
}

func TestBoundsOnGrowthHold(t *testing.T) {
	s, g := table(600)
	e, err := Forest{Growth: Growth{MaxDepth: 2, MaxLeaves: 3, MinSamples: 50, Features: 1}, Trees: 5, Seed: 2}.Train(s, g)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Trees) != 5 {
		t.Errorf("%d trees, want 5", len(e.Trees))
	}
	for _, leaf := range e.Model().Leaves() {
		conditions := 0
		for _, r := range leaf.Regions {
			conditions += len(r.Bounds)
		}
		if conditions > 2 {
			t.Errorf("a leaf with %d conditions, at most 2", conditions)
		}
	}
	if leaves := len(e.Model().Values); leaves > 15 {
		t.Errorf("%d leaves in 5 trees of at most 3", leaves)
	}
}

func TestBoostingFitsValues(t *testing.T) {
	s, g := table(400)
	s.Labels = nil
	for i, x := range s.X {
		s.Y[i] = 3 * x[0]
	}
	e, err := Boosting{Growth: Growth{MaxDepth: 3, MaxLeaves: 8, MinSamples: 2}, Rounds: 30, Shrinkage: 0.3, Seed: 1}.Train(s, g)
	if err != nil {
		t.Fatal(err)
	}
	if r2 := e.Accuracy(s); r2 < 0.99 {
		t.Errorf("R² = %.4f", r2)
	}
}

func TestTreesFitValues(t *testing.T) {
	s, g := table(400)
	s.Labels = nil
	for i, x := range s.X {
		s.Y[i] = 10
		if x[0] >= 0.5 {
			s.Y[i] = 16
		}
	}
	stump, err := CART{Growth: Growth{MaxDepth: 1}}.Train(s, g)
	if err != nil {
		t.Fatal(err)
	}
	if root := stump.Trees[0].Nodes[0]; root.Feature != 0 || root.Threshold != 0.5 || stump.Meaning != Value {
		t.Errorf("split of feature %d at %g", root.Feature, root.Threshold)
	}
	for i, x := range s.X {
		if got := stump.Predict(x); math.Abs(got-s.Y[i]) > 1e-9 {
			t.Fatalf("row %d: %g, want %g", i, got, s.Y[i])
		}
		s.Y[i] = 3*x[0] + x[1]
	}
	growth := Growth{MaxDepth: 4, MaxLeaves: 16, MinSamples: 2, Features: 1}
	for name, forest := range map[string]Forest{
		"plain": {Growth: growth, Trees: 20, Seed: 1}, "refined": {Growth: growth, Trees: 20, Refine: 0.1, Seed: 1},
	} {
		e, err := forest.Train(s, g)
		if err != nil {
			t.Fatal(err)
		}
		if r2 := e.Accuracy(s); r2 < 0.9 {
			t.Errorf("%s: R² = %.4f", name, r2)
		}
	}
	if _, err := (CART{Alternate: true}).Train(s, g); err == nil {
		t.Error("alternate in a regression")
	}
}

// A sample of weight 2 is as good as two samples, where none are drawn.
func TestWeightsCountAsSamples(t *testing.T) {
	s, g := table(200)
	weighed, twice := *s, &dataset.Set{Labels: s.Labels, Shape: s.Shape}
	for i, x := range s.X {
		weight := 1 + i%2
		weighed.Weights = append(weighed.Weights, float64(weight))
		for range weight {
			twice.X, twice.Y = append(twice.X, x), append(twice.Y, s.Y[i])
		}
	}
	for name, trainer := range map[string]Trainer{
		"tree":     CART{Growth: Growth{MaxDepth: 2}},
		"forest":   Forest{Growth: Growth{MaxDepth: 2, Features: 1}, Trees: 3, Whole: true, Refine: 1, Seed: 1},
		"boosting": Boosting{Growth: Growth{MaxDepth: 2}, Rounds: 4, Shrinkage: 0.5, L2: 1, MinCurvature: 2, TreeFeatures: 0.5, Seed: 1},
	} {
		for _, labels := range [][]string{s.Labels, nil} {
			a, b := weighed, *twice
			a.Labels, b.Labels = labels, labels
			one, err := trainer.Train(&a, g)
			if err != nil {
				t.Fatal(err)
			}
			two, err := trainer.Train(&b, g)
			if err != nil {
				t.Fatal(err)
			}
			x := []float64{0.6, 0.2}
			if got, want := one.Scores(x)[0], two.Scores(x)[0]; math.Abs(got-want) > 1e-9 && (labels == nil || name != "boosting") { // whose base counts each class once more
				t.Errorf("%s: %v with weights, %v of rows that are there twice", name, got, want)
			}
		}
	}
}

// What a leaf needs at least, and features that are offered.
func TestBoundsOfBoosting(t *testing.T) {
	s, g := table(200)
	s.Labels = nil
	e, err := Boosting{Growth: Growth{MaxDepth: 4}, Rounds: 3, Shrinkage: 0.5, MinCurvature: 60, TreeFeatures: 0.5, Seed: 2}.Train(s, g)
	if err != nil {
		t.Fatal(err)
	}
	for i, tree := range e.Trees {
		counts := map[*Node]int{}
		for _, x := range s.X {
			node := 0
			for tree.Nodes[node].Values == nil {
				n := tree.Nodes[node]
				if node = n.Left; x[n.Feature] >= n.Threshold {
					node = n.Right
				}
			}
			counts[&tree.Nodes[node]]++
		}
		for _, n := range counts {
			if n < 60 {
				t.Errorf("tree %d: a leaf of %d samples", i, n)
			}
		}
		for _, n := range tree.Nodes {
			if n.Values == nil && n.Feature != tree.Nodes[0].Feature {
				t.Errorf("tree %d uses both features", i)
			}
		}
	}
}

func TestTrainersRefuse(t *testing.T) {
	s, g := table(50)
	narrow := Grid{Edges: g.Edges[:1]}
	for name, trainer := range trainers {
		if _, err := trainer.Train(s, narrow); err == nil {
			t.Errorf("%s: took a grid of one feature for two", name)
		}
		if _, err := trainer.Train(&dataset.Set{Labels: s.Labels, Shape: s.Shape}, g); err == nil {
			t.Errorf("%s: took a set without samples", name)
		}
	}
	if _, err := (CART{Growth: Growth{MaxDepth: -1}}).Train(s, g); err == nil {
		t.Error("took a negative depth")
	}
}

func TestGrids(t *testing.T) {
	if got, want := Uniform(0, 4, 3), []float64{1, 2, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("uniform edges %v, want %v", got, want)
	}
	edges := Geometric(0.01, 100, 63)
	if len(edges) != 63 || edges[0] != 0.01 {
		t.Fatalf("%d geometric edges from %g", len(edges), edges[0])
	}
	for i := 2; i < len(edges); i++ {
		if d := edges[i]/edges[i-1] - edges[1]/edges[0]; math.Abs(d) > 1e-9 {
			t.Errorf("ratio of edges %d and %d differs by %g", i, i-1, d)
		}
	}
	s, err := dataset.Source{Dir: testdata.Dir(t)}.Spambase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGrid(s.Ranges, 64)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Edges) != 57 || slices.ContainsFunc(g.Edges, func(e []float64) bool { return len(e) != 63 }) {
		t.Error("the grid of Spambase has not 63 edges for each of 57 features")
	}
}
