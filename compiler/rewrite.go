package compiler

import (
	"slices"

	"cipherpoint/model"
)

// maxLookup bounds the bits that take the place of the indices of a lookup.
const maxLookup = 1 << 16

// Rewrite returns a model with the same answers, in which what has to run encrypted, and cannot, is made of what can:
//
//   - softmax and its logarithm within a model: of exponentials of what is above the mean, which leaves them in a small
//     range, or of two values the sigmoid of their difference;
//   - division by the norm within a model: times a power of the sum of squares or sizes, or nothing after a softmax;
//   - a lookup of rows by indices that the client has, where nothing else of the model needs the server: the client
//     encrypts a bit for each row, the server multiplies by the table.
func Rewrite(g *model.Graph) (*model.Graph, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	shapes, err := g.Shapes()
	if err != nil {
		return nil, err
	}
	r := &rewriting{shapes: shapes}
	out := *g
	if places := clientAlone(g); places != nil {
		for i, node := range g.Nodes {
			if table, ok := node.Op.(*model.Embedding); ok && places[i] == before {
				r.lookup(node, table)
			} else {
				r.nodes = append(r.nodes, node)
			}
		}
		out.Nodes, r.nodes = r.nodes, nil
	}
	sides := assign(&out)
	r.whole = out.Nodes
	for i, node := range out.Nodes {
		switch op := node.Op.(type) {
		case *model.Softmax:
			if sides[i] == onServer {
				r.softmax(node, op.Axis)
				continue
			}
		case *model.LogSoftmax:
			if sides[i] == onServer {
				r.logSoftmax(node, op.Axis)
				continue
			}
		case *model.Normalizer:
			if sides[i] == onServer && (op.Norm == model.NormL2 || op.Norm == model.NormL1) {
				r.normalizer(node, op)
				continue
			}
		}
		r.nodes = append(r.nodes, node)
	}
	out.Nodes = r.nodes
	return &out, out.Validate()
}

// clientAlone says what the client starts with, in a model that it could run alone, or is nil.
func clientAlone(g *model.Graph) []side {
	sides := starts(g)
	for i, node := range g.Nodes {
		if sides[i] != before && !canEnd(node.Op) && !weightless(node.Op) {
			return nil
		}
	}
	return sides
}

// rewriting collects the nodes of a graph that is written anew.
type rewriting struct {
	shapes map[string]model.Shape // of the graph as it was
	whole  []model.Node
	nodes  []model.Node
}

// add appends a node whose result is named after the node that it is written for.
func (r *rewriting) add(whole model.Node, what string, op model.Op, in ...string) string {
	name := whole.Name + " " + what
	r.nodes = append(r.nodes, model.Node{Name: name, Op: op, Inputs: in, Output: name})
	return name
}

// finish makes the last node's result that of the node written anew.
func (r *rewriting) finish(whole model.Node) {
	r.nodes[len(r.nodes)-1].Output = whole.Output
}

func (r *rewriting) lookup(node model.Node, table *model.Embedding) {
	from, to := r.shapes[node.Inputs[0]], r.shapes[node.Output]
	rows, width, n := table.Table.Shape[0], table.Table.Shape[1], from.Size()
	if rows*n > maxLookup {
		r.nodes = append(r.nodes, node)
		return
	}
	indices := make([]float64, rows)
	weight := model.NewTensor(model.Shape{width, rows})
	for k := range rows {
		indices[k] = float64(k)
		for o := range width {
			weight.Data[o*rows+k] = table.Table.Data[k*width+o]
		}
	}
	flat := r.add(node, "indices", &model.Reshape{Shape: []int{n}}, node.Inputs[0])
	bits := r.add(node, "bits", &model.OneHot{Categories: slices.Repeat([][]float64{indices}, n)}, flat)
	each := r.add(node, "rows", &model.Reshape{Shape: []int{n, rows}}, bits)
	values := r.add(node, "table", &model.Dense{Weight: weight}, each)
	r.add(node, "values", &model.Reshape{Shape: to}, values)
	r.finish(node)
}

func (r *rewriting) softmax(node model.Node, axis int) {
	shape, x := r.shapes[node.Output], node.Inputs[0]
	if shape[axis] == 2 {
		other := r.add(node, "other", &model.Gather{Axis: axis, Indices: []int{1, 0}}, x)
		difference := r.add(node, "difference", &model.Sub{}, x, other)
		r.add(node, "sigmoid", &model.Activation{Function: model.Sigmoid}, difference)
	} else {
		above := r.aboveMean(node, axis)
		exponentials := r.add(node, "exponentials", &model.Activation{Function: model.Exp}, above)
		sum := r.add(node, "sum", &model.ReduceSum{Axes: []int{axis}, KeepDims: true}, exponentials)
		share := r.add(node, "reciprocal", &model.Activation{Function: model.Reciprocal}, sum)
		r.add(node, "shares", &model.Multiply{}, exponentials, r.stretched(node, share, axis))
	}
	r.finish(node)
}

func (r *rewriting) logSoftmax(node model.Node, axis int) {
	above := r.aboveMean(node, axis)
	exponentials := r.add(node, "exponentials", &model.Activation{Function: model.Exp}, above)
	sum := r.add(node, "sum", &model.ReduceSum{Axes: []int{axis}, KeepDims: true}, exponentials)
	log := r.add(node, "logarithm", &model.Activation{Function: model.Log}, sum)
	r.add(node, "shares", &model.Sub{}, above, log)
	r.finish(node)
}

func (r *rewriting) aboveMean(node model.Node, axis int) string {
	mean := r.add(node, "mean", &model.ReduceMean{Axes: []int{axis}, KeepDims: true}, node.Inputs[0])
	return r.add(node, "above mean", &model.Sub{}, node.Inputs[0], mean)
}

func (r *rewriting) normalizer(node model.Node, op *model.Normalizer) {
	in := node.Inputs[0]
	maker := slices.IndexFunc(r.whole, func(n model.Node) bool { return n.Output == in })
	var made model.Op
	if maker >= 0 {
		made = r.whole[maker].Op
	}
	if softmax, ok := made.(*model.Softmax); ok && op.Norm == model.NormL1 && softmax.Axis == op.Axis {
		r.add(node, "as it is", &model.Reshape{Shape: r.shapes[node.Output]}, in)
		r.finish(node)
		return
	}
	terms, power := "", -1.0
	switch activation, _ := made.(*model.Activation); {
	case op.Norm == model.NormL2:
		terms, power = r.add(node, "squares", &model.Polynomial{Coefficients: []float64{0, 0, 1}}, in), -0.5
	case activation != nil && (activation.Function == model.Sigmoid || activation.Function == model.Exp):
		terms = in // positive
	default:
		terms = r.add(node, "sizes", &model.Activation{Function: model.Abs}, in)
	}
	sum := r.add(node, "sum", &model.ReduceSum{Axes: []int{op.Axis}, KeepDims: true}, terms)
	inverse := r.add(node, "inverse norm", &model.Activation{Function: model.Power, Alpha: power}, sum)
	r.add(node, "unit", &model.Multiply{}, in, r.stretched(node, inverse, op.Axis))
	r.finish(node)
}

// stretched repeats what there is one of along an axis.
func (r *rewriting) stretched(node model.Node, value string, axis int) string {
	return r.add(node, "for all", &model.Gather{Axis: axis, Indices: make([]int, r.shapes[node.Output][axis])}, value)
}
