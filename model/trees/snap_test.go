package trees

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"cipherpoint/model"
)

func TestQuantiles(t *testing.T) {
	nan := math.NaN()
	values := [][]float64{{1, 7, 1, nan}, {2, 7, 2, nan}, {2, 7, 3, nan}, {5, 7, 4, nan}, {nan, 7, 5, nan}, {nan, 7, 6, nan}, {1, 7, 7, nan}}
	grid, err := Quantiles(3)(values)
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]float64{{1.5, 3.5}, nil, {2.5, 4.5, 6.5}, nil}; !reflect.DeepEqual(grid.Edges, want) {
		t.Errorf("got %v, want %v", grid.Edges, want)
	}
	var sales [][]float64 // most are zero: it takes one edge, the others are for what is sold
	for i := range 100 {
		sales = append(sales, []float64{math.Max(0, float64(i-95))})
	}
	if grid, err = Quantiles(3)(sales); err != nil {
		t.Fatal(err)
	}
	if want := [][]float64{{0.5, 2.5}}; !reflect.DeepEqual(grid.Edges, want) {
		t.Errorf("got %v, want %v", grid.Edges, want)
	}
	if _, err := Quantiles(0)(values); err == nil {
		t.Error("a grid without edges was made")
	}
}

func TestSnap(t *testing.T) {
	e := &model.TreeEnsemble{Features: 2, Comparison: model.LessOrEqual, Aggregate: model.AggregateSum, Roots: []int{0},
		Feature: []int{0, 1}, Threshold: []float64{2.2, 0}, MissingLeft: []bool{true, false}, Intervals: [][]float64{nil, {3, 4}},
		Left: []int{1, ^0}, Right: []int{^2, ^1}, Values: [][]float64{{1}, {2}, {3}}}
	g, err := model.New("m", model.Shape{2}).Scale([]float64{2}, []float64{0}).TreeEnsemble(e).Sigmoid().Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]float64{{0.5, 0}, {1, 1}, {1.05, 1.5}, {1.5, 2}, {math.NaN(), 2}}
	own := func([][]float64) (Grid, error) { return Grid{Edges: [][]float64{{2.05, 2.5}, {3.5}}}, nil }
	s, err := Snap(g, rows, own)
	if err != nil {
		t.Fatal(err)
	}
	moved := s.Graph.Nodes[1].Op.(*model.TreeEnsemble)
	// No row lies between 2.2 and 2.5; 2.1 lies between 2.05 and 2.2. The interval's bounds meet; a 3 lies on the way.
	if moved.Threshold[0] != 2.5 || len(moved.Intervals[1]) != 0 || s.Bounds != 3 || s.Moved != 3 || s.Crossed != 0.2 {
		t.Errorf("got %+v of %+v", moved, s)
	}
	if y, err := s.Graph.RunRows(rows); err != nil || len(y) != len(rows) {
		t.Errorf("got %v, %v", y, err)
	}
	for bound, want := range map[float64]float64{1: math.Inf(-1), 1.5: 2, 2: 2, 4: 5, 5: 5, 9: math.Inf(1)} {
		if edge, _ := nearest([]float64{2, 5}, bound, []float64{1, 1, 3, 3, 3, 5, 6}); edge != want {
			t.Errorf("bound %g moves to %g, want %g", bound, edge, want)
		}
	}
	if _, err := Snap(s.Graph, rows, func([][]float64) (Grid, error) { return Grid{Edges: [][]float64{{1}}}, nil }); err == nil {
		t.Error("a grid of another number of features was accepted")
	}
	for name, bad := range map[string]*model.Graph{"no trees": {Nodes: slices.Clone(g.Nodes[:1])}, "two": {Nodes: []model.Node{g.Nodes[1], g.Nodes[1]}}} {
		if _, err := Snap(bad, rows, own); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
