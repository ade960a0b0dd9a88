package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

var cnnMNIST = Recipe{
	Name:        "cnn-mnist",
	Kind:        "convolutional network",
	Description: "Handwritten digits of 28 × 28 pixels.",
	Data:        "MNIST (--data, or downloaded), its own 10,000 test images",
	Seed:        1,
	MinAccuracy: 0.988,
	Load: func(ctx context.Context, source dataset.Source) (known, test *dataset.Set, err error) {
		if known, err = source.MNISTTrain(ctx); err != nil {
			return nil, nil, err
		}
		test, err = source.MNISTTest(ctx)
		return known, test, err
	},
	Train: func(_ context.Context, known *dataset.Set, progress func(done, of int)) (*model.Graph, [][]float64, error) {
		const rounds = 25
		graph, err := train.Network{
			Input:   known.Shape,
			Scaling: train.Scale(1.0 / 255),
			// One square after wide windows is as accurate as two after small ones, and takes half the levels.
			Layers: []train.Layer{train.Conv{Filters: 32, Kernel: 11, Stride: 3, Pad: 1}, train.Square{}, train.Dense{Units: 10}},
		}.Fit(known, train.Options{Epochs: rounds, Batch: 128, LearningRate: 0.005, WeightDecay: 0.02, LabelSmoothing: 0.05,
			Average: 0.999, Augment: train.Affine{Shift: 1, Rotate: 10, Zoom: 0.1, Keep: 0.3}, Seed: 1, Progress: epochs(progress, rounds)})
		return graph, nil, err
	},
}
