package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// Linear trains models of one linear map and a link function: w·x + b, then sigmoid, softmax, exp or nothing.
//
// Training minimises the weighted mean loss over the samples + L2/2·Σw², where w weighs the scaled features; biases are free.
// (scikit-learn's LogisticRegression has C = 1/(L2·samples) in the same role.) Without L2, a logistic regression of
// separable classes has no optimum: training then ends at weights that separate them, with scores that may be enormous.
type Linear struct {
	Scaling Scaling
	L2      float64
}

// Logistic fits a logistic regression: one score through a sigmoid, the probability of the second class, for two
// classes, and a softmax over one score per class for more.
func (l Linear) Logistic(set *dataset.Set) (*model.Graph, error) {
	if len(set.Labels) < 2 {
		return nil, fmt.Errorf("train: logistic regression of %d classes", len(set.Labels))
	}
	if err := l.check(set); err != nil {
		return nil, err
	}
	loss, outputs := crossEntropy, len(set.Labels)
	link := func(b *model.Builder) { b.Softmax() }
	if outputs == 2 {
		loss, outputs = logisticLoss, 1
		link = func(b *model.Builder) { b.Sigmoid() }
	}
	weights, bias, err := l.minimize(set, set.Y, outputs, loss)
	if err != nil {
		return nil, err
	}
	return l.graph("logistic", set, weights, bias, link)
}

// SVM fits a linear support vector machine: one score through a sigmoid, of which the side of one half counts and which
// is no probability, for two classes, and one score per class, each against the rest, for more. The loss is the squared
// hinge, max(0, 1 ∓ score)².
func (l Linear) SVM(set *dataset.Set) (*model.Graph, error) {
	if len(set.Labels) < 2 {
		return nil, fmt.Errorf("train: support vector machine of %d classes", len(set.Labels))
	}
	if err := l.check(set); err != nil {
		return nil, err
	}
	outputs, link := len(set.Labels), func(*model.Builder) {}
	if outputs == 2 {
		outputs, link = 1, func(b *model.Builder) { b.Sigmoid() }
	}
	weights, bias, err := l.minimize(set, set.Y, outputs, squaredHinge)
	if err != nil {
		return nil, err
	}
	return l.graph("svm", set, weights, bias, link)
}

// Family is the distribution of the target of a regression, by the power p of the mean that its variance grows with (B.
// Jørgensen, Exponential Dispersion Models, JRSS B 49, 1987). Values between 1 and 2 are compound Poisson-gamma: not
// negative, often zero. All but Gaussian have a log link.
type Family float64

const (
	// Gaussian with identity link: least squares, ridge with L2.
	Gaussian Family = 0
	// Poisson with log link, for counts.
	Poisson Family = 1
	// Gamma with log link, for positive values whose spread grows with their mean.
	Gamma Family = 2
)

// Regression fits a generalised linear model. The loss is half the deviance; of Gaussian, half the squared error.
func (l Linear) Regression(set *dataset.Set, family Family) (*model.Graph, error) {
	if err := l.checkRegression(set); err != nil {
		return nil, err
	}
	if family == Gaussian {
		weights, bias, err := l.leastSquares(set)
		if err != nil {
			return nil, err
		}
		return l.graph("regression", set, weights, []float64{bias}, func(*model.Builder) {})
	}
	y, scale, err := family.normalize(set.Y, shares(set))
	if err != nil {
		return nil, err
	}
	// The deviance of y/scale is smaller by the factor scale^(p−2): so has to be the penalty.
	scaled := l
	scaled.L2 *= math.Pow(scale, float64(family)-2)
	weights, bias, err := scaled.minimize(set, y, 1, family.loss)
	if err != nil {
		return nil, err
	}
	bias[0] += math.Log(scale)
	return l.graph("regression", set, weights, bias, func(b *model.Builder) { b.Activation(model.Exp) })
}

// checkRegression checks the samples of a regression.
func (l Linear) checkRegression(set *dataset.Set) error {
	if set.Labels != nil || set.Y == nil {
		return errors.New("train: regression wants a set with values to be predicted, not classes")
	}
	if err := l.check(set); err != nil {
		return err
	}
	if floats.Max(set.Y) == floats.Min(set.Y) {
		return errors.New("train: the targets are constant")
	}
	return nil
}

// normalize brings targets to a mean of 1, so that the optimiser's tolerances mean the same for every data set.
func (f Family) normalize(y, shares []float64) (target []float64, scale float64, err error) {
	if !(f >= Poisson && f <= Gamma) {
		return nil, 0, fmt.Errorf("train: power %v of the variance: want 0 for Gaussian, 1 for Poisson, 2 for gamma, or between 1 and 2", float64(f))
	}
	if low := floats.Min(y); low < 0 || f == Gamma && low == 0 {
		return nil, 0, fmt.Errorf("train: target %v is outside the range of the family", low)
	}
	scale = floats.Dot(shares, y)
	target = make([]float64, len(y))
	for i, v := range y {
		target[i] = v / scale
	}
	return target, scale, nil
}

// loss is the negative log-likelihood, half the deviance, up to constants, and its derivative by the score.
func (f Family) loss(score, slope []float64, y float64) float64 {
	s := score[0]
	switch f {
	case Poisson:
		slope[0] = math.Exp(s) - y
		return math.Exp(s) - y*s
	case Gamma:
		slope[0] = 1 - y*math.Exp(-s)
		return s + y*math.Exp(-s)
	default:
		one, two := 1-float64(f), 2-float64(f)
		slope[0] = math.Exp(two*s) - y*math.Exp(one*s)
		return math.Exp(two*s)/two - y*math.Exp(one*s)/one
	}
}

// squaredHinge is that of one score for y of 0 or 1, or of scores that each tell one class y from the rest.
func squaredHinge(score, slope []float64, y float64) float64 {
	sum := 0.0
	for c, s := range score {
		side := -1.0
		if len(score) == 1 && y == 1 || len(score) > 1 && int(y) == c {
			side = 1
		}
		short := max(0, 1-side*s)
		slope[c] = -2 * side * short
		sum += short * short
	}
	return sum
}

// logisticLoss is the cross-entropy of sigmoid(score) for y of 0 or 1.
func logisticLoss(score, slope []float64, y float64) float64 {
	margin := score[0] * (2*y - 1)
	wrong := math.Exp(-max(margin, 0)) / (math.Exp(-math.Abs(margin)) + 1) // 1 / (1 + e^margin) without overflow
	slope[0] = wrong * (1 - 2*y)
	return max(-margin, 0) + math.Log1p(math.Exp(-math.Abs(margin)))
}

// crossEntropy is that of softmax(score) for the class y.
func crossEntropy(score, slope []float64, y float64) float64 {
	total := floats.LogSumExp(score)
	for c, s := range score {
		slope[c] = math.Exp(s - total)
	}
	slope[int(y)]--
	return total - score[int(y)]
}

func (l Linear) check(set *dataset.Set) error {
	if err := checkSamples(set); err != nil {
		return err
	}
	if !(l.L2 >= 0) {
		return fmt.Errorf("train: penalty %v is negative", l.L2)
	}
	return l.Scaling.check(set.Width())
}

// minimize returns the weights (outputs, width) on the scaled features and the biases (outputs).
func (l Linear) minimize(set *dataset.Set, y []float64, outputs int, loss func(score, slope []float64, y float64) float64,
) (weights, bias []float64, err error) {
	width := set.Width()
	rows, shares := make([]features, set.Len()), shares(set)
	for i, row := range set.X {
		rows[i] = newFeatures(l.Scaling.apply(row))
	}
	split := func(p []float64) (weights, bias []float64) { return p[:outputs*width], p[outputs*width:] }
	objective := func(gradient, p []float64) float64 {
		weights, bias := split(p)
		weightSlopes, biasSlopes := split(gradient)
		clear(gradient)
		score, slope := make([]float64, outputs), make([]float64, outputs)
		sum := 0.0
		for i, row := range rows {
			for o := range score {
				score[o] = row.dot(weights[o*width:(o+1)*width]) + bias[o]
			}
			sum += shares[i] * loss(score, slope, y[i])
			for o, s := range slope {
				row.addTo(weightSlopes[o*width:(o+1)*width], shares[i]*s)
				biasSlopes[o] += shares[i] * s
			}
		}
		floats.AddScaled(weightSlopes, l.L2, weights)
		return sum + l.L2/2*floats.Dot(weights, weights)
	}
	// The optimiser asks for value and gradient of the same place one after the other.
	size := outputs * (width + 1)
	at, slopes, value := make([]float64, size), make([]float64, size), math.NaN()
	evaluate := func(p []float64) {
		if math.IsNaN(value) || !slices.Equal(p, at) {
			copy(at, p)
			value = objective(slopes, p)
		}
	}
	problem := optimize.Problem{
		Func: func(p []float64) float64 { evaluate(p); return value },
		Grad: func(gradient, p []float64) { evaluate(p); copy(gradient, slopes) },
	}
	settings := &optimize.Settings{
		GradientThreshold: 1e-9,
		MajorIterations:   10000,
		Converger:         optimize.NeverTerminate{},
	}
	result, err := optimize.Minimize(problem, make([]float64, size), settings, &optimize.LBFGS{Store: 30})
	// Near the optimum a line search may end at the precision of floating point, before the gradient is that small.
	if result == nil || floats.Norm(result.Gradient, math.Inf(1)) > 1e-5 {
		return nil, nil, fmt.Errorf("train: no optimum found, scaled features and a penalty help: %w", err)
	}
	weights, bias = split(result.X)
	return weights, bias, nil
}

// features are those of one sample; where most are zero, as words and bits of categories are, the others with their places.
type features struct {
	places []int32 // nil for all
	values []float64
}

func newFeatures(row []float64) features {
	var f features
	for _, v := range row {
		if v != 0 {
			f.values = append(f.values, v)
		}
	}
	if 2*len(f.values) > len(row) {
		return features{values: row}
	}
	f.places = make([]int32, 0, len(f.values))
	for j, v := range row {
		if v != 0 {
			f.places = append(f.places, int32(j))
		}
	}
	return f
}

func (f features) dot(weights []float64) float64 {
	if f.places == nil {
		return floats.Dot(weights, f.values)
	}
	sum := 0.0
	for i, j := range f.places {
		sum += weights[j] * f.values[i]
	}
	return sum
}

// addTo adds the features times a factor.
func (f features) addTo(sums []float64, factor float64) {
	if f.places == nil {
		floats.AddScaled(sums, factor, f.values)
		return
	}
	for i, j := range f.places {
		sums[j] += factor * f.values[i]
	}
}

// graph writes the trained model: scaling, linear map, link.
func (l Linear) graph(name string, set *dataset.Set, weights, bias []float64, link func(*model.Builder)) (*model.Graph, error) {
	b := model.New(name, set.Shape)
	l.Scaling.emit(b)
	emitDense(b, weights, bias)
	link(b)
	graph, err := b.Graph()
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return graph, nil
}
