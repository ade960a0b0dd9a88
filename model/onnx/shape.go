package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// moved gives the value's numbers other dimensions.
func (im *importer) moved(v value, dims []int) (value, error) {
	if err := checkDims(dims); err != nil {
		return value{}, err
	}
	if model.Shape(dims).Size() != v.size() {
		return value{}, fmt.Errorf("dimensions %v do not fit %v", dims, v.dims)
	}
	v.dims = dims
	if v.known || v.decisions != nil {
		v.shape = canonical(dims)
		return v, nil
	}
	return im.narrow(v)
}

func identity(_ *importer, n *node) ([]value, error) {
	return n.in, n.need(1)
}

// dropout does nothing at inference; its mask is all ones.
func dropout(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	return []value{n.in[0], {}}, nil
}

func constantNode(_ *importer, n *node) ([]value, error) {
	var v value
	var err error
	switch {
	case n.attribute("value") != nil:
		v, err = n.tensor("value")
	case n.attribute("value_float") != nil:
		v = constant(float32Type, []int{}, []float64{n.float("value_float", 0)})
	case n.attribute("value_floats") != nil:
		list := n.floats("value_floats")
		v = constant(float32Type, []int{len(list)}, list)
	case n.attribute("value_int") != nil:
		v = constant(int64Type, []int{}, []float64{float64(n.attribute("value_int").i)})
	case n.attribute("value_ints") != nil:
		list := n.wide("value_ints")
		v = constant(int64Type, []int{len(list)}, list)
	case n.attribute("value_string") != nil:
		v = texts([]int{}, []string{n.text("value_string", "")})
	case n.attribute("value_strings") != nil:
		list := n.texts("value_strings")
		v = texts([]int{len(list)}, list)
	default:
		err = errors.New("holds a sparse or an unknown value: store it dense")
	}
	return []value{v}, err
}

// texts makes a known tensor of text.
func texts(dims []int, list []string) value {
	v := constant(stringType, dims, make([]float64, len(list)))
	for i := range list {
		v.data[i] = float64(i)
	}
	v.labels = list
	return v
}

func constantOfShape(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	dims, err := n.in[0].integers()
	if err != nil {
		return nil, fmt.Errorf("shape %w", err)
	}
	fill := constant(float32Type, []int{1}, []float64{0})
	if n.attribute("value") != nil {
		if fill, err = n.tensor("value"); err != nil {
			return nil, err
		}
	}
	if len(fill.data) != 1 || fill.kind == stringType {
		return nil, errors.New("value is not one number")
	}
	if err := checkDims(dims); err != nil {
		return nil, err
	}
	size := model.Shape(dims).Size()
	if err := im.spend(size); err != nil {
		return nil, err
	}
	return []value{constant(fill.kind, dims, slices.Repeat(fill.data, size))}, nil
}

func shapeNode(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	dims := n.in[0].dims
	bound := func(at int) int {
		if at < 0 {
			at += len(dims)
		}
		return max(0, min(at, len(dims)))
	}
	from, to := bound(n.int("start", 0)), bound(n.int("end", len(dims)))
	if from > to {
		to = from
	}
	return []value{integers(dims[from:to]...)}, nil
}

func sizeNode(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	return []value{constant(int64Type, []int{}, []float64{float64(n.in[0].size())})}, nil
}

func reshape(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	want, err := n.list(1, "shape")
	if err != nil {
		return nil, err
	}
	x := n.in[0]
	dims := slices.Clone(want)
	for i, d := range dims {
		if d == 0 && n.int("allowzero", 0) == 0 {
			if i >= x.rank() {
				return nil, fmt.Errorf("shape %v copies dimension %d of %v", want, i, x.dims)
			}
			dims[i] = x.dims[i]
		}
	}
	if dims, err = im.inferred(dims, x.size()); err != nil {
		return nil, err
	}
	v, err := im.moved(x, dims)
	return []value{v}, err
}

// inferred fills in a dimension of −1. Where the file fixes a batch, its size may stand for one sample.
func (im *importer) inferred(want []int, size int) ([]int, error) {
	try := func(dims []int) ([]int, bool) {
		dims = slices.Clone(dims)
		open, rest := -1, 1
		for i, d := range dims {
			switch {
			case d == -1 && open < 0:
				open = i
			case d < 0 || d > 0 && rest > model.MaxElements/d:
				return nil, false
			default:
				rest *= d
			}
		}
		if open >= 0 {
			if rest == 0 || size%rest != 0 {
				return nil, false
			}
			dims[open] = size / rest
			rest *= dims[open]
		}
		return dims, rest == size
	}
	if dims, ok := try(want); ok && !(im.batch > 1 && len(want) > 0 && want[0] == im.batch) {
		return dims, nil
	}
	if im.batch > 1 {
		for i, d := range want {
			if d > 0 && d%im.batch == 0 {
				sample := slices.Clone(want)
				sample[i] = d / im.batch
				if dims, ok := try(sample); ok {
					return dims, nil
				}
				break
			}
		}
	}
	if dims, ok := try(want); ok {
		return dims, nil
	}
	return nil, fmt.Errorf("shape %v does not fit %d elements", want, size)
}

func flatten(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	axis := n.int("axis", 1)
	if axis < 0 {
		axis += x.rank()
	}
	if axis < 0 || axis > x.rank() {
		return nil, fmt.Errorf("axis %d is outside %d dimensions", axis, x.rank())
	}
	v, err := im.moved(x, []int{model.Shape(x.dims[:axis]).Size(), model.Shape(x.dims[axis:]).Size()})
	return []value{v}, err
}

func squeeze(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	axes, err := n.list(1, "axes")
	if err != nil {
		return nil, err
	}
	x := n.in[0]
	gone := make([]bool, x.rank())
	for _, a := range axes {
		axis, err := axisOf(a, x.rank())
		if err != nil {
			return nil, err
		}
		if x.dims[axis] != 1 {
			return nil, fmt.Errorf("dimension %d of %v is not 1", axis, x.dims)
		}
		gone[axis] = true
	}
	dims := []int{}
	for i, d := range x.dims {
		if !gone[i] && (len(axes) > 0 || d != 1) {
			dims = append(dims, d)
		}
	}
	v, err := im.moved(x, dims)
	return []value{v}, err
}

func unsqueeze(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	axes, err := n.list(1, "axes")
	if err != nil {
		return nil, err
	}
	x := n.in[0]
	rank := x.rank() + len(axes)
	if rank > model.MaxRank {
		return nil, fmt.Errorf("%d dimensions: at most %d are served", rank, model.MaxRank)
	}
	added := make([]bool, rank)
	for _, a := range axes {
		axis, err := axisOf(a, rank)
		if err != nil {
			return nil, err
		}
		if added[axis] {
			return nil, fmt.Errorf("axis %d occurs twice", axis)
		}
		added[axis] = true
	}
	dims, next := make([]int, rank), 0
	for i := range dims {
		if dims[i] = 1; !added[i] {
			dims[i] = x.dims[next]
			next++
		}
	}
	v, err := im.moved(x, dims)
	return []value{v}, err
}

func transpose(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	perm := n.ints("perm")
	if n.attribute("perm") == nil {
		for i := range x.rank() {
			perm = append(perm, x.rank()-1-i)
		}
	}
	v, err := im.transpose(x, perm)
	return []value{v}, err
}

func (im *importer) transpose(x value, perm []int) (value, error) {
	if len(perm) != x.rank() {
		return value{}, fmt.Errorf("permutation %v does not fit %v", perm, x.dims)
	}
	dims, seen := make([]int, len(perm)), make([]bool, len(perm))
	var order []int // of the dimensions that are not 1
	for i, axis := range perm {
		if axis < 0 || axis >= len(perm) || seen[axis] {
			return value{}, fmt.Errorf("%v is no permutation", perm)
		}
		seen[axis] = true
		if dims[i] = x.dims[axis]; dims[i] != 1 {
			order = append(order, axis)
		}
	}
	if slices.IsSorted(order) {
		return im.moved(x, dims)
	}
	if x.known || x.decisions != nil {
		// Where an element goes, by transposing the indices.
		from, err := (&model.Transpose{Perm: perm}).Eval([]model.Tensor{{Shape: x.dims, Data: numbered(x.size())}})
		if err != nil {
			return value{}, err
		}
		return im.pick(x, toInts(from.Data), dims)
	}
	if x.dims[0] == 1 && perm[0] == 0 {
		shorter := make([]int, len(perm)-1)
		for i := range shorter {
			shorter[i] = perm[i+1] - 1
		}
		var err error
		if x, err = im.narrow(x); err != nil {
			return value{}, err
		}
		v, err := im.apply(&model.Transpose{Perm: shorter}, x)
		return v.with(x.kind, dims), err
	}
	x, err := im.full(x)
	if err != nil {
		return value{}, err
	}
	v, err := im.apply(&model.Transpose{Perm: perm}, x)
	return v.with(x.kind, dims), err
}

// numbered is 0, 1, …, n−1.
func numbered(n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = float64(i)
	}
	return list
}

func toInts(list []float64) []int {
	ints := make([]int, len(list))
	for i, v := range list {
		ints[i] = int(v)
	}
	return ints
}

// expand stretches to a shape; a dimension of the shape may be the smaller one.
func expand(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	want, err := n.in[1].integers()
	if err != nil {
		return nil, fmt.Errorf("shape %w", err)
	}
	x := n.in[0]
	if im.batch > 1 && len(want) > 0 && want[0] == im.batch && !x.known {
		want = append([]int{1}, want[1:]...)
	}
	dims, err := broadcastDims(x.dims, want)
	if err != nil {
		return nil, err
	}
	v, err := im.pick(x, stretched(x.dims, dims), dims)
	return []value{v}, err
}

// selected makes a tensor by running an operator of the model on the indices of the elements.
func (im *importer) selected(x value, op model.Op) (value, error) {
	if err := im.spend(x.size()); err != nil {
		return value{}, err
	}
	from, err := op.Eval([]model.Tensor{{Shape: x.dims, Data: numbered(x.size())}})
	if err != nil {
		return value{}, err
	}
	return im.pick(x, toInts(from.Data), from.Shape)
}

func tile(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	repeats, err := n.in[1].integers()
	if err != nil {
		return nil, fmt.Errorf("repeats %w", err)
	}
	x := n.in[0]
	if len(repeats) != x.rank() {
		return nil, fmt.Errorf("repeats %v do not fit %v", repeats, x.dims)
	}
	pad := &model.Pad{Begin: make([]int, x.rank()), End: make([]int, x.rank()), Mode: model.PadWrap}
	dims := slices.Clone(x.dims)
	for i, r := range repeats {
		if r < 1 || r > model.MaxElements || dims[i] < 1 {
			return nil, fmt.Errorf("repeats %v do not fit %v", repeats, x.dims)
		}
		pad.End[i] = (r - 1) * dims[i]
		dims[i] *= r
	}
	if err := checkDims(dims); err != nil {
		return nil, err
	}
	v, err := im.selected(x, pad)
	return []value{v}, err
}

func concatNode(im *importer, n *node) ([]value, error) {
	if err := n.need(max(1, len(n.in))); err != nil {
		return nil, err
	}
	rank := n.in[0].rank()
	axis, err := axisOf(n.int("axis", 1), rank)
	if err != nil {
		return nil, err
	}
	v, err := im.concat(axis, n.in)
	return []value{v}, err
}

func (im *importer) concat(axis int, in []value) (value, error) {
	parts := make([]value, 0, len(in))
	for _, v := range in {
		if v.rank() != in[0].rank() {
			return value{}, fmt.Errorf("shapes %v and %v differ in rank", in[0].dims, v.dims)
		}
		if v.size() > 0 {
			parts = append(parts, v)
		}
	}
	switch len(parts) {
	case 0:
		return in[0], nil
	case 1:
		return parts[0], nil
	}
	dims := slices.Clone(parts[0].dims)
	known, decided := true, false
	for i, v := range parts {
		for d := range dims {
			if d != axis && v.dims[d] != dims[d] {
				return value{}, fmt.Errorf("shapes %v and %v differ beside axis %d", dims, v.dims, axis)
			}
		}
		if i > 0 {
			dims[axis] += v.dims[axis]
		}
		known = known && v.known
		decided = decided || v.decisions != nil
	}
	if err := checkDims(dims); err != nil {
		return value{}, err
	}
	if decided {
		if v, err := im.concatDecisions(parts, axis, dims); err != nil || v.present() {
			return v, err
		}
	}
	if !known && parts[0].kind == stringType {
		return im.concatTexts(axis, parts)
	}
	if known && parts[0].kind == stringType {
		var list []string
		for _, v := range parts {
			for _, i := range v.data {
				list = append(list, v.labels[int(i)])
			}
		}
		if axis != 0 && model.Shape(dims[:axis]).Size() != 1 {
			return value{}, errors.New("joins texts along an inner axis")
		}
		return texts(dims, list), nil
	}
	// A leading dimension of 1 is left out where nothing is joined along it.
	drop := axis > 0 && dims[0] == 1
	for i := range parts {
		var err error
		if parts[i], err = im.plain(parts[i]); err != nil {
			return value{}, err
		}
		shape := model.Shape(parts[i].dims)
		if drop {
			shape = shape[1:]
		}
		if parts[i], err = im.as(parts[i], shape); err != nil {
			return value{}, err
		}
	}
	if drop {
		axis--
	}
	v, err := im.apply(&model.Concat{Axis: axis}, parts...)
	return v.with(parts[0].kind, dims), err
}

// concatDecisions joins decisions of one source with each other and with constants.
func (im *importer) concatDecisions(parts []value, axis int, dims []int) (value, error) {
	source, lists, ok := im.decide(parts...)
	if !ok || model.Shape(dims).Size() > maxDecisions {
		return value{}, nil
	}
	for _, v := range parts {
		if !v.known && v.decisions == nil {
			return value{}, nil
		}
	}
	outer := model.Shape(dims[:axis]).Size()
	d := &decisions{source: source, elements: make([]sum, 0, model.Shape(dims).Size())}
	for o := range outer {
		for _, list := range lists {
			chunk := len(list) / outer
			d.elements = append(d.elements, list[o*chunk:(o+1)*chunk]...)
		}
	}
	return value{kind: parts[0].kind, dims: dims, shape: canonical(dims), decisions: d}, nil
}

// rangeNode is start, start + delta, … below limit.
func rangeNode(im *importer, n *node) ([]value, error) {
	var bounds [3]float64
	for i := range bounds {
		if err := n.need(i + 1); err != nil {
			return nil, err
		}
		var err error
		if bounds[i], err = n.in[i].scalar(); err != nil {
			return nil, err
		}
	}
	count := math.Ceil((bounds[1] - bounds[0]) / bounds[2])
	if !(count <= model.MaxElements) {
		return nil, fmt.Errorf("range of %v elements", count)
	}
	size := max(0, int(count))
	if err := im.spend(size); err != nil {
		return nil, err
	}
	data := make([]float64, size)
	for i := range data {
		data[i] = bounds[0] + float64(i)*bounds[2]
	}
	return []value{constant(n.in[0].kind, []int{size}, data)}, nil
}
