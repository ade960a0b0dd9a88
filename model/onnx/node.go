package onnx

import (
	"errors"
	"fmt"
	"math"
)

// node is a node of the file with the values of its inputs.
type node struct {
	*nodeProto
	in []value
}

var errMissing = errors.New("is missing")

// input returns an input, or one that is not present.
func (n *node) input(i int) value {
	if i < len(n.in) {
		return n.in[i]
	}
	return value{}
}

// need verifies that the first inputs are there.
func (n *node) need(count int) error {
	for i := range count {
		if !n.input(i).present() {
			return fmt.Errorf("input %d of %d is missing", i, count)
		}
	}
	return nil
}

func (n *node) attribute(name string) *attributeProto {
	for _, a := range n.attributes {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (n *node) int(name string, otherwise int) int {
	if a := n.attribute(name); a != nil {
		return int(max(min(a.i, math.MaxInt32), math.MinInt32))
	}
	return otherwise
}

func (n *node) float(name string, otherwise float64) float64 {
	if a := n.attribute(name); a != nil {
		return float64(a.f)
	}
	return otherwise
}

func (n *node) text(name, otherwise string) string {
	if a := n.attribute(name); a != nil {
		return string(a.s)
	}
	return otherwise
}

// ints returns the integers of an attribute, or nil.
func (n *node) ints(name string) []int {
	a := n.attribute(name)
	if a == nil {
		return nil
	}
	list := make([]int, len(a.ints))
	for i, v := range a.ints {
		list[i] = int(max(min(v, math.MaxInt32), math.MinInt32))
	}
	return list
}

// wide returns the integers of an attribute as numbers, exact to 2^53.
func (n *node) wide(name string) []float64 {
	a := n.attribute(name)
	if a == nil {
		return nil
	}
	list := make([]float64, len(a.ints))
	for i, v := range a.ints {
		list[i] = float64(v)
	}
	return list
}

func (n *node) floats(name string) []float64 {
	if a := n.attribute(name); a != nil {
		return a.floats
	}
	return nil
}

// finite returns the floats of an attribute, which have to be finite.
func (n *node) finite(name string) ([]float64, error) {
	list := n.floats(name)
	for _, v := range list {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("attribute %s holds %v: only finite parameters are served", name, v)
		}
	}
	return list, nil
}

func (n *node) texts(name string) []string {
	a := n.attribute(name)
	if a == nil {
		return nil
	}
	list := make([]string, len(a.strings))
	for i, s := range a.strings {
		list[i] = string(s)
	}
	return list
}

// tensor returns the tensor of an attribute.
func (n *node) tensor(name string) (value, error) {
	a := n.attribute(name)
	if a == nil || a.t == nil {
		return value{}, fmt.Errorf("attribute %s %w", name, errMissing)
	}
	v, err := a.t.value()
	if err != nil {
		return value{}, fmt.Errorf("attribute %s: %w", name, err)
	}
	return v, nil
}

// list returns constant integers that newer operator sets take as an input and older ones as an attribute, or nil.
func (n *node) list(input int, attribute string) ([]int, error) {
	if v := n.input(input); v.present() {
		list, err := v.integers()
		if err != nil {
			return nil, fmt.Errorf("%s %w", attribute, err)
		}
		if list == nil {
			list = []int{}
		}
		return list, nil
	}
	return n.ints(attribute), nil
}

// number returns a constant number that newer operator sets take as an input and older ones as an attribute.
func (n *node) number(input int, attribute string, otherwise float64) (float64, error) {
	if v := n.input(input); v.present() {
		x, err := v.scalar()
		if err != nil {
			return 0, fmt.Errorf("%s %w", attribute, err)
		}
		return x, nil
	}
	return n.float(attribute, otherwise), nil
}
