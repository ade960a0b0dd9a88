package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// maxTreeDepth bounds the splits on the way to a leaf.
const maxTreeDepth = 512

// treeNodes are the nodes of an ensemble as the attributes list them.
type treeNodes struct {
	tree, id, feature, yes, no []int
	value                      []float64
	mode                       []string
	missingTrue                []int
	index                      map[[2]int]int
	weights                    map[int][]weight // of leaves, by node
	used                       []bool
}

type weight struct {
	target int
	value  float64
}

// numbersOf reads a list of numbers that newer versions keep in a tensor.
func (n *node) numbersOf(name string) ([]float64, error) {
	if n.attribute(name+"_as_tensor") == nil {
		return n.floats(name), nil
	}
	v, err := n.tensor(name + "_as_tensor")
	if err != nil {
		return nil, err
	}
	if v.kind == stringType {
		return nil, fmt.Errorf("%s holds text", name)
	}
	return v.data, nil
}

// treeNodes reads the nodes; prefix is that of the leaves' attributes, class or target.
func (n *node) treeNodes(prefix string) (*treeNodes, error) {
	t := &treeNodes{
		tree: n.ints("nodes_treeids"), id: n.ints("nodes_nodeids"), feature: n.ints("nodes_featureids"),
		yes: n.ints("nodes_truenodeids"), no: n.ints("nodes_falsenodeids"), mode: n.texts("nodes_modes"),
		missingTrue: n.ints("nodes_missing_value_tracks_true"), index: map[[2]int]int{}, weights: map[int][]weight{},
	}
	var err error
	if t.value, err = n.numbersOf("nodes_values"); err != nil {
		return nil, err
	}
	count := len(t.id)
	if count == 0 {
		return nil, errors.New("has no nodes")
	}
	for name, length := range map[string]int{"nodes_treeids": len(t.tree), "nodes_featureids": len(t.feature), "nodes_truenodeids": len(t.yes),
		"nodes_falsenodeids": len(t.no), "nodes_modes": len(t.mode), "nodes_values": len(t.value)} {
		if length != count {
			return nil, fmt.Errorf("%s has %d entries for %d nodes", name, length, count)
		}
	}
	if len(t.missingTrue) != 0 && len(t.missingTrue) != count {
		return nil, fmt.Errorf("nodes_missing_value_tracks_true has %d entries for %d nodes", len(t.missingTrue), count)
	}
	for i := range t.id {
		key := [2]int{t.tree[i], t.id[i]}
		if _, taken := t.index[key]; taken {
			return nil, fmt.Errorf("node %d of tree %d occurs twice", t.id[i], t.tree[i])
		}
		t.index[key] = i
	}
	t.used = make([]bool, count)
	trees, nodes, targets := n.ints(prefix+"_treeids"), n.ints(prefix+"_nodeids"), n.ints(prefix+"_ids")
	weights, err := n.numbersOf(prefix + "_weights")
	if err != nil {
		return nil, err
	}
	if len(trees) != len(nodes) || len(targets) != len(nodes) || len(weights) != len(nodes) {
		return nil, errors.New("the lists of leaves differ in length")
	}
	for k := range nodes {
		i, ok := t.index[[2]int{trees[k], nodes[k]}]
		if !ok {
			return nil, fmt.Errorf("a weight belongs to node %d of tree %d, which is not there", nodes[k], trees[k])
		}
		if targets[k] < 0 || math.IsNaN(weights[k]) || math.IsInf(weights[k], 0) {
			return nil, fmt.Errorf("weight %d is not finite or of no target", k)
		}
		t.weights[i] = append(t.weights[i], weight{targets[k], weights[k]})
	}
	return t, nil
}

// ensemble builds the model's trees with the given number of outputs.
func (im *importer) buildTrees(t *treeNodes, features, outputs int) (*model.TreeEnsemble, error) {
	e := &model.TreeEnsemble{Features: features, Comparison: model.LessOrEqual, Aggregate: model.AggregateSum}
	child := make([]bool, len(t.id))
	for i := range t.id {
		if t.mode[i] == "LEAF" {
			continue
		}
		for _, id := range []int{t.yes[i], t.no[i]} {
			if k, ok := t.index[[2]int{t.tree[i], id}]; ok {
				child[k] = true
			}
		}
	}
	b := &treeBuilder{im: im, nodes: t, ensemble: e, outputs: outputs}
	for i := range t.id {
		if child[i] {
			continue
		}
		root, err := b.place(i, 0)
		if err != nil {
			return nil, err
		}
		e.Roots = append(e.Roots, root)
	}
	if len(e.Roots) == 0 {
		return nil, errors.New("its nodes form a cycle")
	}
	return e, nil
}

type treeBuilder struct {
	im       *importer
	nodes    *treeNodes
	ensemble *model.TreeEnsemble
	outputs  int
}

// place appends the tree below a node and returns its reference.
func (b *treeBuilder) place(i, depth int) (int, error) {
	t := b.nodes
	if depth > maxTreeDepth {
		return 0, fmt.Errorf("tree %d is a cycle or deeper than %d", t.tree[i], maxTreeDepth)
	}
	if err := b.im.spend(4); err != nil {
		return 0, err
	}
	if t.mode[i] == "LEAF" {
		values := make([]float64, b.outputs)
		for _, w := range t.weights[i] {
			if w.target >= b.outputs {
				return 0, fmt.Errorf("a leaf gives a weight to output %d of %d", w.target, b.outputs)
			}
			values[w.target] += w.value
		}
		b.ensemble.Values = append(b.ensemble.Values, values)
		return ^(len(b.ensemble.Values) - 1), b.im.spend(b.outputs)
	}
	yes, ok := t.index[[2]int{t.tree[i], t.yes[i]}]
	if !ok {
		return 0, fmt.Errorf("node %d of tree %d leads to node %d, which is not there", t.id[i], t.tree[i], t.yes[i])
	}
	no, ok := t.index[[2]int{t.tree[i], t.no[i]}]
	if !ok {
		return 0, fmt.Errorf("node %d of tree %d leads to node %d, which is not there", t.id[i], t.tree[i], t.no[i])
	}
	if t.feature[i] < 0 || t.feature[i] >= b.ensemble.Features {
		return 0, fmt.Errorf("node %d of tree %d compares feature %d of %d", t.id[i], t.tree[i], t.feature[i], b.ensemble.Features)
	}
	if math.IsNaN(t.value[i]) {
		return 0, fmt.Errorf("node %d of tree %d has no threshold", t.id[i], t.tree[i])
	}
	threshold := max(-math.MaxFloat64, min(t.value[i], math.MaxFloat64))
	below := math.Nextafter(threshold, math.Inf(-1))
	// A missing value makes every comparison false but "not equal", if the node does not send it the true way.
	missingYes := len(t.missingTrue) > 0 && t.missingTrue[i] != 0
	switch t.mode[i] {
	case "BRANCH_LEQ":
		return b.split(t.feature[i], threshold, yes, no, missingYes, depth)
	case "BRANCH_LT":
		return b.split(t.feature[i], below, yes, no, missingYes, depth)
	case "BRANCH_GT":
		return b.split(t.feature[i], threshold, no, yes, !missingYes, depth)
	case "BRANCH_GTE":
		return b.split(t.feature[i], below, no, yes, !missingYes, depth)
	case "BRANCH_EQ":
		return b.equal(t.feature[i], threshold, below, yes, no, missingYes, depth)
	case "BRANCH_NEQ":
		return b.equal(t.feature[i], threshold, below, no, yes, false, depth)
	default:
		return 0, fmt.Errorf("mode %q is not known", clean(t.mode[i]))
	}
}

// split appends x ≤ threshold with the trees below two nodes.
func (b *treeBuilder) split(feature int, threshold float64, left, right int, missingLeft bool, depth int) (int, error) {
	return b.branch(feature, threshold, missingLeft, func() (int, error) { return b.place(left, depth+1) }, func() (int, error) { return b.place(right, depth+1) })
}

func (b *treeBuilder) branch(feature int, threshold float64, missingLeft bool, left, right func() (int, error)) (int, error) {
	e := b.ensemble
	at := len(e.Feature)
	e.Feature, e.Threshold, e.MissingLeft = append(e.Feature, feature), append(e.Threshold, threshold), append(e.MissingLeft, missingLeft)
	e.Left, e.Right = append(e.Left, 0), append(e.Right, 0)
	l, err := left()
	if err != nil {
		return 0, err
	}
	r, err := right()
	e.Left[at], e.Right[at] = l, r
	return at, err
}

// equal appends x = threshold, which is below < x ≤ threshold: what is not equal is there twice.
func (b *treeBuilder) equal(feature int, threshold, below float64, same, other int, missingSame bool, depth int) (int, error) {
	return b.branch(feature, threshold, true,
		func() (int, error) {
			return b.branch(feature, below, !missingSame,
				func() (int, error) { return b.place(other, depth+1) },
				func() (int, error) { return b.place(same, depth+1) })
		},
		func() (int, error) { return b.place(other, depth+1) })
}

// trees appends an ensemble on features.
func (im *importer) trees(t *model.TreeEnsemble, x value) (value, error) {
	x, err := im.as(x, model.Shape{x.size()})
	if err != nil {
		return value{}, err
	}
	// A single-precision input is compared as such: a number between two of them moves to the nearer.
	if x.kind == float32Type && im.clear[x.name] {
		if x, err = im.pointwise(&model.Activation{Function: model.Float32}, x); err != nil {
			return value{}, err
		}
	}
	if !slices.Contains(t.MissingLeft, true) {
		t.MissingLeft = nil
	}
	return im.apply(t, x)
}

func treeRegressor(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, err := im.row(n.in[0])
	if err != nil {
		return nil, err
	}
	t, err := n.treeNodes("target")
	if err != nil {
		return nil, err
	}
	targets := n.int("n_targets", 1)
	if targets < 1 || targets > model.MaxElements {
		return nil, fmt.Errorf("%d targets", targets)
	}
	e, err := im.buildTrees(t, x.size(), targets)
	if err != nil {
		return nil, err
	}
	switch aggregate := n.text("aggregate_function", "SUM"); aggregate {
	case "SUM":
	case "AVERAGE":
		e.Aggregate = model.AggregateAverage
	default:
		return nil, fmt.Errorf("aggregate %q over trees is not served: SUM and AVERAGE are", clean(aggregate))
	}
	if e.Base, err = n.base(targets); err != nil {
		return nil, err
	}
	v, err := im.trees(e, x)
	if err != nil {
		return nil, err
	}
	if v, err = im.post(v, n.text("post_transform", "NONE")); err != nil {
		return nil, err
	}
	return []value{v.with(float32Type, []int{1, targets})}, nil
}

// base reads the base values: none, or one for each output.
func (n *node) base(outputs int) ([]float64, error) {
	base, err := n.numbersOf("base_values")
	if err != nil {
		return nil, err
	}
	if len(base) != 0 && len(base) != outputs {
		return nil, fmt.Errorf("%d base values for %d outputs", len(base), outputs)
	}
	for _, v := range base {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("a base value is not finite")
		}
	}
	return base, nil
}

// treeClassifier follows onnxruntime where the standard is silent: two classes with the weights of one only.
func treeClassifier(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, err := im.row(n.in[0])
	if err != nil {
		return nil, err
	}
	t, err := n.treeNodes("class")
	if err != nil {
		return nil, err
	}
	c, err := n.classes("classlabels_int64s")
	if err != nil {
		return nil, err
	}
	post := n.text("post_transform", "NONE")
	only, positive := -1, true
	single := true
	for _, list := range t.weights {
		for _, w := range list {
			single = single && (only < 0 || only == w.target)
			only, positive = w.target, positive && w.value >= 0
		}
	}
	if c.count() != 2 || !single || only < 0 {
		e, err := im.buildTrees(t, x.size(), c.count())
		if err != nil {
			return nil, err
		}
		if e.Base, err = n.base(c.count()); err != nil {
			return nil, err
		}
		raw, err := im.trees(e, x)
		if err != nil {
			return nil, err
		}
		if c.count() == 1 {
			return nil, errors.New("classifies into one class only")
		}
		return im.classified(raw, c, nil, post)
	}
	if only != 0 && post == "SOFTMAX_ZERO" || post == "PROBIT" {
		return nil, fmt.Errorf("post_transform %s of two classes with weights of one is not served: use LOGISTIC or NONE", clean(post))
	}
	for _, list := range t.weights {
		for i := range list {
			list[i].target = 0
		}
	}
	e, err := im.buildTrees(t, x.size(), 1)
	if err != nil {
		return nil, err
	}
	base, err := n.numbersOf("base_values")
	if err != nil {
		return nil, err
	}
	switch {
	case len(base) > 1:
		return nil, errors.New("has base values of two classes, but weights of one")
	case len(base) == 1 && only == 0:
		if e.Base, err = n.base(1); err != nil {
			return nil, err
		}
	}
	s, err := im.trees(e, x)
	if err != nil {
		return nil, err
	}
	limit := 0.0
	if positive {
		limit = 0.5
	}
	index, err := im.pointwise(&model.Compare{Operator: ">", Value: limit}, s)
	if err != nil {
		return nil, err
	}
	// The first class's score: 0, −s or 1 − s.
	factor, offset := -1.0, 0.0
	switch {
	case only != 0:
		factor = 0
	case positive && post != "LOGISTIC":
		offset = 1
	}
	if only == 0 && post != "LOGISTIC" {
		post = "NONE"
	}
	raw, err := im.apply(&model.Scale{Factor: model.Vector(factor, 1), Offset: model.Vector(offset, 0)}, s)
	if err != nil {
		return nil, err
	}
	return im.classified(raw, c, &index, post)
}
