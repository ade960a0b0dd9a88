package onnx

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/model"
)

// Text that an input brings is its index among all texts that the model compares such inputs with, in ascending order,
// or −1: the client looks it up before anything else.

// maxTexts bounds the list.
const maxTexts = 1 << 16

// textsOf lists what the nodes that text inputs reach compare with.
func textsOf(g *graphProto, ports []*portProto) []string {
	reached := map[string]bool{}
	for _, p := range ports {
		reached[p.name] = p.kind == stringType
	}
	constants := map[string]*tensorProto{}
	for _, t := range g.initializers {
		constants[t.name] = t
	}
	var list []string
	take := func(t *tensorProto) {
		if t != nil && t.kind == stringType {
			if v, err := t.value(); err == nil {
				list = append(list, v.labels...)
			}
		}
	}
	for _, proto := range g.nodes {
		n := &node{nodeProto: proto}
		if a := n.attribute("value"); n.kind == "Constant" && a != nil && len(proto.outputs) == 1 {
			constants[proto.outputs[0]] = a.t
		}
		if !slices.ContainsFunc(proto.inputs, func(name string) bool { return reached[name] }) {
			continue
		}
		for _, name := range proto.outputs {
			reached[name] = true
		}
		for _, name := range proto.inputs {
			take(constants[name])
		}
		for _, name := range []string{"cats_strings", "keys_strings", "classes_strings"} {
			list = append(list, n.texts(name)...)
		}
		if a := n.attribute("keys_tensor"); a != nil {
			take(a.t)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxTexts)]
}

// columns describes the values of a row where some are text.
func (im *importer) columns() []model.Column {
	var list []model.Column
	for _, port := range im.graph.Inputs {
		size := port.Shape.Size()
		for i := range size {
			c := model.Column{Name: port.Name}
			if size > 1 {
				c.Name = fmt.Sprintf("%s %d", port.Name, i+1)
			}
			if im.sources[port.Name].kind == stringType {
				c.Categories = im.texts
			}
			list = append(list, c)
		}
	}
	if len(im.texts) == 0 {
		return nil
	}
	return list
}

// concatTexts joins the indices of texts that come from inputs.
func (im *importer) concatTexts(axis int, in []value) (value, error) {
	plain := slices.Clone(in)
	for i, v := range in {
		if v.kind != stringType || v.known || !slices.Equal(v.labels, in[0].labels) {
			return value{}, errors.New("joins text with what is none, or with other lists of texts")
		}
		plain[i].kind, plain[i].labels = int64Type, nil
	}
	v, err := im.concat(axis, plain)
	v.labels = in[0].labels
	return v.with(stringType, v.dims), err
}
