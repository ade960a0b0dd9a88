package onnx_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"cipherpoint/internal/testdata"
	"cipherpoint/model"
	"cipherpoint/model/onnx"
	"cipherpoint/model/onnx/onnxtest"
)

// refused are the files that cannot be served, with a part of the reason.
var refused = map[string]string{
	"conformance/test_operator_pow/model.onnx": "the exponent depends on an input",
}

// TestFiles imports every file of the shared collection and compares it with the outputs stored beside it; the table
// says of each what became of it. A folder of further files may be named in CIPHERPOINT_ONNX.
func TestFiles(t *testing.T) {
	data := testdata.Dir(t)
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\toperator set\tnodes\tdifference / tolerance\toutcome")
	check(t, w, onnxtest.Find(t, filepath.Join(data, "onnx"), data), refused)
	if further := os.Getenv("CIPHERPOINT_ONNX"); further != "" {
		check(t, w, onnxtest.Find(t, further, data), nil)
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// TestExported imports files that onnxtest/generate.py made.
func TestExported(t *testing.T) {
	cases := onnxtest.Find(t, filepath.Join("testdata", "exported"), "")
	if len(cases) < 10 {
		t.Fatalf("%d files", len(cases))
	}
	check(t, tabwriter.NewWriter(io.Discard, 0, 0, 2, ' ', 0), cases, nil)
}

func check(t *testing.T, w *tabwriter.Writer, cases []onnxtest.Case, refused map[string]string) {
	for _, c := range cases {
		m, err := onnx.Read(c.Data, onnx.Options{Features: c.Features()})
		if err != nil {
			fmt.Fprintf(w, "%s\t\t\t\trefused: %v\n", c.Name, err)
			if reason := refused[c.Name]; reason == "" || !strings.Contains(err.Error(), reason) {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		if refused[c.Name] != "" {
			t.Errorf("%s: imported, and was to be refused", c.Name)
		}
		worst, err := c.Check(m)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if worst > 1 {
			t.Errorf("%s: outputs differ by %.3g times what is allowed", c.Name, worst)
		}
		served, err := m.Serve()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if err := sameServed(&c, m, served); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		outcome := "imported"
		if len(served.Classes) > 0 {
			outcome += fmt.Sprintf(", %d classes", len(served.Classes))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.3g\t%s\n", c.Name, m.Opset, len(served.Graph.Nodes), worst, outcome)
	}
}

// sameServed compares what is served with the file's own output of that name.
func sameServed(c *onnxtest.Case, m *onnx.Model, served *model.Imported) error {
	rows, err := c.Rows(m)
	if err != nil {
		return err
	}
	all, err := m.Graph.RunRows(rows)
	if err != nil {
		return err
	}
	answers, err := served.Graph.RunRows(rows)
	if err != nil {
		return err
	}
	at := 0
	for _, o := range m.Outputs {
		size := model.Shape(o.Dims).Size()
		if o.Value == served.Graph.Outputs[0] {
			for i := range rows {
				if d := onnxtest.Distance(answers[i][:size], all[i][at:at+size]); !(d <= 1e-3) {
					return fmt.Errorf("row %d: served %v, the file gives %v", i, answers[i], all[i][at:at+size])
				}
			}
		}
		at += size
	}
	return nil
}
