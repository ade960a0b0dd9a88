package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cipherpoint/model"
)

// The operators of the domain ai.onnx.ml, but for trees and support vectors.

const mlDomain = "ai.onnx.ml"

// row verifies that a value is one row of features, [features] or [1, features], and returns it as a vector.
func (im *importer) row(x value) (value, error) {
	x, err := im.plain(x)
	if err != nil {
		return value{}, err
	}
	if x.kind == stringType {
		return value{}, errors.New("takes text")
	}
	if x.rank() > 2 || x.rank() == 2 && x.dims[0] != 1 {
		return value{}, fmt.Errorf("input of %v is no row of features: export with a batch of 1 or an open one", x.dims)
	}
	return im.as(x, model.Shape{x.size()})
}

// labels are those of a classifier: names, or the numbers that stand for them.
type labels struct {
	numbers []float64
	names   []string
}

func (n *node) classes(ints string) (labels, error) {
	c := labels{numbers: n.wide(ints), names: n.texts("classlabels_strings")}
	if len(c.names) == 0 {
		c.names = nil
	}
	if c.count() == 0 {
		return c, errors.New("has no class labels")
	}
	return c, nil
}

func (c labels) count() int { return max(len(c.numbers), len(c.names)) }

// list returns the names, spelt out where they are numbers.
func (c labels) list() []string {
	if c.names != nil {
		return c.names
	}
	names := make([]string, len(c.numbers))
	for i, v := range c.numbers {
		names[i] = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return names
}

// label makes the label of an index of a class.
func (im *importer) label(index value, c labels) (value, error) {
	index.dims = []int{1}
	if c.names != nil {
		index.labels = c.names
		return index.with(stringType, index.dims), nil
	}
	if slices.Equal(c.numbers, numbered(len(c.numbers))) {
		return index.with(int64Type, index.dims), nil
	}
	v, err := im.lookup(index, c.numbers)
	return v.with(int64Type, index.dims), err
}

// classified returns label and scores of a classifier from its raw scores [classes].
func (im *importer) classified(raw value, c labels, index *value, post string) ([]value, error) {
	im.classes = c.list()
	if index == nil {
		v, err := im.apply(&model.ArgMax{Axis: 0}, raw)
		if err != nil {
			return nil, err
		}
		index = &v
	}
	label, err := im.label(*index, c)
	if err != nil {
		return nil, err
	}
	scores, err := im.post(raw, post)
	if err != nil {
		return nil, err
	}
	return []value{label, scores.with(float32Type, []int{1, scores.size()})}, nil
}

// post applies a post transform to scores [classes or targets].
func (im *importer) post(raw value, transform string) (value, error) {
	switch transform {
	case "NONE", "":
		return raw, nil
	case "LOGISTIC":
		return im.pointwise(&model.Activation{Function: model.Sigmoid}, raw)
	case "SOFTMAX", "SOFTMAX_ZERO":
		return im.apply(&model.Softmax{Axis: 0}, raw)
	case "PROBIT":
		return im.pointwise(&model.Activation{Function: model.Probit}, raw)
	default:
		return value{}, fmt.Errorf("post_transform %q is not known", clean(transform))
	}
}

func linearClassifier(im *importer, n *node) ([]value, error) {
	x, weights, bias, err := im.linearParts(n, "intercepts", 0)
	if err != nil {
		return nil, err
	}
	c, err := n.classes("classlabels_ints")
	if err != nil {
		return nil, err
	}
	rows := weights.Shape[0]
	raw, err := im.apply(&model.Dense{Weight: weights, Bias: bias}, x)
	if err != nil {
		return nil, err
	}
	post := n.text("post_transform", "NONE")
	if rows == 1 && c.count() == 2 {
		if post == "PROBIT" {
			return nil, errors.New("post_transform PROBIT of one score for two classes is not served: use LOGISTIC or NONE")
		}
		if post == "LOGISTIC" {
			if raw, err = im.post(raw, post); err != nil {
				return nil, err
			}
			return im.twoClasses(raw, 0.5, c)
		}
		return im.twoClasses(raw, 0, c)
	}
	if rows != c.count() {
		return nil, fmt.Errorf("scores of %d classes, but %d labels", rows, c.count())
	}
	return im.classified(raw, c, nil, post)
}

// twoClasses makes the two scores 1 − s and s of one, where s above the limit means the second class.
func (im *importer) twoClasses(s value, limit float64, c labels) ([]value, error) {
	index, err := im.pointwise(&model.Compare{Operator: ">", Value: limit}, s)
	if err != nil {
		return nil, err
	}
	scores, err := im.apply(&model.Scale{Factor: model.Vector(-1, 1), Offset: model.Vector(1, 0)}, s)
	if err != nil {
		return nil, err
	}
	return im.classified(scores, c, &index, "NONE")
}

// linearParts reads the row and the matrix [rows, features] of a linear model; without a number of rows that of the
// intercepts is meant.
func (im *importer) linearParts(n *node, intercepts string, rows int) (x value, weights model.Tensor, bias []float64, err error) {
	if err = n.need(1); err != nil {
		return
	}
	if x, err = im.row(n.in[0]); err != nil {
		return
	}
	list, err := n.finite("coefficients")
	if err != nil {
		return
	}
	if bias, err = n.finite(intercepts); err != nil {
		return
	}
	if rows == 0 {
		rows = len(bias)
	}
	if rows == 0 && x.size() > 0 {
		rows = len(list) / x.size()
	}
	if len(bias) != 0 && len(bias) != rows || rows < 1 || len(list) != rows*x.size() {
		err = fmt.Errorf("%d coefficients and %d intercepts do not fit %d features", len(list), len(bias), x.size())
		return
	}
	weights = model.Tensor{Shape: model.Shape{rows, x.size()}, Data: list}
	return
}

func linearRegressor(im *importer, n *node) ([]value, error) {
	x, weights, bias, err := im.linearParts(n, "intercepts", n.int("targets", 1))
	if err != nil {
		return nil, err
	}
	v, err := im.apply(&model.Dense{Weight: weights, Bias: bias}, x)
	if err != nil {
		return nil, err
	}
	if v, err = im.post(v, n.text("post_transform", "NONE")); err != nil {
		return nil, err
	}
	return []value{v.with(float32Type, []int{1, v.size()})}, nil
}

// scaler is (x − offset)·scale.
func scaler(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	offset, err := n.finite("offset")
	if err != nil {
		return nil, err
	}
	factor, err := n.finite("scale")
	if err != nil {
		return nil, err
	}
	if len(factor) == 0 || len(offset) == 0 {
		return nil, errors.New("has no scale or no offset")
	}
	x := n.in[0]
	shift := make([]float64, max(len(factor), len(offset)))
	for i := range shift {
		if len(factor) > 1 && len(offset) > 1 && len(factor) != len(offset) {
			return nil, fmt.Errorf("%d offsets and %d scales", len(offset), len(factor))
		}
		shift[i] = -offset[min(i, len(offset)-1)] * factor[min(i, len(factor)-1)]
	}
	if x, err = im.narrow(x); err != nil {
		return nil, err
	}
	v, err := im.apply(&model.Scale{Factor: uniform(model.Vector(factor...)), Offset: uniform(model.Vector(shift...))}, x)
	if err != nil {
		return nil, err
	}
	if v.shape.Size() != x.size() {
		return nil, fmt.Errorf("%d scales do not fit %v", len(shift), x.dims)
	}
	return []value{v.with(float32Type, x.dims)}, nil
}

func normalizer(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	norm, ok := map[string]string{"MAX": model.NormMax, "L1": model.NormL1, "L2": model.NormL2}[n.text("norm", "MAX")]
	if !ok {
		return nil, fmt.Errorf("norm %q is not known", clean(n.text("norm", "")))
	}
	x := n.in[0]
	in, axis, err := im.alongAxis(x, x.rank()-1)
	if err != nil {
		return nil, err
	}
	v, err := im.apply(&model.Normalizer{Norm: norm, Axis: axis}, in)
	return []value{v.with(float32Type, x.dims)}, err
}

func imputer(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	values, err := n.finite("imputed_value_floats")
	if err != nil {
		return nil, err
	}
	op := &model.Imputer{Values: values}
	if len(values) == 0 {
		op.Values = n.wide("imputed_value_int64s")
		missing := float64(n.int("replaced_value_int64", 0))
		op.Missing = &missing
	} else if missing := n.float("replaced_value_float", 0); math.IsInf(missing, 0) {
		return n.in[:1], nil // rows are finite or missing
	} else if !math.IsNaN(missing) {
		op.Missing = &missing
	}
	x, err := im.narrow(n.in[0])
	if err != nil {
		return nil, err
	}
	v, err := im.pointwise(op, x)
	return []value{v}, err
}

func binarizer(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	v, err := im.compare(greater, n.in[0], constant(float32Type, []int{1}, []float64{n.float("threshold", 0)}))
	return []value{v.with(n.in[0].kind, n.in[0].dims)}, err
}

// oneHotEncoder writes each element as one bit for each category: [...] to [..., categories].
func oneHotEncoder(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	categories := n.wide("cats_int64s")
	if names := n.texts("cats_strings"); len(names) > 0 {
		if x.kind != stringType {
			return nil, errors.New("encodes text, but its input is numbers")
		}
		if x.labels == nil {
			return nil, errText
		}
		categories = make([]float64, len(names))
		for i, name := range names {
			categories[i] = float64(slices.Index(x.labels, name))
		}
	}
	if len(categories) == 0 {
		return nil, errors.New("has no categories")
	}
	x.kind, x.labels = float32Type, nil
	size := x.size()
	in, err := im.as(x, model.Shape{size})
	if err != nil {
		return nil, err
	}
	if err := im.spend(size * len(categories)); err != nil {
		return nil, err
	}
	op := &model.OneHot{Categories: make([][]float64, size)}
	for i := range op.Categories {
		op.Categories[i] = categories
	}
	v, err := im.apply(op, in)
	if err != nil {
		return nil, err
	}
	v, err = im.moved(v.with(float32Type, []int{v.size()}), append(slices.Clone(x.dims), len(categories)))
	return []value{v}, err
}

var errText = errors.New("takes text from an input: encode it as numbers before the model (an ordinal encoder) and export the rest")

// arrayFeatureExtractor takes elements along the last axis.
func arrayFeatureExtractor(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x, at := n.in[0], n.in[1]
	if x.rank() == 0 {
		return nil, errors.New("takes elements of a scalar")
	}
	dims := []int{1, at.size()}
	if x.rank() > 1 {
		dims = append(slices.Clone(x.dims[:x.rank()-1]), at.size())
	}
	at, err := im.moved(at, []int{at.size()})
	if err != nil {
		return nil, err
	}
	v, err := im.gather(x, at, x.rank()-1)
	if err != nil {
		return nil, err
	}
	v, err = im.moved(v, dims)
	return []value{v}, err
}

// zipMap names the scores of classes.
func zipMap(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	if c, err := n.classes("classlabels_int64s"); err == nil {
		im.classes = c.list()
	}
	return n.in[:1], nil
}

func featureVectorizer(im *importer, n *node) ([]value, error) {
	if err := n.need(max(1, len(n.in))); err != nil {
		return nil, err
	}
	parts := make([]value, len(n.in))
	total := 0
	for i, x := range n.in {
		var err error
		if parts[i], err = im.row(x); err != nil {
			return nil, err
		}
		parts[i].dims = []int{x.size()}
		total += x.size()
	}
	v, err := im.concat(0, parts)
	if err != nil {
		return nil, err
	}
	v, err = im.moved(v, []int{1, total})
	return []value{v.with(float32Type, v.dims)}, err
}

// labelEncoder replaces keys by values, each of them text or numbers.
func labelEncoder(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	if names := n.texts("classes_strings"); len(names) > 0 { // version 1: text to its index, or back
		if x.kind == stringType {
			return im.encode(x, texts([]int{len(names)}, names), constant(int64Type, []int{len(names)}, numbered(len(names))), constant(int64Type, []int{1}, []float64{float64(n.int("default_int64", -1))}))
		}
		return im.encode(x, constant(int64Type, []int{len(names)}, numbered(len(names))), texts([]int{len(names)}, names), texts([]int{1}, []string{n.text("default_string", "_Unused")}))
	}
	keys, err := n.table("keys")
	if err != nil {
		return nil, err
	}
	values, err := n.table("values")
	if err != nil {
		return nil, err
	}
	fallback, err := n.fallback(values)
	if err != nil {
		return nil, err
	}
	return im.encode(x, keys, values, fallback)
}

// table reads one side of a label encoder.
func (n *node) table(side string) (value, error) {
	if n.attribute(side+"_tensor") != nil {
		return n.tensor(side + "_tensor")
	}
	if list := n.texts(side + "_strings"); len(list) > 0 {
		return texts([]int{len(list)}, list), nil
	}
	if list := n.wide(side + "_int64s"); len(list) > 0 {
		return constant(int64Type, []int{len(list)}, list), nil
	}
	if list := n.floats(side + "_floats"); len(list) > 0 {
		return constant(float32Type, []int{len(list)}, list), nil
	}
	return value{}, fmt.Errorf("has no %s", side)
}

// fallback is what keys that are not there become.
func (n *node) fallback(values value) (value, error) {
	switch {
	case n.attribute("default_tensor") != nil:
		return n.tensor("default_tensor")
	case values.kind == stringType:
		return texts([]int{1}, []string{n.text("default_string", "_Unused")}), nil
	case isFloat(values.kind):
		return constant(float32Type, []int{1}, []float64{n.float("default_float", 0)}), nil
	default:
		return constant(int64Type, []int{1}, []float64{float64(n.int("default_int64", -1))}), nil
	}
}

// encode maps numbers to numbers or to text, and indices of text likewise.
func (im *importer) encode(x, keys, values, fallback value) ([]value, error) {
	if len(keys.data) != len(values.data) || len(fallback.data) != 1 {
		return nil, fmt.Errorf("%d keys and %d values", len(keys.data), len(values.data))
	}
	if (x.kind == stringType) != (keys.kind == stringType) {
		return nil, errors.New("keys and input differ in kind")
	}
	// Text is its index among the labels of the input.
	from := keys.data
	if x.kind == stringType {
		if x.labels == nil {
			return nil, errText
		}
		from = make([]float64, len(keys.data))
		for i, k := range keys.data {
			from[i] = float64(slices.Index(x.labels, keys.labels[int(k)]))
		}
	}
	to, last := values.data, fallback.data[0]
	var labels []string
	if values.kind == stringType {
		for _, k := range values.data {
			labels = append(labels, values.labels[int(k)])
		}
		to = numbered(len(labels))
		labels = append(labels, fallback.labels[int(fallback.data[0])])
		last = float64(len(labels) - 1)
	}
	type pair struct{ key, value float64 }
	var pairs []pair
	missing := math.NaN()
	for i := range from {
		if math.IsNaN(from[i]) { // a missing value has a key of its own
			missing = to[i]
			continue
		}
		pairs = append(pairs, pair{from[i], to[i]})
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return 0
	})
	pairs = slices.CompactFunc(pairs, func(a, b pair) bool { return a.key == b.key })
	if len(pairs) == 0 || math.IsNaN(last) || math.IsInf(last, 0) {
		return nil, errors.New("has no keys or no finite default")
	}
	op := &model.Map{Default: last}
	for _, p := range pairs {
		if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
			return nil, errors.New("maps to what is not finite")
		}
		op.Keys, op.Values = append(op.Keys, p.key), append(op.Values, p.value)
	}
	dims := x.dims
	x.kind, x.labels = float32Type, nil
	v, err := im.pointwise(op, x)
	if err != nil {
		return nil, err
	}
	if !math.IsNaN(missing) {
		gap, err := im.pointwise(&model.Activation{Function: model.IsNaN}, x)
		if err != nil {
			return nil, err
		}
		if gap, err = im.affine(gap, missing-last, 0); err != nil {
			return nil, err
		}
		if v, err = im.add(v, gap); err != nil {
			return nil, err
		}
	}
	v.labels = labels
	return []value{v.with(values.kind, dims)}, nil
}

// categoryMapper maps text to integers or back.
func categoryMapper(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	names, numbers := n.texts("cats_strings"), n.wide("cats_int64s")
	a, b := texts([]int{len(names)}, names), constant(int64Type, []int{len(numbers)}, numbers)
	if n.in[0].kind == stringType {
		return im.encode(n.in[0], a, b, constant(int64Type, []int{1}, []float64{float64(n.int("default_int64", -1))}))
	}
	return im.encode(n.in[0], b, a, texts([]int{1}, []string{n.text("default_string", "_Unused")}))
}

// compareText compares labels with known text: equality only.
func (im *importer) compareText(c compareOp, a, b value) (value, error) {
	if a.known {
		a, b = b, a
	}
	if c.sign != "==" || a.kind != b.kind || !b.known || len(b.data) != 1 {
		return value{}, errors.New("compares texts, which is served for equality with one constant only")
	}
	if a.labels == nil {
		return value{}, errText
	}
	at := slices.Index(a.labels, b.labels[int(b.data[0])])
	a.kind, a.labels = float32Type, nil
	return im.pointwise(&model.Compare{Operator: "==", Value: float64(at)}, a)
}
