package dataset

import "math"

// Stats are the mean and the standard deviation of each feature.
type Stats struct{ Mean, Std []float64 }

// Stats measures every column over the samples where it is not missing; the deviation is that of the population
// (divided by n). A constant or empty column gets deviation 1, so that standardising never divides by zero.
func (s *Set) Stats() Stats {
	width := s.Width()
	stats := Stats{Mean: make([]float64, width), Std: make([]float64, width)}
	for j := range width {
		// Two passes: the one-pass formula cancels where the mean is far larger than the deviation.
		var n, sum, squares float64
		for _, row := range s.X {
			if !math.IsNaN(row[j]) {
				n++
				sum += row[j]
			}
		}
		if n > 0 {
			stats.Mean[j] = sum / n
		}
		for _, row := range s.X {
			if !math.IsNaN(row[j]) {
				d := row[j] - stats.Mean[j]
				squares += d * d
			}
		}
		stats.Std[j] = 1
		if squares > 0 {
			stats.Std[j] = math.Sqrt(squares / n)
		}
	}
	return stats
}

// Apply returns a copy of the set with (x - mean) / std in place of x; a missing value becomes the mean, that is 0.
func (t Stats) Apply(s *Set) *Set {
	scaled := *s
	scaled.Ranges = nil
	scaled.X = newRows(s.Len(), s.Width())
	for i, row := range s.X {
		for j, v := range row {
			if !math.IsNaN(v) {
				scaled.X[i][j] = (v - t.Mean[j]) / t.Std[j]
			}
		}
	}
	return &scaled
}

// newRows returns rows that lie one after the other in memory.
func newRows(rows, width int) [][]float64 {
	flat := make([]float64, rows*width)
	x := make([][]float64, rows)
	for i := range x {
		x[i] = flat[i*width : (i+1)*width : (i+1)*width]
	}
	return x
}
