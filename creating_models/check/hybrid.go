package check

import (
	"errors"
	"fmt"
	"slices"

	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
)

// unit is an approximated layer: nodes of the original model and the polynomials in their place, with the layers that were
// fitted anew to what these make.
type unit struct {
	approximation.Replacement
	input, output string
	refitted      map[string]model.Op
	polynomials   []polynomial
}

// polynomial is a node of a unit that must not leave a range.
type polynomial struct {
	model.Node
	low, high float64
	scale     *model.Scale   // brings the unit's input to the range, or nil
	pool      *model.MaxPool // that a mean after the polynomial stands for, or nil
}

// layers are the two forms of a model and what they differ in.
type layers struct {
	original, polynomial map[string]model.Node
	graph                *model.Graph
	units                []unit
	outputs              []string // the values compared: scores, or else answers
}

// newLayers finds the units of a record. Scores are values of the model that the client reads; where the original has no
// such values, answers are compared.
func newLayers(r *Record, scores []string) (*layers, bool, error) {
	l := &layers{original: map[string]model.Node{}, polynomial: map[string]model.Node{}, graph: r.Graph, outputs: scores}
	values := map[string]bool{}
	for _, port := range r.Graph.Inputs {
		values[port.Name] = true
	}
	for _, node := range r.Graph.Nodes {
		l.original[node.Name] = node
		values[node.Output] = true
	}
	if slices.ContainsFunc(scores, func(name string) bool { return !values[name] }) {
		l.outputs = r.Graph.Outputs
	}
	known := slices.Equal(l.outputs, scores)
	if r.Polynomial == nil {
		return l, known, nil
	}
	for _, node := range r.Polynomial.Nodes {
		l.polynomial[node.Name] = node
	}
	made := map[string]int{} // unit by the value that it makes, in any order of the elements
	for _, replacement := range r.Replacements {
		u := unit{Replacement: replacement, refitted: map[string]model.Op{}}
		missing := func(nodes map[string]model.Node) func(name string) bool {
			return func(name string) bool { return len(nodes[name].Inputs) == 0 }
		}
		if len(u.Nodes) == 0 || len(u.New) == 0 || slices.ContainsFunc(u.Nodes, missing(l.original)) || slices.ContainsFunc(u.New, missing(l.polynomial)) {
			return nil, false, fmt.Errorf("%s: no nodes, or unknown ones, in the place of %q", RecordFile, u.Node)
		}
		u.input, u.output = l.original[u.Nodes[0]].Inputs[0], l.original[u.Nodes[len(u.Nodes)-1]].Output
		u.findPolynomials(l)
		made[u.output] = len(l.units)
		l.units = append(l.units, u)
	}
	for _, node := range r.Graph.Nodes {
		if len(node.Inputs) != 1 {
			continue
		}
		k, follows := made[node.Inputs[0]]
		switch {
		case !follows:
		case slices.Contains(r.Refitted, node.Name):
			l.units[k].refitted[node.Name] = l.polynomial[node.Name].Op
		case model.MovesOnly(node.Op):
			made[node.Output] = k
		}
	}
	return l, known, nil
}

func (u *unit) findPolynomials(l *layers) {
	var pool *model.MaxPool
	for _, name := range u.Nodes {
		if op, ok := l.original[name].Op.(*model.MaxPool); ok {
			pool = op
		}
	}
	scales := map[string]*model.Scale{}
	for _, name := range u.New {
		node := l.polynomial[name]
		switch op := node.Op.(type) {
		case *model.Scale:
			if node.Inputs[0] == u.input {
				scales[node.Output] = op
			}
		case *approximation.Series:
			u.polynomials = append(u.polynomials, polynomial{node, op.Low, op.High, scales[node.Inputs[0]], nil})
		case *model.ChannelPolynomial:
			u.polynomials = append(u.polynomials, polynomial{node, -1, 1, scales[node.Inputs[0]], pool})
		}
	}
}

// upTo is the model with polynomials up to unit k and exact layers from there on; -1 is the original. With inRange, the
// elements of unit k for which a polynomial met a value outside its range are exact, too.
func (l *layers) upTo(k int, inRange bool) *model.Graph {
	g := &model.Graph{Name: l.graph.Name, Inputs: l.graph.Inputs, Outputs: l.outputs}
	member := map[string]int{}
	refitted := map[string]model.Op{}
	for j := range l.units[:k+1] {
		for _, name := range l.units[j].Nodes {
			member[name] = j
		}
		for name, op := range l.units[j].refitted {
			refitted[name] = op
		}
	}
	for _, node := range l.graph.Nodes {
		j, replaced := member[node.Name]
		if op := refitted[node.Name]; op != nil {
			node.Op = op
		}
		if !replaced {
			g.Nodes = append(g.Nodes, node)
			continue
		}
		u := &l.units[j]
		last := node.Name == u.Nodes[len(u.Nodes)-1]
		both := inRange && j == k
		if both {
			if last {
				node.Output += " exact"
			}
			g.Nodes = append(g.Nodes, node)
		}
		if !last {
			continue
		}
		for _, name := range u.New {
			g.Nodes = append(g.Nodes, l.polynomial[name])
		}
		if both {
			end := &g.Nodes[len(g.Nodes)-1]
			end.Output += " approximated"
			g.Nodes = append(g.Nodes, u.chosen(end.Output, node.Output))
		}
	}
	return g
}

// chosen is the node that takes each element of a unit from its approximation, or, out of range, from the exact layer.
func (u *unit) chosen(approximated, exact string) model.Node {
	node := model.Node{Name: u.Node + " in range", Op: &choice{u}, Inputs: []string{approximated, exact}, Output: u.output}
	for _, p := range u.polynomials {
		node.Inputs = append(node.Inputs, p.Inputs[0])
	}
	return node
}

// choice takes the approximation, the exact result, and what each polynomial of the unit got.
type choice struct{ unit *unit }

func (*choice) Kind() string                                { return "Choice" }
func (*choice) Infer(in []model.Shape) (model.Shape, error) { return in[1], nil }

func (c *choice) Eval(in []model.Tensor) (model.Tensor, error) {
	approximated, exact := in[0], in[1]
	y := model.NewTensor(exact.Shape)
	copy(y.Data, approximated.Data)
	for i, p := range c.unit.polynomials {
		x := in[2+i]
		if p.pool == nil { // each element by itself, or stacks of them in a tree of maxima
			for e, v := range x.Data {
				if k := e % len(y.Data); p.outside(v) {
					y.Data[k] = exact.Data[k]
				}
			}
			continue
		}
		windows, err := p.pool.Windows(x.Shape)
		if err != nil || len(windows) != len(y.Data) {
			return y, errors.Join(errors.New("windows of the pool do not fit"), err)
		}
		for k, window := range windows {
			if slices.ContainsFunc(window, func(e int) bool { return p.outside(x.Data[e]) }) {
				y.Data[k] = exact.Data[k]
			}
		}
	}
	return y, nil
}

// outside leaves room for rounding at the ends.
func (p *polynomial) outside(v float64) bool {
	slack := 1e-9 * (p.high - p.low)
	return !(v >= p.low-slack && v <= p.high+slack)
}

// overflow is the value that is farthest outside the first range that is left, in the units of the layer's input where
// they are known.
type overflow struct {
	Value, Low, High float64
	Count            int // of values outside
}

// overflow returns how far the values of a row are outside a unit's ranges where all before it is approximated, or nil.
func (l *layers) overflow(k int, row []float64) (*overflow, error) {
	u := &l.units[k]
	g := l.upTo(k, false)
	for _, p := range u.polynomials {
		g.Outputs = []string{p.Inputs[0]}
		values, err := g.RunRows([][]float64{row})
		if err != nil {
			return nil, err
		}
		var o *overflow
		farthest := 0.0
		for e, v := range values[0] {
			if !p.outside(v) {
				continue
			}
			if o == nil {
				o = new(overflow)
			}
			o.Count++
			if distance := max(p.low-v, v-p.high) / (p.high - p.low); distance > farthest {
				farthest = distance
				o.Value, o.Low, o.High = p.unscaled(v, e, len(values[0])), p.unscaled(p.low, e, len(values[0])), p.unscaled(p.high, e, len(values[0]))
			}
		}
		if o != nil {
			return o, nil
		}
	}
	return nil, nil
}

// unscaled undoes the scaling of element e before the polynomial.
func (p *polynomial) unscaled(v float64, e, size int) float64 {
	if p.scale == nil {
		return v
	}
	at := func(t model.Tensor) float64 { return t.Data[e/(size/len(t.Data))] }
	return (v - at(p.scale.Offset)) / at(p.scale.Factor)
}
