package train

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// Linear trains models of one linear map and a link function: w·x + b, then sigmoid, softmax, exp or nothing.
//
// Training minimises the mean loss over the samples + L2/2·Σw², where w weighs the scaled features; biases are free.
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

// Family is the distribution of the target of a regression.
type Family int

const (
	// Gaussian with identity link: least squares, ridge with L2.
	Gaussian Family = iota
	// Poisson with log link, for counts.
	Poisson
	// Gamma with log link, for positive values whose spread grows with their mean.
	Gamma
)

// Regression fits a generalised linear model.
func (l Linear) Regression(set *dataset.Set, family Family) (*model.Graph, error) {
	if set.Labels != nil || set.Y == nil {
		return nil, errors.New("train: regression wants a set with values to be predicted, not classes")
	}
	if err := l.check(set); err != nil {
		return nil, err
	}
	y, shift, scale, err := family.normalize(set.Y)
	if err != nil {
		return nil, err
	}
	weights, bias, err := l.minimize(set, y, 1, family.loss)
	if err != nil {
		return nil, err
	}
	if family == Gaussian {
		floats.Scale(scale, weights)
		bias[0] = bias[0]*scale + shift
		return l.graph("regression", set, weights, bias, func(*model.Builder) {})
	}
	bias[0] += math.Log(scale)
	return l.graph("regression", set, weights, bias, func(b *model.Builder) { b.Activation(model.Exp) })
}

// normalize brings targets to the order of 1, so that the optimiser's tolerances mean the same for every data set:
// y = target·scale + shift. The families with log link allow a scale only.
func (f Family) normalize(y []float64) (target []float64, shift, scale float64, err error) {
	mean := floats.Sum(y) / float64(len(y))
	switch f {
	case Gaussian:
		shift = mean
		scale = math.Sqrt(floats.Dot(y, y)/float64(len(y)) - mean*mean)
	case Poisson, Gamma:
		scale = mean
		if low := floats.Min(y); low < 0 || f == Gamma && low == 0 {
			return nil, 0, 0, fmt.Errorf("train: target %v is outside the range of the family", low)
		}
	default:
		return nil, 0, 0, fmt.Errorf("train: unknown family %d", f)
	}
	if !(scale > 0) {
		return nil, 0, 0, errors.New("train: the targets are constant")
	}
	target = make([]float64, len(y))
	for i, v := range y {
		target[i] = (v - shift) / scale
	}
	return target, shift, scale, nil
}

// loss is the negative log-likelihood up to constants, and its derivative by the score.
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
		slope[0] = s - y
		return (s - y) * (s - y) / 2
	}
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
	rows := make([][]float64, set.Len())
	for i, row := range set.X {
		rows[i] = l.Scaling.apply(row)
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
				score[o] = floats.Dot(weights[o*width:(o+1)*width], row) + bias[o]
			}
			sum += loss(score, slope, y[i])
			for o, s := range slope {
				floats.AddScaled(weightSlopes[o*width:(o+1)*width], s, row)
				biasSlopes[o] += s
			}
		}
		floats.Scale(1/float64(len(rows)), gradient)
		floats.AddScaled(weightSlopes, l.L2, weights)
		return sum/float64(len(rows)) + l.L2/2*floats.Dot(weights, weights)
	}
	scratch := make([]float64, outputs*(width+1))
	problem := optimize.Problem{
		Func: func(p []float64) float64 { return objective(scratch, p) },
		Grad: func(gradient, p []float64) { objective(gradient, p) },
	}
	settings := &optimize.Settings{
		GradientThreshold: 1e-9,
		MajorIterations:   10000,
		Converger:         optimize.NeverTerminate{},
	}
	result, err := optimize.Minimize(problem, make([]float64, len(scratch)), settings, &optimize.LBFGS{Store: 30})
	// Near the optimum a line search may end at the precision of floating point, before the gradient is that small.
	if result == nil || floats.Norm(result.Gradient, math.Inf(1)) > 1e-5 {
		return nil, nil, fmt.Errorf("train: no optimum found, scaled features and a penalty help: %w", err)
	}
	weights, bias = split(result.X)
	return weights, bias, nil
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
