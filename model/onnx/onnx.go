// Package onnx reads models that other tools export in the ONNX format into the float model.
//
//	m, err := onnx.Read(data, onnx.Options{Features: 4})
//	imported, err := m.Serve() // the one graph to compile
//
// Operator sets 1 to 24 of the main domain and 1 to 4 of ai.onnx.ml are read, with the operators that classical models,
// perceptrons and convolutional networks are exported with; functions of the model itself are written out. What depends
// on constants only, as the shapes that exporters compute, is computed at once.
//
// The graph is for one sample: a batch dimension, open or fixed, counts as 1. What a node compares of features and looks
// up in constants, as exporters spell trees in tensor operators, becomes a TreeEnsemble again.
//
// # Dangers
//
// A file may come from anywhere: sizes are checked against the file and bounded before memory is taken, and a node that
// cannot be served is an error that says which, why, and what to do instead. Numbers are computed in double precision:
// where the file has single precision, answers agree to about its rounding. Comparisons of trees are the exception; they
// see the features rounded to single precision, as in the file.
package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"cipherpoint/model"
	"cipherpoint/model/trees"
)

// Options say what the file does not.
type Options struct {
	// Features is the number of values in a row, for files that leave it open.
	Features int
}

// Output is one output of the file.
type Output struct {
	Name  string // in the file
	Value string // in the graph
	Dims  []int  // in the file, the batch as 1
	// Labels are what the output's numbers stand for, where the file has text: indices into this list.
	Labels []string
	scores bool // of floating point
}

// Model is a file that was read.
type Model struct {
	Graph    *model.Graph   // with all outputs of the file
	Outputs  []Output       // in the order of the graph's
	Classes  []string       // of a classifier, in the order of its scores
	Columns  []model.Column // of a row, where some are text
	Producer string
	Opset    int64
	Notes    []string

	instead map[string]string
	whole   *model.Graph // with values that only instead names
}

const maxOpset = 24

// Detect says whether a file may be an ONNX model: a protobuf message with a graph.
func Detect(data []byte) bool {
	graph := false
	_ = each(data[:min(len(data), maxBytes)], func(f field) error {
		if f.id == 1 && f.wire != protowire.VarintType {
			return errWire
		}
		graph = graph || f.id == 7 && f.wire == protowire.BytesType
		return nil
	})
	return graph
}

// Read imports a serialised onnx.ModelProto.
func Read(data []byte, o Options) (*Model, error) {
	file, err := decodeModel(data)
	if err != nil {
		return nil, fmt.Errorf("file %w", err)
	}
	opset, ok := file.opsets[""]
	switch {
	case !ok && file.irVersion >= 3 && len(file.opsets) == 0:
		return nil, errors.New("file states no operator set: export it again")
	case !ok:
		opset = 1
	case opset < 1 || opset > maxOpset:
		return nil, fmt.Errorf("file is of operator set %d: 1 to %d are read", opset, maxOpset)
	}
	single, batch, err := importBatch(file, opset, o, true)
	if batch == 1 {
		return single, err
	}
	// A fixed first dimension may be a batch, or all of one sample.
	whole, _, wholeErr := importBatch(file, opset, o, false)
	switch {
	case err != nil && wholeErr != nil:
		return nil, err
	case err != nil:
		whole.Notes = append(whole.Notes, fmt.Sprintf("the first dimension of the input, %d, is part of one sample: %v", batch, err))
		return whole, nil
	case wholeErr != nil:
		return single, nil
	}
	if same, err := sameBySample(single, whole, batch); err == nil && !same {
		whole.Notes = append(whole.Notes, fmt.Sprintf("the first dimension of the input, %d, is part of one sample: the model mixes it", batch))
		return whole, nil
	}
	single.Notes = append(single.Notes, fmt.Sprintf("the file fixes a batch of %d; one sample is served at a time", batch))
	return single, nil
}

// importBatch imports with a fixed first dimension taken as a batch, or as part of one sample. It returns the size of
// the batch, 1 where nothing is to be chosen.
func importBatch(file *modelProto, opset int64, o Options, sample bool) (*Model, int, error) {
	im := &importer{
		file: file, opset: opset, batch: 1, values: map[string]value{}, taken: map[string]bool{}, views: map[string]string{},
		clear: map[string]bool{}, origins: map[string]features{}, sources: map[string]value{}, functions: map[[2]string]*functionProto{},
		instead: map[string]string{},
	}
	for _, f := range file.functions {
		im.functions[[2]string{f.domain, f.name}] = f
	}
	if im.graph.Name = clean(file.graph.name); im.graph.Name == "" {
		im.graph.Name = "model"
	}
	if err := im.constants(file.graph); err != nil {
		return nil, 1, err
	}
	batch, err := im.inputs(o, sample)
	if err != nil {
		return nil, batch, err
	}
	if err := im.run(file.graph.nodes); err != nil {
		return nil, batch, err
	}
	m, err := im.finish()
	return m, batch, err
}

// constants makes the initialisers of a graph known.
func (im *importer) constants(g *graphProto) error {
	if g.sparse > 0 {
		return errors.New("file has sparse initialisers: store them dense")
	}
	for _, t := range g.initializers {
		v, err := t.value()
		if err != nil {
			return fmt.Errorf("initialiser %q: %w", clean(t.name), err)
		}
		im.values[t.name] = v
	}
	return nil
}

// inputs makes the ports of the graph.
func (im *importer) inputs(o Options, sample bool) (batch int, err error) {
	var ports []*portProto
	for _, p := range im.file.graph.inputs {
		if !im.values[p.name].present() {
			ports = append(ports, p)
		}
	}
	if len(ports) == 0 {
		return 1, errors.New("file has no input that is not a constant")
	}
	batch = 1
	for i, p := range ports {
		if fixed := p.dims; len(fixed) > 1 && fixed[0].size > 1 && fixed[0].size <= model.MaxElements {
			if n := int(fixed[0].size); i == 0 {
				batch = n
			} else if n != batch {
				batch = 1
			}
		} else if i == 0 || len(p.dims) == 0 || p.dims[0].size != 0 {
			batch = 1
		}
		if batch == 1 && i > 0 {
			break
		}
	}
	if sample {
		im.batch = batch
	}
	im.texts = textsOf(im.file.graph, ports)
	for _, p := range ports {
		if err := im.input(p, o, len(ports) == 1); err != nil {
			return batch, fmt.Errorf("input %q: %w", clean(p.name), err)
		}
	}
	return batch, nil
}

func (im *importer) input(p *portProto, o Options, only bool) error {
	if p.kind == stringType && len(im.texts) == 0 {
		return errText
	}
	if p.kind == 0 || widths[p.kind] == 0 && p.kind != stringType {
		return fmt.Errorf("%s is not read: a row is numbers", typeName(p.kind))
	}
	dims := make([]int, len(p.dims))
	open := -1
	if len(p.dims) > model.MaxRank {
		return fmt.Errorf("%d dimensions: at most %d are served", len(p.dims), model.MaxRank)
	}
	for i, d := range p.dims {
		switch {
		case d.size > model.MaxElements:
			return fmt.Errorf("dimension %d is %d", i, d.size)
		case d.size > 0:
			dims[i] = int(d.size)
		case i == 0:
			dims[i] = 1
		case open < 0 && only:
			open = i
		default:
			return fmt.Errorf("dimension %d is open: export the model with a fixed shape, but for the batch", i)
		}
	}
	if len(dims) > 1 && dims[0] == im.batch {
		dims[0] = 1
	}
	if !p.ranked {
		dims, open = []int{1, 0}, 1
	}
	if open >= 0 {
		features := o.Features
		if features == 0 {
			if features = im.guessFeatures(p.name); features > 0 {
				im.notes = append(im.notes, fmt.Sprintf("the file leaves the number of features open: %d, as many as its first operators use", features))
			}
		}
		dims[open] = 1
		rest := model.Shape(dims).Size()
		if features < 1 || features%rest != 0 {
			return fmt.Errorf("dimension %d is open: state the number of features, or export the model with a fixed shape", open)
		}
		dims[open] = features / rest
	}
	if err := checkDims(dims); err != nil {
		return err
	}
	v := value{kind: p.kind, dims: dims, shape: canonical(dims), name: im.fresh(p.name)}
	if err := im.spend(v.size()); err != nil {
		return err
	}
	if p.kind == stringType {
		v.labels = im.texts
	}
	im.graph.Inputs = append(im.graph.Inputs, model.Port{Name: v.name, Shape: v.shape})
	im.clear[v.name], im.sources[v.name] = true, v
	im.values[p.name] = v
	return nil
}

// guessFeatures is the width that the readers of an input want, or 0.
func (im *importer) guessFeatures(name string) int {
	for _, proto := range im.file.graph.nodes {
		if !slices.Contains(proto.inputs, name) {
			continue
		}
		n := &node{nodeProto: proto}
		width := 0
		switch n.kind {
		case "Scaler":
			width = max(len(n.floats("offset")), len(n.floats("scale")))
		case "Imputer":
			width = len(n.floats("imputed_value_floats"))
		case "LinearClassifier":
			width = len(n.floats("coefficients")) / max(1, len(n.floats("intercepts")))
		case "LinearRegressor":
			width = len(n.floats("coefficients")) / max(1, n.int("targets", 1))
		case "SVMRegressor":
			width = len(n.floats("support_vectors")) / max(1, n.int("n_supports", 0))
		case "SVMClassifier":
			count := 0
			for _, c := range n.ints("vectors_per_class") {
				count += max(0, c)
			}
			width = len(n.floats("support_vectors")) / max(1, count)
		case "TreeEnsembleClassifier", "TreeEnsembleRegressor":
			for _, f := range n.ints("nodes_featureids") {
				width = max(width, f+1)
			}
		case "MatMul", "Gemm":
			if w := im.values[proto.inputs[len(proto.inputs)-1]]; n.kind == "MatMul" && w.known && w.rank() == 2 {
				width = w.dims[0]
			} else if len(proto.inputs) > 1 {
				if w := im.values[proto.inputs[1]]; w.known && w.rank() == 2 {
					width = w.dims[min(1, max(0, n.int("transB", 0)))]
				}
			}
		}
		if width > 1 {
			return width
		}
	}
	return 0
}

// finish makes the graph with the outputs of the file.
func (im *importer) finish() (*Model, error) {
	m := &Model{Classes: im.classes, Opset: im.opset, Notes: im.notes,
		Producer: strings.TrimSpace(clean(im.file.producer) + " " + clean(im.file.producerVersion))}
	if len(im.file.graph.outputs) == 0 {
		return nil, errors.New("file has no outputs")
	}
	for _, p := range im.file.graph.outputs {
		v, ok := im.values[p.name]
		if !ok || !v.present() {
			return nil, fmt.Errorf("output %q is made by no node", clean(p.name))
		}
		v, err := im.plain(v)
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", clean(p.name), err)
		}
		if v.known {
			m.Notes = append(m.Notes, fmt.Sprintf("output %q is a constant and left out", clean(p.name)))
			continue
		}
		m.Outputs = append(m.Outputs, Output{Name: p.name, Value: v.name, Dims: v.dims, Labels: v.labels, scores: isFloat(v.kind)})
		im.graph.Outputs = append(im.graph.Outputs, v.name)
	}
	if len(m.Outputs) == 0 {
		return nil, errors.New("no output of the file depends on an input")
	}
	im.graph.Nodes = fuse(im.graph.Nodes)
	im.roundInputs()
	m.whole, m.instead, m.Columns = &im.graph, im.instead, im.columns()
	m.Graph = prune(&im.graph, im.graph.Outputs)
	// The JSON form refuses what is not finite; so does an import.
	if _, err := m.Graph.MarshalJSON(); err != nil {
		return nil, err
	}
	return m, nil
}

// roundInputs rounds inputs of single precision to it where the model compares: rows may be given in more digits than
// the thresholds have.
func (im *importer) roundInputs() {
	if !slices.ContainsFunc(im.graph.Nodes, func(n model.Node) bool { _, compares := n.Op.(*model.Compare); return compares }) {
		return
	}
	for _, port := range im.graph.Inputs {
		if im.values[port.Name].kind != float32Type {
			continue
		}
		rounded := model.Node{Name: port.Name + " float32", Op: &model.Activation{Function: model.Float32}, Inputs: []string{port.Name}, Output: port.Name + " float32"}
		for i, node := range im.graph.Nodes {
			node.Inputs = slices.Clone(node.Inputs)
			for k, name := range node.Inputs {
				if name == port.Name {
					node.Inputs[k] = rounded.Output
				}
			}
			im.graph.Nodes[i] = node
		}
		im.graph.Nodes = slices.Insert(im.graph.Nodes, 0, rounded)
	}
}

// prune keeps the nodes that the outputs depend on.
func prune(g *model.Graph, outputs []string) *model.Graph {
	needed := map[string]bool{}
	for _, name := range outputs {
		needed[name] = true
	}
	var nodes []model.Node
	for _, node := range slices.Backward(g.Nodes) {
		if !needed[node.Output] {
			continue
		}
		for _, name := range node.Inputs {
			needed[name] = true
		}
		nodes = append(nodes, node)
	}
	slices.Reverse(nodes)
	return &model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: nodes, Outputs: outputs}
}

// Serve chooses what is served: the scores of a classifier rather than its label, which follows from them, and all
// values of other models.
func (m *Model) Serve() (*model.Imported, error) {
	var chosen []Output
	for _, o := range m.Outputs {
		if o.scores {
			chosen = append(chosen, o)
		}
	}
	if m.Classes != nil {
		for _, o := range slices.Backward(m.Outputs) {
			if o.scores && model.Shape(o.Dims).Size() == len(m.Classes) {
				chosen = []Output{o}
				break
			}
		}
	}
	if len(chosen) == 0 {
		chosen = m.Outputs[:1]
	}
	i := &model.Imported{Columns: m.Columns, Format: fmt.Sprintf("ONNX, operator set %d, %s", m.Opset, m.Producer), Notes: slices.Clone(m.Notes)}
	shapes, err := m.whole.Shapes()
	if err != nil {
		return nil, err
	}
	var values []string
	names := map[string]bool{}
	for _, o := range chosen {
		names[o.Name] = true
		values = append(values, m.scoresOf(o.Value))
	}
	for _, o := range m.Outputs {
		if !names[o.Name] {
			i.Notes = append(i.Notes, fmt.Sprintf("output %q is left out: it follows from the one served, or is no score", clean(o.Name)))
		}
	}
	i.Graph = prune(m.whole, values)
	if size := shapes[values[0]].Size(); len(values) == 1 && size > 1 {
		switch {
		case len(m.Classes) == size:
			i.Classes = m.Classes
		case m.endsInClasses(values[0]) || values[0] != chosen[0].Value || namesScores(chosen[0].Name):
			i.Classes = make([]string, size)
			for k := range i.Classes {
				i.Classes[k] = fmt.Sprint(k)
			}
		}
	} else if len(m.Classes) == 2 && size == 1 {
		i.Classes = m.Classes
	}
	ensembles := 0
	for _, node := range i.Graph.Nodes {
		if _, ok := node.Op.(*model.TreeEnsemble); ok {
			ensembles++
		}
	}
	if ensembles > 1 {
		i.Graph, err = trees.Join(i.Graph)
		return i, err
	}
	return i, i.Graph.Validate()
}

// scoresOf goes back from a label to the scores that it is the largest of, and from scores that are not of classes to
// those that are.
func (m *Model) scoresOf(name string) string {
	at := name
	if other, ok := m.instead[m.beforeReshapes(name)]; ok {
		return other
	}
	for _, node := range slices.Backward(m.Graph.Nodes) {
		if node.Output != at {
			continue
		}
		switch op := node.Op.(type) {
		case *model.ArgMax:
			return node.Inputs[0]
		case *model.Map, *model.Reshape:
			at = node.Inputs[0]
		case *model.Activation:
			if op.Function != model.Truncate {
				return name
			}
			at = node.Inputs[0]
		default:
			return name
		}
	}
	return name
}

func (m *Model) beforeReshapes(name string) string {
	for _, node := range slices.Backward(m.Graph.Nodes) {
		if _, ok := node.Op.(*model.Reshape); ok && node.Output == name {
			name = node.Inputs[0]
		}
	}
	return name
}

// endsInClasses holds for a value that is a distribution over classes.
func (m *Model) endsInClasses(name string) bool {
	for _, node := range slices.Backward(m.Graph.Nodes) {
		if node.Output != name {
			continue
		}
		switch node.Op.(type) {
		case *model.Softmax, *model.LogSoftmax, *model.Coupling:
			return true
		case *model.Reshape, *model.Normalizer:
			name = node.Inputs[0]
		default:
			return false
		}
	}
	return false
}

// namesScores holds for names that exporters give to scores of classes.
func namesScores(output string) bool {
	output = strings.ToLower(output)
	return strings.Contains(output, "logit") || strings.Contains(output, "prob") || strings.Contains(output, "class")
}

// maxTrial bounds the work of comparing a model of one sample with one of a batch.
const maxTrial = 1 << 28

// sameBySample runs the model of one sample on each sample and compares with the model of all.
func sameBySample(single, whole *Model, batch int) (bool, error) {
	if cost(single.Graph)*float64(batch)+cost(whole.Graph) > maxTrial {
		return false, errors.New("too large to try")
	}
	rows := make([][]float64, batch)
	var all []float64
	state := uint64(1)
	for _, port := range single.Graph.Inputs {
		for s := range rows {
			for range port.Shape.Size() {
				state = state*6364136223846793005 + 1442695040888963407
				x := float64(state>>40) / (1 << 24)
				rows[s], all = append(rows[s], x), append(all, x)
			}
		}
	}
	want, err := whole.Graph.RunRows([][]float64{all})
	if err != nil {
		return false, err
	}
	got, err := single.Graph.RunRows(rows)
	if err != nil {
		return false, err
	}
	if len(single.Outputs) != len(whole.Outputs) {
		return false, nil
	}
	at, from := 0, 0
	for i := range single.Outputs {
		size := model.Shape(single.Outputs[i].Dims).Size()
		if model.Shape(whole.Outputs[i].Dims).Size() != size*batch {
			return false, nil
		}
		for s := range got {
			for k := range size {
				if w := want[0][at+s*size+k]; math.Abs(got[s][from+k]-w) > 1e-6*(1+math.Abs(w)) {
					return false, nil
				}
			}
		}
		at, from = at+size*batch, from+size
	}
	return true, nil
}

// cost is about the number of multiplications in a run.
func cost(g *model.Graph) float64 {
	shapes, err := g.Shapes()
	if err != nil {
		return math.Inf(1)
	}
	total := 0.0
	for _, node := range g.Nodes {
		each := 1.0
		switch op := node.Op.(type) {
		case *model.Dense:
			each = float64(op.Weight.Shape[1])
		case *model.Conv:
			each = float64(op.Weight.Shape[1:].Size())
		case *model.MatMul:
			in := shapes[node.Inputs[0]]
			each = float64(in[len(in)-1])
		case *model.MaxPool:
			each = float64(model.Shape(op.Kernel).Size())
		case *model.AveragePool:
			each = float64(model.Shape(op.Kernel).Size())
		case *model.TreeEnsemble:
			each = float64(len(op.Feature) + len(op.Values))
		}
		total += each * float64(shapes[node.Output].Size())
		for _, name := range node.Inputs {
			total += float64(shapes[name].Size())
		}
	}
	return total
}
