// Package dataset holds what models are trained and measured on: labelled samples, their deterministic division into
// parts, and readers for the sources that recipes use.
//
//	set, err := dataset.Digits()
//	train, test := set.Split(0.15, 1)
//
// Iris, the 8x8 digits and breast cancer Wisconsin are part of the package (origin and licences: data/README.md).
// Spambase and MNIST are read through a Source: from a folder, or downloaded once into the user's cache. Every file
// is checked by its SHA-256 before a value of it is used. CSV reads anything else.
//
// Divisions and generated sets depend on their seed alone: the same seed gives the same rows on every machine.
package dataset

import (
	"fmt"
	"math"
)

// Set is a table of labelled samples. Subsets share the rows of X: treat the values as read-only.
type Set struct {
	// X holds one row per sample, all of the same length. NaN marks a missing value.
	X [][]float64
	// Y holds the target per sample: the class index where Labels is set, the value to be predicted otherwise.
	// It is nil in a set without targets.
	Y []float64
	// Weights says how much each sample counts in training; nil where all count alike.
	Weights []float64
	// Features names the columns of X; nil where they have no names.
	Features []string
	// Labels names the classes; nil for regression.
	Labels []string
	// Shape is the shape of one sample, row-major, channels first: (1, 28, 28) for an image, (n) for n features.
	Shape []int
	// Ranges holds what the documentation of the data set says about the values of each column, never what a sample
	// of the data says; nil where nothing is documented.
	Ranges []Range
}

// Range is the documented range of a feature.
type Range struct {
	// Min and Max bound the values of interest; values outside are allowed.
	Min, Max float64
	// Log is true where the values spread over orders of magnitude: then Min > 0 is the smallest value that differs
	// from none.
	Log bool
}

// Len returns the number of samples.
func (s *Set) Len() int { return len(s.X) }

// Width returns the number of features.
func (s *Set) Width() int {
	size := 1
	for _, n := range s.Shape {
		size *= n
	}
	return size
}

// Class returns the class index of sample i.
func (s *Set) Class(i int) int { return int(s.Y[i]) }

// ClassCounts returns the number of samples of each class.
func (s *Set) ClassCounts() []int {
	counts := make([]int, len(s.Labels))
	for i := range s.Y {
		counts[s.Class(i)]++
	}
	return counts
}

// Validate checks that all fields agree with each other.
func (s *Set) Validate() error {
	width := s.Width()
	if len(s.Shape) == 0 || width <= 0 {
		return fmt.Errorf("dataset: shape %v has no values", s.Shape)
	}
	for i, row := range s.X {
		if len(row) != width {
			return fmt.Errorf("dataset: row %d has %d values, the shape %v wants %d", i, len(row), s.Shape, width)
		}
	}
	if s.Features != nil && len(s.Features) != width {
		return fmt.Errorf("dataset: %d feature names for %d features", len(s.Features), width)
	}
	if s.Ranges != nil && len(s.Ranges) != width {
		return fmt.Errorf("dataset: %d ranges for %d features", len(s.Ranges), width)
	}
	if s.Y != nil && len(s.Y) != len(s.X) {
		return fmt.Errorf("dataset: %d targets for %d rows", len(s.Y), len(s.X))
	}
	if s.Weights != nil && len(s.Weights) != len(s.X) {
		return fmt.Errorf("dataset: %d weights for %d rows", len(s.Weights), len(s.X))
	}
	for i, w := range s.Weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return fmt.Errorf("dataset: row %d has weight %v: want one above 0", i, w)
		}
	}
	if s.Labels == nil {
		return nil
	}
	for i, y := range s.Y {
		if y != math.Trunc(y) || y < 0 || y >= float64(len(s.Labels)) {
			return fmt.Errorf("dataset: row %d has class %v of %d", i, y, len(s.Labels))
		}
	}
	return nil
}

// Subset returns the samples at the given indices, in that order.
func (s *Set) Subset(indices []int) *Set {
	part := *s
	part.X = make([][]float64, len(indices))
	for i, j := range indices {
		part.X[i] = s.X[j]
	}
	part.Y, part.Weights = pick(s.Y, indices), pick(s.Weights, indices)
	return &part
}

func pick(list []float64, indices []int) []float64 {
	if list == nil {
		return nil
	}
	part := make([]float64, len(indices))
	for i, j := range indices {
		part[i] = list[j]
	}
	return part
}

// Weight returns how much sample i counts, 1 where all count alike.
func (s *Set) Weight(i int) float64 {
	if s.Weights == nil {
		return 1
	}
	return s.Weights[i]
}

// Balanced returns the set with weights such that each class counts as much as any other, and a sample one in the mean;
// within a class they are as before.
func (s *Set) Balanced() *Set {
	total := make([]float64, len(s.Labels))
	for i := range s.Y {
		total[s.Class(i)] += s.Weight(i)
	}
	present := 0.0
	for _, t := range total {
		if t > 0 {
			present++
		}
	}
	balanced := *s
	balanced.Weights = make([]float64, s.Len())
	for i := range s.Y {
		balanced.Weights[i] = s.Weight(i) * float64(s.Len()) / (present * total[s.Class(i)])
	}
	return &balanced
}

// Complete returns the samples without missing values.
func (s *Set) Complete() *Set {
	var indices []int
	for i, row := range s.X {
		if !hasNaN(row) {
			indices = append(indices, i)
		}
	}
	return s.Subset(indices)
}

func hasNaN(row []float64) bool {
	for _, v := range row {
		if math.IsNaN(v) {
			return true
		}
	}
	return false
}
