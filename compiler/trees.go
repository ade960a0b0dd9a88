package compiler

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// maxConditions bounds the degree of a leaf's indicator, the number of conditions that can be violated at a time; the
// intermediate values grow with its factorial.
const maxConditions = 8

// bit is a comparison of a feature with an edge: x_f ≥ edge.
type bit struct {
	feature int
	edge    float64
}

// condition is a bit and the value that a path to a leaf wants of it.
type condition struct {
	bit
	want bool
}

// leaf is one leaf with the conditions that lead to it, redundant ones left out.
type leaf struct {
	conditions []condition
	values     []float64
}

// features counts the features that the leaf depends on: as many conditions can be violated at most, since a value cannot
// be below the one edge and reach the other of an interval.
func (l *leaf) features() int {
	seen := map[int]bool{}
	for _, c := range l.conditions {
		seen[c.feature] = true
	}
	return len(seen)
}

// treeInput adds the comparisons to the client's side: thermometer bits on all the edges. If the features already come
// through a grid of edges (the public way) the grid is the model's own Thermometer node, put there by training.
func (l *lowering) treeInput(node model.Node, t *model.TreeEnsemble, name string) {
	key := thermometerKey(node)
	if _, known := l.values[key]; known {
		return
	}
	edges := l.gridOf(t)
	size := 0
	for _, list := range edges {
		size += len(list)
	}
	op := &model.Thermometer{Edges: edges}
	l.prefix.Nodes = append(l.prefix.Nodes, model.Node{Name: key, Op: op, Inputs: []string{name}, Output: key})
	l.input(key, key, model.Shape{size}, true)
}

func thermometerKey(node model.Node) string { return node.Name + " bits" }

// gridOf returns the edges that the client compares each feature with: those of the publisher's public grid where it
// states one that holds all thresholds, else the thresholds themselves.
func (l *lowering) gridOf(t *model.TreeEnsemble) [][]float64 {
	edges := make([][]float64, t.Features)
	for i, f := range t.Feature {
		edges[f] = append(edges[f], edgeOf(t, t.Threshold[i]))
	}
	for f := range edges {
		slices.Sort(edges[f])
		edges[f] = slices.Compact(edges[f])
	}
	if l.grid == nil || len(l.grid) != t.Features {
		return edges
	}
	for f, list := range edges {
		for _, e := range list {
			if !slices.Contains(l.grid[f], e) {
				return edges
			}
		}
	}
	return l.grid
}

// edgeOf turns a threshold into the edge e for which "goes right" is x ≥ e: for x ≤ t going left that is the next
// float above t.
func edgeOf(t *model.TreeEnsemble, threshold float64) float64 {
	if t.Comparison == model.LessOrEqual {
		return math.Nextafter(threshold, math.Inf(1))
	}
	return threshold
}

// leaves walks all trees and lists their leaves with the tightest conditions of each path.
func leaves(t *model.TreeEnsemble) []leaf {
	weight := 1.0
	if t.Aggregate == model.AggregateAverage {
		weight = 1 / float64(len(t.Roots))
	}
	var list []leaf
	var walk func(ref int, path []condition)
	walk = func(ref int, path []condition) {
		if ref < 0 {
			values := slices.Clone(t.Values[^ref])
			for i := range values {
				values[i] *= weight
			}
			list = append(list, leaf{tightest(path), values})
			return
		}
		b := bit{t.Feature[ref], edgeOf(t, t.Threshold[ref])}
		walk(t.Left[ref], append(path[:len(path):len(path)], condition{b, false}))
		walk(t.Right[ref], append(path[:len(path):len(path)], condition{b, true}))
	}
	for _, root := range t.Roots {
		walk(root, nil)
	}
	return list
}

// tightest keeps, for each feature, the highest edge to be reached and the lowest not to be: they imply the others.
func tightest(path []condition) []condition {
	var kept []condition
	for _, c := range path {
		at := slices.IndexFunc(kept, func(k condition) bool { return k.feature == c.feature && k.want == c.want })
		switch {
		case at < 0:
			kept = append(kept, c)
		case c.want == (c.edge > kept[at].edge):
			kept[at] = c
		}
	}
	return kept
}

// trees appends an ensemble: the number s of violated conditions of every leaf, one linear map of the bits; the leaf's
// indicator P(s) = ∏_{k=1..d}(1 − s/k), which is 1 at s = 0 and 0 at s = 1 … d; and the leaves' values, one linear map.
func (l *lowering) trees(node model.Node, t *model.TreeEnsemble) (int, error) {
	p := l.program
	bits := l.values[thermometerKey(node)]
	index := map[bit]int{}
	for f, edges := range l.gridOf(t) {
		for _, e := range edges {
			index[bit{f, e}] = len(index)
		}
	}
	all := leaves(t)
	constant := make([]float64, t.Outputs())
	copy(constant, t.Base)
	degree := 0
	var counted []leaf
	for _, leaf := range all {
		if len(leaf.conditions) == 0 { // a tree of one leaf
			for o, v := range leaf.values {
				constant[o] += v
			}
			continue
		}
		degree = max(degree, leaf.features())
		counted = append(counted, leaf)
	}
	if degree > maxConditions {
		return 0, fmt.Errorf("a leaf depends on %d features: at most %d are served, so train shallower trees", degree, maxConditions)
	}
	if len(counted) == 0 {
		return 0, fmt.Errorf("ensemble has no split")
	}
	if degree > 2 {
		degree += degree % 2 // an even degree makes P even about its centre, which halves the products
	}
	centre := 0.0
	if degree > 1 {
		centre = float64(degree+1) / 2
	}
	var counts, values []model.Triplet
	shift := make([]float64, len(counted))
	for r, leaf := range counted {
		shift[r] = -centre
		for _, c := range leaf.conditions {
			sign := 1.0 // a bit that should be 0 counts when it is 1
			if c.want {
				sign = -1
				shift[r]++
			}
			counts = append(counts, model.Triplet{Row: r, Col: index[c.bit], Value: sign})
		}
		for o, v := range leaf.values {
			values = append(values, model.Triplet{Row: o, Col: r, Value: v})
		}
	}
	count, err := model.NewSparse(len(counted), len(index), counts)
	if err != nil {
		return 0, err
	}
	value, err := model.NewSparse(t.Outputs(), len(counted), values)
	if err != nil {
		return 0, err
	}
	s := p.affine(node.Name+" conditions", model.Shape{len(counted)}, []int{bits}, []*model.Sparse{count}, shift)
	indicator := l.apply(node.Name+" leaves", s, leafIndicator(degree, centre))
	return p.affine(node.Name+" values", model.Shape{t.Outputs()}, []int{indicator}, []*model.Sparse{value}, constant), nil
}

// leafIndicator returns the coefficients of ∏_{k=1..d}(1 − s/k) in t = s − centre. About the centre (d+1)/2 of its
// roots 1 … d it is even for even d; the odd coefficients, which are zero then, are made exactly so.
func leafIndicator(degree int, centre float64) []float64 {
	c := []float64{1}
	for k := 1; k <= degree; k++ {
		// times (1 − centre/k) − t/k
		next := make([]float64, len(c)+1)
		for j, v := range c {
			next[j] += v * (1 - centre/float64(k))
			next[j+1] -= v / float64(k)
		}
		c = next
	}
	if centre > 0 && degree%2 == 0 {
		for k := 1; k < len(c); k += 2 {
			c[k] = 0
		}
	}
	return c
}
