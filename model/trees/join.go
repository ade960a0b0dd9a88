package trees

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// Join makes one ensemble of all those in a graph that read the same features, as bagging, voting and stacking make: one
// comparison then serves them all. What depends on a single tree alone, as the vote of each, is computed for its leaves
// here.
func Join(g *model.Graph) (*model.Graph, error) {
	shapes, err := g.Shapes()
	if err != nil {
		return nil, err
	}
	j := &joining{shapes: shapes, alias: map[string]string{}, known: map[string]string{}, single: map[string]*single{},
		origin: map[*model.TreeEnsemble]*model.TreeEnsemble{}, made: map[string]bool{}}
	for _, node := range g.Nodes {
		j.node(node)
	}
	for _, name := range g.Outputs {
		j.need(name)
	}
	joined := &model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: j.merged()}
	for _, name := range g.Outputs {
		joined.Outputs = append(joined.Outputs, j.read(name))
	}
	return joined, joined.Validate()
}

// single is a value that depends on the leaf that one tree reaches, and on nothing else.
type single struct {
	tree   *model.TreeEnsemble
	source string
	leaves []model.Tensor // what it is at each
}

type joining struct {
	shapes map[string]model.Shape
	nodes  []model.Node
	alias  map[string]string // values that are the same as earlier ones
	known  map[string]string // values by the activation that makes them
	single map[string]*single
	made   map[string]bool // singles that a node gives
	origin map[*model.TreeEnsemble]*model.TreeEnsemble
}

func (j *joining) read(name string) string {
	if other, ok := j.alias[name]; ok {
		return other
	}
	return name
}

// node takes over a node, unless its value is known already or depends on a single tree.
func (j *joining) node(node model.Node) {
	node.Inputs = slices.Clone(node.Inputs)
	for i, name := range node.Inputs {
		node.Inputs[i] = j.read(name)
	}
	if a, ok := node.Op.(*model.Activation); ok {
		key := fmt.Sprint(*a, node.Inputs)
		if other, ok := j.known[key]; ok {
			j.alias[node.Output] = other
			return
		}
		j.known[key] = node.Output
	}
	if e, ok := node.Op.(*model.TreeEnsemble); ok && len(e.Roots) == 1 {
		s := &single{tree: e, source: node.Inputs[0]}
		for _, values := range e.Values {
			leaf := slices.Clone(values)
			for k, b := range e.Base {
				leaf[k] += b
			}
			s.leaves = append(s.leaves, model.Tensor{Shape: model.Shape{len(leaf)}, Data: leaf})
		}
		j.single[node.Output] = s
		return
	}
	if s := j.leafwise(node); s != nil {
		j.single[node.Output] = s
		return
	}
	for _, name := range node.Inputs {
		j.need(name)
	}
	j.nodes = append(j.nodes, node)
}

// leafwise computes a node for each leaf of the one tree that its inputs depend on, or returns nil.
func (j *joining) leafwise(node model.Node) *single {
	var result *single
	for _, name := range node.Inputs {
		s := j.single[name]
		if s == nil || result != nil && s.tree != result.tree {
			return nil
		}
		if result == nil {
			result = &single{tree: s.tree, source: s.source}
		}
	}
	if result == nil || j.shapes[node.Output].Size() > model.MaxElements/len(result.tree.Values) {
		return nil
	}
	for leaf := range result.tree.Values {
		in := make([]model.Tensor, len(node.Inputs))
		for i, name := range node.Inputs {
			in[i] = j.single[name].leaves[leaf]
		}
		out, err := node.Op.Eval(in)
		if err != nil || slices.ContainsFunc(out.Data, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) {
			return nil
		}
		result.leaves = append(result.leaves, out)
	}
	return result
}

// need makes a tree of a value that depends on one, for who reads it.
func (j *joining) need(name string) {
	name = j.read(name)
	s := j.single[name]
	if s == nil || j.made[name] {
		return
	}
	j.made[name] = true
	e := *s.tree
	e.Aggregate, e.Base, e.Values = model.AggregateSum, nil, make([][]float64, len(s.leaves))
	for i, leaf := range s.leaves {
		e.Values[i] = leaf.Data
	}
	j.origin[&e] = s.tree
	node := model.Node{Name: name, Op: &e, Inputs: []string{s.source}, Output: name}
	if shape := j.shapes[name]; len(shape) != 1 {
		node.Name, node.Output = name+" leaves", name+" leaves"
		j.nodes = append(j.nodes, node)
		node = model.Node{Name: name, Op: &model.Reshape{Shape: shape}, Inputs: []string{node.Output}, Output: name}
	}
	j.nodes = append(j.nodes, node)
}

// merged returns the nodes with the ensembles that read the same features as one, where the first of them stood.
func (j *joining) merged() []model.Node {
	type group struct {
		ensembles []*model.TreeEnsemble
		name      string
	}
	key := func(node model.Node, e *model.TreeEnsemble) string { return fmt.Sprint(node.Inputs, e.Comparison) }
	groups := map[string]*group{}
	for _, node := range j.nodes {
		if e, ok := node.Op.(*model.TreeEnsemble); ok {
			g := groups[key(node, e)]
			if g == nil {
				g = &group{name: node.Output + " and others"}
				groups[key(node, e)] = g
			}
			g.ensembles = append(g.ensembles, e)
		}
	}
	var nodes []model.Node
	column := map[*group]int{}
	for _, node := range j.nodes {
		e, ok := node.Op.(*model.TreeEnsemble)
		if !ok {
			nodes = append(nodes, node)
			continue
		}
		g := groups[key(node, e)]
		if len(g.ensembles) == 1 {
			nodes = append(nodes, node)
			continue
		}
		if column[g] == 0 {
			nodes = append(nodes, model.Node{Name: g.name, Op: j.union(g.ensembles), Inputs: node.Inputs, Output: g.name})
		}
		indices := make([]int, e.Outputs())
		for i := range indices {
			indices[i] = column[g] + i
		}
		column[g] += len(indices)
		nodes = append(nodes, model.Node{Name: node.Name, Op: &model.Gather{Indices: indices}, Inputs: []string{g.name}, Output: node.Output})
	}
	return nodes
}

// union is an ensemble with the outputs of all. Ensembles of one origin share its trees.
func (j *joining) union(ensembles []*model.TreeEnsemble) *model.TreeEnsemble {
	outputs := 0
	for _, e := range ensembles {
		outputs += e.Outputs()
	}
	all := &model.TreeEnsemble{Features: ensembles[0].Features, Comparison: ensembles[0].Comparison, Aggregate: model.AggregateSum, Base: make([]float64, outputs)}
	first := map[*model.TreeEnsemble]int{} // leaf of each origin
	column := 0
	for _, e := range ensembles {
		origin := e
		if o := j.origin[e]; o != nil {
			origin = o
		}
		leaf, placed := first[origin]
		if !placed {
			leaf = len(all.Values)
			first[origin] = leaf
			adopt(all, origin, outputs)
		}
		factor := 1.0
		if e.Aggregate == model.AggregateAverage {
			factor = 1 / float64(len(e.Roots))
		}
		for i, values := range e.Values {
			for k, v := range values {
				all.Values[leaf+i][column+k] = factor * v
			}
		}
		copy(all.Base[column:], e.Base)
		column += e.Outputs()
	}
	return all
}

// adopt appends the trees of another ensemble, with leaves of zeros.
func adopt(all, e *model.TreeEnsemble, outputs int) {
	node, leaf := len(all.Feature), len(all.Values)
	moved := func(references []int) []int {
		list := make([]int, len(references))
		for i, r := range references {
			if list[i] = r + node; r < 0 {
				list[i] = r - leaf
			}
		}
		return list
	}
	all.Roots = append(all.Roots, moved(e.Roots)...)
	all.Left, all.Right = append(all.Left, moved(e.Left)...), append(all.Right, moved(e.Right)...)
	all.Feature, all.Threshold = append(all.Feature, e.Feature...), append(all.Threshold, e.Threshold...)
	for i := range e.Feature {
		missing, intervals := false, []float64(nil)
		if len(e.MissingLeft) > 0 {
			missing = e.MissingLeft[i]
		}
		if len(e.Intervals) > 0 {
			intervals = e.Intervals[i]
		}
		all.MissingLeft, all.Intervals = append(all.MissingLeft, missing), append(all.Intervals, intervals)
	}
	for range e.Values {
		all.Values = append(all.Values, make([]float64, outputs))
	}
}
