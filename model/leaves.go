package model

import (
	"math"
	"slices"
)

// Region is a set of values of one feature: a union of half-open intervals, and whether a missing value belongs to it.
// A value belongs to it if it is Below, unless an odd number of Bounds are ≤ the value: then if it is not Below.
type Region struct {
	Below   bool // holds for values below all bounds
	Bounds  []float64
	Missing bool
}

// Holds reports whether a value belongs to the region.
func (r Region) Holds(v float64) bool {
	if math.IsNaN(v) {
		return r.Missing
	}
	inside := r.Below
	for _, b := range r.Bounds {
		if v < b {
			break
		}
		inside = !inside
	}
	return inside
}

func (r Region) empty() bool { return !r.Below && len(r.Bounds) == 0 && !r.Missing }
func (r Region) all() bool   { return r.Below && len(r.Bounds) == 0 && r.Missing }

// Complement holds what the region does not.
func (r Region) Complement() Region {
	return Region{Below: !r.Below, Bounds: r.Bounds, Missing: !r.Missing}
}

// Intersect holds what both regions do.
func (r Region) Intersect(o Region) Region {
	result := Region{Below: r.Below && o.Below, Missing: r.Missing && o.Missing}
	inR, inO, inside := r.Below, o.Below, result.Below
	for i, k := 0, 0; i < len(r.Bounds) || k < len(o.Bounds); {
		bound := math.Inf(1)
		if i < len(r.Bounds) {
			bound = r.Bounds[i]
		}
		if k < len(o.Bounds) {
			bound = min(bound, o.Bounds[k])
		}
		if i < len(r.Bounds) && r.Bounds[i] == bound {
			inR = !inR
			i++
		}
		if k < len(o.Bounds) && o.Bounds[k] == bound {
			inO = !inO
			k++
		}
		if (inR && inO) != inside {
			inside = !inside
			result.Bounds = append(result.Bounds, bound)
		}
	}
	return result
}

// AddNode appends a node to an ensemble with the comparison Less: the references of what is on its left, for the values
// of a region, and on its right. It exchanges them where only the region's complement can be written down.
func (t *TreeEnsemble) AddNode(feature int, goesLeft Region, left, right int) {
	threshold, intervals := 0.0, []float64(nil)
	if !goesLeft.Below && len(goesLeft.Bounds) == 0 || goesLeft.Below && len(goesLeft.Bounds) > 1 {
		goesLeft, left, right = goesLeft.Complement(), right, left
	}
	switch {
	case !goesLeft.Below:
		intervals = goesLeft.Bounds
	case len(goesLeft.Bounds) == 0:
		threshold = math.MaxFloat64
	default:
		threshold = goesLeft.Bounds[0]
	}
	t.Feature, t.Threshold = append(t.Feature, feature), append(t.Threshold, threshold)
	t.Intervals, t.MissingLeft = append(t.Intervals, intervals), append(t.MissingLeft, goesLeft.Missing)
	t.Left, t.Right = append(t.Left, left), append(t.Right, right)
}

// LeftRegion holds the values that a node of a valid ensemble sends left.
func (t *TreeEnsemble) LeftRegion(node int) Region {
	r := Region{Missing: t.missingLeft(node)}
	if bounds := t.intervals(node); len(bounds) > 0 {
		r.Bounds = bounds
		return r
	}
	r.Below = true
	edge := t.Threshold[node]
	if edge == math.MaxFloat64 {
		return r
	}
	if t.Comparison == LessOrEqual {
		edge = math.Nextafter(edge, math.Inf(1))
	}
	r.Bounds = []float64{edge}
	return r
}

// FeatureRegion is what a leaf asks of one feature.
type FeatureRegion struct {
	Feature int
	Region
}

// Leaf is a leaf that can be reached, with what it asks of the features: exactly one leaf of a tree has all of it.
type Leaf struct {
	Tree    int
	Index   int // into TreeEnsemble.Values
	Regions []FeatureRegion
	Values  []float64
}

// Leaves lists the leaves of a valid ensemble, tree by tree, from left to right, without those that no input reaches.
func (t *TreeEnsemble) Leaves() []Leaf {
	type step struct {
		reference int
		regions   []FeatureRegion
	}
	leaves := make([]Leaf, 0, len(t.Values))
	for tree, root := range t.Roots {
		pending := []step{{reference: root}}
		for len(pending) > 0 {
			s := pending[len(pending)-1]
			pending = pending[:len(pending)-1]
			if s.reference < 0 {
				leaves = append(leaves, Leaf{Tree: tree, Index: ^s.reference, Regions: s.regions, Values: t.Values[^s.reference]})
				continue
			}
			left := t.LeftRegion(s.reference)
			for _, way := range []struct {
				reference int
				region    Region
			}{{t.Right[s.reference], left.Complement()}, {t.Left[s.reference], left}} {
				if regions, possible := narrow(s.regions, t.Feature[s.reference], way.region); possible {
					pending = append(pending, step{way.reference, regions})
				}
			}
		}
	}
	return leaves
}

// narrow adds a region of one feature; it reports false where no value is left.
func narrow(regions []FeatureRegion, feature int, r Region) ([]FeatureRegion, bool) {
	at := slices.IndexFunc(regions, func(f FeatureRegion) bool { return f.Feature == feature })
	if at >= 0 {
		r = regions[at].Intersect(r)
	}
	switch {
	case r.empty():
		return nil, false
	case at >= 0:
		regions = slices.Clone(regions)
		regions[at].Region = r
	case !r.all():
		regions = append(slices.Clip(regions), FeatureRegion{feature, r})
	}
	return regions, true
}
