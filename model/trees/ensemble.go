package trees

import (
	"math"

	"cipherpoint/model/dataset"
)

// Node is a split or a leaf of a tree.
type Node struct {
	// Feature is compared with Threshold, the grid's edge number Edge: a sample with x >= Threshold goes Right, any
	// other, also a missing value, Left. Left and Right are indices of nodes, 0 in a leaf.
	Feature     int
	Edge        int
	Threshold   float64
	Left, Right int
	// Values is what a leaf adds to the scores; nil in a split.
	Values []float64
}

// Tree is a binary tree; node 0 is the root, children come after their parents.
type Tree struct{ Nodes []Node }

// Leaf returns the leaf that a sample falls into.
func (t *Tree) Leaf(x []float64) *Node {
	node := &t.Nodes[0]
	for node.Values == nil {
		next := node.Left
		if x[node.Feature] >= node.Threshold {
			next = node.Right
		}
		node = &t.Nodes[next]
	}
	return node
}

// binnedLeaf returns the leaf that sample i of a training table falls into from a node down.
func (t *Tree) binnedLeaf(from int, bins columns, i int) *Node {
	node := &t.Nodes[from]
	for node.Values == nil {
		next := node.Left
		if int(bins[node.Feature][i]) > node.Edge {
			next = node.Right
		}
		node = &t.Nodes[next]
	}
	return node
}

// Meaning says what the scores of an ensemble are.
type Meaning int

const (
	// Probability: one score is the probability of class 1, several are those of all classes.
	Probability Meaning = iota
	// LogOdds: one score is log(p1/p0), several are log-probabilities up to a common summand.
	LogOdds
	// Value: the one score is the prediction.
	Value
)

// Ensemble is a sum of trees.
type Ensemble struct {
	// Trees add their leaves' values to Base. Two classes have one score, more classes one each.
	Trees []Tree
	Base  []float64
	// Meaning of the scores.
	Meaning Meaning
	// Features is the width of a sample.
	Features int
}

// Scores returns Base and the values of the leaves that the sample falls into, added up.
func (e *Ensemble) Scores(x []float64) []float64 {
	scores := append([]float64(nil), e.Base...)
	for i := range e.Trees {
		for k, v := range e.Trees[i].Leaf(x).Values {
			scores[k] += v
		}
	}
	return scores
}

// Predict returns the most likely class, or the value where scores are values.
func (e *Ensemble) Predict(x []float64) float64 {
	scores := e.Scores(x)
	if e.Meaning == Value {
		return scores[0]
	}
	return float64(decide(scores, e.Meaning))
}

// decide returns the class of the largest score, of equals the first; a single score speaks for class 1 from
// probability 0.5 on.
func decide(scores []float64, meaning Meaning) int {
	if len(scores) == 1 {
		if meaning == Probability && scores[0] >= 0.5 || meaning == LogOdds && scores[0] >= 0 {
			return 1
		}
		return 0
	}
	best := 0
	for k, v := range scores {
		if v > scores[best] {
			best = k
		}
	}
	return best
}

// Accuracy returns the share of samples whose class is predicted or, for values, the coefficient of determination R².
func (e *Ensemble) Accuracy(s *dataset.Set) float64 {
	if e.Meaning != Value {
		var right int
		for i, x := range s.X {
			if e.Predict(x) == s.Y[i] {
				right++
			}
		}
		return float64(right) / float64(s.Len())
	}
	var mean, residual, total float64
	for _, y := range s.Y {
		mean += y / float64(s.Len())
	}
	for i, x := range s.X {
		residual += math.Pow(s.Y[i]-e.Predict(x), 2)
		total += math.Pow(s.Y[i]-mean, 2)
	}
	return 1 - residual/total
}

// Size is what an ensemble costs under encryption.
type Size struct {
	Trees, Leaves int
	// Depth is the largest number of splits above a leaf.
	Depth int
	// Conditions is the largest number of different features above a leaf. All splits of one feature on the way to a
	// leaf make one interval low <= x < high, hence one condition that is linear in the thermometer bits:
	// b[low] - b[high]. So this, not Depth, is the degree of the leaf's indicator polynomial.
	Conditions int
	// Splits is the number of different pairs of a feature and a threshold.
	Splits int
}

// Size measures the ensemble.
func (e *Ensemble) Size() Size {
	type split struct{ feature, edge int }
	size := Size{Trees: len(e.Trees)}
	splits := map[split]bool{}
	for _, t := range e.Trees {
		var visit func(node, depth int, path featureSet)
		visit = func(node, depth int, path featureSet) {
			n := t.Nodes[node]
			if n.Values != nil {
				size.Leaves++
				size.Depth = max(size.Depth, depth)
				size.Conditions = max(size.Conditions, len(path))
				return
			}
			splits[split{n.Feature, n.Edge}] = true
			path = path.with(n.Feature)
			visit(n.Left, depth+1, path)
			visit(n.Right, depth+1, path)
		}
		visit(0, 0, nil)
	}
	size.Splits = len(splits)
	return size
}
