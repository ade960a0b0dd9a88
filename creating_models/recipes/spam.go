package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/trees"
)

// The three kinds of trees share the data: 57 frequencies and lengths of a message, spam or not. They are trained on a
// grid of 64 bins a feature that follows from the documented ranges alone, so that a client, which compares its features
// with the whole grid, learns nothing of the thresholds.

const spamSeed = 42

func loadSpam(ctx context.Context, source dataset.Source) (known, test *dataset.Set, err error) {
	set, err := source.Spambase(ctx)
	if err != nil {
		return nil, nil, err
	}
	known, test = set.Split(0.15, spamSeed)
	return known, test, nil
}

func trainSpam(name string, trainer trees.Trainer) func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
	return func(_ context.Context, known *dataset.Set, _ func(done, of int)) (*model.Graph, [][]float64, error) {
		grid, err := trees.NewGrid(known.Ranges, 64)
		if err != nil {
			return nil, nil, err
		}
		ensemble, err := trainer.Train(known, grid)
		if err != nil {
			return nil, nil, err
		}
		graph, err := ensemble.Graph(name)
		return graph, grid.Edges, err
	}
}

func spam(name, kind string, minimum, maxKeyBytes float64, trainer trees.Trainer) Recipe {
	return Recipe{
		Name: name, Kind: kind, Description: "Spam or not, from word frequencies and run lengths of a message.",
		Data: "Spambase (--data, or downloaded), 15 % test", Seed: spamSeed, MinAccuracy: minimum, MaxKeyBytes: maxKeyBytes,
		Load: loadSpam, Train: trainSpam(name, trainer),
	}
}

var (
	treeSpam = spam("tree-spam", "decision tree", 0.905, 4e6, trees.CART{
		Growth: trees.Growth{MaxDepth: 6, MaxConditions: 4, MaxLeaves: 20, MinSamples: 5},
	})
	forestSpam = spam("forest-spam", "random forest", 0.935, 8e6, trees.Forest{
		Growth: trees.Growth{MaxDepth: 4, MaxLeaves: 10, MinSamples: 3, Features: 8}, Trees: 50, Refine: 1, Seed: 1,
	})
	boostingSpam = spam("boosting-spam", "gradient boosted trees", 0.945, 8e6, trees.Boosting{
		Growth: trees.Growth{MaxDepth: 4, MaxLeaves: 8, MinSamples: 5}, Rounds: 60, Shrinkage: 0.2, L2: 1, Subsample: 0.8, Seed: 1,
	})
)
