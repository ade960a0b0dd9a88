package fit

import (
	"fmt"
	"math"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/trees"
)

// bins is into how many a feature is divided at most; fewBins are cheaper for the client, manyBins tell places on a map apart.
const bins, fewBins, manyBins = 64, 16, trees.MaxBins - 1

// treeSizes tries depths, leaves, trees and bins. Depth sets the levels of the circuit; leaves set its work.
func (o Options) treeSizes(set *dataset.Set) []size {
	var sizes []size
	add := func(label string, edges int, trainer trees.Trainer) {
		sizes = append(sizes, size{label: label, train: func(s *dataset.Set) (*model.Graph, [][]float64, error) {
			return growOn(s, edges, trainer)
		}})
	}
	switch o.Kind {
	case Tree:
		for _, s := range []struct{ depth, conditions, leaves, bins int }{
			{2, 0, 4, bins}, {3, 0, 8, bins}, {4, 0, 16, fewBins}, {4, 0, 16, bins}, {6, 4, 20, bins}, {8, 4, 32, bins}, {8, 7, 64, bins},
		} {
			growth := trees.Growth{MaxDepth: s.depth, MaxConditions: s.conditions, MaxLeaves: s.leaves, MinSamples: 5}
			add(fmt.Sprintf("depth %d, %d leaves, %d bins", s.depth, s.leaves, s.bins), s.bins-1, trees.CART{Growth: growth, Seed: o.Seed})
		}
	case Forest:
		features := int(math.Ceil(math.Sqrt(float64(set.Width()))))
		if set.Labels == nil {
			features = (set.Width() + 2) / 3
		}
		for _, s := range []struct {
			trees, depth, leaves, bins int
			refine                     float64 // of few leaves, whose values are then fitted together
		}{
			{10, 3, 8, bins, 10}, {30, 3, 8, bins, 100}, {30, 4, 12, fewBins, 100}, {30, 4, 12, bins, 1}, {30, 4, 12, bins, 100},
			{100, 2, 4, bins, 30}, {100, 6, 24, bins, 0}, {100, 8, 48, bins, 0},
		} {
			growth := trees.Growth{MaxDepth: s.depth, MaxLeaves: s.leaves, MinSamples: 3, Features: features}
			label := fmt.Sprintf("%d trees, depth %d, %d leaves, %d bins", s.trees, s.depth, s.leaves, s.bins)
			if s.refine > 0 {
				label = fmt.Sprintf("%s, penalty %g", label, s.refine)
			}
			add(label, s.bins-1, trees.Forest{Growth: growth, Trees: s.trees, Refine: s.refine, Seed: o.Seed})
		}
	case Boosting:
		for _, s := range []struct {
			trees, depth, leaves, bins int
			rate                       float64
		}{
			{20, 2, 4, bins, 0.4}, {60, 2, 4, bins, 0.3}, {60, 3, 6, fewBins, 0.2}, {100, 3, 8, bins, 0.1}, {200, 4, 12, bins, 0.05},
			{300, 4, 12, bins, 0.1}, {500, 6, 32, manyBins, 0.1}, {500, 8, 64, manyBins, 0.05},
		} {
			growth := trees.Growth{MaxDepth: s.depth, MaxLeaves: s.leaves}
			add(fmt.Sprintf("%d trees, depth %d, %d leaves, %d bins, rate %g", s.trees, s.depth, s.leaves, s.bins, s.rate), s.bins-1, trees.Boosting{
				Growth: growth, Rounds: s.trees, Shrinkage: s.rate, L2: 1, MinCurvature: 1, Subsample: 0.8, TreeFeatures: 0.7, Seed: o.Seed,
			})
		}
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
