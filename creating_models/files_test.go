package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
	"cipherpoint/internal/treetest"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/onnx"
	"cipherpoint/model/onnx/onnxtest"
	"cipherpoint/pipeline"
)

var everyFile = flag.Bool("every-file", false, "run the model files encrypted that take more than some seconds, too")

// file is a model file with rows, and what is known of its answers.
type file struct {
	name        string
	model       *model.Imported
	refused     error // instead of a model
	float       float64
	stored      bool        // answers to compare with, float of which is the largest difference, relative to 1e-4
	known, rows [][]float64 // to calibrate with, to encrypt
}

// quickFiles are run encrypted without -every-file: some seconds each at most.
var quickFiles = []string{
	"conformance/test_AvgPool", "conformance/test_BatchNorm2d_eval", "conformance/test_Conv1d", "conformance/test_Linear", "conformance/test_Sigmoid",
	"conformance/test_operator_mm", "conformance/test_operator_addmm", "sklearn/logreg", "sklearn/treecl2", "lightgbm/lg_rf_iris", "xgboost/binary/xgagaricus.json",
}

// refusedFiles are those that cannot be served, each with a part of the reason.
var refusedFiles = map[string]string{
	"conformance/test_operator_pow/model.onnx":     "the exponent depends on an input",
	"conformance/test_Embedding/model.onnx":        "nothing to encrypt",
	"conformance/test_LogSoftmax/model.onnx":       "nothing to encrypt",
	"conformance/test_Softmax/model.onnx":          "nothing to encrypt",
	"conformance/test_MaxPool2d/model.onnx":        "nothing to encrypt",
	"lightgbm/tree_1leaf.txt":                      "max_feature_idx",
	"lightgbm/tree_2leaves.txt":                    "max_feature_idx",
	"lightgbm/tree_3leaves.txt":                    "max_feature_idx",
	"xgboost/dump/breast_cancer_xgboost_dump.json": "save_model",
	"xgboost/dump/iris_xgboost_dump.json":          "save_model",
}

// TestEveryFile imports every model file of the shared collection, compares the float graph with the answers stored
// beside it, compiles it and runs rows encrypted: scores within the bound that the report states. The table says what
// became of each.
//
//	go test ./creating_models -run TestEveryFile -every-file -v -timeout 1h
//
// A folder of other ONNX files may be named in CIPHERPOINT_ONNX, to be tried instead; they may be refused.
func TestEveryFile(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("compiles for a minute")
	}
	data := testdata.Dir(t)
	further := os.Getenv("CIPHERPOINT_ONNX")
	var files []*file
	if further != "" {
		files = onnxFiles(t, further, data)
	} else {
		files = append(onnxFiles(t, filepath.Join(data, "onnx"), data), treeFiles(t, filepath.Join(data, "onnx"))...)
	}
	lines := make([][]string, len(files))
	t.Run("files", func(t *testing.T) {
		for i, f := range files {
			f.test(t, &lines[i], further != "")
		}
	})
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\toperators\tfloat differs by\tencrypted by\tsimulated\tbound\tdegree\tlevels\tkeys\tserver\tcompiled in\toutcome")
	for _, line := range lines {
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// test runs a file in parallel with others and fills in its line of the table.
func (f *file) test(t *testing.T, line *[]string, mayBeRefused bool) {
	quick := slices.ContainsFunc(quickFiles, func(prefix string) bool { return strings.HasPrefix(f.name, prefix) })
	t.Run(f.name, func(t *testing.T) {
		t.Parallel()
		if f.refused == nil && !(f.float <= 1) {
			t.Errorf("float answers differ by %.3g times what is allowed", f.float)
		}
		*line = []string{f.name, f.operators(), f.difference()}
		defer func() { t.Log(strings.Join(*line, " | ")) }()
		reason, refused := refusedFiles[f.name]
		if !quick && !refused && !*everyFile {
			*line = append(*line, "", "", "", "", "", "", "", "", "not without -every-file")
			return
		}
		columns, err := f.encrypt(t)
		switch {
		case err == nil && refused:
			t.Error("is served, and was to be refused")
		case err != nil && !mayBeRefused && (!refused || !strings.Contains(err.Error(), reason)):
			t.Error(err)
		}
		if err != nil {
			columns = []string{"", "", "", "", "", "", "", "", err.Error()}
		}
		*line = append(*line, columns...)
	})
}

func (f *file) difference() string {
	if !f.stored {
		return ""
	}
	return fmt.Sprintf("%.1g", f.float*onnxtest.Tolerance)
}

// operators lists the kinds of operators without what only moves elements.
func (f *file) operators() string {
	if f.model == nil {
		return ""
	}
	var kinds []string
	for _, node := range f.model.Graph.Nodes {
		kind := node.Op.Kind()
		if a, ok := node.Op.(*model.Activation); ok {
			kind = string(a.Function)
		}
		if !model.MovesOnly(node.Op) && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, " ")
}

// encrypt returns the columns of the table.
func (f *file) encrypt(t *testing.T) ([]string, error) {
	if f.refused != nil {
		return nil, f.refused
	}
	known, err := f.set(f.known)
	if err != nil {
		return nil, err
	}
	test, err := f.set(f.rows)
	if err != nil {
		return nil, err
	}
	recipe := (&publication{path: f.name, model: f.model, set: known}).recipe(filepath.Base(f.name))
	recipe.Load = func(context.Context, dataset.Source) (*dataset.Set, *dataset.Set, error) { return known, test, nil }
	m, err := publish.Build(context.Background(), recipe, publish.Options{})
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		return nil, err
	}
	e, err := m.Try(context.Background(), dir, 3, func(int, int) {})
	if err != nil {
		return nil, err
	}
	worst, simulated := 0.0, 0.0
	for i, scores := range e.Scores {
		for k, s := range scores {
			clear := m.Simulated[i].Scores[k]
			worst, simulated = max(worst, math.Abs(s-clear)), max(simulated, math.Abs(m.Simulated[i].NoisyScores[k]-clear))
		}
	}
	bound, p := m.Compiled.MaxScoreError, m.Compiled.Circuit.Parameters
	if !(worst <= bound) {
		t.Errorf("an encrypted score is off by %.3g, by %.3g simulated: at most %.3g is promised", worst, simulated, bound)
	}
	return []string{fmt.Sprintf("%.2g", worst), fmt.Sprintf("%.2g", simulated), fmt.Sprintf("%.2g", bound), fmt.Sprintf("2^%d", p.LogN), fmt.Sprint(p.MaxLevel()),
		fmt.Sprintf("%.1f MB", float64(len(e.UserKeys))/1e6), publish.Median(e.All).Round(10 * time.Microsecond).String(), m.CompileTime.Round(100 * time.Millisecond).String(), f.outcome(m)}, nil
}

// outcome says how many labels are those of the model, of a classifier.
func (f *file) outcome(m *publish.Model) string {
	if f.model.Classes == nil {
		return "encrypted"
	}
	same := 0
	for i, s := range m.Simulated {
		if pipeline.Label(s.NoisyAnswer) == pipeline.Label(m.Clear[i]) {
			same++
		}
	}
	return fmt.Sprintf("encrypted, %d of %d labels", same, len(m.Simulated))
}

// set makes the model's own answers the truth, as for a publication without labels.
func (f *file) set(rows [][]float64) (*dataset.Set, error) {
	p := &publication{model: f.model, set: &dataset.Set{X: rows, Shape: []int{len(rows[0])}}}
	answers, err := f.model.Graph.RunRows(rows)
	if err != nil {
		return nil, err
	}
	p.answered(answers)
	return p.set, nil
}

func onnxFiles(t *testing.T, folder, data string) []*file {
	var files []*file
	for _, c := range onnxtest.Find(t, folder, data) {
		f := &file{name: c.Name}
		files = append(files, f)
		m, err := onnx.Read(c.Data, onnx.Options{Features: c.Features()})
		if err != nil {
			f.refused = err
			continue
		}
		if f.float, err = c.Check(m); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		f.stored = true
		if f.model, err = m.Serve(); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if c.Images() && f.model.Classes == nil {
			f.model.Classes = numbered(10) // as the publisher says with --labels
		}
		if f.rows, err = c.Rows(m); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		n := calibrated
		if c.Images() {
			n = publish.CalibrationRows - len(f.rows)
		}
		more, err := c.More(f.rows, n)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		f.known = append(more, f.rows...)
	}
	return files
}

// calibrated is the number of rows to calibrate with where a file has few or none, but for images, of which there are many.
const calibrated = 256

// treeFiles are those of LightGBM and XGBoost.
func treeFiles(t *testing.T, dir string) []*file {
	var files []*file
	for _, published := range treetest.Files {
		f := &file{name: published.Name}
		files = append(files, f)
		data, err := os.ReadFile(filepath.Join(dir, published.Name))
		if err != nil {
			t.Fatal(err)
		}
		if f.model, f.refused = readModel(data, 0); f.refused != nil {
			continue
		}
		f.rows = published.Rows(t, dir, f.model.Graph)
		f.known = f.rows
		worst := published.Difference(t, dir, f.model.Graph, f.rows)
		f.float, f.stored = worst/onnxtest.Tolerance, len(published.Answers) > 0
	}
	return files
}
