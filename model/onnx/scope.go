package onnx

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"cipherpoint/model"
)

// function finds the function of the file that a node calls, or nil.
func (im *importer) function(n *node) *functionProto {
	return im.functions[[2]string{n.domain, n.kind}]
}

// call runs a function's nodes in a scope of their own.
func (im *importer) call(n *node, f *functionProto) ([]value, error) {
	if im.depth++; im.depth > maxDepth {
		return nil, fmt.Errorf("functions call each other more than %d deep", maxDepth)
	}
	outer, opset := im.values, im.opset
	defer func() { im.values, im.opset, im.depth = outer, opset, im.depth-1 }()
	im.values = map[string]value{}
	for i, name := range f.inputs {
		if v := n.input(i); v.present() {
			im.values[name] = v
		}
	}
	if v, ok := f.opsets[""]; ok && v >= 1 && v <= maxOpset {
		im.opset = v
	}
	given := map[string]*attributeProto{}
	for _, a := range slices.Concat(f.defaults, n.attributes) {
		given[a.name] = a
	}
	nodes := make([]*nodeProto, len(f.nodes))
	for i, inner := range f.nodes {
		nodes[i] = inner
		if !slices.ContainsFunc(inner.attributes, func(a *attributeProto) bool { return a.reference != "" }) {
			continue
		}
		copied := *inner
		copied.attributes = nil
		for _, a := range inner.attributes {
			if a.reference != "" {
				from := given[a.reference]
				if from == nil {
					continue
				}
				renamed := *from
				renamed.name = a.name
				a = &renamed
			}
			copied.attributes = append(copied.attributes, a)
		}
		nodes[i] = &copied
	}
	// An optional input that is left out may still be named.
	for _, inner := range nodes {
		for _, name := range inner.inputs {
			if slices.Contains(f.inputs, name) {
				if _, ok := im.values[name]; !ok {
					im.values[name] = value{}
				}
			}
		}
	}
	if err := im.run(nodes); err != nil {
		return nil, err
	}
	out := make([]value, len(f.outputs))
	for i, name := range f.outputs {
		out[i] = im.values[name]
	}
	return out, nil
}

// branch runs one side of a condition that is known at import.
func branch(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	if !n.in[0].known || len(n.in[0].data) != 1 {
		return nil, errors.New("decides by an input what is computed: compute both and combine them with Where")
	}
	side := n.attribute("else_branch")
	if n.in[0].data[0] != 0 {
		side = n.attribute("then_branch")
	}
	if side == nil || side.g == nil {
		return nil, errors.New("has no branch for its condition")
	}
	if im.depth++; im.depth > maxDepth {
		return nil, fmt.Errorf("branches nest more than %d deep", maxDepth)
	}
	outer := im.values
	defer func() { im.values, im.depth = outer, im.depth-1 }()
	im.values = maps.Clone(outer)
	if err := im.spend(len(outer)); err != nil {
		return nil, err
	}
	if err := im.constants(side.g); err != nil {
		return nil, err
	}
	if err := im.run(side.g.nodes); err != nil {
		return nil, err
	}
	out := make([]value, len(side.g.outputs))
	for i, p := range side.g.outputs {
		out[i] = im.values[p.name]
	}
	return out, nil
}

// scan recognises the one loop that scikit-learn's exporter writes: the squared distances of an input to the rows of a
// constant.
func scan(im *importer, n *node) ([]value, error) {
	refused := errors.New("is a loop other than the squared Euclidean distances to constant rows: unroll it when exporting")
	a := n.attribute("body")
	if a == nil || a.g == nil || len(n.in) != 2 || !n.in[1].known || n.in[1].rank() != 2 || len(a.g.inputs) != 2 || len(a.g.outputs) != 2 || n.int("num_scan_inputs", 1) != 1 {
		return nil, refused
	}
	for _, name := range []string{"scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"} {
		if slices.ContainsFunc(n.ints(name), func(v int) bool { return v != 0 }) {
			return nil, refused
		}
	}
	// What each value of the body is: s the state, r the row, d their difference, q its squared norm.
	kind := map[string]byte{a.g.inputs[0].name: 's', a.g.inputs[1].name: 'r'}
	for _, t := range a.g.initializers {
		v, err := t.value()
		if axes, notInts := v.integers(); err != nil || notInts != nil || !slices.Equal(axes, []int{1}) {
			return nil, refused
		}
		kind[t.name] = '1' // the axis of the features
	}
	for _, inner := range a.g.nodes {
		if len(inner.outputs) != 1 || inner.domain != "" {
			return nil, refused
		}
		in := ""
		for _, name := range inner.inputs {
			in += string(kind[name])
		}
		made := byte(0)
		body := &node{nodeProto: inner}
		switch {
		case inner.kind == "Identity" && len(in) == 1:
			made = in[0]
		case inner.kind == "Sub" && (in == "sr" || in == "rs"):
			made = 'd'
		case inner.kind == "ReduceSumSquare" && (in == "d1" || in == "d" && slices.Equal(body.ints("axes"), []int{1})) && body.int("keepdims", 1) == 0:
			made = 'q'
		default:
			return nil, refused
		}
		kind[inner.outputs[0]] = made
	}
	if kind[a.g.outputs[0].name] != 's' || kind[a.g.outputs[1].name] != 'q' {
		return nil, refused
	}
	x, err := im.row(n.in[0])
	if err != nil {
		return nil, err
	}
	rows, err := n.in[1].numbers()
	if err != nil {
		return nil, err
	}
	if n.in[1].dims[1] != x.size() {
		return nil, fmt.Errorf("rows of %v do not fit %v", n.in[1].dims, n.in[0].dims)
	}
	d, err := im.distances(x, model.Tensor{Shape: model.Shape(n.in[1].dims), Data: rows}, 1)
	if err != nil {
		return nil, err
	}
	// Rounding, or the noise of encryption, may take a small distance below zero, where the square root that follows is not
	// defined.
	if d, err = im.pointwise(&model.Clip{Min: 0, Max: math.MaxFloat64}, d); err != nil {
		return nil, err
	}
	return []value{n.in[0], d.with(x.kind, []int{d.size(), 1})}, nil
}
