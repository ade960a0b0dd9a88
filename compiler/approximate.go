package compiler

import (
	"fmt"
	"math"

	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// labelChanges is the share of calibration rows whose label polynomials may change where the caller states none.
const labelChanges = 0.01

// approximate puts polynomials in the place of encrypted activations and max pools. For a classifier, labels count: a
// share of them may change, and weights may be fitted anew. Else half of the error allowed may come from approximation,
// on every row, and half from noise.
func (o Options) approximate(g *model.Graph, rows, want [][]float64) (*approximation.Result, error) {
	encrypted := make([]bool, len(g.Nodes))
	for i, side := range assign(g) {
		encrypted[i] = side == onServer
	}
	options := approximation.Options{Loss: largestDifference, Limit: o.bound(want) / 2, EveryAnswer: true,
		Progress: func(step string) { o.progress("approximating " + step) }}
	if len(o.Classes) > 0 {
		options = approximation.Options{Loss: labelsChanged, Limit: o.MaxLabelChanges, Refit: !o.KeepWeights, Progress: options.Progress}
		if options.Limit == 0 {
			options.Limit = labelChanges
		}
		options.Judged = int(1 / options.Limit) // so that a single label may change
	}
	result, err := approximation.Replace(g, encrypted, rows, options)
	if err != nil {
		return nil, fmt.Errorf("approximating: %w", err)
	}
	return result, nil
}

func largestDifference(a, b [][]float64) float64 {
	largest := 0.0
	for i := range a {
		for j := range a[i] {
			d := math.Abs(a[i][j] - b[i][j])
			if math.IsNaN(d) {
				return math.Inf(1)
			}
			largest = max(largest, d)
		}
	}
	return largest
}

// labelsChanged is the share of rows with another label.
func labelsChanged(got, want [][]float64) float64 {
	changed := 0
	for i := range want {
		if pipeline.Label(got[i]) != pipeline.Label(want[i]) {
			changed++
		}
	}
	return float64(changed) / float64(len(want))
}
