package recipes

import (
	"context"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

var logregCancer = Recipe{
	Name:        "logreg-cancer",
	Kind:        "logistic regression",
	Description: "Malignant or benign, from 30 measurements of cell nuclei.",
	Data:        "breast cancer Wisconsin (shipped), 25 % test",
	Seed:        1,
	MinAccuracy: 0.96,
	Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		set, err := dataset.BreastCancer()
		if err != nil {
			return nil, nil, err
		}
		known, test = set.StratifiedSplit(0.25, 1)
		return known, test, nil
	},
	Train: func(_ context.Context, known *dataset.Set, _ func(done, of int)) (*model.Graph, [][]float64, error) {
		// The classes can nearly be separated: without a penalty the weights would grow without bound.
		graph, err := train.Linear{Scaling: train.Standardize(known), L2: 0.01}.Logistic(known)
		return graph, nil, err
	},
}
