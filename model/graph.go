package model

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Port is a named input of a graph.
type Port struct {
	Name  string `json:"name"`
	Shape Shape  `json:"shape"`
}

// Node applies an operator to named values and names the result.
type Node struct {
	Name   string
	Op     Op
	Inputs []string // values: inputs of the graph or outputs of earlier nodes
	Output string
}

// Graph is a model: nodes in topological order over named values, each of which is written once.
type Graph struct {
	Name    string
	Inputs  []Port
	Nodes   []Node
	Outputs []string
}

const maxNameBytes = 255

// Validate checks names, order, parameters and shapes.
func (g *Graph) Validate() error {
	_, err := g.plan()
	return err
}

// Shapes returns the shape of every value by name.
func (g *Graph) Shapes() (map[string]Shape, error) {
	p, err := g.plan()
	if err != nil {
		return nil, err
	}
	shapes := make(map[string]Shape, len(p.values))
	for name, i := range p.values {
		shapes[name] = p.shapes[i]
	}
	return shapes, nil
}

// plan is a validated graph with values numbered: the inputs first, then one for each node.
type plan struct {
	graph   *Graph
	values  map[string]int
	shapes  []Shape
	inputs  [][]int // of each node
	outputs []int
}

func (g *Graph) plan() (*plan, error) {
	if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
		return nil, errors.New("graph needs at least one input and one output")
	}
	if err := checkName("graph", g.Name); err != nil {
		return nil, err
	}
	p := &plan{graph: g, values: make(map[string]int), inputs: make([][]int, len(g.Nodes))}
	total := 0
	define := func(name string, shape Shape) error {
		if err := checkName("value", name); err != nil {
			return err
		}
		if _, taken := p.values[name]; taken {
			return fmt.Errorf("value %q is defined twice", name)
		}
		if err := shape.check(); err != nil {
			return err
		}
		if total += shape.Size(); total > MaxTotalElements {
			return fmt.Errorf("values hold more than %d elements in all", MaxTotalElements)
		}
		p.values[name] = len(p.shapes)
		p.shapes = append(p.shapes, shape)
		return nil
	}
	for i, port := range g.Inputs {
		if err := define(port.Name, port.Shape); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
	}
	names := make(map[string]bool, len(g.Nodes))
	for i, node := range g.Nodes {
		if err := checkName("node", node.Name); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		if names[node.Name] {
			return nil, fmt.Errorf("node %d: name %q is taken", i, node.Name)
		}
		names[node.Name] = true
		if node.Op == nil {
			return nil, fmt.Errorf("node %q has no operator", node.Name)
		}
		if err := p.resolve(i, define); err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", node.Name, node.Op.Kind(), err)
		}
	}
	for _, name := range g.Outputs {
		v, ok := p.values[name]
		if !ok {
			return nil, fmt.Errorf("output %q is not a value of the graph", name)
		}
		p.outputs = append(p.outputs, v)
	}
	return p, nil
}

// resolve numbers the inputs of node i and defines its output.
func (p *plan) resolve(i int, define func(string, Shape) error) error {
	node := p.graph.Nodes[i]
	in := make([]Shape, len(node.Inputs))
	p.inputs[i] = make([]int, len(node.Inputs))
	for k, name := range node.Inputs {
		v, ok := p.values[name]
		if !ok {
			return fmt.Errorf("input %q is not defined before it", name)
		}
		p.inputs[i][k] = v
		in[k] = p.shapes[v]
	}
	shape, err := node.Op.Infer(in)
	if err != nil {
		return err
	}
	return define(node.Output, shape)
}

// checkName keeps names printable and exact in JSON, which cannot carry invalid UTF-8.
func checkName(what, name string) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) {
		return fmt.Errorf("%s name must be 1 to %d bytes of UTF-8", what, maxNameBytes)
	}
	return nil
}
