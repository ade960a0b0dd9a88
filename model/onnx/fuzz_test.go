package onnx_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"cipherpoint/internal/testdata"
	"cipherpoint/model"
	"cipherpoint/model/onnx"
)

// FuzzRead holds the reader to its promise: any bytes give a model that is valid or an error, soon.
func FuzzRead(f *testing.F) {
	if data, ok := testdata.Find(); ok {
		files, _ := filepath.Glob(filepath.Join(data, "onnx", "*", "*.onnx"))
		more, _ := filepath.Glob(filepath.Join(data, "onnx", "conformance", "*", "model.onnx"))
		for _, path := range append(files, more...) {
			if file, err := os.ReadFile(path); err == nil && len(file) < 20000 {
				f.Add(file)
			}
		}
	}
	f.Add(file(input("x", 2), 15, nodeOf("Relu", "y", []string{"x"})))
	f.Fuzz(func(t *testing.T, data []byte) {
		onnx.Detect(data)
		m, err := onnx.Read(data, onnx.Options{Features: 3})
		if err != nil {
			return
		}
		if err := m.Graph.Validate(); err != nil {
			t.Fatal(err)
		}
		served, err := m.Serve()
		if err != nil {
			t.Fatal(err)
		}
		if err := served.Graph.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}

// The messages of onnx.proto that hostile files are made of.

func message(id protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, id, protowire.BytesType), data)
}

func varint(id protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, id, protowire.VarintType), v)
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// file is a model with one input and the output y.
func file(port []byte, opset uint64, parts ...[]byte) []byte {
	graph := join(join(parts...), message(11, port), message(12, message(1, []byte("y"))))
	return join(varint(1, 8), message(8, varint(2, opset)), message(7, graph))
}

func input(name string, dims ...uint64) []byte {
	var shape []byte
	for _, d := range dims {
		shape = append(shape, message(1, varint(1, d))...)
	}
	return join(message(1, []byte(name)), message(2, message(1, join(varint(1, 1), message(2, shape)))))
}

// nodeOf is a node, as a field of a graph.
func nodeOf(kind, output string, inputs []string, attributes ...[]byte) []byte {
	var n []byte
	for _, in := range inputs {
		n = append(n, message(1, []byte(in))...)
	}
	n = join(n, message(2, []byte(output)), message(4, []byte(kind)))
	for _, a := range attributes {
		n = append(n, message(5, a)...)
	}
	return message(1, n)
}

func ints(name string, list ...uint64) []byte {
	a := message(1, []byte(name))
	for _, v := range list {
		a = append(a, varint(8, v)...)
	}
	return a
}

// initialiser is an int64 tensor, as a field of a graph; more is added to it.
func initialiser(name string, dims []uint64, values []uint64, more ...[]byte) []byte {
	t := join(varint(2, 7), message(8, []byte(name)))
	for _, d := range dims {
		t = append(t, varint(1, d)...)
	}
	for _, v := range values {
		t = append(t, varint(7, v)...)
	}
	return message(5, join(t, join(more...)))
}

func TestHostileFiles(t *testing.T) {
	x := input("x", 1, 4)
	deep := join(message(1, []byte("value")), message(6, nil))
	for range 10 {
		deep = join(message(1, []byte("g")), message(6, message(1, join(message(4, []byte("If")), message(5, deep)))))
	}
	double := func(steps int) []byte {
		nodes := []byte{}
		last := "x"
		for i := range steps {
			next := strings.Repeat("v", i+1)
			if i == steps-1 {
				next = "y"
			}
			nodes = append(nodes, nodeOf("Concat", next, []string{last, last}, join(message(1, []byte("axis")), varint(3, 1)))...)
			last = next
		}
		return nodes
	}
	many := []byte{}
	for range 3 << 19 {
		many = append(many, message(1, nil)...)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                      {nil, "no protobuf"},
		"text":                         {[]byte("tree\nversion=v3"), "no protobuf"},
		"wide input":                   {file(input("x", 1, 1<<40), 15, nodeOf("Relu", "y", []string{"x"})), "dimension 1 is"},
		"input of many dimensions":     {file(input("x", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 15, nodeOf("Relu", "y", []string{"x"})), "dimensions"},
		"product of dimensions":        {file(input("x", 1, 1<<20, 1<<20, 1<<20), 15, nodeOf("Relu", "y", []string{"x"})), "more than"},
		"tensor without its numbers":   {file(x, 15, initialiser("c", []uint64{1 << 40}, []uint64{1}), nodeOf("Add", "y", []string{"x", "c"})), "do not fit its 1 numbers"},
		"negative dimension":           {file(x, 15, initialiser("c", []uint64{1<<64 - 1}, []uint64{1}), nodeOf("Add", "y", []string{"x", "c"})), "do not fit"},
		"overflowing dimensions":       {file(x, 15, initialiser("c", []uint64{1 << 32, 1 << 32}, nil), nodeOf("Add", "y", []string{"x", "c"})), "do not fit"},
		"numbers elsewhere":            {file(x, 15, initialiser("c", []uint64{1}, nil, message(13, nil), varint(14, 1)), nodeOf("Add", "y", []string{"x", "c"})), "another file"},
		"constant of a large shape":    {file(x, 15, initialiser("s", []uint64{2}, []uint64{1 << 30, 1 << 30}), nodeOf("ConstantOfShape", "c", []string{"s"}), nodeOf("Add", "y", []string{"x", "c"})), "hold more than"},
		"expansion":                    {file(x, 15, initialiser("s", []uint64{2}, []uint64{1 << 22, 4}), nodeOf("Expand", "a", []string{"x", "s"}), nodeOf("Expand", "b", []string{"x", "s"}), nodeOf("Add", "y", []string{"a", "b"})), "more than"},
		"doubling":                     {file(x, 15, double(40)), "more than"},
		"cycle":                        {file(x, 15, nodeOf("Relu", "a", []string{"y"}), nodeOf("Relu", "y", []string{"a"})), "made by no node"},
		"output that nobody makes":     {file(x, 15, nodeOf("Relu", "z", []string{"x"})), "made by no node"},
		"value written twice":          {file(x, 15, nodeOf("Relu", "y", []string{"x"}), nodeOf("Relu", "y", []string{"x"})), "twice"},
		"graphs within graphs":         {file(x, 15, message(1, join(message(4, []byte("If")), message(5, deep)))), "nested"},
		"empty nodes":                  {file(x, 15, many), "more than"},
		"operator set of the future":   {file(x, 99, nodeOf("Relu", "y", []string{"x"})), "operator set 99"},
		"recurrent layer":              {file(x, 15, nodeOf("LSTM", "y", []string{"x"})), `node "" (LSTM of [1 4]): is recurrent`},
		"unknown operator":             {file(x, 15, nodeOf("Frobnicate", "y", []string{"x"})), "not served"},
		"no input":                     {file(nil, 15, nodeOf("Relu", "y", []string{"x"})), "not read"},
		"permutation out of range":     {file(x, 15, nodeOf("Transpose", "y", []string{"x"}, ints("perm", 0, 7))), "no permutation"},
		"reshape to nothing that fits": {file(x, 15, initialiser("s", []uint64{2}, []uint64{3, 1<<64 - 1}), nodeOf("Reshape", "y", []string{"x", "s"})), "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := onnx.Read(test.data, onnx.Options{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error about %q, got %v", test.want, err)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 16*model.MaxTotalElements {
				t.Errorf("took %d bytes", took)
			}
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}
