package onnx

import (
	"errors"
	"math"

	"cipherpoint/model"
)

// decideEach computes with decisions element by element, if all the values are such; present tells.
func (im *importer) decideEach(a, b value, f func(x, y sum) (sum, error)) (value, error) {
	if a.decisions == nil && b.decisions == nil {
		return value{}, nil
	}
	source, lists, ok := im.decide(a, b)
	if !ok {
		return value{}, nil
	}
	dims, err := broadcastDims(a.dims, b.dims)
	if err != nil {
		return value{}, err
	}
	ia, ib := stretched(a.dims, dims), stretched(b.dims, dims)
	d := &decisions{source: source, elements: make([]sum, len(ia))}
	for i := range d.elements {
		if d.elements[i], err = f(lists[0][ia[i]], lists[1][ib[i]]); err != nil {
			return value{}, err
		}
	}
	return value{kind: a.kind, dims: dims, shape: canonical(dims), decisions: d}, im.spend(len(ia))
}

// leafwise applies a function of numbers to what two sums reach together.
func (im *importer) leafwise(f func(x, y float64) float64) func(x, y sum) (sum, error) {
	return func(x, y sum) (sum, error) {
		a, err := im.oneTree(x)
		if err != nil {
			return sum{}, err
		}
		b, err := im.oneTree(y)
		if err != nil {
			return sum{}, err
		}
		t, err := im.merge(a, b, func(a, b *tree) (*tree, error) {
			if a.feature >= 0 || b.feature >= 0 {
				return nil, errFeatureLeaf
			}
			return leafOf(f(a.value, b.value)), nil
		})
		return im.asSum(t), err
	}
}

func (im *importer) asSum(t *tree) sum {
	if t != nil && t.isLeaf() && t.feature < 0 {
		return sum{constant: t.value}
	}
	return sum{trees: []*tree{t}}
}

// scaled is factor·s.
func (im *importer) scaled(s sum, factor float64) (sum, error) {
	r := sum{constant: s.constant * factor}
	if factor == 0 {
		return r, nil
	}
	for _, t := range s.trees {
		if factor != 1 {
			var err error
			if t, err = im.eachLeaf(t, func(leaf *tree) (*tree, error) {
				if leaf.feature >= 0 {
					return nil, errFeatureLeaf
				}
				return leafOf(leaf.value * factor), nil
			}); err != nil {
				return sum{}, err
			}
		}
		r.trees = append(r.trees, t)
	}
	return r, nil
}

// plus is x + factor·y.
func (im *importer) plus(x, y sum, factor float64) (sum, error) {
	y, err := im.scaled(y, factor)
	if err != nil {
		return sum{}, err
	}
	if err := im.spend(len(x.trees) + len(y.trees)); err != nil {
		return sum{}, err
	}
	return sum{constant: x.constant + y.constant, trees: append(x.trees[:len(x.trees):len(x.trees)], y.trees...)}, nil
}

func (im *importer) decideAdd(factor float64) func(x, y sum) (sum, error) {
	return func(x, y sum) (sum, error) { return im.plus(x, y, factor) }
}

func (im *importer) decideMultiply(x, y sum) (sum, error) {
	switch {
	case len(y.trees) == 0:
		return im.scaled(x, y.constant)
	case len(x.trees) == 0:
		return im.scaled(y, x.constant)
	}
	return im.leafwise(func(x, y float64) float64 { return x * y })(x, y)
}

// arithmetic computes with decisions where both operands are such, else with plain values.
func arithmetic(plain func(im *importer, a, b value) (value, error), decide func(im *importer) func(x, y sum) (sum, error)) func(im *importer, a, b value) (value, error) {
	return func(im *importer, a, b value) (value, error) {
		v, err := im.decideEach(a, b, decide(im))
		if !errors.Is(err, errFeatureLeaf) && (err != nil || v.present()) {
			return v, err
		}
		if a, err = im.plain(a); err != nil {
			return value{}, err
		}
		if b, err = im.plain(b); err != nil {
			return value{}, err
		}
		return plain(im, a, b)
	}
}

var (
	addAny      = arithmetic((*importer).add, func(im *importer) func(x, y sum) (sum, error) { return im.decideAdd(1) })
	subtractAny = arithmetic((*importer).subtract, func(im *importer) func(x, y sum) (sum, error) { return im.decideAdd(-1) })
	multiplyAny = arithmetic((*importer).multiply, func(im *importer) func(x, y sum) (sum, error) { return im.decideMultiply })
	divideAny   = arithmetic((*importer).divide, func(im *importer) func(x, y sum) (sum, error) {
		return func(x, y sum) (sum, error) {
			if len(y.trees) == 0 && y.constant != 0 {
				return im.scaled(x, 1/y.constant)
			}
			return im.leafwise(func(x, y float64) float64 { return x / y })(x, y)
		}
	})
)

// and, or and xor of truth values are polynomials of them.
var (
	and = arithmetic((*importer).multiply, func(im *importer) func(x, y sum) (sum, error) { return im.decideMultiply })
	or  = arithmetic(func(im *importer, a, b value) (value, error) { return im.truths(a, b, -1) },
		func(im *importer) func(x, y sum) (sum, error) { return im.leafwise(math.Max) })
	xor = arithmetic(func(im *importer, a, b value) (value, error) { return im.truths(a, b, -2) },
		func(im *importer) func(x, y sum) (sum, error) {
			return im.leafwise(func(x, y float64) float64 { return math.Abs(x - y) })
		})
)

// truths is a + b + factor·a·b.
func (im *importer) truths(a, b value, factor float64) (value, error) {
	product, err := im.multiply(a, b)
	if err != nil {
		return value{}, err
	}
	if product, err = im.affine(product, factor, 0); err != nil {
		return value{}, err
	}
	both, err := im.add(a, b)
	if err != nil {
		return value{}, err
	}
	return im.add(both, product)
}

// not is 1 − x.
func not(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	v, err := subtractAny(im, constant(boolType, []int{1}, []float64{1}), n.in[0])
	if err == nil && n.in[0].rank() == 0 {
		v = v.with(boolType, []int{})
	}
	return []value{v.with(boolType, v.dims)}, err
}

// where takes one of two values by a condition.
func where(im *importer, n *node) ([]value, error) {
	if err := n.need(3); err != nil {
		return nil, err
	}
	c, a, b := n.in[0], n.in[1], n.in[2]
	if a.kind == stringType || b.kind == stringType {
		return nil, errors.New("chooses between texts, which is not served")
	}
	if v, err := im.impute(c, a, b); err != nil || v.present() {
		return []value{v}, err
	}
	dims, err := broadcastDims(a.dims, b.dims)
	if err == nil {
		dims, err = broadcastDims(dims, c.dims)
	}
	if err != nil {
		return nil, err
	}
	if v, err := im.whereDecided(c, a, b, dims); err != nil || v.present() {
		return []value{v}, err
	}
	if c.known {
		v, err := im.whereKnown(c, a, b, dims)
		return []value{v}, err
	}
	for _, v := range []*value{&c, &a, &b} {
		if *v, err = im.plain(*v); err != nil {
			return nil, err
		}
	}
	if im.ofFeatures(c, a, b) {
		v, err := im.apply(&model.Where{}, c, a, b)
		if err != nil {
			return nil, err
		}
		v, err = im.as(v, canonical(dims))
		return []value{v.with(a.kind, dims)}, err
	}
	// b + c·(a − b)
	difference, err := im.subtract(a, b)
	if err != nil {
		return nil, err
	}
	if difference, err = im.multiply(difference, c); err != nil {
		return nil, err
	}
	v, err := im.add(b, difference)
	return []value{v.with(a.kind, v.dims)}, err
}

// ofFeatures holds for values that the client can compute of the features, each by itself.
func (im *importer) ofFeatures(values ...value) bool {
	maker := map[string]model.Node{}
	for _, node := range im.graph.Nodes {
		maker[node.Output] = node
	}
	pending := make([]string, 0, len(values))
	for _, v := range values {
		if !v.known {
			pending = append(pending, v.name)
		}
	}
	seen := map[string]bool{}
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		node, made := maker[name]
		if !made || seen[name] {
			continue
		}
		seen[name] = true
		if !model.OfFeatures(node.Op) {
			return false
		}
		pending = append(pending, node.Inputs...)
	}
	return true
}

// whereDecided makes a tree of a condition that is one.
func (im *importer) whereDecided(c, a, b value, dims []int) (value, error) {
	if c.decisions == nil {
		return value{}, nil
	}
	source, lists, ok := im.decide(c, a, b)
	if !ok {
		return value{}, nil
	}
	if !a.known && a.decisions == nil && !b.known && b.decisions == nil {
		return value{}, nil // no tree, but a function of the features
	}
	ic, ia, ib := stretched(c.dims, dims), stretched(a.dims, dims), stretched(b.dims, dims)
	d := &decisions{source: source, elements: make([]sum, len(ic))}
	for i := range d.elements {
		condition, err := im.oneTree(lists[0][ic[i]])
		if err != nil {
			return value{}, err
		}
		yes, err := im.oneTree(lists[1][ia[i]])
		if err != nil {
			return value{}, err
		}
		no, err := im.oneTree(lists[2][ib[i]])
		if err != nil {
			return value{}, err
		}
		t, err := im.choose(condition, yes, no)
		if err != nil {
			return value{}, err
		}
		if !im.numeric(t) {
			return value{}, nil
		}
		d.elements[i] = im.asSum(t)
	}
	return value{kind: a.kind, dims: dims, shape: canonical(dims), decisions: d}, nil
}

// choose puts one of two trees at the leaves of a condition.
func (im *importer) choose(condition, yes, no *tree) (*tree, error) {
	chosen, err := im.merge(condition, yes, func(c, y *tree) (*tree, error) {
		if c.feature < 0 && c.value == 0 {
			return &tree{value: math.NaN(), feature: -1}, nil // filled in below
		}
		return y, nil
	})
	if err != nil {
		return nil, err
	}
	return im.merge(chosen, no, func(c, n *tree) (*tree, error) {
		if c.feature < 0 && math.IsNaN(c.value) {
			return n, nil
		}
		return c, nil
	})
}

func (im *importer) numeric(t *tree) bool {
	if t.isLeaf() {
		return t.feature < 0
	}
	return im.numeric(t.left) && im.numeric(t.right)
}

// whereKnown takes elements by a constant condition.
func (im *importer) whereKnown(c, a, b value, dims []int) (value, error) {
	ic := stretched(c.dims, dims)
	all := func(v float64) bool {
		for _, i := range ic {
			if truth(c.data[i] != 0) != v {
				return false
			}
		}
		return true
	}
	switch {
	case all(1):
		return im.pick(a, stretched(a.dims, dims), dims)
	case all(0):
		return im.pick(b, stretched(b.dims, dims), dims)
	}
	a, err := im.pick(a, stretched(a.dims, dims), dims)
	if err != nil {
		return value{}, err
	}
	if b, err = im.pick(b, stretched(b.dims, dims), dims); err != nil {
		return value{}, err
	}
	if a.known && b.known {
		data := make([]float64, len(ic))
		for i := range data {
			if data[i] = b.data[i]; c.data[ic[i]] != 0 {
				data[i] = a.data[i]
			}
		}
		return constant(a.kind, dims, data), nil
	}
	both, err := im.concat(0, []value{a.with(a.kind, []int{len(ic)}), b.with(b.kind, []int{len(ic)})})
	if err != nil {
		return value{}, err
	}
	from := make([]int, len(ic))
	for i := range from {
		if from[i] = i; c.data[ic[i]] == 0 {
			from[i] += len(ic)
		}
	}
	return im.pick(both, from, dims)
}

// impute recognises what replaces missing values: Where(IsNaN(x), constant, x).
func (im *importer) impute(c, a, b value) (value, error) {
	if c.known || c.name == "" || !a.known || b.known {
		return value{}, nil
	}
	at := -1
	for i, node := range im.graph.Nodes {
		if node.Name == c.name {
			at = i
		}
	}
	if at < 0 || b.name == "" {
		return value{}, nil
	}
	op, ok := im.graph.Nodes[at].Op.(*model.Activation)
	if !ok || op.Function != model.IsNaN || im.graph.Nodes[at].Inputs[0] != b.name {
		return value{}, nil
	}
	values, err := a.numbers()
	if err != nil {
		return value{}, err
	}
	if len(values) != 1 && (b.rank() == 0 || len(values) != b.dims[b.rank()-1]) {
		return value{}, nil
	}
	return im.pointwise(&model.Imputer{Values: values}, b)
}
