package onnx

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/model"
)

// reduceAxes reads the axes of a reduction, an input since operator set 13 (ReduceSum) or 18.
func (n *node) reduceAxes() (axes []int, nothing bool, err error) {
	list, err := n.list(1, "axes")
	if err != nil {
		return nil, false, err
	}
	rank := n.in[0].rank()
	if len(list) == 0 {
		return toInts(numbered(rank)), n.int("noop_with_empty_axes", 0) != 0, nil
	}
	for _, a := range list {
		axis, err := axisOf(a, rank)
		if err != nil {
			return nil, false, err
		}
		if slices.Contains(axes, axis) {
			return nil, false, fmt.Errorf("axis %d occurs twice", axis)
		}
		axes = append(axes, axis)
	}
	slices.Sort(axes)
	return axes, false, nil
}

// reduction makes a handler of an operator along axes, of what before makes of the elements.
func reduction(before, after func(im *importer, v value) (value, error), op func(axes []int, keep bool) model.Op) handler {
	return func(im *importer, n *node) ([]value, error) {
		if err := n.need(1); err != nil {
			return nil, err
		}
		axes, nothing, err := n.reduceAxes()
		if err != nil {
			return nil, err
		}
		v := n.in[0]
		if before != nil {
			if v, err = before(im, v); err != nil {
				return nil, err
			}
		}
		if !nothing {
			if v, err = im.reduce(v, axes, n.int("keepdims", 1) != 0, op); err != nil {
				return nil, err
			}
		}
		if after != nil {
			v, err = after(im, v)
		}
		return []value{v}, err
	}
}

// reduce reduces along axes; those of size 1, as the batch, are only left out.
func (im *importer) reduce(x value, axes []int, keep bool, op func(axes []int, keep bool) model.Op) (value, error) {
	dims := []int{}
	var long []int
	for i, d := range x.dims {
		reduced := slices.Contains(axes, i)
		switch {
		case !reduced:
			dims = append(dims, d)
		case keep:
			dims = append(dims, 1)
		}
		if reduced && d != 1 {
			long = append(long, i)
		}
	}
	if len(long) == 0 {
		return im.moved(x, dims)
	}
	if x.size() == 0 {
		return value{}, errors.New("reduces no elements")
	}
	if v, err := im.reduceDecided(x, long, dims, op(nil, false)); err != nil || v.present() {
		return v, err
	}
	var err error
	if x, err = im.plain(x); err != nil {
		return value{}, err
	}
	shape := canonical(x.dims)
	drop := len(x.dims) - len(shape)
	if x, err = im.as(x, shape); err != nil {
		return value{}, err
	}
	for i := range long {
		long[i] -= drop
	}
	v, err := im.apply(op(long, false), x)
	if err != nil {
		return value{}, err
	}
	v.kind, v.dims = x.kind, dims
	if v.known {
		v.shape = canonical(dims)
		return v, nil
	}
	return im.narrow(v)
}

// reduceDecided adds up decisions: the trees of an ensemble.
func (im *importer) reduceDecided(x value, axes, dims []int, op model.Op) (value, error) {
	if x.decisions == nil {
		return value{}, nil
	}
	factor := 1.0
	_, isSum := op.(*model.ReduceSum)
	if _, isMean := op.(*model.ReduceMean); isMean {
		factor = float64(model.Shape(dims).Size()) / float64(x.size())
	} else if !isSum {
		return value{}, nil
	}
	kept := slices.Clone(x.dims)
	for _, a := range axes {
		kept[a] = 1
	}
	d := &decisions{source: x.decisions.source, elements: make([]sum, model.Shape(dims).Size())}
	for i, k := range stretched(kept, x.dims) {
		var err error
		if d.elements[k], err = im.plus(d.elements[k], x.decisions.elements[i], factor); err != nil {
			return value{}, err
		}
	}
	return value{kind: x.kind, dims: dims, shape: canonical(dims), decisions: d}, nil
}

func sumOf(axes []int, keep bool) model.Op  { return &model.ReduceSum{Axes: axes, KeepDims: keep} }
func meanOf(axes []int, keep bool) model.Op { return &model.ReduceMean{Axes: axes, KeepDims: keep} }
func maxOf(axes []int, keep bool) model.Op  { return &model.ReduceMax{Axes: axes, KeepDims: keep} }

func with(op model.Op) func(im *importer, v value) (value, error) {
	return func(im *importer, v value) (value, error) {
		v, err := im.plain(v)
		if err != nil {
			return value{}, err
		}
		return im.pointwise(op, v)
	}
}

func negated(im *importer, v value) (value, error) {
	v, err := im.plain(v)
	if err != nil {
		return value{}, err
	}
	return im.affine(v, -1, 0)
}

// maxFactors bounds the factors of a product along axes.
const maxFactors = 64

// reduceProduct multiplies the elements along axes one by one: features of polynomials.
func reduceProduct(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	axes, nothing, err := n.reduceAxes()
	if err != nil {
		return nil, err
	}
	x := n.in[0]
	if nothing {
		return []value{x}, nil
	}
	kept, dims := slices.Clone(x.dims), []int{}
	for i, d := range x.dims {
		if slices.Contains(axes, i) {
			if kept[i] = 1; n.int("keepdims", 1) != 0 {
				dims = append(dims, 1)
			}
		} else {
			dims = append(dims, d)
		}
	}
	// The elements of each result, by their order.
	size := model.Shape(kept).Size()
	if size == 0 || x.size() == 0 || x.size()/size > maxFactors {
		return nil, fmt.Errorf("multiplies %d elements: at most %d are served", x.size()/max(1, size), maxFactors)
	}
	factors := make([][]int, x.size()/size)
	seen := make([]int, size)
	for i, k := range stretched(kept, x.dims) {
		factors[seen[k]] = append(factors[seen[k]], i)
		seen[k]++
	}
	product, err := im.pick(x, factors[0], dims)
	for _, from := range factors[1:] {
		if err != nil {
			return nil, err
		}
		var next value
		if next, err = im.pick(x, from, dims); err == nil {
			product, err = im.multiply(product, next)
		}
	}
	return []value{product}, err
}

// logSumExp subtracts the largest element first, so that no exponential overflows.
func logSumExp(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	axes, nothing, err := n.reduceAxes()
	if err != nil {
		return nil, err
	}
	if nothing {
		return n.in[:1], nil
	}
	x := n.in[0]
	top, err := im.reduce(x, axes, true, maxOf)
	if err != nil {
		return nil, err
	}
	v, err := im.subtract(x, top)
	if err != nil {
		return nil, err
	}
	if v, err = im.pointwise(&model.Activation{Function: model.Exp}, v); err != nil {
		return nil, err
	}
	if v, err = im.reduce(v, axes, true, sumOf); err != nil {
		return nil, err
	}
	if v, err = im.pointwise(&model.Activation{Function: model.Log}, v); err != nil {
		return nil, err
	}
	if v, err = im.add(v, top); err != nil {
		return nil, err
	}
	if n.int("keepdims", 1) == 0 {
		dims := []int{}
		for i, d := range v.dims {
			if !slices.Contains(axes, i) {
				dims = append(dims, d)
			}
		}
		v, err = im.moved(v, dims)
	}
	return []value{v}, err
}

// alongAxis returns the value in a shape of the model and the place of an axis in it.
func (im *importer) alongAxis(x value, axis int) (value, int, error) {
	shape := canonical(x.dims)
	if drop := len(x.dims) - len(shape); axis >= drop {
		v, err := im.as(x, shape)
		return v, axis - drop, err
	}
	v, err := im.full(x)
	return v, axis, err
}

// softmax works along one axis or, before operator set 13, over all from an axis on.
func softmax(op func(axis int) model.Op) handler {
	return func(im *importer, n *node) ([]value, error) {
		if err := n.need(1); err != nil {
			return nil, err
		}
		x := n.in[0]
		otherwise := 1
		if im.opset >= 13 {
			otherwise = -1
		}
		axis, err := axisOf(n.int("axis", otherwise), x.rank())
		if err != nil {
			return nil, err
		}
		if im.opset < 13 && axis < x.rank()-1 {
			flat := model.Shape{model.Shape(x.dims[:axis]).Size(), model.Shape(x.dims[axis:]).Size()}
			in, err := im.as(x, flat)
			if err != nil {
				return nil, err
			}
			v, err := im.apply(op(1), in)
			return []value{v.with(x.kind, x.dims)}, err
		}
		in, at, err := im.alongAxis(x, axis)
		if err != nil {
			return nil, err
		}
		v, err := im.apply(op(at), in)
		return []value{v.with(x.kind, x.dims)}, err
	}
}

func argMax(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	axis, err := axisOf(n.int("axis", 0), x.rank())
	if err != nil {
		return nil, err
	}
	if n.int("select_last_index", 0) != 0 {
		return nil, errors.New("chooses the last of equals: only the first is served")
	}
	if n.kind == "ArgMin" {
		if x, err = im.affine(x, -1, 0); err != nil {
			return nil, err
		}
	}
	v, err := im.argMax(x, axis)
	if err != nil {
		return nil, err
	}
	if n.int("keepdims", 1) != 0 {
		dims := slices.Clone(x.dims)
		dims[axis] = 1
		v, err = im.moved(v, dims)
	}
	return []value{v}, err
}

// argMax removes the axis.
func (im *importer) argMax(x value, axis int) (value, error) {
	in, at, err := im.alongAxis(x, axis)
	if err != nil {
		return value{}, err
	}
	v, err := im.apply(&model.ArgMax{Axis: at}, in)
	return v.with(int64Type, slices.Delete(slices.Clone(x.dims), axis, axis+1)), err
}

// lpNormalization divides by a norm along an axis.
func lpNormalization(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	axis, err := axisOf(n.int("axis", -1), x.rank())
	if err != nil {
		return nil, err
	}
	norm, ok := map[int]string{1: model.NormL1, 2: model.NormL2}[n.int("p", 2)]
	if !ok {
		return nil, fmt.Errorf("norm of order %d is not served", n.int("p", 2))
	}
	in, at, err := im.alongAxis(x, axis)
	if err != nil {
		return nil, err
	}
	v, err := im.apply(&model.Normalizer{Norm: norm, Axis: at}, in)
	return []value{v.with(x.kind, x.dims)}, err
}

// topK gives the largest or smallest elements along an axis, and where they are.
func topK(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	ks, err := n.list(1, "k")
	if err != nil {
		return nil, err
	}
	if n.attribute("k") != nil {
		ks = []int{n.int("k", 0)}
	}
	if len(ks) != 1 {
		return nil, errors.New("k is not one constant")
	}
	x := n.in[0]
	axis, err := axisOf(n.int("axis", -1), x.rank())
	if err != nil {
		return nil, err
	}
	if n.int("largest", 1) == 0 {
		if x, err = im.affine(x, -1, 0); err != nil {
			return nil, err
		}
	}
	in, at, err := im.alongAxis(x, axis)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.dims)
	dims[axis] = ks[0]
	indices, err := im.apply(&model.TopK{Axis: at, K: ks[0], Indices: true}, in)
	if err != nil {
		return nil, err
	}
	values, err := im.apply(&model.TopK{Axis: at, K: ks[0]}, in)
	if err != nil {
		return nil, err
	}
	values = values.with(x.kind, dims)
	if n.int("largest", 1) == 0 {
		if values, err = im.affine(values, -1, 0); err != nil {
			return nil, err
		}
	}
	return []value{values, indices.with(int64Type, dims)}, nil
}

// cumulativeSum adds up along an axis: a product with a triangle of ones.
func cumulativeSum(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x := n.in[0]
	axes, err := n.in[1].integers()
	if err != nil || len(axes) != 1 {
		return nil, errors.New("axis is not one constant")
	}
	axis, err := axisOf(axes[0], x.rank())
	if err != nil {
		return nil, err
	}
	size := x.dims[axis]
	if err := checkDims([]int{size, size}); err != nil {
		return nil, err
	}
	ones := make([]float64, size*size)
	for i := range size {
		for k := range size {
			before := k <= i
			if n.int("reverse", 0) != 0 {
				before = k >= i
			}
			if before && !(k == i && n.int("exclusive", 0) != 0) {
				ones[k*size+i] = 1
			}
		}
	}
	if err := im.spend(len(ones)); err != nil {
		return nil, err
	}
	v, err := im.along(x, axis, constant(x.kind, []int{size, size}, ones))
	return []value{v}, err
}
