package onnx

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/model"
)

// gather takes slices along an axis at constant indices; or rows of a constant at indices that are decisions or inputs.
func gather(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x, at := n.in[0], n.in[1]
	axis, err := axisOf(n.int("axis", 0), x.rank())
	if err != nil {
		return nil, err
	}
	v, err := im.gather(x, at, axis)
	return []value{v}, err
}

var errPlaces = errors.New("takes elements of an input at places that depend on an input: only constant places are served; " +
	"use a model that adds its parts up, or end it before")

func (im *importer) gather(x, at value, axis int) (value, error) {
	dims := slices.Concat(x.dims[:axis], at.dims, x.dims[axis+1:])
	if err := checkDims(dims); err != nil {
		return value{}, err
	}
	outer, inner := model.Shape(x.dims[:axis]).Size(), model.Shape(x.dims[axis+1:]).Size()
	size := x.dims[axis]
	wrap := func(i int) (int, error) {
		if i < -size || i >= size {
			return 0, fmt.Errorf("index %d is outside dimension %d of %v", i, axis, x.dims)
		}
		return (i + size) % size, nil
	}
	switch {
	case at.known:
		indices, err := at.integers()
		if err != nil {
			return value{}, err
		}
		from := make([]int, 0, outer*len(indices)*inner)
		for o := range outer {
			for _, i := range indices {
				if i, err = wrap(i); err != nil {
					return value{}, err
				}
				for k := range inner {
					from = append(from, (o*size+i)*inner+k)
				}
			}
		}
		return im.pick(x, from, dims)
	case at.decisions != nil:
		return im.gatherDecided(x, at, dims, func(position int, index float64) (int, error) {
			o, rest := position/(at.size()*inner), position%(at.size()*inner)
			i, err := wrap(int(index))
			return (o*size+i)*inner + rest%inner, err
		}, func(position int) int { return position % (at.size() * inner) / inner })
	case !x.known:
		return value{}, errPlaces
	case x.kind == stringType:
		if outer != 1 || inner != 1 {
			return value{}, errors.New("looks up rows of text")
		}
		at.labels = make([]string, size)
		for i := range at.labels {
			at.labels[i] = x.labels[int(x.data[i])]
		}
		return at.with(stringType, dims), nil
	case outer == 1 && axis == 0:
		// Rows of a table.
		table, err := x.numbers()
		if err != nil {
			return value{}, err
		}
		at, err = im.narrow(at)
		if err != nil {
			return value{}, err
		}
		v, err := im.apply(&model.Embedding{Table: model.Tensor{Shape: model.Shape{size, inner}, Data: table}}, at)
		if err != nil {
			return value{}, err
		}
		v, err = im.as(v, canonical(dims))
		return v.with(x.kind, dims), err
	default:
		flipped := append([]int{axis}, slices.Delete(toInts(numbered(x.rank())), axis, axis+1)...)
		table, err := im.transpose(x, flipped)
		if err != nil {
			return value{}, err
		}
		v, err := im.gather(table, at, 0)
		if err != nil {
			return value{}, err
		}
		// [at..., outer..., inner...] to [outer..., at..., inner...]
		perm := toInts(numbered(v.rank()))
		perm = slices.Concat(perm[at.rank():at.rank()+axis], perm[:at.rank()], perm[at.rank()+axis:])
		return im.transpose(v, perm)
	}
}

// gatherDecided takes element from(position, index) of a constant or of features for every decided index.
func (im *importer) gatherDecided(x, at value, dims []int, from func(position int, index float64) (int, error), of func(position int) int) (value, error) {
	f, isFeatures := im.featuresOf(x)
	if !x.known && !(isFeatures && f.source == at.decisions.source.name) {
		return value{}, errors.New("takes elements at places that depend on an input, of what is no constant or feature")
	}
	d := &decisions{source: at.decisions.source, elements: make([]sum, model.Shape(dims).Size())}
	for i := range d.elements {
		t, err := im.oneTree(at.decisions.elements[of(i)])
		if err != nil {
			return value{}, err
		}
		t, err = im.eachLeaf(t, func(leaf *tree) (*tree, error) {
			if leaf.feature >= 0 {
				return nil, errFeatureLeaf
			}
			k, err := from(i, leaf.value)
			if err != nil {
				return nil, err
			}
			if x.known {
				return leafOf(x.data[k]), nil
			}
			return &tree{feature: f.index(k)}, nil
		})
		if err != nil {
			return value{}, err
		}
		d.elements[i] = im.asSum(t)
	}
	return value{kind: x.kind, dims: dims, shape: canonical(dims), decisions: d}, nil
}

// gatherElements takes x[…, index[…], …] along an axis.
func gatherElements(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x, at := n.in[0], n.in[1]
	axis, err := axisOf(n.int("axis", 0), x.rank())
	if err != nil {
		return nil, err
	}
	if at.rank() != x.rank() {
		return nil, fmt.Errorf("indices of %v do not fit %v", at.dims, x.dims)
	}
	for d := range x.dims {
		if d != axis && at.dims[d] > x.dims[d] {
			return nil, fmt.Errorf("indices of %v do not fit %v", at.dims, x.dims)
		}
	}
	strides := make([]int, x.rank())
	for d, step := x.rank()-1, 1; d >= 0; d-- {
		strides[d] = step
		step *= x.dims[d]
	}
	from := func(position int, index float64) (int, error) {
		i := int(index)
		if i < 0 {
			i += x.dims[axis]
		}
		if i < 0 || i >= x.dims[axis] {
			return 0, fmt.Errorf("index %v is outside dimension %d of %v", index, axis, x.dims)
		}
		k := i * strides[axis]
		for d := at.rank() - 1; d >= 0; d-- {
			if d != axis {
				k += position % at.dims[d] * strides[d]
			}
			position /= at.dims[d]
		}
		return k, nil
	}
	if at.decisions != nil {
		v, err := im.gatherDecided(x, at, at.dims, from, func(position int) int { return position })
		return []value{v}, err
	}
	if !at.known {
		return nil, errPlaces
	}
	indices, err := at.integers()
	if err != nil {
		return nil, fmt.Errorf("indices: %w", err)
	}
	for i := range indices {
		if indices[i], err = from(i, float64(indices[i])); err != nil {
			return nil, err
		}
	}
	v, err := im.pick(x, indices, at.dims)
	return []value{v}, err
}

// gatherND takes the slices at constant indices into the first dimensions after those of a batch.
func gatherND(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	x, at := n.in[0], n.in[1]
	if !at.known {
		return nil, errPlaces
	}
	indices, err := at.integers()
	if err != nil {
		return nil, fmt.Errorf("indices: %w", err)
	}
	batch := n.int("batch_dims", 0)
	if at.rank() < 1 || batch < 0 || batch >= min(at.rank(), x.rank()) || !slices.Equal(at.dims[:batch], x.dims[:batch]) {
		return nil, fmt.Errorf("indices of %v do not fit %v", at.dims, x.dims)
	}
	depth := at.dims[at.rank()-1]
	if depth < 1 || batch+depth > x.rank() {
		return nil, fmt.Errorf("indices of %v do not fit %v", at.dims, x.dims)
	}
	dims := slices.Concat(at.dims[:at.rank()-1], x.dims[batch+depth:])
	if err := checkDims(dims); err != nil {
		return nil, err
	}
	inner := model.Shape(x.dims[batch+depth:]).Size()
	perBatch := len(indices) / max(1, model.Shape(at.dims[:batch]).Size())
	var from []int
	for i := 0; i < len(indices); i += depth {
		k := i / max(1, perBatch)
		for d, index := range indices[i : i+depth] {
			size := x.dims[batch+d]
			if index < -size || index >= size {
				return nil, fmt.Errorf("index %d is outside dimension %d of %v", index, batch+d, x.dims)
			}
			k = k*size + (index+size)%size
		}
		for j := range inner {
			from = append(from, k*inner+j)
		}
	}
	v, err := im.pick(x, from, dims)
	return []value{v}, err
}

// oneHot writes an index as bits along a new axis.
func oneHot(im *importer, n *node) ([]value, error) {
	if err := n.need(3); err != nil {
		return nil, err
	}
	x := n.in[0]
	depths, err := n.in[1].integers()
	if err != nil || len(depths) != 1 {
		return nil, errors.New("depth is not one constant")
	}
	levels, err := n.in[2].numbers()
	if err != nil || len(levels) != 2 {
		return nil, errors.New("values are not two constants")
	}
	depth := depths[0]
	axis, err := axisOf(n.int("axis", -1), x.rank()+1)
	if err != nil {
		return nil, err
	}
	dims := slices.Insert(slices.Clone(x.dims), axis, depth)
	if err := checkDims(dims); err != nil {
		return nil, err
	}
	if depth < 1 {
		return nil, fmt.Errorf("depth is %d", depth)
	}
	wide, err := im.moved(x, slices.Insert(slices.Clone(x.dims), axis, 1))
	if err != nil {
		return nil, err
	}
	along := slices.Repeat([]int{1}, len(dims))
	along[axis] = depth
	v, err := im.compareNumbers(equal, wide, constant(x.kind, along, numbered(depth)))
	if err != nil {
		return nil, err
	}
	v, err = im.affine(v, levels[1]-levels[0], levels[0])
	return []value{v.with(n.in[2].kind, dims)}, err
}

// depthToSpace and its inverse only move elements.
func depthToSpace(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x, b := n.in[0], n.int("blocksize", 0)
	if x.rank() != 4 || b < 1 || b > model.MaxElements {
		return nil, fmt.Errorf("blocks of %d do not fit %v", b, x.dims)
	}
	N, c, h, w := x.dims[0], x.dims[1], x.dims[2], x.dims[3]
	var split, perm, dims []int
	if n.kind == "DepthToSpace" {
		if c%b != 0 || c/b%b != 0 {
			return nil, fmt.Errorf("blocks of %d do not fit %v", b, x.dims)
		}
		dims = []int{N, c / b / b, h * b, w * b}
		split, perm = []int{N, b, b, c / b / b, h, w}, []int{0, 3, 4, 1, 5, 2}
		if n.text("mode", "DCR") == "CRD" {
			split, perm = []int{N, c / b / b, b, b, h, w}, []int{0, 1, 4, 2, 5, 3}
		}
	} else {
		if h%b != 0 || w%b != 0 {
			return nil, fmt.Errorf("blocks of %d do not fit %v", b, x.dims)
		}
		dims = []int{N, c * b * b, h / b, w / b}
		split, perm = []int{N, c, h / b, b, w / b, b}, []int{0, 3, 5, 1, 2, 4}
	}
	v, err := im.moved(x, split)
	if err != nil {
		return nil, err
	}
	if v, err = im.transpose(v, perm); err != nil {
		return nil, err
	}
	v, err = im.moved(v, dims)
	return []value{v}, err
}
