package train

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// generated returns n samples of standard normal features, far from standard scale, with targets made by target from
// a score of the features.
func generated(n, width int, target func(draw *rand.Rand, score float64) float64) *dataset.Set {
	draw := rand.New(rand.NewPCG(5, 6))
	set := &dataset.Set{Shape: []int{width}}
	for range n {
		row := make([]float64, width)
		score := 0.2
		for j := range row {
			v := draw.NormFloat64()
			score += v * math.Cos(float64(j))
			row[j] = 100*float64(j) + 10*v
		}
		set.X = append(set.X, row)
		set.Y = append(set.Y, target(draw, score))
	}
	return set
}

func classes(count int) func(*rand.Rand, float64) float64 {
	return func(draw *rand.Rand, score float64) float64 {
		c := math.Floor((score+draw.NormFloat64())/2 + float64(count)/2)
		return min(max(c, 0), float64(count-1))
	}
}

func predict(t *testing.T, g *model.Graph, set *dataset.Set) [][]float64 {
	t.Helper()
	out, err := g.RunRows(set.X)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func accuracy(t *testing.T, g *model.Graph, set *dataset.Set) float64 {
	t.Helper()
	hits := 0
	for i, p := range predict(t, g, set) {
		if len(p) == 1 { // the probability of the second class
			p = []float64{1 - p[0], p[0]}
		}
		if slices.Index(p, slices.Max(p)) == set.Class(i) {
			hits++
		}
	}
	return float64(hits) / float64(set.Len())
}

// At the optimum without penalty, the residuals are orthogonal to every feature and to the constant: the likelihood
// equations, checked from the predictions alone.
func TestLikelihoodEquations(t *testing.T) {
	residual := func(p []float64, y float64) []float64 {
		r := slices.Clone(p)
		if len(r) == 1 {
			r[0] -= y
		} else {
			r[int(y)]--
		}
		return r
	}
	for name, c := range map[string]struct {
		labels   []string
		target   func(*rand.Rand, float64) float64
		fit      func(Linear, *dataset.Set) (*model.Graph, error)
		residual func(p []float64, y float64) []float64
	}{
		"binary":      {[]string{"a", "b"}, classes(2), Linear.Logistic, residual},
		"multinomial": {[]string{"a", "b", "c"}, classes(3), Linear.Logistic, residual},
		"gaussian": {nil, func(draw *rand.Rand, s float64) float64 { return 1e4 + 500*s + draw.NormFloat64() },
			regression(Gaussian), residual},
		"poisson": {nil, func(draw *rand.Rand, s float64) float64 { return math.Floor(math.Exp(s/2 + draw.Float64())) },
			regression(Poisson), residual},
		"gamma": {nil, func(draw *rand.Rand, s float64) float64 { return 300 * math.Exp(s/2) * draw.ExpFloat64() },
			regression(Gamma), func(p []float64, y float64) []float64 { return []float64{1 - y/p[0]} }},
	} {
		t.Run(name, func(t *testing.T) {
			set := generated(300, 5, c.target)
			set.Labels = c.labels
			graph, err := c.fit(Linear{Scaling: Standardize(set)}, set)
			if err != nil {
				t.Fatal(err)
			}
			scaled := set.Stats().Apply(set)
			var scale float64
			sums := make([][]float64, max(1, len(c.labels)))
			for i, p := range predict(t, graph, set) {
				scale = max(scale, math.Abs(set.Y[i]))
				for o, r := range c.residual(p, set.Y[i]) {
					if sums[o] == nil {
						sums[o] = make([]float64, 6)
					}
					for j, v := range append(slices.Clone(scaled.X[i]), 1) {
						sums[o][j] += r * v / float64(set.Len())
					}
				}
			}
			for o := range sums {
				for j, s := range sums[o] {
					if math.Abs(s) > 1e-7*max(1, scale) {
						t.Errorf("output %d: residuals times feature %d have mean %g", o, j, s)
					}
				}
			}
		})
	}
}

func regression(family Family) func(Linear, *dataset.Set) (*model.Graph, error) {
	return func(l Linear, set *dataset.Set) (*model.Graph, error) { return l.Regression(set, family) }
}

// Ridge has a closed form: (XᵀX/n + λI)·w = Xᵀy/n on centred data.
func TestRidgeEqualsClosedForm(t *testing.T) {
	const lambda = 0.3
	set := generated(200, 4, func(draw *rand.Rand, s float64) float64 { return 7 + 3*s + draw.NormFloat64() })
	graph, err := Linear{Scaling: Standardize(set), L2: lambda}.Regression(set, Gaussian)
	if err != nil {
		t.Fatal(err)
	}
	x := mat.NewDense(set.Len(), 4, slices.Concat(set.Stats().Apply(set).X...))
	y := mat.NewVecDense(set.Len(), nil)
	mean := 0.0
	for _, v := range set.Y {
		mean += v / float64(set.Len())
	}
	for i, v := range set.Y {
		y.SetVec(i, v-mean)
	}
	var normal mat.Dense
	normal.Mul(x.T(), x)
	normal.Scale(1/float64(set.Len()), &normal)
	for j := range 4 {
		normal.Set(j, j, normal.At(j, j)+lambda)
	}
	var moment, want, fitted mat.VecDense
	moment.MulVec(x.T(), y)
	moment.ScaleVec(1/float64(set.Len()), &moment)
	if err := want.SolveVec(&normal, &moment); err != nil {
		t.Fatal(err)
	}
	fitted.MulVec(x, &want)
	for i, p := range predict(t, graph, set) {
		if math.Abs(p[0]-mean-fitted.AtVec(i)) > 1e-6 {
			t.Fatalf("sample %d: %v, closed form %v", i, p[0], mean+fitted.AtVec(i))
		}
	}
}

func TestLossSlopes(t *testing.T) {
	const h = 1e-6
	for name, c := range map[string]struct {
		loss func(score, slope []float64, y float64) float64
		ys   []float64
		n    int
	}{
		"logistic":      {logisticLoss, []float64{0, 1}, 1},
		"cross-entropy": {crossEntropy, []float64{0, 1, 2}, 3},
		"hinge":         {squaredHinge, []float64{0, 1}, 1},
		"hinges":        {squaredHinge, []float64{0, 2}, 3},
		"tweedie":       {Family(1.5).loss, []float64{0, 3}, 1},
		"poisson":       {Poisson.loss, []float64{0, 3}, 1},
		"gamma":         {Gamma.loss, []float64{0.5, 3}, 1},
	} {
		for _, y := range c.ys {
			for _, s := range []float64{-3, -0.1, 0.2, 4} {
				score, slope, ignored := make([]float64, c.n), make([]float64, c.n), make([]float64, c.n)
				for o := range score {
					score[o] = s * float64(o+1)
				}
				c.loss(score, slope, y)
				for o := range score {
					up, down := slices.Clone(score), slices.Clone(score)
					up[o] += h
					down[o] -= h
					numeric := (c.loss(up, ignored, y) - c.loss(down, ignored, y)) / (2 * h)
					if math.Abs(numeric-slope[o]) > 1e-6*max(1, math.Abs(numeric)) {
						t.Errorf("%s y=%v score=%v: slope %v, numeric %v", name, y, score, slope[o], numeric)
					}
				}
			}
		}
	}
	// Far from the optimum nothing overflows.
	slope := make([]float64, 1)
	if l := logisticLoss([]float64{1e4}, slope, 0); l != 1e4 || slope[0] != 1 {
		t.Errorf("logistic loss at 1e4: %v, slope %v", l, slope[0])
	}
	if l := logisticLoss([]float64{-1e4}, slope, 0); l != 0 || slope[0] != 0 {
		t.Errorf("logistic loss at -1e4: %v, slope %v", l, slope[0])
	}
}

func TestLogisticAccuracy(t *testing.T) {
	cancer, err := dataset.BreastCancer()
	if err != nil {
		t.Fatal(err)
	}
	known, unseen := cancer.StratifiedSplit(0.25, 1)
	graph, err := Linear{Scaling: Standardize(known), L2: 0.01}.Logistic(known)
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, graph, unseen); a < 0.96 {
		t.Errorf("breast cancer: accuracy %.4f, want 0.96", a)
	}
}

func TestLinearIsDeterministic(t *testing.T) {
	set := generated(500, 6, classes(3))
	set.Labels = []string{"a", "b", "c"}
	var first []byte
	for range 2 {
		graph, err := Linear{Scaling: Standardize(set)}.Logistic(set)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(graph)
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, text) {
			t.Error("two fits differ")
		}
		first = text
	}
}

// Separable classes have no optimum without penalty; training must end all the same, with the classes separated.
func TestSeparable(t *testing.T) {
	set := &dataset.Set{Shape: []int{1}, Labels: []string{"a", "b"}}
	for i := range 20 {
		set.X = append(set.X, []float64{float64(i)})
		set.Y = append(set.Y, float64(i/10))
	}
	graph, err := Linear{Scaling: Standardize(set)}.Logistic(set)
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, graph, set); a != 1 {
		t.Errorf("accuracy %v", a)
	}
}

func TestLinearRefuses(t *testing.T) {
	good := func() *dataset.Set {
		return &dataset.Set{Shape: []int{1}, Labels: []string{"a", "b"}, X: [][]float64{{1}, {2}, {3}}, Y: []float64{0, 1, 0}}
	}
	values := func(y ...float64) *dataset.Set {
		set := good()
		set.Labels, set.Y = nil, y
		return set
	}
	for name, fit := range map[string]func() (*model.Graph, error){
		"one class": func() (*model.Graph, error) {
			set := good()
			set.Labels, set.Y = []string{"a"}, []float64{0, 0, 0}
			return Linear{}.Logistic(set)
		},
		"missing value": func() (*model.Graph, error) {
			set := good()
			set.X[1][0] = math.NaN()
			return Linear{}.Logistic(set)
		},
		"no samples":       func() (*model.Graph, error) { return Linear{}.Logistic(good().Subset(nil)) },
		"negative penalty": func() (*model.Graph, error) { return Linear{L2: -1}.Logistic(good()) },
		"scaling of two": func() (*model.Graph, error) {
			return Linear{Scaling: Scaling{make([]float64, 2), make([]float64, 2)}}.Logistic(good())
		},
		"regression of labels": func() (*model.Graph, error) { return Linear{}.Regression(good(), Gaussian) },
		"constant target":      func() (*model.Graph, error) { return Linear{}.Regression(values(2, 2, 2), Gaussian) },
		"negative count":       func() (*model.Graph, error) { return Linear{}.Regression(values(1, -1, 3), Poisson) },
		"zero gamma":           func() (*model.Graph, error) { return Linear{}.Regression(values(1, 0, 3), Gamma) },
		"unknown family":       func() (*model.Graph, error) { return Linear{}.Regression(values(1, 0, 3), 9) },
	} {
		if graph, err := fit(); err == nil || graph != nil {
			t.Errorf("%s: graph %v, error %v", name, graph, err)
		}
	}
}

// A sample of weight 2 is as good as two samples.
func TestWeightsCountAsSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	weighed, twice := &dataset.Set{Shape: []int{2}}, &dataset.Set{Shape: []int{2}}
	for i := range 60 {
		x := []float64{r.NormFloat64(), r.Float64()}
		y, weight := math.Exp(x[0]+r.NormFloat64()/2), 1+i%2
		weighed.X, weighed.Y, weighed.Weights = append(weighed.X, x), append(weighed.Y, y), append(weighed.Weights, float64(weight)/3)
		for range weight {
			twice.X, twice.Y = append(twice.X, x), append(twice.Y, y)
		}
	}
	classes := func(s *dataset.Set) *dataset.Set {
		c := *s
		c.Labels, c.Y = []string{"a", "b"}, slices.Clone(s.Y)
		for i, y := range c.Y {
			c.Y[i] = min(1, math.Floor(y))
		}
		return &c
	}
	for name, fit := range map[string]func(*dataset.Set) (*model.Graph, error){
		"ridge":    func(s *dataset.Set) (*model.Graph, error) { return Linear{L2: 0.1}.Regression(s, Gaussian) },
		"gamma":    func(s *dataset.Set) (*model.Graph, error) { return Linear{L2: 0.1}.Regression(s, Gamma) },
		"lasso":    func(s *dataset.Set) (*model.Graph, error) { return ElasticNet{L1: 0.1}.Fit(s) },
		"logistic": func(s *dataset.Set) (*model.Graph, error) { return Linear{L2: 0.1}.Logistic(classes(s)) },
	} {
		var answers [2][][]float64
		for i, set := range []*dataset.Set{weighed, twice} {
			graph, err := fit(set)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if answers[i], err = graph.RunRows([][]float64{{0.5, 0.5}}); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := answers[0][0][0], answers[1][0][0]; math.Abs(a-b) > 1e-6*math.Abs(b) {
			t.Errorf("%s: %v with weights, %v of rows that are there twice", name, a, b)
		}
	}
}
