package train

import (
	"math"
	"testing"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// TestCoefficientsAreScikitLearns compares weights and biases on Iris, of the first three standardised features, with those
// of scikit-learn 1.9.1 with tol=1e-12. n = 150; its penalties are ours as named below. Targets: the petal width, twice the
// petal width rounded down (of Poisson and Tweedie), the species, or versicolor against the others.
func TestCoefficientsAreScikitLearns(t *testing.T) {
	iris, err := dataset.Iris()
	if err != nil {
		t.Fatal(err)
	}
	set := func(labels []string, target func(width, species float64) float64) *dataset.Set {
		s := &dataset.Set{Shape: []int{3}, Labels: labels}
		for i, row := range iris.X {
			s.X, s.Y = append(s.X, row[:3]), append(s.Y, target(row[3], iris.Y[i]))
		}
		return s
	}
	width := set(nil, func(width, _ float64) float64 { return width })
	counts := set(nil, func(width, _ float64) float64 { return math.Floor(2 * width) })
	species := set(iris.Labels, func(_, species float64) float64 { return species })
	versicolor := set([]string{"no", "yes"}, func(_, species float64) float64 {
		if species == 1 {
			return 1
		}
		return 0
	})
	scaling := Standardize(width)
	family := func(f Family, l2 float64) func(*dataset.Set) (*model.Graph, error) {
		return func(s *dataset.Set) (*model.Graph, error) {
			return Linear{Scaling: scaling, L2: l2}.Regression(s, f)
		}
	}
	for name, c := range map[string]struct {
		set  *dataset.Set
		fit  func(*dataset.Set) (*model.Graph, error)
		want []float64 // weights, then biases
	}{
		"LinearRegression":           {width, family(Gaussian, 0), []float64{-0.171057, 0.096799, 0.922074, 1.199333}},
		"Ridge alpha=0.1n":           {width, family(Gaussian, 0.1), []float64{0.112461, -0.019505, 0.56826, 1.199333}},
		"Lasso alpha=0.05":           {width, ElasticNet{Scaling: scaling, L1: 0.05}.Fit, []float64{0, 0, 0.681482, 1.199333}},
		"ElasticNet 0.1 l1_ratio=.5": {width, ElasticNet{Scaling: scaling, L1: 0.05, L2: 0.05}.Fit, []float64{0.017133, 0, 0.634806, 1.199333}},
		"PoissonRegressor 0.1":       {counts, family(Poisson, 0.1), []float64{-0.057169, -0.143705, 0.963355, 0.297367}},
		"GammaRegressor 0.1":         {width, family(Gamma, 0.1), []float64{0.14477, -0.131753, 0.654488, -0.12035}},
		"TweedieRegressor 1.5 0.1":   {counts, family(1.5, 0.1), []float64{0.059983, -0.315705, 1.120247, 0.046638}},
		"LogisticRegression C=100/n": {species, Linear{Scaling: scaling, L2: 0.01}.Logistic,
			[]float64{-1.253626, 1.055761, -2.25115, 0.666294, -0.616079, -0.771684, 0.587332, -0.439682, 3.022834, -0.437396, 1.367462, -0.930066}},
		"LogisticRegression of two": {versicolor, Linear{Scaling: scaling, L2: 0.01}.Logistic, []float64{0.108489, -1.261554, -0.009151, -0.928986}},
		// With intercept_scaling=1e4, so that the intercept is free.
		"LinearSVC C=100/n": {versicolor, Linear{Scaling: scaling, L2: 0.01}.SVM, []float64{0.104479, -0.547298, -0.095861, -0.370013}},
	} {
		graph, err := c.fit(c.set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []float64
		for _, node := range graph.Nodes {
			if dense, ok := node.Op.(*model.Dense); ok {
				got = append(append(got, dense.Weight.Data...), dense.Bias...)
			}
		}
		for i, want := range c.want {
			if len(got) != len(c.want) || math.Abs(got[i]-want) > 1e-4 {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
	}
}
