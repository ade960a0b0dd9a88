package onnx

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/model"
)

// slice is a run of elements along each dimension.
func sliceNode(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	var lists [4][]int
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		var err error
		if lists[i], err = n.list(i+1, name); err != nil {
			return nil, err
		}
	}
	starts, ends, axes, steps := lists[0], lists[1], lists[2], lists[3]
	if axes == nil {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(starts) != len(ends) || len(axes) != len(starts) || len(steps) != len(starts) {
		return nil, errors.New("starts, ends, axes and steps differ in length")
	}
	from, size, step := make([]int, x.rank()), slices.Clone(x.dims), slices.Repeat([]int{1}, x.rank())
	for k := range starts {
		axis, err := axisOf(axes[k], x.rank())
		if err != nil {
			return nil, err
		}
		if steps[k] == 0 {
			return nil, errors.New("steps by 0")
		}
		from[axis], size[axis] = span(starts[k], ends[k], steps[k], x.dims[axis])
		step[axis] = steps[k]
	}
	v, err := im.slice(x, from, size, step)
	return []value{v}, err
}

// span returns the first element and the number of elements of start:end:step along a dimension.
func span(start, end, step, size int) (first, count int) {
	if start < 0 {
		start += size
	}
	if end < 0 {
		end += size
	}
	if step > 0 {
		start, end = max(0, min(start, size)), max(0, min(end, size))
		return start, max(0, (end-start+step-1)/step)
	}
	start, end = max(-1, min(start, size-1)), max(-1, min(end, size-1))
	return start, max(0, (start-end-step-1)/-step)
}

func (im *importer) slice(x value, from, size, step []int) (value, error) {
	if slices.Contains(size, 0) {
		if !x.known {
			return value{}, fmt.Errorf("takes nothing of %v", x.dims)
		}
		return constant(x.kind, size, nil), nil
	}
	if slices.Equal(size, x.dims) && !slices.ContainsFunc(step, func(s int) bool { return s < 0 }) {
		return x, nil
	}
	for i := range step { // a step beyond the dimension takes one element, as any other
		if size[i] == 1 {
			step[i] = 1
		}
	}
	op := &model.Slice{Start: from, Size: size, Step: step}
	if x.known || x.decisions != nil {
		return im.selected(x, op)
	}
	if x.rank() > 1 && x.dims[0] == 1 {
		var err error
		if x, err = im.narrow(x); err != nil {
			return value{}, err
		}
		op = &model.Slice{Start: from[1:], Size: size[1:], Step: step[1:]}
	}
	v, err := im.apply(op, x)
	return v.with(x.kind, size), err
}

func splitNode(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	axis, err := axisOf(n.int("axis", 0), x.rank())
	if err != nil {
		return nil, err
	}
	sizes, err := n.list(1, "split")
	if err != nil {
		return nil, err
	}
	if len(sizes) == 0 {
		parts := max(1, len(n.outputs))
		each := (x.dims[axis] + parts - 1) / parts
		for i := range parts {
			sizes = append(sizes, max(0, min(each, x.dims[axis]-i*each)))
		}
	}
	var out []value
	start := 0
	for _, s := range sizes {
		if s < 1 || s > x.dims[axis]-start {
			return nil, fmt.Errorf("parts %v do not fit dimension %d of %v", sizes, axis, x.dims)
		}
		from, size := make([]int, x.rank()), slices.Clone(x.dims)
		from[axis], size[axis] = start, s
		v, err := im.slice(x, from, size, slices.Repeat([]int{1}, x.rank()))
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		start += s
	}
	if start != x.dims[axis] {
		return nil, fmt.Errorf("parts %v do not fit dimension %d of %v", sizes, axis, x.dims)
	}
	return out, nil
}

func pad(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	x := n.in[0]
	pads, err := n.list(1, "pads")
	if err != nil {
		return nil, err
	}
	if n.attribute("paddings") != nil {
		pads = n.ints("paddings")
	}
	fill, err := n.number(2, "value", 0)
	if err != nil {
		return nil, err
	}
	axes, err := n.list(3, "axes")
	if err != nil {
		return nil, err
	}
	if !n.input(3).present() {
		axes = nil
		for i := range x.rank() {
			axes = append(axes, i)
		}
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("pads %v do not fit %v", pads, x.dims)
	}
	op := &model.Pad{Begin: make([]int, x.rank()), End: make([]int, x.rank()), Mode: n.text("mode", model.PadConstant), Value: fill}
	from, size := make([]int, x.rank()), slices.Clone(x.dims)
	for k, a := range axes {
		axis, err := axisOf(a, x.rank())
		if err != nil {
			return nil, err
		}
		begin, end := pads[k], pads[len(axes)+k]
		// Negative pads cut.
		from[axis] = max(0, -begin)
		size[axis] = x.dims[axis] - max(0, -begin) - max(0, -end)
		if size[axis] < 1 {
			return nil, fmt.Errorf("pads %v cut all of %v", pads, x.dims)
		}
		op.Begin[axis], op.End[axis] = max(0, begin), max(0, end)
	}
	if x, err = im.slice(x, from, size, slices.Repeat([]int{1}, x.rank())); err != nil {
		return nil, err
	}
	dims := slices.Clone(x.dims)
	for i := range dims {
		if dims[i] += op.Begin[i] + op.End[i]; op.Begin[i] > model.MaxElements || op.End[i] > model.MaxElements {
			return nil, fmt.Errorf("pads %v are too wide", pads)
		}
	}
	if err := checkDims(dims); err != nil {
		return nil, err
	}
	if op.Mode != model.PadConstant {
		op.Value = 0
	}
	if x.rank() > 1 && dims[0] == 1 {
		op.Begin, op.End = op.Begin[1:], op.End[1:]
		x, err = im.narrow(x)
	} else {
		x, err = im.full(x)
	}
	if err != nil {
		return nil, err
	}
	v, err := im.apply(op, x)
	return []value{v.with(x.kind, dims)}, err
}
