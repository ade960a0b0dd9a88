package model

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// branches has two inputs, two branches that are merged, and two outputs.
func branches(t testing.TB) *Graph {
	t.Helper()
	b := New("branches", Shape{2})
	b.Input("other", Shape{3})
	other := b.Value()
	left := b.From("input").Scale([]float64{2}, []float64{1}).Named("left").Value()
	right := b.From(other).Slice(0, 1, 3).Value()
	sum := b.Add(left).Value()
	product := b.From(left).Multiply(right).Concat(0, sum).Value()
	g, err := b.Graph(product, left)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRun(t *testing.T) {
	g := branches(t)
	out, err := g.Run(Vector(1, 2), Vector(10, 20, 30))
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 2 || !slices.Equal(out[0].Data, []float64{60, 150, 23, 35}) || !slices.Equal(out[1].Data, []float64{3, 5}) {
		t.Errorf("got %v", out)
	}
	rows, err := g.RunRows([][]float64{{1, 2, 10, 20, 30}, {0, 0, 1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows[0], []float64{60, 150, 23, 35, 3, 5}) || !slices.Equal(rows[1], []float64{1, 1, 2, 2, 1, 1}) {
		t.Errorf("got %v", rows)
	}
	if rows, err := g.RunRows(nil); err != nil || len(rows) != 0 {
		t.Errorf("no rows: got %v, %v", rows, err)
	}
	shapes, err := g.Shapes()
	if err != nil {
		t.Fatal(err)
	}
	if !shapes["left"].Equal(Shape{2}) || !shapes[g.Outputs[0]].Equal(Shape{4}) || len(shapes) != len(g.Inputs)+len(g.Nodes) {
		t.Errorf("shapes: %v", shapes)
	}
}

// TestRunRowsOrder has many more rows than workers.
func TestRunRowsOrder(t *testing.T) {
	g, err := New("square", Shape{1}).Square().Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([][]float64, 100*runtime.GOMAXPROCS(0))
	for i := range rows {
		rows[i] = []float64{float64(i)}
	}
	got, err := g.RunRows(rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range got {
		if len(row) != 1 || row[0] != float64(i*i) {
			t.Fatalf("row %d: got %v", i, row)
		}
	}
}

func TestRunErrors(t *testing.T) {
	g := branches(t)
	for name, in := range map[string][]Tensor{
		"too few":     {Vector(1, 2)},
		"wrong shape": {Vector(1, 2), tensor(Shape{3, 1}, 1, 2, 3)},
		"wrong data":  {Vector(1, 2), tensor(Shape{3}, 1, 2)},
	} {
		if _, err := g.Run(in...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, n := range []int{0, 1, 4, 6} {
		if _, err := g.RunRows([][]float64{make([]float64, 5), make([]float64, n)}); err == nil || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("row of %d values: %v", n, err)
		}
	}
	lookup, err := New("lookup", Shape{1}).Apply(&Embedding{Table: tensor(Shape{1, 1}, 5)}).Graph()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lookup.Run(Vector(1)); err == nil || !strings.Contains(err.Error(), `"embedding1" (Embedding)`) {
		t.Errorf("error does not name the node: %v", err)
	}
	bad := *g
	bad.Outputs = nil
	if _, err := bad.Run(); err == nil {
		t.Error("an invalid graph was run")
	}
	if _, err := bad.RunRows(nil); err == nil {
		t.Error("an invalid graph was run on rows")
	}
	if _, err := bad.Shapes(); err == nil {
		t.Error("an invalid graph has shapes")
	}
}

func TestValidate(t *testing.T) {
	cases := map[string]func(g *Graph){
		"no input":          func(g *Graph) { g.Inputs = nil },
		"no output":         func(g *Graph) { g.Outputs = nil },
		"no name":           func(g *Graph) { g.Name = "" },
		"long name":         func(g *Graph) { g.Name = strings.Repeat("x", 256) },
		"invalid name":      func(g *Graph) { g.Name = "\xff" },
		"input name":        func(g *Graph) { g.Inputs[0].Name = "" },
		"input twice":       func(g *Graph) { g.Inputs[1].Name = "input" },
		"input shape":       func(g *Graph) { g.Inputs[0].Shape = Shape{0} },
		"input negative":    func(g *Graph) { g.Inputs[0].Shape = Shape{-1, -2} },
		"input size":        func(g *Graph) { g.Inputs[0].Shape = Shape{MaxElements, 2} },
		"input overflow":    func(g *Graph) { g.Inputs[0].Shape = Shape{math.MaxInt, math.MaxInt} },
		"input rank":        func(g *Graph) { g.Inputs[0].Shape = slices.Repeat(Shape{1}, MaxRank+1) },
		"node name":         func(g *Graph) { g.Nodes[0].Name = "" },
		"node name twice":   func(g *Graph) { g.Nodes[1].Name = g.Nodes[0].Name },
		"no operator":       func(g *Graph) { g.Nodes[0].Op = nil },
		"unknown value":     func(g *Graph) { g.Nodes[0].Inputs = []string{"nothing"} },
		"later value":       func(g *Graph) { g.Nodes[0].Inputs = []string{g.Nodes[1].Output} },
		"output twice":      func(g *Graph) { g.Nodes[1].Output = g.Nodes[0].Output },
		"output of a node":  func(g *Graph) { g.Nodes[0].Output = "" },
		"unknown output":    func(g *Graph) { g.Outputs[0] = "nothing" },
		"shape of operator": func(g *Graph) { g.Nodes[0].Op = &Reshape{Shape: Shape{9}} },
		"total": func(g *Graph) {
			g.Inputs[0].Shape = Shape{MaxElements}
			for i := range 9 {
				name := strings.Repeat("n", i+1)
				g.Nodes = slices.Insert(g.Nodes, 0, Node{Name: name, Op: &Flatten{}, Inputs: []string{"input"}, Output: name})
			}
		},
	}
	for name, spoil := range cases {
		g := branches(t)
		if err := g.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(g)
		if err := g.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBuilder(t *testing.T) {
	b := New("everything", Shape{2, 6, 6})
	b.Conv(NewTensor(Shape{4, 2, 3, 3}), nil, Window{Pads: []int{1, 1, 1, 1}}).BatchNorm(make([]float64, 4), make([]float64, 4),
		make([]float64, 4), []float64{1, 1, 1, 1}, 1e-5)
	b.AveragePool([]int{2, 2}, Window{Stride: []int{2, 2}}).MaxPool([]int{2, 2}, Window{})
	if !b.Shape().Equal(Shape{4, 2, 2}) {
		t.Fatalf("shape after pools is %v", b.Shape())
	}
	parts := b.Split(0, 1, 3)
	b.Concat(0, parts[0]).Transpose(1, 2, 0).Reshape(Shape{4, 4}).Gather(1, 0, 3).Pad([]int{0, 1}, []int{0, 1}, 1)
	if !b.Shape().Equal(Shape{4, 4}) {
		t.Fatalf("shape after layout is %v", b.Shape())
	}
	b.ReLU().LeakyReLU(0.1).Sigmoid().Tanh().Clip(math.Inf(-1), 2).Compare(">", 0).ReduceMean(1).ReduceSum(0)
	if !b.Shape().Equal(Shape{}) {
		t.Fatalf("shape after reductions is %v", b.Shape())
	}
	pooled := b.From(parts[1]).GlobalAveragePool().Value()
	if !b.Shape().Equal(Shape{3, 1, 1}) {
		t.Fatalf("shape after the global pool is %v", b.Shape())
	}
	scores := b.Flatten().Scale([]float64{1, 2, 3}, []float64{0}).Dense(NewTensor(Shape{2, 3}), nil).MatMul(NewTensor(Shape{2, 5})).
		Normalizer(NormL2).Softmax().LogSoftmax().Value()
	label := b.ArgMax().Value()
	g, err := b.Graph(label, scores, pooled)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(NewTensor(Shape{2, 6, 6})); err != nil {
		t.Fatal(err)
	}
	if g.Nodes[0].Name != "conv1" || g.Nodes[0].Output != "conv1" {
		t.Errorf("first node is %+v", g.Nodes[0])
	}

	tabular := New("table", Shape{2}).Imputer([]float64{1, 2})
	values := tabular.Value()
	bits := tabular.Thermometer([][]float64{{1, 2}, {3}}).Value()
	difference := tabular.From(values).OneHot([][]float64{{1}, {2, 3}}).Sub(bits).Value()
	g, err = tabular.From(values).TreeEnsemble(stump()).Graph(difference, tabular.Value())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := g.RunRows([][]float64{{nan, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{0, 0, 0, 102.5, 25}; !slices.Equal(rows[0], want) {
		t.Errorf("got %v, want %v", rows[0], want)
	}
}

func TestBuilderErrors(t *testing.T) {
	cases := map[string]func(b *Builder) *Builder{
		"input twice":    func(b *Builder) *Builder { return b.Input("input", Shape{1}) },
		"input shape":    func(b *Builder) *Builder { return b.Input("other", Shape{-1}) },
		"unknown value":  func(b *Builder) *Builder { return b.From("nothing") },
		"unknown other":  func(b *Builder) *Builder { return b.Add("nothing") },
		"shape":          func(b *Builder) *Builder { return b.Reshape(Shape{3}) },
		"name of input":  func(b *Builder) *Builder { return b.Named("x") },
		"name taken":     func(b *Builder) *Builder { return b.Square().Named("input") },
		"name in use":    func(b *Builder) *Builder { return b.ReLU().Named("polynomial1").Square() },
		"name too early": func(b *Builder) *Builder { return b.Square().From("input").Named("x") },
		"matrix":         func(b *Builder) *Builder { return b.MatMul(Vector(1, 2)) },
		"matrix data":    func(b *Builder) *Builder { return b.MatMul(tensor(Shape{2, 1})) },
		"slice axis":     func(b *Builder) *Builder { return b.Slice(1, 0, 1) },
		"slice range":    func(b *Builder) *Builder { return b.Slice(0, 1, 1) },
		"split":          func(b *Builder) *Builder { b.Split(0, 1); return b },
		"split nothing":  func(b *Builder) *Builder { b.Split(5); return b },
		"split axis":     func(b *Builder) *Builder { b.Split(5, 1); return b },
		"global pool":    func(b *Builder) *Builder { return b.GlobalAveragePool() },
		"softmax":        func(b *Builder) *Builder { return b.ReduceSum().Softmax() },
		"empty name":     func(b *Builder) *Builder { return b.Square().Named("") },
	}
	for name, build := range cases {
		b := build(New("bad", Shape{2}))
		// Nothing after the first error may panic or hide it.
		b.Input("late", Shape{1}).From("input").Named("late").MatMul(Vector(1)).Scale(nil, nil).Slice(0, 0, 1).Square()
		b.Split(0, 1, 1)
		if g, err := b.Graph(); err == nil || g != nil || !strings.Contains(err.Error(), `"bad"`) {
			t.Errorf("%s: got %v, %v", name, g, err)
		}
	}
	if err := New("bad", Shape{0}).GlobalAveragePool().Softmax().Err(); err == nil {
		t.Error("an empty input was accepted")
	}
	if _, err := New("bad", Shape{1}).Graph("nothing"); err == nil {
		t.Error("an unknown output was accepted")
	}
}

func TestMatrix(t *testing.T) {
	m, err := Matrix([][]float64{{1, 2}, {3, 4}})
	if err != nil || !m.Shape.Equal(Shape{2, 2}) || !slices.Equal(m.Data, []float64{1, 2, 3, 4}) {
		t.Errorf("got %v, %v", m, err)
	}
	for _, rows := range [][][]float64{nil, {{}}, {{1}, {1, 2}}} {
		if _, err := Matrix(rows); err == nil {
			t.Errorf("rows %v were accepted", rows)
		}
	}
}
