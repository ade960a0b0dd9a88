package dataset

import (
	"math"
	"slices"
	"testing"
)

var synthetic = Classification{
	Samples: 1000, Features: 30, Informative: 2, Redundant: 2, Classes: 2, Clusters: 2, Separation: 2, Noise: 0.01, Seed: 1,
}

func TestGenerate(t *testing.T) {
	s, err := synthetic.Generate()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if s.Len() != 1000 || s.Width() != 30 {
		t.Fatalf("%d x %d values", s.Len(), s.Width())
	}
	if counts := s.ClassCounts(); counts[0] < 480 || counts[0] > 520 {
		t.Errorf("class counts %v", counts)
	}
	again, _ := synthetic.Generate()
	other := synthetic
	other.Seed++
	different, _ := other.Generate()
	if !slices.Equal(s.X[17], again.X[17]) || slices.Equal(s.X[17], different.X[17]) {
		t.Error("the seed does not decide")
	}
	// 26 columns are standard normal; 4 have a cluster structure around +-2 or combine two that have.
	var structured int
	stats := s.Stats()
	for j := range 30 {
		if math.Abs(stats.Std[j]-1) > 0.12 || math.Abs(stats.Mean[j]) > 0.15 {
			structured++
		}
	}
	if structured < 2 || structured > 4 {
		t.Errorf("%d columns differ from noise", structured)
	}
}

func TestGenerateWithoutNoiseFollowsClusters(t *testing.T) {
	c := Classification{Samples: 400, Features: 3, Informative: 3, Classes: 4, Clusters: 2, Separation: 1000, Seed: 5}
	s, err := c.Generate()
	if err != nil {
		t.Fatal(err)
	}
	// At this separation the signs of a sample name its vertex, and each vertex belongs to one class.
	class := map[[3]bool]int{}
	for i, row := range s.X {
		vertex := [3]bool{row[0] > 0, row[1] > 0, row[2] > 0}
		if known, ok := class[vertex]; ok && known != s.Class(i) {
			t.Fatalf("vertex %v has two classes", vertex)
		}
		class[vertex] = s.Class(i)
	}
	if len(class) != 8 || !slices.Equal(s.ClassCounts(), []int{100, 100, 100, 100}) {
		t.Errorf("%d clusters, classes %v", len(class), s.ClassCounts())
	}
}

func TestGenerateRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Classification){
		"no samples":    func(c *Classification) { c.Samples = 0 },
		"too large":     func(c *Classification) { c.Samples = math.MaxInt },
		"few features":  func(c *Classification) { c.Features = 3 },
		"one class":     func(c *Classification) { c.Classes = 1 },
		"many clusters": func(c *Classification) { c.Clusters = 3 },
		"noise":         func(c *Classification) { c.Noise = math.NaN() },
	} {
		c := synthetic
		spoil(&c)
		if _, err := c.Generate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
