package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// How a TreeEnsemble compares and aggregates.
const (
	LessOrEqual = "<=" // x goes left where x ≤ threshold
	Less        = "<"  // x goes left where x < threshold; all values go left of math.MaxFloat64

	AggregateSum     = "sum"
	AggregateAverage = "average" // the sum divided by the number of trees
)

// TreeEnsemble is a decision tree, a forest or a boosted ensemble: [features] to [outputs],
// y = Base + Σ_trees value of the leaf that x reaches (or their average).
//
// Nodes and leaves of all trees lie in common arrays. A reference r ≥ 0 is node r, and r < 0 is leaf −1−r (^r); each
// node and leaf is referred to once, so that they form trees.
//
// A node may compare with intervals in the place of a threshold, which is then 0: where Intervals[node] holds bounds
// b_0 < b_1 < …, x goes left if b_0 ≤ x < b_1, or b_2 ≤ x < b_3, and so on; a last bound alone has no upper one. A set of
// categories is such a list, and its complement is the same list with left and right exchanged.
type TreeEnsemble struct {
	Features    int         `json:"features"`
	Comparison  string      `json:"comparison"`             // LessOrEqual or Less
	Aggregate   string      `json:"aggregate"`              // AggregateSum or AggregateAverage
	Base        []float64   `json:"base,omitempty"`         // [outputs], or none
	Roots       []int       `json:"roots"`                  // reference of each tree
	Feature     []int       `json:"feature,omitempty"`      // of each node
	Threshold   []float64   `json:"threshold,omitempty"`    // of each node
	MissingLeft []bool      `json:"missing_left,omitempty"` // of each node, or none: a missing value (NaN) goes left, else right
	Intervals   [][]float64 `json:"intervals,omitempty"`    // of each node, or none: see below
	Left        []int       `json:"left,omitempty"`         // reference of each node
	Right       []int       `json:"right,omitempty"`        // reference of each node
	Values      [][]float64 `json:"values"`                 // [leaves][outputs]
}

func (*TreeEnsemble) Kind() string { return "TreeEnsemble" }

// Outputs is the number of values of a leaf.
func (t *TreeEnsemble) Outputs() int {
	if len(t.Values) == 0 {
		return 0
	}
	return len(t.Values[0])
}

func (t *TreeEnsemble) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if len(x) != 1 || x[0] != t.Features {
		return nil, fmt.Errorf("input has shape %v, want [%d]", []int(x), t.Features)
	}
	if err := t.checkLengths(); err != nil {
		return nil, err
	}
	if err := t.checkTrees(); err != nil {
		return nil, err
	}
	return Shape{t.Outputs()}, nil
}

// checkLengths is the part of the checks whose time does not depend on the number of nodes.
func (t *TreeEnsemble) checkLengths() error {
	if t.Comparison != LessOrEqual && t.Comparison != Less {
		return fmt.Errorf("unknown comparison %q", t.Comparison)
	}
	if t.Aggregate != AggregateSum && t.Aggregate != AggregateAverage {
		return fmt.Errorf("unknown aggregate %q", t.Aggregate)
	}
	nodes := len(t.Feature)
	if len(t.Threshold) != nodes || len(t.Left) != nodes || len(t.Right) != nodes {
		return errors.New("feature, threshold, left and right differ in length")
	}
	if len(t.MissingLeft) != 0 && len(t.MissingLeft) != nodes {
		return fmt.Errorf("missing_left has %d values, want %d or none", len(t.MissingLeft), nodes)
	}
	if len(t.Intervals) != 0 && len(t.Intervals) != nodes {
		return fmt.Errorf("intervals are given for %d nodes, want %d or none", len(t.Intervals), nodes)
	}
	if len(t.Roots) == 0 || t.Outputs() == 0 {
		return errors.New("needs at least one tree and one output")
	}
	if len(t.Base) != 0 && len(t.Base) != t.Outputs() {
		return fmt.Errorf("base has %d values, want %d or none", len(t.Base), t.Outputs())
	}
	return nil
}

// checkTrees verifies nodes and leaves, and that every one of them is reached exactly once from the roots.
func (t *TreeEnsemble) checkTrees() error {
	for i := range t.Feature {
		if t.Feature[i] < 0 || t.Feature[i] >= t.Features {
			return fmt.Errorf("node %d uses feature %d of %d", i, t.Feature[i], t.Features)
		}
		if math.IsNaN(t.Threshold[i]) {
			return fmt.Errorf("node %d has no threshold", i)
		}
		bounds := t.intervals(i)
		if len(bounds) > 0 && t.Threshold[i] != 0 {
			return fmt.Errorf("node %d has intervals and a threshold", i)
		}
		for k, b := range bounds {
			if math.IsNaN(b) || k > 0 && b <= bounds[k-1] {
				return fmt.Errorf("intervals of node %d do not ascend", i)
			}
		}
	}
	for i, v := range t.Values {
		if len(v) != t.Outputs() {
			return fmt.Errorf("leaf %d has %d values, leaf 0 has %d", i, len(v), t.Outputs())
		}
	}
	seenNodes, seenLeaves := make([]bool, len(t.Feature)), make([]bool, len(t.Values))
	visited := 0
	pending := slices.Clone(t.Roots)
	for len(pending) > 0 {
		r := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if r >= len(seenNodes) || ^r >= len(seenLeaves) {
			return fmt.Errorf("reference %d is outside %d nodes and %d leaves", r, len(seenNodes), len(seenLeaves))
		}
		seen := &seenLeaves[max(^r, 0)]
		if r >= 0 {
			seen = &seenNodes[r]
		}
		if *seen {
			return fmt.Errorf("reference %d occurs twice", r)
		}
		*seen = true
		visited++
		if r >= 0 {
			pending = append(pending, t.Right[r], t.Left[r])
		}
	}
	if visited != len(seenNodes)+len(seenLeaves) {
		return errors.New("some nodes or leaves belong to no tree")
	}
	return nil
}

// Eval walks down the trees and checks each step, not the whole ensemble, as Infer does.
func (t *TreeEnsemble) Eval(in []Tensor) (Tensor, error) {
	if len(in) != 1 || len(in[0].Shape) != 1 || in[0].Shape[0] != t.Features || len(in[0].Data) != t.Features {
		return Tensor{}, fmt.Errorf("takes 1 input of shape [%d]", t.Features)
	}
	if err := t.checkLengths(); err != nil {
		return Tensor{}, err
	}
	y := NewTensor(Shape{t.Outputs()})
	for _, r := range t.Roots {
		values, err := t.walk(r, in[0].Data)
		if err != nil {
			return Tensor{}, err
		}
		for i, v := range values {
			y.Data[i] += v
		}
	}
	if t.Aggregate == AggregateAverage {
		for i := range y.Data {
			y.Data[i] /= float64(len(t.Roots))
		}
	}
	for i, v := range t.Base {
		y.Data[i] += v
	}
	return y, nil
}

// walk returns the values of the leaf that x reaches from a reference.
func (t *TreeEnsemble) walk(r int, x []float64) ([]float64, error) {
	for range len(t.Feature) + 1 {
		if r < 0 {
			if ^r >= len(t.Values) || len(t.Values[^r]) != t.Outputs() {
				return nil, fmt.Errorf("leaf %d is not valid", ^r)
			}
			return t.Values[^r], nil
		}
		if r >= len(t.Feature) || t.Feature[r] < 0 || t.Feature[r] >= len(x) {
			return nil, fmt.Errorf("node %d is not valid", r)
		}
		if t.goesLeft(r, x[t.Feature[r]]) {
			r = t.Left[r]
		} else {
			r = t.Right[r]
		}
	}
	return nil, errors.New("nodes form a cycle")
}

func (t *TreeEnsemble) goesLeft(node int, v float64) bool {
	switch {
	case math.IsNaN(v):
		return t.missingLeft(node)
	case len(t.intervals(node)) > 0:
		bounds := t.intervals(node)
		return sort.Search(len(bounds), func(k int) bool { return bounds[k] > v })%2 == 1
	case t.Threshold[node] == math.MaxFloat64:
		return true
	case t.Comparison == LessOrEqual:
		return v <= t.Threshold[node]
	default:
		return v < t.Threshold[node]
	}
}

func (t *TreeEnsemble) missingLeft(node int) bool {
	return len(t.MissingLeft) != 0 && t.MissingLeft[node]
}

func (t *TreeEnsemble) intervals(node int) []float64 {
	if len(t.Intervals) == 0 {
		return nil
	}
	return t.Intervals[node]
}
