package compiler

import (
	"fmt"
	"slices"

	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
)

// split is a model cut in three: what the client does before encryption, what runs encrypted, what the client does
// after decryption.
type split struct {
	prefix, suffix *model.Graph
	encrypted      *program
	variants       []*program // the encrypted program and others that do the same
}

// lower cuts the model and turns its encrypted part into a program.
func lower(g *model.Graph, grid [][]float64) (*split, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	shapes, err := g.Shapes()
	if err != nil {
		return nil, err
	}
	l := &lowering{
		graph: g, shapes: shapes, sides: assign(g), grid: grid, program: new(program), values: map[string]int{},
		prefix: &model.Graph{Name: g.Name + " before encryption", Inputs: g.Inputs},
		suffix: &model.Graph{Name: g.Name + " after decryption"},
	}
	if err := l.run(); err != nil {
		return nil, err
	}
	variants, err := l.program.variants()
	if err != nil {
		return nil, err
	}
	return &split{prefix: l.prefix, suffix: l.suffix, encrypted: variants[0], variants: variants}, nil
}

type lowering struct {
	graph          *model.Graph
	shapes         map[string]model.Shape
	sides          []side
	grid           [][]float64 // public edges of each feature, or nil
	program        *program
	values         map[string]int // of the program, by the graph's names
	prefix, suffix *model.Graph
}

func (l *lowering) run() error {
	clear := map[string]bool{}
	for _, port := range l.graph.Inputs {
		clear[port.Name] = true
	}
	for i, node := range l.graph.Nodes {
		if l.sides[i] == before {
			clear[node.Output] = true
			l.prefix.Nodes = append(l.prefix.Nodes, node)
		}
	}
	// Inputs of the encrypted part come first in the numbering.
	for i, node := range l.graph.Nodes {
		if l.sides[i] != onServer {
			continue
		}
		for _, name := range node.Inputs {
			if !clear[name] {
				continue
			}
			if ensemble, ok := node.Op.(*model.TreeEnsemble); ok {
				l.treeInput(node, ensemble, name)
			} else if _, known := l.values[name]; !known {
				l.input(name, name, l.shapes[name], false)
			}
		}
	}
	if len(l.program.inputs) == 0 {
		return fmt.Errorf("model %q has nothing to encrypt: every operation can run on the client", l.graph.Name)
	}
	for i, node := range l.graph.Nodes {
		if l.sides[i] != onServer {
			continue
		}
		v, err := l.node(node)
		if err != nil {
			return fmt.Errorf("node %q (%s, result of shape %v): %w", node.Name, node.Op.Kind(), []int(l.shapes[node.Output]), err)
		}
		l.values[node.Output] = v
	}
	return l.finish(clear)
}

// input makes the prefix's value an input of the program under the key that the nodes look it up by.
func (l *lowering) input(key, name string, shape model.Shape, public bool) {
	l.values[key] = len(l.program.inputs)
	l.program.inputs = append(l.program.inputs, vector{name: name, shape: shape, public: public})
	l.prefix.Outputs = append(l.prefix.Outputs, name)
}

// finish makes the suffix: the nodes after, fed by the encrypted values that they or the outputs read.
func (l *lowering) finish(clear map[string]bool) error {
	have := map[string]bool{}
	take := func(name string) error {
		switch v, encrypted := l.values[name]; {
		case have[name]:
			return nil
		case clear[name]:
			return fmt.Errorf("value %q is used both before encryption and after decryption: compute it in one place", name)
		case !encrypted:
			return fmt.Errorf("no value %q", name)
		default:
			have[name] = true
			l.suffix.Inputs = append(l.suffix.Inputs, model.Port{Name: name, Shape: l.shapes[name]})
			l.program.outputs = append(l.program.outputs, v)
			return nil
		}
	}
	for i, node := range l.graph.Nodes {
		if l.sides[i] != after {
			continue
		}
		for _, name := range node.Inputs {
			if err := take(name); err != nil {
				return err
			}
		}
		have[node.Output] = true
		l.suffix.Nodes = append(l.suffix.Nodes, node)
	}
	for _, name := range l.graph.Outputs {
		if err := take(name); err != nil {
			return err
		}
	}
	l.suffix.Outputs = l.graph.Outputs
	return nil
}

// node appends one encrypted node and returns its value.
func (l *lowering) node(node model.Node) (int, error) {
	p := l.program
	shape := l.shapes[node.Output]
	if ensemble, ok := node.Op.(*model.TreeEnsemble); ok {
		return l.trees(node, ensemble)
	}
	in := make([]int, len(node.Inputs))
	shapes := make([]model.Shape, len(node.Inputs))
	for k, name := range node.Inputs {
		in[k], shapes[k] = l.values[name], l.shapes[name]
	}
	switch op := node.Op.(type) {
	case *model.AveragePool:
		return l.averagePool(node.Name, op, in[0])
	case model.Affine:
		m, err := op.Lower(shapes[0])
		if err != nil {
			return 0, err
		}
		return p.affine(node.Name, shape, in, []*model.Sparse{m.Matrix}, m.Bias), nil
	case model.MultiAffine:
		maps, err := op.LowerEach(shapes)
		if err != nil {
			return 0, err
		}
		bias := make([]float64, shape.Size())
		matrices := make([]*model.Sparse, len(maps))
		for k, m := range maps {
			matrices[k] = m.Matrix
			for r, b := range m.Bias {
				bias[r] += b
			}
		}
		return p.affine(node.Name, shape, in, matrices, bias), nil
	case *approximation.Series:
		return l.series(node.Name, in[0], op), nil
	case model.Pointwise:
		if c, exact := op.Polynomial(); exact {
			return l.apply(node.Name, in[0], c), nil
		}
	case model.ChannelPointwise:
		return l.channels(node, op, in[0])
	case *model.Multiply:
		return l.product(node.Name, shape, in, shapes)
	case *model.MatMul:
		return l.matMul(node.Name, shape, in, shapes)
	}
	return 0, fmt.Errorf("this operator cannot run encrypted: put it at the model's start or end, where the client runs it, or replace it by linear layers and polynomial activations (a max pool by an average pool)")
}

// product appends a product of elements; what is stretched is so by a linear map.
func (l *lowering) product(name string, shape model.Shape, in []int, shapes []model.Shape) (int, error) {
	stretch, err := new(model.Add).LowerEach(shapes)
	if err != nil {
		return 0, err
	}
	for k := range in {
		if shapes[k].Size() != shape.Size() {
			in[k] = l.program.affine(name, shape, in[k:k+1], []*model.Sparse{stretch[k].Matrix}, stretch[k].Bias)
		}
	}
	return l.program.multiply(name, in[0], in[1]), nil
}

// matMul appends a product of two encrypted matrices: every pair of elements that meets is put side by side, multiplied,
// and the products of each element of the result are added up.
func (l *lowering) matMul(name string, shape model.Shape, in []int, shapes []model.Shape) (int, error) {
	if len(shapes[0]) != 2 || len(shapes[1]) != 2 {
		return 0, fmt.Errorf("product of encrypted shapes %v and %v: only two matrices are served", []int(shapes[0]), []int(shapes[1]))
	}
	rows, depth, cols := shapes[0][0], shapes[0][1], shapes[1][1]
	n := rows * cols * depth
	if n > maxPairs {
		return 0, fmt.Errorf("product of encrypted shapes %v and %v needs %d products: at most %d are served", []int(shapes[0]), []int(shapes[1]), n, maxPairs)
	}
	var left, right, total []model.Triplet
	for i := range n {
		r, c, k := i/depth/cols, i/depth%cols, i%depth
		left = append(left, model.Triplet{Row: i, Col: r*depth + k, Value: 1})
		right = append(right, model.Triplet{Row: i, Col: k*cols + c, Value: 1})
		total = append(total, model.Triplet{Row: i / depth, Col: i, Value: 1})
	}
	var sides [2]int
	for k, entries := range [][]model.Triplet{left, right} {
		m, err := model.NewSparse(n, shapes[k].Size(), entries)
		if err != nil {
			return 0, err
		}
		sides[k] = l.program.affine(name, model.Shape{n}, in[k:k+1], []*model.Sparse{m}, make([]float64, n))
	}
	sum, err := model.NewSparse(shape.Size(), n, total)
	if err != nil {
		return 0, err
	}
	pairs := l.program.multiply(name, sides[0], sides[1])
	return l.program.affine(name, shape, []int{pairs}, []*model.Sparse{sum}, make([]float64, shape.Size())), nil
}

// maxPairs bounds the products of elements in a product of encrypted matrices.
const maxPairs = 1 << 15

// apply appends a polynomial with its scalars.
func (l *lowering) apply(name string, x int, c []float64) int {
	r := l.program.polynomial(name, x, c)
	return l.program.combine(name, []int{r.value}, []float64{r.factor}, r.constant)
}

// channels appends a polynomial whose coefficients depend on the channel: a sum of powers, each with its own diagonal.
func (l *lowering) channels(node model.Node, op model.ChannelPointwise, x int) (int, error) {
	shape := l.shapes[node.Output]
	n, perChannel := shape.Size(), shape.Size()/op.Channels()
	var coefficients [][]float64
	degree := 0
	for c := range op.Channels() {
		list, exact := op.Channel(c).Polynomial()
		if !exact {
			return 0, fmt.Errorf("the function of channel %d is not a polynomial", c)
		}
		coefficients = append(coefficients, list)
		degree = max(degree, len(trim(list))-1)
	}
	if degree == 2 {
		if v, served, err := l.squares(node, coefficients, x); served || err != nil {
			return v, err
		}
	}
	powers := []int{-1, x}
	for k := 2; k <= degree; k++ {
		powers = append(powers, l.program.multiply(node.Name, powers[k/2], powers[(k+1)/2]))
	}
	var in []int
	var maps []*model.Sparse
	bias := make([]float64, n)
	for k := 0; k <= degree; k++ {
		entries := make([]model.Triplet, 0, n)
		for e := range n {
			list := coefficients[e/perChannel]
			switch {
			case k >= len(list):
			case k == 0:
				bias[e] = list[0]
			default:
				entries = append(entries, model.Triplet{Row: e, Col: e, Value: list[k]})
			}
		}
		if k == 0 {
			continue
		}
		m, err := model.NewSparse(n, n, entries)
		if err != nil {
			return 0, err
		}
		in, maps = append(in, powers[k]), append(maps, m)
	}
	return l.program.affine(node.Name, shape, in, maps, bias), nil
}

// squares appends a·x² + b·x + c, where the coefficients depend on the channel, as a·(x + b/2a)² + (c − b²/4a): the maps
// before and after take shifts and factors in. It reports false where a channel has a linear part only.
func (l *lowering) squares(node model.Node, coefficients [][]float64, x int) (value int, served bool, err error) {
	shape := l.shapes[node.Output]
	n, perChannel := shape.Size(), shape.Size()/len(coefficients)
	shift, constant, factor := make([]float64, n), make([]float64, n), make([]float64, n)
	for e := range n {
		list := append(slices.Clone(coefficients[e/perChannel]), 0, 0, 0)
		switch a, b := list[2], list[1]; {
		case a != 0:
			shift[e], factor[e], constant[e] = b/(2*a), a, list[0]-b*b/(4*a)
		case b != 0:
			return 0, false, nil
		default:
			constant[e] = list[0]
		}
	}
	p := l.program
	m, err := diagonal(factor)
	if err != nil {
		return 0, false, err
	}
	shifted := p.affine(node.Name, shape, []int{x}, []*model.Sparse{model.Identity(n).Matrix}, shift)
	return p.affine(node.Name, shape, []int{p.multiply(node.Name, shifted, shifted)}, []*model.Sparse{m}, constant), true, nil
}

// diagonal returns the matrix that multiplies element e by factor e.
func diagonal(factor []float64) (*model.Sparse, error) {
	entries := make([]model.Triplet, len(factor))
	for e, f := range factor {
		entries[e] = model.Triplet{Row: e, Col: e, Value: f}
	}
	return model.NewSparse(len(factor), len(factor), entries)
}
