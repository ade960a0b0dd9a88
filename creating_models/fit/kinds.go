package fit

import (
	"fmt"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

// kinds says of each kind what it answers and how it is called.
var kinds = []struct {
	kind Kind
	task Task
	long string
}{
	{Linear, Regression, "linear regression"},
	{Ridge, Regression, "ridge regression"},
	{Lasso, Regression, "lasso regression"},
	{ElasticNet, Regression, "elastic net regression"},
	{Poisson, Regression, "Poisson regression"},
	{Gamma, Regression, "gamma regression"},
	{Tweedie, Regression, "Tweedie regression"},
	{Logistic, Classification, "logistic regression"},
	{SVM, Classification, "linear support vector machine"},
	{Tree, TaskSniffed, "decision tree"},
	{Forest, TaskSniffed, "random forest"},
	{Boosting, TaskSniffed, "gradient boosted trees"},
	{MLP, TaskSniffed, "neural network"},
	{CNN, Classification, "convolutional network"},
	{Neighbours, TaskSniffed, "nearest neighbours"},
	{Centroid, Classification, "nearest centroid"},
}

// Kinds lists the kinds of models.
func Kinds() []Kind {
	list := make([]Kind, len(kinds))
	for i, k := range kinds {
		list[i] = k.kind
	}
	return list
}

// task is what models of the kind answer; TaskSniffed for either.
func (k Kind) task() Task {
	for _, known := range kinds {
		if known.kind == k {
			return known.task
		}
	}
	return TaskSniffed
}

// long is the kind in words.
func (k Kind) long() string {
	for _, known := range kinds {
		if known.kind == k {
			return known.long
		}
	}
	return string(k)
}

// grows holds for trees, which take features as they are.
func (k Kind) grows() bool { return k == Tree || k == Forest || k == Boosting }

// words is how many words of a text the kind takes.
func (k Kind) words() int {
	if k == Logistic || k == SVM {
		return manyWords
	}
	return fewWords
}

// power is that of the variance, for models with a log link.
func (o Options) power() (power float64, log bool) {
	switch o.Kind {
	case Poisson:
		return 1, true
	case Gamma:
		return 2, true
	case Tweedie:
		if o.Power == 0 {
			return 1.5, true
		}
		return o.Power, true
	}
	return 0, false
}

// sizes lists what is tried of a kind on features.
func (o Options) sizes(set *dataset.Set) ([]size, error) {
	switch o.Kind {
	case Linear:
		return []size{plain("least squares", func(s *dataset.Set) (*model.Graph, error) {
			return train.Linear{}.Regression(s, train.Gaussian)
		})}, nil
	case Ridge:
		return penalties(train.Linear.Regression, train.Gaussian), nil
	case Poisson, Gamma, Tweedie:
		power, _ := o.power()
		return penalties(train.Linear.Regression, train.Family(power)), nil
	case Lasso:
		return sparse(set, 1)
	case ElasticNet:
		return sparse(set, 0.5)
	case Logistic:
		return penalties(func(l train.Linear, s *dataset.Set, _ train.Family) (*model.Graph, error) { return l.Logistic(s) }, 0), nil
	case SVM:
		return penalties(func(l train.Linear, s *dataset.Set, _ train.Family) (*model.Graph, error) { return l.SVM(s) }, 0), nil
	case Tree, Forest, Boosting:
		return o.treeSizes(set), nil
	case MLP:
		return o.mlpSizes(), nil
	case CNN:
		return o.cnnSizes(set)
	case Neighbours:
		return o.neighbourSizes(set), nil
	case Centroid:
		return []size{plain("means of classes", o.centroids)}, nil
	}
	return nil, fmt.Errorf("kind %q is not known: want one of %v", o.Kind, Kinds())
}

// plain is a size without a grid.
func plain(label string, fit func(*dataset.Set) (*model.Graph, error)) size {
	return size{label: label, train: func(s *dataset.Set) (*model.Graph, [][]float64, error) {
		graph, err := fit(s)
		return graph, nil, err
	}}
}

// penalties tries penalties on squared weights.
func penalties(fit func(train.Linear, *dataset.Set, train.Family) (*model.Graph, error), family train.Family) []size {
	var sizes []size
	for _, l2 := range []float64{1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5} {
		sizes = append(sizes, plain(fmt.Sprintf("penalty %g", l2), func(s *dataset.Set) (*model.Graph, error) {
			return fit(train.Linear{L2: l2}, s, family)
		}))
	}
	return sizes
}

// sparse tries penalties on weights, as shares of the one that leaves none; share is the part of the penalty that is not on
// squared weights.
func sparse(set *dataset.Set, share float64) ([]size, error) {
	most, err := train.ElasticNet{}.MaxL1(set)
	if err != nil {
		return nil, err
	}
	var sizes []size
	for _, part := range []float64{0.3, 0.1, 0.03, 0.01, 0.003, 0.001} {
		penalty := part * most / share
		sizes = append(sizes, plain(fmt.Sprintf("penalty %.3g", penalty), func(s *dataset.Set) (*model.Graph, error) {
			return train.ElasticNet{L1: penalty * share, L2: penalty * (1 - share)}.Fit(s)
		}))
	}
	return sizes, nil
}
