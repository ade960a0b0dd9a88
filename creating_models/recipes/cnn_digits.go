package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

var cnnDigits = Recipe{
	Name:        "cnn-digits",
	Kind:        "convolutional network",
	Description: "Handwritten digits of 8 × 8 pixels.",
	Data:        "digits (shipped), 25 % test",
	Seed:        1,
	MinAccuracy: 0.98,
	Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		set, err := dataset.Digits()
		if err != nil {
			return nil, nil, err
		}
		known, test = set.StratifiedSplit(0.25, 1)
		return known, test, nil
	},
	Train: func(_ context.Context, known *dataset.Set, progress func(done, of int)) (*model.Graph, [][]float64, error) {
		const rounds = 80
		graph, err := train.Network{
			Input:   known.Shape,
			Scaling: train.Scale(1.0 / 16),
			Layers:  []train.Layer{train.Conv{Filters: 16, Kernel: 4, Stride: 2, Pad: 1}, train.Square{}, train.Dense{Units: 10}},
		}.Fit(known, train.Options{Epochs: rounds, Batch: 64, LearningRate: 0.01, WeightDecay: 0.05, LabelSmoothing: 0.05,
			Average: 0.99, Augment: train.Affine{Shift: 0.5, Rotate: 8, Zoom: 0.05, Keep: 0.3}, Seed: 1, Progress: epochs(progress, rounds)})
		return graph, nil, err
	},
}
