package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

var qnnIris = Recipe{
	Name:        "qnn-iris",
	Kind:        "neural network",
	Description: "Three species of iris from four lengths.",
	Data:        "Iris (shipped), 25 % test",
	Seed:        1,
	MinAccuracy: 0.97,
	Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		set, err := dataset.Iris()
		if err != nil {
			return nil, nil, err
		}
		known, test = set.StratifiedSplit(0.25, 1)
		return known, test, nil
	},
	Train: func(_ context.Context, known *dataset.Set, progress func(done, of int)) (*model.Graph, [][]float64, error) {
		const rounds = 100
		graph, err := train.Network{
			Input:   known.Shape,
			Scaling: train.Standardize(known),
			Layers:  []train.Layer{train.Dense{Units: 4}, train.Square{}, train.Dense{Units: 3}},
		}.Fit(known, train.Options{Epochs: rounds, Batch: 16, LearningRate: 0.02, WeightDecay: 0.05, LabelSmoothing: 0.05,
			Average: 0.99, Seed: 1, Progress: epochs(progress, rounds)})
		return graph, nil, err
	},
}
