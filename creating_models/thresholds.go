package main

import (
	"fmt"
	"io"
	"math"

	"cipherpoint/model/trees"
	"cipherpoint/pipeline"
)

// What --thresholds takes.
const (
	thresholdsExact   = "exact"
	thresholdsPrivate = "private"
)

// gridEdges is the number of edges of a feature, at most, to which thresholds are moved.
const gridEdges = 64

// hideThresholds moves the trees' thresholds to a public grid and prints what that does to the answers.
func (p *publication) hideThresholds(w io.Writer) error {
	before, err := p.model.Graph.RunRows(p.set.X)
	if err != nil {
		return err
	}
	s, err := trees.Snap(p.model.Graph, p.set.X, trees.Quantiles(gridEdges))
	if err != nil {
		return err
	}
	after, err := s.Graph.RunRows(p.set.X)
	if err != nil {
		return err
	}
	p.model.Graph, p.grid = s.Graph, s.Grid.Edges
	fmt.Fprintf(w, "thresholds: %d of %d moved to a grid of quantiles, past %.2g %% of the rows at most", s.Moved, s.Bounds, 100*s.Crossed)
	labels, largest := 0, 0.0
	for i := range before {
		if pipeline.Label(before[i]) != pipeline.Label(after[i]) {
			labels++
		}
		for k, v := range before[i] {
			largest = math.Max(largest, math.Abs(after[i][k]-v))
		}
	}
	if p.model.Classes != nil {
		fmt.Fprintf(w, "; %d of %d labels change", labels, len(before))
	}
	fmt.Fprintf(w, "; answers change by %.3g at most\n", largest)
	return nil
}
