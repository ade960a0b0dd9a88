package compiler

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// treeBits says what the client sends of the features that an ensemble compares.
type treeBits struct {
	thermometer *model.Thermometer
	public      bool  // the edges are those of the publisher's grid
	first       []int // column of each feature's first edge
	size        int
}

// newTreeBits compares each feature with the edges of the publisher's public grid where it states one that holds all of
// the ensemble's, else with the ensemble's own. A missing value counts as one that the ensemble treats alike where there
// is one, and has a bit of its own where there is none.
func newTreeBits(t *model.TreeEnsemble, grid [][]float64) *treeBits {
	regions := make([][]model.Region, t.Features) // that nodes send left
	for node, f := range t.Feature {
		regions[f] = append(regions[f], t.LeftRegion(node))
	}
	edges := edgesOf(regions)
	public := len(grid) == t.Features
	for f, list := range edges {
		public = public && !slices.ContainsFunc(list, func(e float64) bool { return !slices.Contains(grid[f], e) })
	}
	if public {
		edges = grid
	}
	b := &treeBits{thermometer: &model.Thermometer{Edges: edges}, public: public}
	b.missing(regions, public)
	for f, list := range edges {
		b.first = append(b.first, b.size)
		b.size += len(list)
		if b.marked(f) {
			b.size++
		}
	}
	return b
}

func edgesOf(regions [][]model.Region) [][]float64 {
	edges := make([][]float64, len(regions))
	for f := range regions {
		for _, r := range regions[f] {
			edges[f] = append(edges[f], r.Bounds...)
		}
		slices.Sort(edges[f])
		edges[f] = slices.Compact(edges[f])
	}
	return edges
}

// missing chooses how missing values are told. With public edges it is the same for all features.
func (b *treeBits) missing(regions [][]model.Region, public bool) {
	alike := func(f int, v float64) bool {
		return !slices.ContainsFunc(regions[f], func(r model.Region) bool { return r.Holds(v) != r.Missing })
	}
	features := len(regions)
	replace, marked := make([]float64, features), make([]bool, features)
	least := true // the encoding without anything for missing values is that of the least number
	for f := range regions {
		candidates := []float64{-math.MaxFloat64, 0}
		if !public {
			candidates = append(candidates, b.thermometer.Edges[f]...)
		}
		at := slices.IndexFunc(candidates, func(v float64) bool { return alike(f, v) })
		if marked[f] = at < 0; at >= 0 {
			replace[f] = candidates[at]
		}
		least = least && at == 0
	}
	some := slices.Contains(marked, true)
	switch {
	case least:
		return
	case public && some:
		b.thermometer.Missing = slices.Repeat([]bool{true}, features)
		return
	case public:
		for f := range regions {
			if !alike(f, 0) { // some features need the least number, some zero
				b.thermometer.Missing = slices.Repeat([]bool{true}, features)
				return
			}
			replace[f] = 0
		}
	case some:
		b.thermometer.Missing = marked
	}
	b.thermometer.Replace = replace
}

func (b *treeBits) marked(feature int) bool {
	return len(b.thermometer.Missing) > 0 && b.thermometer.Missing[feature]
}

// violated gives 1 where a feature is not in its region, else 0, as a sum of factors times bits and a constant.
func (b *treeBits) violated(c model.FeatureRegion, add func(column int, factor float64)) (constant float64) {
	edges := b.thermometer.Edges[c.Feature]
	sign := 1.0
	if !c.Below {
		constant, sign = 1, -1
	}
	for _, bound := range c.Bounds {
		at, _ := slices.BinarySearch(edges, bound)
		add(b.first[c.Feature]+at, sign)
		sign = -sign
	}
	if b.marked(c.Feature) && c.Missing != c.Below {
		missing := 1.0
		if c.Missing {
			missing = -1
		}
		add(b.first[c.Feature]+len(edges), missing)
	}
	return constant
}

// Thresholds says in a sentence what clients learn of the thresholds of the model's trees, or nothing if it has none.
func (r *Result) Thresholds() string {
	for _, node := range r.Pipeline.Prefix.Nodes {
		bits, ok := node.Op.(*model.Thermometer)
		if !ok || !isThermometerKey(node.Name) {
			continue
		}
		edges := 0
		for _, list := range bits.Edges {
			edges += len(list)
		}
		if r.publicGrid {
			return fmt.Sprintf("Clients compare with the %d edges of a public grid and learn nothing of the trees' thresholds.", edges)
		}
		return fmt.Sprintf("Clients learn the %d thresholds of the trees, sorted by feature: they compare with them before encryption. "+
			"They learn neither which trees and leaves they lead to nor any leaf's values.", edges)
	}
	return ""
}

// regionsKey is the same for equal regions of equal features.
func regionsKey(regions []model.FeatureRegion) string {
	sorted := slices.SortedFunc(slices.Values(regions), func(a, b model.FeatureRegion) int { return a.Feature - b.Feature })
	var key []byte
	for _, r := range sorted {
		key = binary.AppendVarint(key, int64(r.Feature))
		state := 0
		if r.Below {
			state++
		}
		if r.Missing {
			state += 2
		}
		key = binary.AppendVarint(append(key, byte(state)), int64(len(r.Bounds)))
		for _, bound := range r.Bounds {
			key = binary.LittleEndian.AppendUint64(key, math.Float64bits(bound))
		}
	}
	return string(key)
}
