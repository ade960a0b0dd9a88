package trees

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"cipherpoint/model/dataset"
)

// MaxBins is the largest number of bins of a feature.
const MaxBins = 256

// Grid holds the thresholds a feature may be split at. A client compares its values with the whole grid, so it is
// public: build it from documented ranges, never from samples.
type Grid struct {
	// Edges holds the thresholds of each feature in ascending order. n edges part the values into n + 1 bins; bin b
	// holds the values that reach (>=) exactly b edges. A missing value (NaN) reaches none.
	Edges [][]float64
}

// NewGrid divides every range into the given number of bins, 2 to MaxBins: equal ones, or ones of equal ratio above
// Min where the range is logarithmic (the first bin then holds everything below Min).
func NewGrid(ranges []dataset.Range, bins int) (Grid, error) {
	if bins < 2 || bins > MaxBins {
		return Grid{}, fmt.Errorf("trees: %d bins, want 2 to %d", bins, MaxBins)
	}
	if len(ranges) == 0 {
		return Grid{}, errors.New("trees: no documented ranges to build a grid from")
	}
	g := Grid{Edges: make([][]float64, len(ranges))}
	for f, r := range ranges {
		if r.Log {
			g.Edges[f] = Geometric(r.Min, r.Max, bins-1)
		} else {
			g.Edges[f] = Uniform(r.Min, r.Max, bins-1)
		}
	}
	return g, g.check()
}

// Uniform returns n edges that divide [min, max] into n + 1 equal bins.
func Uniform(min, max float64, n int) []float64 {
	edges := make([]float64, n)
	for i := range edges {
		edges[i] = min + (max-min)*float64(i+1)/float64(n+1)
	}
	return edges
}

// Geometric returns n edges that begin with min and divide [min, max] into n bins of equal ratio. 0 < min < max.
func Geometric(min, max float64, n int) []float64 {
	edges := make([]float64, n)
	for i := range edges {
		edges[i] = min * math.Pow(max/min, float64(i)/float64(n))
	}
	return edges
}

func (g Grid) check() error {
	for f, edges := range g.Edges {
		if len(edges) == 0 || len(edges) >= MaxBins {
			return fmt.Errorf("trees: feature %d has %d edges, want 1 to %d", f, len(edges), MaxBins-1)
		}
		for i, edge := range edges {
			if math.IsNaN(edge) || math.IsInf(edge, 0) || i > 0 && edge <= edges[i-1] {
				return fmt.Errorf("trees: the edges of feature %d are not ascending numbers", f)
			}
		}
	}
	return nil
}

// Bin returns the number of edges of a feature that x reaches.
func (g Grid) Bin(feature int, x float64) int {
	edges := g.Edges[feature]
	return sort.Search(len(edges), func(i int) bool { return !(x >= edges[i]) })
}

// columns holds the bins of every sample, feature by feature: training scans one feature at a time.
type columns [][]uint8

func (g Grid) columns(s *dataset.Set) (columns, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Width() != len(g.Edges) {
		return nil, fmt.Errorf("trees: a grid of %d features for a set of %d", len(g.Edges), s.Width())
	}
	if s.Len() == 0 || s.Y == nil {
		return nil, errors.New("trees: no labelled samples to train on")
	}
	if slices.ContainsFunc(s.Y, func(y float64) bool { return math.IsNaN(y) || math.IsInf(y, 0) }) {
		return nil, errors.New("trees: a target is not a finite number")
	}
	bins := make(columns, len(g.Edges))
	for f := range bins {
		bins[f] = make([]uint8, s.Len())
		for i, row := range s.X {
			bins[f][i] = uint8(g.Bin(f, row[f]))
		}
	}
	return bins, nil
}
