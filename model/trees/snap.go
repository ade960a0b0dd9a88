package trees

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"cipherpoint/model"
)

// Snapped is a model whose ensemble compares with edges of a public grid only, so that a client which is told the grid
// learns nothing of the thresholds. It is another model than the one it was made of: judge it by its answers.
type Snapped struct {
	Graph *model.Graph
	Grid  Grid // of the ensemble's inputs
	// Bounds is how many bounds the ensemble compares with, Moved how many of them were no edges of the grid.
	Bounds, Moved int
	// Crossed is the largest share of the rows between a bound and the edge in its place.
	Crossed float64
}

// Quantiles makes grids of up to that many edges a feature, in the middle between neighbouring values of the rows: all of
// them, or so that the bin with the most rows has as few as can be. A value that many rows share takes one bin and no edges
// from the others. The edges tell clients about the rows' distribution: use rows that are public, or many.
func Quantiles(edges int) func(values [][]float64) (Grid, error) {
	return func(values [][]float64) (Grid, error) {
		if edges < 1 || len(values) == 0 {
			return Grid{}, fmt.Errorf("trees: grid of %d edges from %d rows", edges, len(values))
		}
		grid := Grid{Edges: make([][]float64, len(values[0]))}
		for f := range grid.Edges {
			grid.Edges[f] = quantiles(column(values, f), edges)
		}
		return grid, nil
	}
}

// column returns the values of a feature that are not missing, ascending.
func column(values [][]float64, f int) []float64 {
	var list []float64
	for _, row := range values {
		if !math.IsNaN(row[f]) {
			list = append(list, row[f])
		}
	}
	slices.Sort(list)
	return list
}

func quantiles(sorted []float64, edges int) []float64 {
	var starts []int // of the runs of equal values
	for i, v := range sorted {
		if i == 0 || v != sorted[i-1] {
			starts = append(starts, i)
		}
	}
	// divide fills bins with whole runs, up to that many rows or a single run, and returns the first rows of all but the first.
	divide := func(rows int) (firsts []int) {
		first := 0
		for k, start := range starts {
			end := len(sorted)
			if k+1 < len(starts) {
				end = starts[k+1]
			}
			if start > first && end-first > rows {
				firsts = append(firsts, start)
				first = start
			}
		}
		return firsts
	}
	rows := sort.Search(len(sorted), func(rows int) bool { return len(divide(rows)) <= edges })
	var list []float64
	for _, i := range divide(rows) {
		list = append(list, sorted[i-1]+(sorted[i]-sorted[i-1])/2)
	}
	return slices.Compact(list)
}

// Snap moves every bound of the one ensemble of a graph to the neighbouring edge of a grid with fewer of the rows between
// them; a bound beyond the grid, and nearly all rows, is taken to be reached by all values or by none. The grid is made for
// the ensemble's inputs on these rows.
func Snap(g *model.Graph, rows [][]float64, grid func(values [][]float64) (Grid, error)) (*Snapped, error) {
	at := -1
	for i, n := range g.Nodes {
		if _, ok := n.Op.(*model.TreeEnsemble); ok {
			if at >= 0 {
				return nil, errors.New("trees: the model has several ensembles, whose thresholds cannot share one grid")
			}
			at = i
		}
	}
	if at < 0 {
		return nil, errors.New("trees: the model has no ensemble of trees")
	}
	node := g.Nodes[at]
	values, err := (&model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: g.Nodes[:at], Outputs: node.Inputs}).RunRows(rows)
	if err != nil {
		return nil, err
	}
	s := new(Snapped)
	if s.Grid, err = grid(values); err != nil {
		return nil, err
	}
	ensemble := node.Op.(*model.TreeEnsemble)
	if len(s.Grid.Edges) != ensemble.Features {
		return nil, fmt.Errorf("trees: grid of %d features for %d", len(s.Grid.Edges), ensemble.Features)
	}
	moved, err := s.snap(ensemble, values)
	if err != nil {
		return nil, err
	}
	s.Graph = &model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: slices.Clone(g.Nodes), Outputs: g.Outputs}
	s.Graph.Nodes[at].Op = moved
	return s, s.Graph.Validate()
}

func (s *Snapped) snap(t *model.TreeEnsemble, values [][]float64) (*model.TreeEnsemble, error) {
	columns := make([][]float64, t.Features)
	for f, edges := range s.Grid.Edges {
		if !slices.IsSorted(edges) {
			return nil, fmt.Errorf("trees: edges of feature %d do not ascend", f)
		}
		columns[f] = column(values, f)
	}
	moved := &model.TreeEnsemble{Features: t.Features, Comparison: model.Less, Aggregate: t.Aggregate, Base: t.Base, Roots: t.Roots, Values: t.Values}
	for node, f := range t.Feature {
		region := t.LeftRegion(node)
		var bounds []float64
		for _, b := range region.Bounds {
			s.Bounds++
			edge, crossed := nearest(s.Grid.Edges[f], b, columns[f])
			if edge != b {
				s.Moved++
				s.Crossed = max(s.Crossed, float64(crossed)/float64(len(values)))
			}
			switch n := len(bounds); {
			case math.IsInf(edge, -1): // all values are past it
				region.Below = !region.Below
			case math.IsInf(edge, 1): // no value reaches it
			case n > 0 && bounds[n-1] == edge: // nothing is left between the two
				bounds = bounds[:n-1]
			default:
				bounds = append(bounds, edge)
			}
		}
		region.Bounds = bounds
		moved.AddNode(f, region, t.Left[node], t.Right[node])
	}
	return moved, nil
}

// nearest returns the neighbouring edge of a bound that fewer values lie between, and how many these are; of two alike
// the nearer. Infinity is a neighbour of the first and of the last edge.
func nearest(edges []float64, bound float64, sorted []float64) (edge float64, crossed int) {
	rank := func(x float64) int { return sort.SearchFloat64s(sorted, x) }
	at := sort.SearchFloat64s(edges, bound)
	below, above := math.Inf(-1), math.Inf(1)
	if at > 0 {
		below = edges[at-1]
	}
	if at < len(edges) {
		above = edges[at]
	}
	down, up := rank(bound)-rank(below), rank(above)-rank(bound)
	if down < up || down == up && bound-below < above-bound {
		return below, down
	}
	return above, up
}
