package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"cipherpoint/model"
)

// decisions is a tensor each of whose elements is a sum of decision trees over features: what exporters make when they
// write trees as comparisons, lookups and sums. The importer computes with such tensors until they are needed as
// numbers, when they become a TreeEnsemble of the model.
type decisions struct {
	source   value // the features
	elements []sum
	// simple makes the tensor without trees, if it is one comparison or none.
	simple func() (value, error)
	made   *value
}

// sum is Σ trees + constant.
type sum struct {
	trees    []*tree
	constant float64
}

// tree is a split or, without children, a leaf.
type tree struct {
	condition
	left, right *tree
	// A leaf is a number or the value of a feature.
	value   float64
	feature int // −1 for a number
}

// condition sends x_feature ≤ threshold to the left.
type condition struct {
	of          int
	threshold   float64
	missingLeft bool
}

func (t *tree) isLeaf() bool { return t.left == nil }

func leafOf(v float64) *tree { return &tree{value: v, feature: -1} }

// one returns the single tree that the sum is, merging several.
func (im *importer) oneTree(s sum) (*tree, error) {
	result := leafOf(s.constant)
	for _, t := range s.trees {
		var err error
		if result, err = im.merge(result, t, func(a, b *tree) (*tree, error) {
			if a.feature >= 0 || b.feature >= 0 {
				if b.feature >= 0 && a.feature < 0 && a.value == 0 {
					return b, nil
				}
				return nil, errFeatureLeaf
			}
			return leafOf(a.value + b.value), nil
		}); err != nil {
			return nil, err
		}
	}
	return result, nil
}

var errFeatureLeaf = errors.New("computes with a feature that a comparison chose")

// merge applies a function to the leaves that two trees reach together.
func (im *importer) merge(a, b *tree, f func(a, b *tree) (*tree, error)) (*tree, error) {
	if err := im.spend(4); err != nil {
		return nil, err
	}
	if a.isLeaf() && b.isLeaf() {
		return f(a, b)
	}
	var c condition
	la, ra, lb, rb := a, a, b, b
	switch {
	case a.isLeaf():
		c, lb, rb = b.condition, b.left, b.right
	case b.isLeaf():
		c, la, ra = a.condition, a.left, a.right
	case a.condition == b.condition:
		c, la, ra, lb, rb = a.condition, a.left, a.right, b.left, b.right
	default:
		var err error
		c, la, ra = a.condition, a.left, a.right
		if lb, err = im.restrict(b, c, true); err != nil {
			return nil, err
		}
		if rb, err = im.restrict(b, c, false); err != nil {
			return nil, err
		}
	}
	left, err := im.merge(la, lb, f)
	if err != nil {
		return nil, err
	}
	right, err := im.merge(ra, rb, f)
	if err != nil {
		return nil, err
	}
	return split(c, left, right), nil
}

func split(c condition, left, right *tree) *tree {
	if left.isLeaf() && right.isLeaf() && left.feature == right.feature && left.value == right.value {
		return left
	}
	return &tree{condition: c, left: left, right: right}
}

// restrict leaves out the splits on a condition whose outcome is known.
func (im *importer) restrict(t *tree, c condition, left bool) (*tree, error) {
	if t.isLeaf() {
		return t, nil
	}
	if err := im.spend(4); err != nil {
		return nil, err
	}
	if t.condition == c {
		if left {
			return im.restrict(t.left, c, left)
		}
		return im.restrict(t.right, c, left)
	}
	l, err := im.restrict(t.left, c, left)
	if err != nil {
		return nil, err
	}
	r, err := im.restrict(t.right, c, left)
	if err != nil {
		return nil, err
	}
	return split(t.condition, l, r), nil
}

// each maps every leaf of a tree.
func (im *importer) eachLeaf(t *tree, f func(leaf *tree) (*tree, error)) (*tree, error) {
	return im.merge(t, leafOf(0), func(a, _ *tree) (*tree, error) { return f(a) })
}

// decide returns a value as decisions over a source: constants and the source itself can be such, too. Without a
// source, that of the first value that has one is meant.
func (im *importer) decide(values ...value) (source value, elements [][]sum, ok bool) {
	for _, v := range values {
		if v.decisions != nil && source.name == "" {
			source = v.decisions.source
		}
	}
	if source.name == "" {
		return source, nil, false
	}
	for _, v := range values {
		list := make([]sum, v.size())
		switch {
		case v.decisions != nil && v.decisions.source.name == source.name:
			list = v.decisions.elements
		case v.known && v.kind != stringType:
			for i, x := range v.data {
				list[i].constant = x
			}
		default:
			features, isSource := im.featuresOf(v)
			if !isSource || features.source != source.name {
				return source, nil, false
			}
			for i := range list {
				list[i].trees = []*tree{{feature: features.index(i)}}
			}
		}
		elements = append(elements, list)
	}
	return source, elements, true
}

// features says which elements of a source a value consists of.
type features struct {
	source  string
	indices []int // nil: all in order
}

func (f features) index(i int) int {
	if f.indices == nil {
		return i
	}
	return f.indices[i]
}

// featuresOf follows reshapes and gathers back to where the value's numbers come from.
func (im *importer) featuresOf(v value) (features, bool) {
	if v.known || v.name == "" || !im.clear[v.name] {
		return features{}, false
	}
	if f, ok := im.origins[v.name]; ok {
		return f, true
	}
	return features{source: v.name}, true
}

// compareOp is a comparison with the operator of the model's Compare and its function on constants.
type compareOp struct {
	sign string
	at   func(x, y float64) bool
}

var (
	less           = compareOp{"<", func(x, y float64) bool { return x < y }}
	lessOrEqual    = compareOp{"<=", func(x, y float64) bool { return x <= y }}
	greater        = compareOp{">", func(x, y float64) bool { return x > y }}
	greaterOrEqual = compareOp{">=", func(x, y float64) bool { return x >= y }}
	equal          = compareOp{"==", func(x, y float64) bool { return x == y }}
)

// turned is the comparison with its operands exchanged.
func (c compareOp) turned() compareOp {
	switch c.sign {
	case "<":
		return greater
	case "<=":
		return greaterOrEqual
	case ">":
		return less
	case ">=":
		return lessOrEqual
	}
	return c
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// of returns the tree of "x_feature c threshold". A missing value makes every comparison false.
func (c compareOp) of(feature int, threshold float64) *tree {
	below := math.Nextafter(threshold, math.Inf(-1))
	at := func(limit, yes, no float64, missingLeft bool) *tree {
		return &tree{condition: condition{feature, limit, missingLeft}, left: leafOf(yes), right: leafOf(no)}
	}
	switch c.sign {
	case "<":
		return at(below, 1, 0, false)
	case "<=":
		return at(threshold, 1, 0, false)
	case ">":
		return at(threshold, 0, 1, true)
	case ">=":
		return at(below, 0, 1, true)
	default:
		return &tree{condition: condition{feature, below, true}, left: leafOf(0), right: at(threshold, 1, 0, false)}
	}
}

func compare(c compareOp) handler {
	return func(im *importer, n *node) ([]value, error) {
		a, b, err := im.aligned(n)
		if err != nil {
			return nil, err
		}
		v, err := im.compare(c, a, b)
		return []value{v.with(boolType, v.dims)}, err
	}
}

func (im *importer) compare(c compareOp, a, b value) (value, error) {
	if a.known && b.known || a.kind == stringType || b.kind == stringType {
		if a.kind == stringType || b.kind == stringType {
			return im.compareText(c, a, b)
		}
		return im.elementwise(a, b, func(x, y float64) float64 { return truth(c.at(x, y)) }, nil)
	}
	dims, err := broadcastDims(a.dims, b.dims)
	if err != nil {
		return value{}, err
	}
	if d, err := im.decideCompare(c, a, b, dims); err != nil || d.present() {
		return d, err
	}
	if a, err = im.plain(a); err != nil {
		return value{}, err
	}
	if b, err = im.plain(b); err != nil {
		return value{}, err
	}
	return im.compareNumbers(c, a, b)
}

// compareNumbers makes a comparison with one number for all elements, or the sign of a difference.
func (im *importer) compareNumbers(c compareOp, a, b value) (value, error) {
	if a.known && !b.known {
		a, b, c = b, a, c.turned()
	}
	if b.known && len(b.data) > 0 {
		if limit := uniform(b.tensor()); len(limit.Shape) == 0 && b.size() <= a.size() && !math.IsNaN(limit.Data[0]) {
			limit.Data[0] = max(-math.MaxFloat64, min(limit.Data[0], math.MaxFloat64))
			return im.pointwise(&model.Compare{Operator: c.sign, Value: limit.Data[0]}, a)
		}
	}
	difference, err := im.subtract(a, b)
	if err != nil {
		return value{}, err
	}
	return im.pointwise(&model.Compare{Operator: c.sign, Value: 0}, difference)
}

// decideCompare compares as decisions where that can be: of features with constants, and of what such comparisons gave.
func (im *importer) decideCompare(c compareOp, a, b value, dims []int) (value, error) {
	source, lists, ok := im.decide(a, b)
	simple := false
	if !ok {
		// A first comparison: features with constants.
		x, y := a, b
		if a.known {
			x, y = b, a
		}
		f, isFeatures := im.featuresOf(x)
		if !isFeatures || !y.known || model.Shape(dims).Size() > maxDecisions {
			return value{}, nil
		}
		source, simple = im.sources[f.source], true
		fake := x
		fake.decisions = &decisions{source: source, elements: make([]sum, x.size())}
		for i := range fake.decisions.elements {
			fake.decisions.elements[i].trees = []*tree{{feature: f.index(i)}}
		}
		if a.known {
			_, lists, _ = im.decide(a, fake)
		} else {
			_, lists, _ = im.decide(fake, b)
		}
	}
	ia, ib := stretched(a.dims, dims), stretched(b.dims, dims)
	d := &decisions{source: source, elements: make([]sum, len(ia))}
	for i := range d.elements {
		x, err := im.oneTree(lists[0][ia[i]])
		if err != nil {
			return value{}, err
		}
		y, err := im.oneTree(lists[1][ib[i]])
		if err != nil {
			return value{}, err
		}
		t, err := im.merge(x, y, func(x, y *tree) (*tree, error) {
			switch {
			case x.feature < 0 && y.feature < 0:
				return leafOf(truth(c.at(x.value, y.value))), nil
			case x.feature >= 0 && y.feature < 0:
				return c.of(x.feature, y.value), nil
			case y.feature >= 0 && x.feature < 0:
				return c.turned().of(y.feature, x.value), nil
			default:
				return nil, errors.New("compares two features with each other")
			}
		})
		if err != nil {
			return value{}, err
		}
		d.elements[i].trees = []*tree{t}
	}
	if simple {
		d.simple = im.here(func() (value, error) { return im.compareNumbers(c, a, b) })
	}
	return value{kind: boolType, dims: dims, shape: canonical(dims), decisions: d}, nil
}

// maxDecisions bounds the number of comparisons in one tensor that are followed as decisions.
const maxDecisions = 1 << 16

// pick makes the tensor of some elements.
func (d *decisions) pick(like value, indices []int) value {
	p := &decisions{source: d.source, elements: make([]sum, len(indices))}
	identical := len(indices) == len(d.elements)
	for k, i := range indices {
		p.elements[k] = d.elements[i]
		identical = identical && k == i
	}
	if identical {
		p = d
	}
	like.decisions = p
	return like
}

// plain returns the value as one of the model graph.
func (im *importer) plain(v value) (value, error) {
	d := v.decisions
	if d == nil {
		return v, nil
	}
	if d.made == nil {
		make := d.simple
		if make == nil {
			make = func() (value, error) { return im.ensemble(d) }
		}
		made, err := make()
		if err != nil {
			return value{}, err
		}
		d.made = &made
	}
	v.decisions, v.name = nil, d.made.name
	v.known, v.data = d.made.known, d.made.data
	shape := v.shape
	v.shape = d.made.shape
	return im.as(v, shape)
}

// ensemble writes decisions as trees of the model: those of equal splits become one with a vector in each leaf.
func (im *importer) ensemble(d *decisions) (value, error) {
	outputs := len(d.elements)
	t := &model.TreeEnsemble{Features: d.source.size(), Comparison: model.LessOrEqual, Aggregate: model.AggregateSum, Base: make([]float64, outputs)}
	type group struct {
		tree   *tree
		values []map[int]float64 // of each leaf, by output
	}
	var groups []*group
	known := map[string]*group{}
	for o, s := range d.elements {
		t.Base[o] = s.constant
		for _, one := range s.trees {
			var shape strings.Builder
			var leaves []float64
			if err := describe(one, &shape, &leaves); err != nil {
				return value{}, err
			}
			if err := im.spend(shape.Len()); err != nil {
				return value{}, err
			}
			g, ok := known[shape.String()]
			if !ok {
				g = &group{tree: one, values: make([]map[int]float64, len(leaves))}
				known[shape.String()] = g
				groups = append(groups, g)
			}
			for i, v := range leaves {
				if g.values[i] == nil {
					g.values[i] = map[int]float64{}
				}
				g.values[i][o] += v
			}
		}
	}
	for _, g := range groups {
		next := 0
		var place func(x *tree) (int, error)
		place = func(x *tree) (int, error) {
			if x.isLeaf() {
				values := make([]float64, outputs)
				for o, v := range g.values[next] {
					values[o] = v
				}
				next++
				t.Values = append(t.Values, values)
				return ^(len(t.Values) - 1), im.spend(outputs)
			}
			i := len(t.Feature)
			t.Feature, t.Threshold = append(t.Feature, x.of), append(t.Threshold, x.threshold)
			t.MissingLeft = append(t.MissingLeft, x.missingLeft)
			t.Left, t.Right = append(t.Left, 0), append(t.Right, 0)
			left, err := place(x.left)
			if err != nil {
				return 0, err
			}
			right, err := place(x.right)
			t.Left[i], t.Right[i] = left, right
			return i, err
		}
		root, err := place(g.tree)
		if err != nil {
			return value{}, err
		}
		t.Roots = append(t.Roots, root)
	}
	if len(t.Roots) == 0 {
		t.Roots, t.Values = []int{-1}, [][]float64{make([]float64, outputs)}
	}
	return im.trees(t, d.source)
}

func describe(t *tree, shape *strings.Builder, leaves *[]float64) error {
	if t.isLeaf() {
		if t.feature >= 0 {
			return errFeatureLeaf
		}
		shape.WriteByte('.')
		*leaves = append(*leaves, t.value)
		return nil
	}
	fmt.Fprintf(shape, "%d %x %t(", t.of, math.Float64bits(t.threshold), t.missingLeft)
	if err := describe(t.left, shape, leaves); err != nil {
		return err
	}
	if err := describe(t.right, shape, leaves); err != nil {
		return err
	}
	shape.WriteByte(')')
	return nil
}
