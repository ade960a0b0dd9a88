// Package train fits linear models and small neural networks and returns them as model graphs.
//
//	known, unseen := set.StratifiedSplit(0.25, 1)
//	graph, err := train.Network{
//		Input:   known.Shape,
//		Scaling: train.Scale(1.0 / 16),
//		Layers:  []train.Layer{train.Conv{Filters: 16, Kernel: 4, Stride: 2, Pad: 1}, train.Square{}, train.Dense{Units: 10}},
//	}.Fit(known, train.Options{Epochs: 80, Batch: 64, LearningRate: 0.01, LabelSmoothing: 0.05, Average: 0.99, Seed: 1})
//
//	graph, err := train.Linear{Scaling: train.Standardize(known), L2: 0.01}.Logistic(known)
//
// Linear models are fitted in double precision by L-BFGS (gonum), networks in single precision by Adam (GoMLX on its
// backend in Go, without cgo). Every fit is deterministic: the same set, options and seed give the same bits,
// whatever the number of cores. Other processor architectures may round differently.
//
// # Dangers
//
// A network of squares has no bound: an input far outside the training data gives an activation far outside the range
// that a compiler calibrated. Scaling, weight decay and label smoothing keep ranges small; measure them on the training
// set.
//
// The training library computes addresses as integers, which the compiler's pointer checks reject: a test that fits a
// network would abort under -race and has to skip itself (see internal/race).
package train

import (
	"errors"
	"fmt"
	"math"

	"cipherpoint/model/dataset"
)

// shares are the samples' weights, divided by the sum of all.
func shares(set *dataset.Set) []float64 {
	list, total := make([]float64, set.Len()), 0.0
	for i := range list {
		list[i] = set.Weight(i)
		total += list[i]
	}
	for i := range list {
		list[i] /= total
	}
	return list
}

// checkSamples refuses what nothing can be learnt from.
func checkSamples(set *dataset.Set) error {
	if err := set.Validate(); err != nil {
		return err
	}
	if set.Len() == 0 || set.Y == nil {
		return errors.New("train: the set has no samples with targets")
	}
	for i, row := range set.X {
		for j, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("train: feature %d of sample %d is missing or not finite", j, i)
			}
		}
	}
	return nil
}
