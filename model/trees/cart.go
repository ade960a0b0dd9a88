package trees

import (
	"errors"
	"math"

	"cipherpoint/model/dataset"
)

// Criterion is the impurity that the splits of CART and Forest reduce.
type Criterion int

const (
	// Gini is the probability that two samples of a leaf differ in class.
	Gini Criterion = iota
	// Entropy is that of the classes in a leaf.
	Entropy
)

// CART trains a single tree (L. Breiman et al., Classification and Regression Trees, 1984). Scores are probabilities or,
// of a regression, means.
type CART struct {
	Growth
	Criterion Criterion
	// Alternate goes on, once the tree has grown, to improve each split given the others until none of them can label
	// more samples rightly, and merges leaves of one class. It keeps to MaxDepth, not to MaxConditions. A regression
	// cannot have it.
	Alternate bool
	// Seed draws features, where Growth.Features asks for it.
	Seed uint64
}

// Train grows the tree.
func (c CART) Train(s *dataset.Set, g Grid) (*Ensemble, error) {
	if c.Alternate && c.MaxConditions > 0 {
		return nil, errors.New("trees: Alternate does not keep to MaxConditions")
	}
	if c.Alternate && s.Labels == nil {
		return nil, errors.New("trees: Alternate in a regression")
	}
	forest := Forest{Growth: c.Growth, Criterion: c.Criterion, Trees: 1, Whole: true, Seed: c.Seed}
	grower, err := forest.grower(s, g)
	if err != nil {
		return nil, err
	}
	e := forest.grow(grower, s)
	if c.Alternate {
		rows := forest.sample(s.Len(), nil)
		e.Trees[0] = grower.alternate(&e.Trees[0], rows, func(row int32) int { return s.Class(int(row)) })
	}
	return e, nil
}

// giniScore is minus the impurity of a leaf times its weight, up to a term that is the same on both sides of a split:
// W (1 - sum p²) = W - (sum w²)/W.
func giniScore(sums []float64) float64 {
	var total, squares float64
	for _, w := range sums {
		total += w
		squares += w * w
	}
	if total == 0 {
		return 0
	}
	return squares / total
}

// entropyScore likewise: W times the entropy is W log W - sum w log w.
func entropyScore(sums []float64) float64 {
	var total, score float64
	for _, w := range sums {
		total += w
		score += xlogx(w)
	}
	return score - xlogx(total)
}

func xlogx(x float64) float64 {
	if x <= 0 {
		return 0
	}
	return x * math.Log(x)
}

// probabilities returns the scores of a leaf in a forest of n trees.
func probabilities(sums []float64, n int) []float64 {
	var total float64
	for _, w := range sums {
		total += w
	}
	if len(sums) == 2 {
		sums = sums[1:]
	}
	values := make([]float64, len(sums))
	for k, w := range sums {
		values[k] = w / total / float64(n)
	}
	return values
}
