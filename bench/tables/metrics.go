package tables

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Names of metrics, which are the keys of BaselineModel.Metrics.
const (
	Accuracy = "accuracy"
	AUC      = "AUC"
	R2       = "R2"
	RMSE     = "RMSE"
)

// Metrics are those of a data set, the one that it is judged by first.
func (s *Set) Metrics() []string {
	switch {
	case s.Regression:
		return []string{R2, RMSE}
	case s.Unbalanced:
		return []string{AUC, Accuracy}
	case s.Image != nil:
		return []string{Accuracy}
	default:
		return []string{Accuracy, AUC}
	}
}

// Prediction is what a model says of one row, and what is true.
type Prediction struct {
	// Score rises with the probability of class 1, or is the predicted value.
	Score float64
	Class int // the predicted class
	Truth float64
}

// Measure computes a metric; it is NaN where the rows do not define it.
func Measure(metric string, rows []Prediction) float64 {
	n := float64(len(rows))
	switch metric {
	case Accuracy:
		hits := 0
		for _, r := range rows {
			if float64(r.Class) == r.Truth {
				hits++
			}
		}
		return float64(hits) / n
	case AUC:
		return areaUnderCurve(rows)
	}
	mean, residual, total := 0.0, 0.0, 0.0
	for _, r := range rows {
		mean += r.Truth / n
	}
	for _, r := range rows {
		residual += (r.Score - r.Truth) * (r.Score - r.Truth)
		total += (r.Truth - mean) * (r.Truth - mean)
	}
	if metric == RMSE {
		return math.Sqrt(residual / n)
	}
	return 1 - residual/total
}

// areaUnderCurve is the probability that a row of class 1 has a higher score than one of class 0, of equal scores a half:
// the rank sum of Mann and Whitney (1947).
func areaUnderCurve(rows []Prediction) float64 {
	sorted := slices.SortedFunc(slices.Values(rows), func(a, b Prediction) int { return cmp.Compare(a.Score, b.Score) })
	ranks, positive := 0.0, 0.0
	for from := 0; from < len(sorted); {
		to := from
		for to < len(sorted) && sorted[to].Score == sorted[from].Score {
			to++
		}
		for _, r := range sorted[from:to] {
			if r.Truth == 1 {
				ranks += float64(from+to+1) / 2 // the mean of from+1 … to
				positive++
			}
		}
		from = to
	}
	return (ranks - positive*(positive+1)/2) / (positive * (float64(len(rows)) - positive))
}

// resamples is how often rows are drawn anew for an estimate of noise.
const resamples = 200

// Noise is the standard deviation of a metric over the choice of the rows, by the bootstrap.
func Noise(metric string, rows []Prediction) float64 {
	r := rand.New(rand.NewPCG(Seed, 0))
	drawn := make([]Prediction, len(rows))
	sum, squares := 0.0, 0.0
	for range resamples {
		for i := range drawn {
			drawn[i] = rows[r.IntN(len(rows))]
		}
		v := Measure(metric, drawn)
		sum += v
		squares += v * v
	}
	mean := sum / resamples
	return math.Sqrt(max(0, squares/resamples-mean*mean))
}
