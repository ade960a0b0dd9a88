package model

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/every_operator.json anew")

// everyOperator is one graph with a node for each operator case.
func everyOperator() *Graph {
	g := &Graph{Name: "every operator"}
	for i, c := range operatorCases {
		n := Node{Name: c.name, Op: c.op, Output: fmt.Sprintf("y%d", i)}
		for k, x := range c.in {
			input := fmt.Sprintf("x%d.%d", i, k)
			g.Inputs = append(g.Inputs, Port{Name: input, Shape: x.Shape})
			n.Inputs = append(n.Inputs, input)
		}
		g.Nodes = append(g.Nodes, n)
		g.Outputs = append(g.Outputs, n.Output)
	}
	return g
}

// TestFormat holds the JSON form of every operator to the committed file.
func TestFormat(t *testing.T) {
	g := everyOperator()
	got, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "every_operator.json")
	if *update {
		// Indented to be readable; the form itself has no space.
		var indented bytes.Buffer
		if err := json.Indent(&indented, got, "", " "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, indented.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := mustRead(t, path)
	var want bytes.Buffer
	if err := json.Compact(&want, file); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the JSON form changed; got %s", got)
	}
	var decoded Graph
	if err := json.Unmarshal(file, &decoded); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&decoded, g) {
		t.Errorf("decoded graph differs")
	}
}

func TestNumbersRoundTrip(t *testing.T) {
	want := []float64{0, math.Copysign(0, -1), 0.1, 1.0 / 3, -1e-7, 1e21, 123456789012345678, math.MaxFloat64, math.SmallestNonzeroFloat64,
		-math.Pi, math.Nextafter(1, 2)}
	g, err := New("numbers", Shape{1}).Polynomial(want...).Graph()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var decoded Graph
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	got := decoded.Nodes[0].Op.(*Polynomial).Coefficients
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Errorf("%v reads back as %v", want[i], got[i])
		}
	}
	for _, v := range []float64{nan, math.Inf(1), math.Inf(-1)} {
		g.Nodes[0].Op = &Polynomial{Coefficients: []float64{v}}
		if data, err := json.Marshal(g); err == nil {
			t.Errorf("%v was written: %s", v, data)
		}
	}
	if _, err := json.Marshal(&Graph{}); err == nil {
		t.Error("an invalid graph was written")
	}
}

// small is a canonical graph that the cases below spoil.
const small = `{"version":1,"name":"g","inputs":[{"name":"x","shape":[2]}],"nodes":[{"name":"n","kind":"Dense",` +
	`"op":{"weight":{"shape":[1,2],"data":[1,2.5]},"bias":[3]},"inputs":["x"],"output":"y"}],"outputs":["y"]}`

func TestUnmarshalErrors(t *testing.T) {
	var g Graph
	if err := json.Unmarshal([]byte(small), &g); err != nil {
		t.Fatal(err)
	}
	if y, err := g.Run(Vector(1, 2)); err != nil || y[0].Data[0] != 9 {
		t.Fatalf("got %v, %v", y, err)
	}
	replaced := func(old, new string) string {
		if !strings.Contains(small, old) {
			t.Fatalf("%q is not in the graph", old)
		}
		return strings.Replace(small, old, new, 1)
	}
	cases := map[string]string{
		"nothing":            ``,
		"null":               `null`,
		"array":              `[]`,
		"empty":              `{}`,
		"cut off":            small[:len(small)-1],
		"more":               small + `{}`,
		"unknown field":      replaced(`"name":"g"`, `"name":"g","extra":1`),
		"unknown in node":    replaced(`"kind"`, `"extra":1,"kind"`),
		"unknown in op":      replaced(`"bias":[3]`, `"bias":[3],"extra":1`),
		"unknown kind":       replaced(`"Dense"`, `"Loop"`),
		"other case":         replaced(`"weight"`, `"Weight"`),
		"repeated field":     replaced(`"name":"g"`, `"name":"g","name":"g"`),
		"other order":        replaced(`"version":1,"name":"g"`, `"name":"g","version":1`),
		"other number":       replaced(`2.5`, `2.50`),
		"too large a number": replaced(`2.5`, `1e999`),
		"no number":          replaced(`2.5`, `NaN`),
		"string for number":  replaced(`2.5`, `"2.5"`),
		"null for a list":    replaced(`"inputs":["x"]`, `"inputs":null`),
		"version":            replaced(`"version":1`, `"version":2`),
		"no operator":        replaced(`"op":{"weight":{"shape":[1,2],"data":[1,2.5]},"bias":[3]},`, ``),
		"null operator":      replaced(`{"weight":{"shape":[1,2],"data":[1,2.5]},"bias":[3]}`, `null`),
		"more in op":         replaced(`"bias":[3]}`, `"bias":[3]}{}`),
		"empty bias":         replaced(`[3]`, `[]`),
		"wrong shape":        replaced(`[1,2],`, `[2,2],`),
		"negative shape":     replaced(`[1,2],`, `[-1,-2],`),
		"huge shape":         replaced(`[1,2],`, `[4294967296,4294967296],`),
		"huge input":         replaced(`"shape":[2]`, `"shape":[1099511627776]`),
		"unknown value":      replaced(`["x"]`, `["z"]`),
		"escaped name":       replaced(`"name":"g"`, `"name":"\u0067"`),
		"invalid UTF-8":      replaced(`"name":"g"`, "\"name\":\"\xff\""),
	}
	for name, data := range cases {
		before := Graph{Name: "before"}
		if err := before.UnmarshalJSON([]byte(data)); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if before.Name != "before" || before.Inputs != nil {
			t.Errorf("%s: the graph was changed", name)
		}
	}
}

// TestUnmarshalMemory decodes hostile files and bounds what they make the decoder allocate.
func TestUnmarshalMemory(t *testing.T) {
	const length = 1 << 17
	fill := func(prefix, item, suffix string) []byte {
		n := (length - len(prefix) - len(suffix)) / (len(item) + 1)
		return []byte(prefix + strings.Repeat(item+",", n) + item + suffix)
	}
	head := `{"version":1,"name":"g","inputs":[{"name":"x","shape":[2]}],"nodes":[`
	op := func(kind, fields string) string {
		return head + `{"name":"n","kind":"` + kind + `","op":{` + fields
	}
	tail := `},"inputs":["x"],"output":"y"}],"outputs":["y"]}`
	cases := map[string][]byte{
		"nodes":      fill(head, `{}`, `],"outputs":["y"]}`),
		"nulls":      fill(head, `null`, `],"outputs":["y"]}`),
		"inputs":     fill(`{"version":1,"name":"g","inputs":[`, `{}`, `],"nodes":[],"outputs":["y"]}`),
		"outputs":    fill(`{"version":1,"name":"g","inputs":[{"name":"x","shape":[2]}],"nodes":[],"outputs":[`, `"x"`, `]}`),
		"numbers":    fill(op("Polynomial", `"coefficients":[`), `1`, `]`+tail),
		"exponents":  fill(op("Polynomial", `"coefficients":[`), `1e20`, `]`+tail),
		"empty list": fill(op("OneHot", `"categories":[`), `[]`, `]`+tail),
		"nesting":    []byte(strings.Repeat("[", length)),
		"indices":    fill(op("Gather", `"axis":0,"indices":[`), `1`, `]`+tail),
		"roots":      fill(op("TreeEnsemble", `"features":2,"comparison":"<","aggregate":"sum","roots":[`), `0`, `],"values":[[1]]`+tail),
	}
	for name, data := range cases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var g Graph
		err := g.UnmarshalJSON(data)
		runtime.ReadMemStats(&after)
		if factor := (after.TotalAlloc - before.TotalAlloc) / uint64(len(data)); factor > 100 {
			t.Errorf("%s: allocates %d bytes for each byte of the file (%v)", name, factor, err)
		}
	}
}

// FuzzUnmarshalGraph starts from each node of testdata/every_operator.json as a graph of its own.
func FuzzUnmarshalGraph(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "every_operator.json"))
	if err != nil {
		f.Fatal(err)
	}
	var all Graph
	if err := json.Unmarshal(data, &all); err != nil {
		f.Fatal(err)
	}
	shapes, err := all.Shapes()
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range all.Nodes {
		g := Graph{Name: n.Name, Nodes: []Node{n}, Outputs: []string{n.Output}}
		for _, input := range n.Inputs {
			g.Inputs = append(g.Inputs, Port{Name: input, Shape: shapes[input]})
		}
		seed, err := json.Marshal(&g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g Graph
		if err := g.UnmarshalJSON(data); err != nil {
			return
		}
		again, err := g.MarshalJSON()
		if err != nil {
			t.Fatalf("decoded graph is refused: %v", err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, compact.Bytes()) {
			t.Fatalf("written as %s", again)
		}
		runDecoded(t, &g)
	})
}

// runDecoded runs a small graph and lowers its operators: neither may panic, and their shapes must be as inferred.
func runDecoded(t *testing.T, g *Graph) {
	shapes, err := g.Shapes()
	if err != nil {
		t.Fatal(err)
	}
	work := 0
	for _, s := range shapes {
		work += s.Size()
	}
	if work > 1<<12 {
		return
	}
	inputs := make([]Tensor, len(g.Inputs))
	for i, port := range g.Inputs {
		inputs[i] = NewTensor(port.Shape)
	}
	outputs, err := g.Run(inputs...)
	if err == nil {
		for i, name := range g.Outputs {
			if !outputs[i].Shape.Equal(shapes[name]) || outputs[i].check() != nil {
				t.Fatalf("output %q has shape %v, inferred %v", name, outputs[i].Shape, shapes[name])
			}
		}
	}
	for _, n := range g.Nodes {
		if op, ok := n.Op.(Affine); ok {
			m, err := op.Lower(shapes[n.Inputs[0]])
			if err != nil {
				t.Fatalf("%s was inferred but not lowered: %v", n.Op.Kind(), err)
			}
			if m.Matrix.Rows != shapes[n.Output].Size() || len(m.Bias) != m.Matrix.Rows || m.Matrix.Cols != shapes[n.Inputs[0]].Size() {
				t.Fatalf("%s has a map of %d × %d", n.Op.Kind(), m.Matrix.Rows, m.Matrix.Cols)
			}
		}
	}
}

func TestKinds(t *testing.T) {
	kinds := Kinds()
	if !slices.IsSorted(kinds) || !slices.Contains(kinds, "Dense") || len(kinds) != len(registry) {
		t.Errorf("got %v", kinds)
	}
}
