package fit

import (
	"math"

	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// measure scores answers: 1 is perfect, and of regressions 0 is what a constant reaches.
type measure struct {
	name  string
	loss  func(answer []float64, y float64) float64
	worst float64 // mean loss of a constant; 1 for classes
}

// measure is accuracy for classes, R² for values and the share of deviance explained for those with a log link.
func (o Options) measure(set *dataset.Set) *measure {
	m := &measure{name: "accuracy", worst: 1, loss: func(answer []float64, y float64) float64 {
		if pipeline.Label(answer) == int(y) {
			return 0
		}
		return 1
	}}
	if set.Labels != nil {
		return m
	}
	m.name = "R²"
	m.loss = func(answer []float64, y float64) float64 { return (answer[0] - y) * (answer[0] - y) }
	if power, log := o.power(); log {
		m.name = "explained deviance"
		m.loss = func(answer []float64, y float64) float64 { return deviance(answer[0], y, power) }
	}
	mean := 0.0
	for _, y := range set.Y {
		mean += y / float64(set.Len())
	}
	m.worst = 0
	for _, y := range set.Y {
		m.worst += m.loss([]float64{mean}, y) / float64(set.Len())
	}
	return m
}

func (m *measure) score(answers [][]float64, y []float64) float64 {
	loss := 0.0
	for i, answer := range answers {
		loss += m.loss(answer, y[i]) / float64(len(answers))
	}
	return 1 - loss/m.worst
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
