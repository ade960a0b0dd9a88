package dataset

import (
	"math"
	"slices"
	"testing"
)

func numbered(n, classes int) *Set {
	s := &Set{X: newRows(n, 1), Y: make([]float64, n), Shape: []int{1}, Labels: digitLabels()[:classes]}
	for i := range s.X {
		s.X[i][0] = float64(i)
		s.Y[i] = float64(i % classes)
	}
	return s
}

func ids(s *Set) []int {
	var ids []int
	for _, row := range s.X {
		ids = append(ids, int(row[0]))
	}
	return ids
}

func TestValidate(t *testing.T) {
	for name, spoil := range map[string]func(*Set){
		"no shape":        func(s *Set) { s.Shape = nil },
		"wrong shape":     func(s *Set) { s.Shape = []int{2} },
		"ragged":          func(s *Set) { s.X[3] = []float64{1, 2} },
		"features":        func(s *Set) { s.Features = []string{"a", "b"} },
		"ranges":          func(s *Set) { s.Ranges = make([]Range, 2) },
		"targets":         func(s *Set) { s.Y = s.Y[:4] },
		"class too large": func(s *Set) { s.Y[2] = 3 },
		"class negative":  func(s *Set) { s.Y[2] = -1 },
		"class fraction":  func(s *Set) { s.Y[2] = 0.5 },
		"class missing":   func(s *Set) { s.Y[2] = math.NaN() },
	} {
		s := numbered(10, 3)
		if err := s.Validate(); err != nil {
			t.Fatalf("valid set: %v", err)
		}
		spoil(s)
		if s.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSplitDividesEverySampleOnce(t *testing.T) {
	s := numbered(101, 3)
	for name, split := range map[string]func(float64, uint64) (*Set, *Set){"plain": s.Split, "stratified": s.StratifiedSplit} {
		for _, fraction := range []float64{0, 0.15, 0.5, 1} {
			train, test := split(fraction, 7)
			if want := int(math.Ceil(101 * fraction)); test.Len() != want {
				t.Errorf("%s %v: %d test samples, want %d", name, fraction, test.Len(), want)
			}
			all := slices.Concat(ids(train), ids(test))
			slices.Sort(all)
			if !slices.Equal(all, ids(s)) {
				t.Errorf("%s %v: parts are not a division", name, fraction)
			}
			for i := range test.X {
				if test.Class(i) != int(test.X[i][0])%3 {
					t.Fatalf("%s: target left its row", name)
				}
			}
			again, _ := split(fraction, 7)
			if !slices.Equal(ids(train), ids(again)) {
				t.Errorf("%s: the same seed gave another split", name)
			}
		}
	}
}

func TestStratifiedSplitKeepsProportions(t *testing.T) {
	s := numbered(90, 3)
	_, test := s.StratifiedSplit(0.2, 1)
	if got := test.ClassCounts(); !slices.Equal(got, []int{6, 6, 6}) {
		t.Errorf("class counts %v", got)
	}
}

// The order of a seed is part of every published figure: it must never change.
func TestPermutationIsFixed(t *testing.T) {
	want := []int{3, 5, 8, 2, 7, 1, 6, 4, 0, 9}
	if got := Permutation(10, 1); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFolds(t *testing.T) {
	s := numbered(23, 2)
	var tested []int
	for _, fold := range s.Folds(5, 3) {
		if n := fold.Test.Len(); n < 4 || n > 5 || fold.Train.Len()+n != 23 {
			t.Errorf("fold of %d and %d", fold.Train.Len(), n)
		}
		for _, id := range ids(fold.Test) {
			if slices.Contains(ids(fold.Train), id) {
				t.Errorf("sample %d is in both parts", id)
			}
		}
		tested = append(tested, ids(fold.Test)...)
	}
	slices.Sort(tested)
	if !slices.Equal(tested, ids(s)) {
		t.Error("not every sample is tested once")
	}
}

func TestFoldsAndWeightsOfClasses(t *testing.T) {
	s := &Set{Shape: []int{1}, Labels: []string{"rare", "usual"}}
	for i := range 40 {
		s.X, s.Y = append(s.X, []float64{float64(i)}), append(s.Y, min(1, float64(i/10)))
	}
	for _, fold := range s.Folds(5, 1) {
		if counts := fold.Test.ClassCounts(); !slices.Equal(counts, []int{2, 6}) {
			t.Errorf("a fold of %v", counts)
		}
	}
	balanced := s.Balanced()
	if w := balanced.Weights; w[0] != 2 || math.Abs(w[39]-2.0/3) > 1e-12 || s.Weights != nil {
		t.Errorf("weights %v", w)
	}
	if part := balanced.Subset([]int{39, 0}); part.Weight(1) != 2 || s.Weight(0) != 1 {
		t.Errorf("of a part %v", part.Weights)
	}
	balanced.Weights[3] = 0
	if balanced.Validate() == nil {
		t.Error("took a weight of 0")
	}
}

func TestStats(t *testing.T) {
	nan := math.NaN()
	s := &Set{X: [][]float64{{1, 5, nan}, {3, 5, nan}, {nan, 5, nan}}, Shape: []int{3}}
	stats := s.Stats()
	if !slices.Equal(stats.Mean, []float64{2, 5, 0}) || !slices.Equal(stats.Std, []float64{1, 1, 1}) {
		t.Fatalf("stats %v", stats)
	}
	scaled := stats.Apply(s)
	for i, want := range [][]float64{{-1, 0, 0}, {1, 0, 0}, {0, 0, 0}} {
		if !slices.Equal(scaled.X[i], want) {
			t.Errorf("row %d: %v, want %v", i, scaled.X[i], want)
		}
	}
	if s.X[0][0] != 1 {
		t.Error("the original was changed")
	}
	if n := s.Complete().Len(); n != 0 {
		t.Errorf("%d complete rows", n)
	}
}

func TestEmbedded(t *testing.T) {
	for _, test := range []struct {
		name   string
		load   func() (*Set, error)
		shape  []int
		counts []int
		sum    float64 // over all values, as scikit-learn's loader gives
	}{
		{"iris", Iris, []int{4}, []int{50, 50, 50}, 2078.7},
		{"digits", Digits, []int{1, 8, 8}, []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}, 561718},
		{"breast cancer", BreastCancer, []int{30}, []int{212, 357}, 1056474.4596356},
	} {
		s, err := test.load()
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !slices.Equal(s.Shape, test.shape) || !slices.Equal(s.ClassCounts(), test.counts) {
			t.Errorf("%s: shape %v, classes %v", test.name, s.Shape, s.ClassCounts())
		}
		var sum float64
		for _, row := range s.X {
			for _, v := range row {
				sum += v
			}
		}
		if math.Abs(sum-test.sum) > 1e-6 {
			t.Errorf("%s: values sum to %v, want %v", test.name, sum, test.sum)
		}
	}
	iris, _ := Iris()
	if !slices.Equal(iris.X[34], []float64{4.9, 3.1, 1.5, 0.2}) || !slices.Equal(iris.X[37], []float64{4.9, 3.6, 1.4, 0.1}) {
		t.Error("iris is not the corrected copy")
	}
}
