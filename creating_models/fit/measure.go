package fit

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// Measure is what sizes are compared by.
type Measure string

// The measures. Of several classes AUC and F1 are the mean over the classes, each against all others; of two, F1 is that of
// the second.
const (
	// MeasureUsual is accuracy for classes, R² for values and the share of deviance explained for those with a log link.
	MeasureUsual Measure = ""
	Accuracy     Measure = "accuracy"
	AUC          Measure = "auc" // area under the ROC curve
	F1           Measure = "f1"
	RMSE         Measure = "rmse"
	MAE          Measure = "mae"
	R2           Measure = "r2"
)

// measure scores answers.
type measure struct {
	name string
	// error holds if less is better, down to 0; of others 1 is perfect.
	error bool
	score func(answers [][]float64, y []float64) float64
}

// loss is what a score is short of a perfect one.
func (m *measure) loss(score float64) float64 {
	if m.error {
		return score
	}
	return 1 - score
}

func (m *measure) lossName() string {
	if m.error {
		return m.name
	}
	return "1 − " + m.name
}

// measure returns the one that is asked for.
func (o Options) measure(set *dataset.Set) (*measure, error) {
	choice, power, log := o.Measure, 0.0, false
	if choice == MeasureUsual {
		power, log = o.power()
		choice = R2
		if set.Labels != nil {
			choice = Accuracy
		}
	}
	forClasses := choice == Accuracy || choice == AUC || choice == F1
	switch {
	case !forClasses && choice != RMSE && choice != MAE && choice != R2:
		return nil, fmt.Errorf("measure %q: want accuracy, auc or f1 for classes, rmse, mae or r2 for values", choice)
	case forClasses && set.Labels == nil:
		return nil, fmt.Errorf("measure %s is for classes: want rmse, mae or r2 for values", choice)
	case !forClasses && set.Labels != nil:
		return nil, fmt.Errorf("measure %s is for values: want accuracy, auc or f1 for classes", choice)
	}
	classes := len(set.Labels)
	switch choice {
	case Accuracy:
		return &measure{name: "accuracy", score: accuracy}, nil
	case AUC:
		return &measure{name: "AUC", score: func(answers [][]float64, y []float64) float64 {
			return overClasses(classes, func(class int) float64 { return areaUnderCurve(answers, y, class) })
		}}, nil
	case F1:
		return &measure{name: "F1", score: func(answers [][]float64, y []float64) float64 {
			return overClasses(classes, func(class int) float64 { return f1(answers, y, class) })
		}}, nil
	case RMSE:
		return &measure{name: "RMSE", error: true, score: func(answers [][]float64, y []float64) float64 {
			return math.Sqrt(meanLoss(answers, y, squared))
		}}, nil
	case MAE:
		return &measure{name: "MAE", error: true, score: func(answers [][]float64, y []float64) float64 {
			return meanLoss(answers, y, func(answer, y float64) float64 { return math.Abs(answer - y) })
		}}, nil
	}
	name, loss := "R²", squared
	if log {
		name = "explained deviance"
		loss = func(answer, y float64) float64 { return deviance(answer, y, power) }
	}
	constant := make([][]float64, set.Len())
	mean, _ := spread(set.Y)
	for i := range constant {
		constant[i] = []float64{mean}
	}
	worst := meanLoss(constant, set.Y, loss)
	return &measure{name: name, score: func(answers [][]float64, y []float64) float64 { return 1 - meanLoss(answers, y, loss)/worst }}, nil
}

func squared(answer, y float64) float64 { return (answer - y) * (answer - y) }

func meanLoss(answers [][]float64, y []float64, loss func(answer, y float64) float64) float64 {
	sum := 0.0
	for i, answer := range answers {
		sum += loss(answer[0], y[i])
	}
	return sum / float64(len(answers))
}

func accuracy(answers [][]float64, y []float64) float64 {
	hits := 0
	for i, answer := range answers {
		if pipeline.Label(answer) == int(y[i]) {
			hits++
		}
	}
	return float64(hits) / float64(len(answers))
}

// overClasses is the figure of the second of two classes, or the mean over more.
func overClasses(classes int, figure func(class int) float64) float64 {
	if classes == 2 {
		return figure(1)
	}
	sum := 0.0
	for class := range classes {
		sum += figure(class) / float64(classes)
	}
	return sum
}

// areaUnderCurve is the probability that a row of the class has a higher score for it than one of another, of equal scores a
// half: the rank sum of Mann and Whitney (1947). It is NaN where all rows are of the class or none.
func areaUnderCurve(answers [][]float64, y []float64, class int) float64 {
	score := func(i int) float64 { return answers[i][min(class, len(answers[i])-1)] }
	order := make([]int, len(y))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case score(a) < score(b):
			return -1
		case score(a) > score(b):
			return 1
		}
		return 0
	})
	ranks, members := 0.0, 0.0
	for from, to := 0, 0; from < len(order); from = to {
		for to < len(order) && score(order[to]) == score(order[from]) {
			to++
		}
		for _, i := range order[from:to] {
			if int(y[i]) == class {
				ranks += float64(from+to+1) / 2 // the mean of from+1 … to
				members++
			}
		}
	}
	return (ranks - members*(members+1)/2) / (members * (float64(len(y)) - members))
}

// f1 is the harmonic mean of precision and recall of a class, 0 where it is never found.
func f1(answers [][]float64, y []float64, class int) float64 {
	both, found, there := 0.0, 0.0, 0.0
	for i, answer := range answers {
		label := pipeline.Label(answer)
		if label == class {
			found++
		}
		if int(y[i]) == class {
			there++
			if label == class {
				both++
			}
		}
	}
	if both == 0 {
		return 0
	}
	return 2 * both / (found + there)
}

// deviance is that of one value with variance mean^power; for power 1 and 2 it is the limit.
func deviance(mean, y, power float64) float64 {
	switch power {
	case 1:
		d := mean - y
		if y > 0 {
			d += y * math.Log(y/mean)
		}
		return 2 * d
	case 2:
		return 2 * (math.Log(mean/y) + y/mean - 1)
	}
	return 2 * (math.Pow(y, 2-power)/((1-power)*(2-power)) - y*math.Pow(mean, 1-power)/(1-power) + math.Pow(mean, 2-power)/(2-power))
}
