package fit

import (
	"fmt"
	"math"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/trees"
)

// bins is into how many a feature is divided at most; fewBins are cheaper for the client, manyBins tell places on a map apart.
const bins, fewBins, manyBins = 64, 16, 128

// treeSizes tries depths, leaves, trees and bins. Depth sets the levels of the circuit; leaves set its work.
func (o Options) treeSizes(set *dataset.Set) []size {
	type shape struct {
		trees, depth, conditions, leaves, bins int
		refine                                 float64 // of forests: large where rows are few
	}
	var shapes []shape
	switch o.Kind {
	case Tree:
		shapes = []shape{{1, 2, 0, 4, bins, 0}, {1, 3, 0, 8, bins, 0}, {1, 4, 0, 16, fewBins, 0}, {1, 4, 0, 16, bins, 0}, {1, 6, 4, 20, bins, 0},
			{1, 8, 4, 32, bins, 0}, {1, 8, 7, 64, bins, 0}}
	case Forest:
		shapes = []shape{{10, 3, 0, 8, bins, 10}, {30, 3, 0, 8, bins, 100}, {30, 4, 0, 12, fewBins, 100}, {30, 4, 0, 12, bins, 1}, {30, 4, 0, 12, bins, 100},
			{60, 4, 0, 12, bins, 1}, {60, 6, 0, 24, bins, 100}}
	case Boosting:
		shapes = []shape{{20, 2, 0, 4, bins, 0}, {60, 2, 0, 4, bins, 0}, {60, 3, 0, 6, fewBins, 0}, {60, 3, 0, 6, bins, 0}, {100, 4, 0, 8, bins, 0},
			{200, 4, 0, 8, bins, 0}, {300, 6, 0, 24, manyBins, 0}}
	}
	var sizes []size
	for _, s := range shapes {
		growth := trees.Growth{MaxDepth: s.depth, MaxConditions: s.conditions, MaxLeaves: s.leaves, MinSamples: 5}
		var trainer trees.Trainer
		switch o.Kind {
		case Tree:
			trainer = trees.CART{Growth: growth, Seed: o.Seed}
		case Forest:
			growth.Features = int(math.Ceil(math.Sqrt(float64(set.Width()))))
			if set.Labels == nil {
				growth.Features = (set.Width() + 2) / 3
			}
			trainer = trees.Forest{Growth: growth, Trees: s.trees, Refine: s.refine, Seed: o.Seed}
		case Boosting:
			// As much in all, whatever the number of trees.
			trainer = trees.Boosting{Growth: growth, Rounds: s.trees, Shrinkage: min(0.4, 20/float64(s.trees)), L2: 1, Subsample: 0.8, Seed: o.Seed}
		}
		label := fmt.Sprintf("depth %d, %d leaves, %d bins", s.depth, s.leaves, s.bins)
		if s.trees > 1 {
			label = fmt.Sprintf("%d trees, %s", s.trees, label)
		}
		if s.refine > 0 {
			label = fmt.Sprintf("%s, penalty %g", label, s.refine)
		}
		edges := s.bins - 1
		sizes = append(sizes, size{label: label, train: func(s *dataset.Set) (*model.Graph, [][]float64, error) {
			return growOn(s, edges, trainer)
		}})
	}
	return sizes
}

// growOn trains on a grid of quantiles of the samples.
func growOn(s *dataset.Set, edges int, trainer trees.Trainer) (*model.Graph, [][]float64, error) {
	grid, err := trees.Quantiles(edges)(s.X)
	if err != nil {
		return nil, nil, err
	}
	for f, list := range grid.Edges {
		if len(list) == 0 { // a feature with one value
			grid.Edges[f] = []float64{0.5}
		}
	}
	ensemble, err := trainer.Train(s, grid)
	if err != nil {
		return nil, nil, err
	}
	graph, err := ensemble.Graph("trees")
	return graph, grid.Edges, err
}
