package onnx

import (
	"math"
	"slices"

	"cipherpoint/model"
)

// maxFused bounds the nodes of one function that is recognised.
const maxFused = 24

// fuse recognises activations that exporters spell out in several nodes, by what they compute: a part of the graph that
// is a function of each element of one value is replaced where it is one of the activations.
func fuse(nodes []model.Node) []model.Node {
	maker := map[string]int{}
	for i, node := range nodes {
		maker[node.Output] = i
	}
	nodes = slices.Clone(nodes)
	for i, node := range nodes {
		if len(node.Inputs) != 2 || !elementwise(node.Op) {
			continue
		}
		part := partOf(nodes, maker, i)
		for _, source := range part.sources {
			f := part.function(nodes, maker, i, source)
			if f == nil {
				continue
			}
			if op := recognise(f); op != nil {
				nodes[i] = model.Node{Name: node.Name, Op: op, Inputs: []string{source}, Output: node.Output}
				break
			}
		}
	}
	return nodes
}

// elementwise holds for operators whose result at a place depends on their inputs at this place only.
func elementwise(op model.Op) bool {
	switch op := op.(type) {
	case *model.Add, *model.Sub, *model.Multiply, *model.Polynomial, *model.Activation, *model.Clip, *model.Compare:
		return true
	case *model.Scale:
		return len(op.Factor.Shape) == 0 && len(op.Offset.Shape) == 0
	}
	return false
}

// part is what lies before a node within elementwise operators.
type part struct {
	sources []string // values that it may be a function of, the nearest first
}

func partOf(nodes []model.Node, maker map[string]int, last int) part {
	var p part
	pending := []int{last}
	seen := map[int]bool{}
	for len(pending) > 0 && len(seen) < maxFused {
		i := pending[0]
		pending = pending[1:]
		if seen[i] {
			continue
		}
		seen[i] = true
		for _, name := range nodes[i].Inputs {
			if !slices.Contains(p.sources, name) {
				p.sources = append(p.sources, name)
			}
			if k, ok := maker[name]; ok && elementwise(nodes[k].Op) {
				pending = append(pending, k)
			}
		}
	}
	return p
}

// function returns what a node computes of each element of the source, or nil where it depends on other values.
func (p part) function(nodes []model.Node, maker map[string]int, last int, source string) func(x float64) float64 {
	var order []int
	seen := map[int]bool{}
	var visit func(i int) bool
	visit = func(i int) bool {
		if seen[i] {
			return true
		}
		if !elementwise(nodes[i].Op) || len(seen) >= maxFused {
			return false
		}
		seen[i] = true
		for _, name := range nodes[i].Inputs {
			if name == source {
				continue
			}
			k, made := maker[name]
			if !made || !visit(k) {
				return false
			}
		}
		order = append(order, i)
		return true
	}
	if !visit(last) {
		return nil
	}
	return func(x float64) float64 {
		values := map[string]model.Tensor{source: model.Scalar(x)}
		for _, i := range order {
			in := make([]model.Tensor, len(nodes[i].Inputs))
			for k, name := range nodes[i].Inputs {
				in[k] = values[name]
			}
			out, err := nodes[i].Op.Eval(in)
			if err != nil {
				return math.NaN()
			}
			values[nodes[i].Output] = out
		}
		return values[nodes[last].Output].Data[0]
	}
}

// recognise returns the activation that a function is, to single precision, or nil.
func recognise(f func(x float64) float64) model.Op {
	if math.IsNaN(f(0)) || math.IsNaN(f(-1)) {
		return nil
	}
	for _, op := range []*model.Activation{
		{Function: model.SiLU}, {Function: model.GELU}, {Function: model.GELUTanh}, {Function: model.Mish}, {Function: model.HardSwish},
		{Function: model.Softplus}, {Function: model.Softsign}, {Function: model.ReLU}, {Function: model.Abs}, {Function: model.Sigmoid}, {Function: model.Tanh},
		{Function: model.LeakyReLU, Alpha: -f(-1)}, {Function: model.ELU, Alpha: f(-1) / math.Expm1(-1)}, {Function: model.SignedSquare},
	} {
		if same(f, op) {
			return op
		}
	}
	return nil
}

func same(f func(x float64) float64, op *model.Activation) bool {
	for i := -40; i <= 40; i++ {
		x := float64(i)/4 + 0.01
		got, want := f(x), op.At(x)
		if !(math.Abs(got-want) <= 1e-5*max(1e-2, math.Abs(want))) {
			return false
		}
	}
	return true
}
