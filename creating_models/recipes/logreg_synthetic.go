package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

var logregSynthetic = Recipe{
	Name:        "logreg-synthetic",
	Kind:        "logistic regression",
	Description: "Two classes of 30 generated features.",
	Data:        "generated: 1000 samples, 20 % test",
	Seed:        1,
	MinAccuracy: 0.90,
	Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		set, err := dataset.Classification{Samples: 1000, Features: 30, Informative: 10, Redundant: 5, Classes: 2, Clusters: 2,
			Separation: 2, Noise: 0.01, Seed: 1}.Generate()
		if err != nil {
			return nil, nil, err
		}
		known, test = set.Split(0.2, 1)
		return known, test, nil
	},
	Train: func(_ context.Context, known *dataset.Set, _ func(done, of int)) (*model.Graph, [][]float64, error) {
		graph, err := train.Linear{Scaling: train.Standardize(known)}.Logistic(known)
		return graph, nil, err
	},
}
