package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cipherpoint/model"
)

// importer turns the nodes of a file into nodes of a model graph, one after the other.
type importer struct {
	file   *modelProto
	opset  int64
	graph  model.Graph
	values map[string]value
	taken  map[string]bool // names in the model graph
	views  map[string]string
	batch  int // the batch size that the file fixes and that counts as 1 here, else 1
	spent  int // elements made so far
	nodes  int // run so far
	depth  int // of functions and branches within each other
	node   *node

	functions map[[2]string]*functionProto // by domain and name
	classes   []string                     // of the last classifier
	notes     []string
	texts     []string          // that text inputs are compared with
	instead   map[string]string // what to serve instead of scores that are not of classes

	clear   map[string]bool     // values of the graph that are features as the client has them, each treated alone
	origins map[string]features // clear values that only move others
	sources map[string]value    // clear values that do not
}

// Bounds on what a small file may ask for.
const (
	maxSpent = model.MaxTotalElements / 2
	maxNodes = 1 << 17
	maxDepth = 16
)

// spend counts elements and work in proportion to them.
func (im *importer) spend(elements int) error {
	if elements < 0 || elements > maxSpent || im.spent > maxSpent-elements {
		return fmt.Errorf("the model's tensors hold more than %d elements", maxSpent)
	}
	im.spent += elements
	return nil
}

// Error says which node of a file cannot be served, and why.
type Error struct {
	Node   string // its name in the file, may be empty
	Kind   string // its operator
	Inputs string // their shapes
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("node %q (%s of %s): %v", e.Node, e.Kind, e.Inputs, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

func (im *importer) wrap(n *node, err error) error {
	if already := new(Error); errors.As(err, &already) {
		return err
	}
	shapes := make([]string, len(n.in))
	for i, v := range n.in {
		switch {
		case !v.present():
			shapes[i] = "nothing"
		case v.known:
			shapes[i] = fmt.Sprintf("constant %v", v.dims)
		default:
			shapes[i] = fmt.Sprint(v.dims)
		}
	}
	if len(shapes) > 8 {
		shapes = append(shapes[:8], "…")
	}
	return &Error{Node: clean(n.name), Kind: clean(n.kind), Inputs: strings.Join(shapes, ", "), Err: err}
}

// clean makes a name of the file printable and short.
func clean(name string) string {
	name = strings.ToValidUTF8(name, "?")
	if len(name) <= maxName {
		return name
	}
	name = name[:maxName]
	for !utf8.ValidString(name) {
		name = name[:len(name)-1]
	}
	return name
}

// maxName leaves room for a number within the model's bound of 255 bytes.
const maxName = 200

// fresh returns a name like the wanted one that is not taken in the model graph.
func (im *importer) fresh(want string) string {
	want = clean(want)
	if want == "" {
		want = "value"
	}
	name := want
	for i := 2; im.taken[name]; i++ {
		name = fmt.Sprintf("%s %d", want, i)
	}
	im.taken[name] = true
	return name
}

// run imports a list of nodes in the scope of the current values.
func (im *importer) run(nodes []*nodeProto) error {
	for _, proto := range nodes {
		if im.nodes++; im.nodes > maxNodes {
			return fmt.Errorf("has more than %d nodes", maxNodes)
		}
		n := &node{nodeProto: proto}
		for _, name := range proto.inputs {
			v, ok := im.values[name]
			if !ok && name != "" {
				return im.wrap(n, fmt.Errorf("input %q is made by no node before it", clean(name)))
			}
			n.in = append(n.in, v)
		}
		outer := im.node
		im.node = n
		out, err := im.handle(n)
		im.node = outer
		if err != nil {
			return im.wrap(n, err)
		}
		for i, name := range proto.outputs {
			switch {
			case name == "":
			case im.values[name].present():
				return im.wrap(n, fmt.Errorf("output %q is written twice", clean(name)))
			case i < len(out) && out[i].present():
				im.values[name] = out[i]
			default:
				// Left out; who reads it is told that nobody makes it.
			}
		}
	}
	return nil
}

func (im *importer) handle(n *node) ([]value, error) {
	if f := im.function(n); f != nil {
		return im.call(n, f)
	}
	h, ok := handlers[n.kind]
	if n.domain == mlDomain {
		h, ok = mlHandlers[n.kind]
	}
	if n.domain != "" && n.domain != mlDomain {
		ok = false
	}
	if !ok {
		return nil, im.refuse(n)
	}
	for i := range n.in {
		if !n.in[i].known && n.in[i].decisions != nil && !decisionAware[n.kind] {
			v, err := im.plain(n.in[i])
			if err != nil {
				return nil, err
			}
			n.in[i] = v
		}
	}
	return h(im, n)
}

// apply appends an operator of the model to its graph or, where all inputs are known, computes it here. The result's
// dimensions are those of the operator's result: a caller sets those of the file.
func (im *importer) apply(op model.Op, in ...value) (value, error) {
	shapes := make([]model.Shape, len(in))
	names := make([]string, len(in))
	known := true
	work := 0
	for i, v := range in {
		if v.kind == stringType {
			return value{}, errors.New("takes text, which only encoders do")
		}
		shapes[i], names[i] = v.shape, v.name
		known = known && v.known
		work += v.shape.Size()
	}
	for i, v := range in {
		if v.known && !known {
			made, err := im.embed(v, in)
			if err != nil {
				return value{}, err
			}
			names[i] = made.name
		}
	}
	shape, err := op.Infer(shapes)
	if err != nil {
		return value{}, err
	}
	if known {
		if _, heavy := op.(*model.Dense); heavy {
			work *= shape[len(shape)-1]
		}
	} else {
		work = 0
	}
	if err := im.spend(shape.Size() + work); err != nil {
		return value{}, err
	}
	v := value{kind: in[0].kind, dims: slices.Clone(shape), shape: shape, known: known}
	if known {
		tensors := make([]model.Tensor, len(in))
		for i := range in {
			tensors[i] = in[i].tensor()
		}
		result, err := op.Eval(tensors)
		if err != nil {
			return value{}, err
		}
		v.data = result.Data
		return v, nil
	}
	v.name = im.append(op, names)
	if im.clear[v.name] {
		im.sources[v.name] = v
		im.origin(op, names[0], v)
	}
	return v, nil
}

// origin notes of a value that gathers elements of a flat one which features they are.
func (im *importer) origin(op model.Op, from string, v value) {
	g, ok := op.(*model.Gather)
	if !ok || len(v.shape) != 1 {
		return
	}
	f, ok := im.origins[from]
	if !ok {
		f = features{source: from}
	}
	moved := features{source: f.source, indices: make([]int, len(g.Indices))}
	for i, k := range g.Indices {
		moved.indices[i] = f.index(k)
	}
	im.origins[v.name] = moved
}

func (im *importer) append(op model.Op, inputs []string) string {
	want := op.Kind()
	if im.node != nil {
		if want = im.node.name; want == "" {
			want = im.node.kind
		}
	}
	name := im.fresh(want)
	im.graph.Nodes = append(im.graph.Nodes, model.Node{Name: name, Op: op, Inputs: inputs, Output: name})
	im.clear[name] = model.PerFeature(op) && !slices.ContainsFunc(inputs, func(in string) bool { return !im.clear[in] })
	return name
}

// embed makes a known value one of the model graph, for operators that take only such: it is added to nothing of one
// that is not known.
func (im *importer) embed(v value, beside []value) (value, error) {
	data, err := v.numbers()
	if err != nil {
		return value{}, err
	}
	at := slices.IndexFunc(beside, func(v value) bool { return !v.known })
	first, err := im.pick(beside[at], []int{0}, []int{1})
	if err != nil {
		return value{}, err
	}
	ones := slices.Repeat(model.Shape{1}, len(v.shape))
	if len(ones) == 0 {
		first.shape = model.Shape{1}
	}
	made, err := im.apply(&model.Scale{Factor: model.NewTensor(ones), Offset: model.Tensor{Shape: v.shape, Data: data}}, first)
	if err != nil {
		return value{}, err
	}
	if made, err = im.as(made, v.shape); err != nil {
		return value{}, err
	}
	made.kind, made.dims = v.kind, v.dims
	return made, nil
}

// as returns the value with its numbers in another shape of the model.
func (im *importer) as(v value, shape model.Shape) (value, error) {
	if v.shape.Equal(shape) {
		return v, nil
	}
	if v.shape.Size() != shape.Size() {
		return value{}, fmt.Errorf("shape %v does not fit %v", []int(v.shape), []int(shape))
	}
	if !v.known {
		key := fmt.Sprint(v.name, "\x00", []int(shape))
		name, ok := im.views[key]
		if !ok {
			if err := im.spend(shape.Size()); err != nil {
				return value{}, err
			}
			name = im.append(&model.Reshape{Shape: shape}, []string{v.name})
			im.views[key] = name
			if f, ok := im.origins[v.name]; ok {
				im.origins[name] = f
			} else {
				im.origins[name] = features{source: v.name}
			}
		}
		v.name = name
	}
	v.shape = shape
	return v, nil
}

// full returns the value in the shape that the file gives it.
func (im *importer) full(v value) (value, error) { return im.as(v, v.dims) }

// narrow returns the value without its batch.
func (im *importer) narrow(v value) (value, error) { return im.as(v, canonical(v.dims)) }

// with returns the value with the dimensions of the file and the element type.
func (v value) with(kind int64, dims []int) value {
	v.kind, v.dims = kind, dims
	return v
}

// pointwise applies an operator that keeps the shape.
func (im *importer) pointwise(op model.Op, v value) (value, error) {
	if v.known && len(v.data) == 0 {
		return v, nil
	}
	r, err := im.apply(op, v)
	return r.with(v.kind, v.dims), err
}

// affine is factor·x + offset.
func (im *importer) affine(v value, factor, offset float64) (value, error) {
	return im.pointwise(&model.Scale{Factor: model.Scalar(factor), Offset: model.Scalar(offset)}, v)
}

// pick makes a tensor of the elements at the given flat indices.
func (im *importer) pick(v value, indices, dims []int) (value, error) {
	if err := checkDims(dims); err != nil {
		return value{}, err
	}
	size := v.size()
	for _, i := range indices {
		if i < 0 || i >= size {
			return value{}, fmt.Errorf("element %d is outside %d", i, size)
		}
	}
	if err := im.spend(len(indices)); err != nil {
		return value{}, err
	}
	r := value{kind: v.kind, dims: dims, shape: canonical(dims), known: v.known, labels: v.labels}
	if v.known {
		r.data = make([]float64, len(indices))
		for k, i := range indices {
			r.data[k] = v.data[i]
		}
		return r, nil
	}
	if v.decisions != nil && v.name == "" {
		return v.decisions.pick(r, indices), nil
	}
	flat, err := im.as(v, model.Shape{size})
	if err != nil {
		return value{}, err
	}
	identical := len(indices) == size
	for k, i := range indices {
		identical = identical && k == i
	}
	if identical {
		return flat.with(v.kind, dims), nil
	}
	flat.kind = int64Type // labels stay beside
	picked, err := im.apply(&model.Gather{Axis: 0, Indices: slices.Clone(indices)}, flat)
	if err != nil {
		return value{}, err
	}
	r.name, r.shape = picked.name, picked.shape
	return r, nil
}
