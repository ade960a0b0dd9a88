package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/testdata"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/onnx"
	"cipherpoint/model/onnx/onnxtest"
)

// quick are the files that are run encrypted with -short, too.
var quick = map[string]bool{
	"sklearn/logreg_iris.onnx": true, "conformance/test_Conv2d/model.onnx": true, "conformance/test_operator_addmm/model.onnx": true,
}

// slow are the files that are left out, for they take minutes: trees of a hundred thresholds and networks with max pools
// have tests of their own where they are compiled.
var slow = map[string]bool{
	"mnist-cnn/lenet5.onnx": true, "mnist-cnn/lenet-1.onnx": true, "mnist-cnn/mnist-8.onnx": true, "mnist-cnn/mnist-12.onnx": true,
	"mnist-cnn/opt-mnist.onnx": true, "mnist-mlp/leakyrelu_784_20x5_10.onnx": true, "mnist-mlp/relu_784_10_10_10.onnx": true,
	"mnist-mlp/relu_784_mlp_softmax.onnx": true, "mnist-mlp/sigmoid_784_64_32_10.onnx": true, "boosted/tree_as_tensors.onnx": true,
	"conformance/test_MaxPool2d/model.onnx": true, "boosted/xgb_regressor.onnx": true, "sklearn/rf_iris.onnx": true, "sklearn/sklearn_randomforest.onnx": true,
}

// TestImportsRunEncrypted compiles the files of the shared collection and runs them encrypted: scores within the bound of
// the report. The table says what became of each.
func TestImportsRunEncrypted(t *testing.T) {
	data := testdata.Dir(t)
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "file\tlevels\tdegree\tbound\tlargest error\tserver\toutcome")
	for _, c := range onnxtest.Find(t, filepath.Join(data, "onnx"), data) {
		if slow[c.Name] || testing.Short() && !quick[c.Name] {
			continue
		}
		m, err := onnx.Read(c.Data, onnx.Options{Features: c.Features()})
		if err != nil {
			fmt.Fprintf(w, "%s\t\t\t\t\t\tnot imported\n", c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			err := runEncrypted(t, &c, m, w)
			reason, expected := notCompiled[c.Name]
			if err == nil {
				return
			}
			fmt.Fprintf(w, "%s\t\t\t\t\t\t%v\n", c.Name, err)
			if !expected || !strings.Contains(err.Error(), reason) {
				t.Error(err)
			}
		})
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// notCompiled are the files that are imported and cannot run encrypted, with a part of the reason.
var notCompiled = map[string]string{
	"conformance/test_Embedding/model.onnx":  "nothing to encrypt",
	"conformance/test_LogSoftmax/model.onnx": "nothing to encrypt",
	"conformance/test_Softmax/model.onnx":    "nothing to encrypt",
	// One sample, or ten, are too few for the range and the tolerance of activations.
	"conformance/test_operator_basic/model.onnx": "no parameters up to",
	"mnist-mlp/sigmoid_784_5_5_10.onnx":          "approximating",
	// A product of two encrypted matrices right at the inputs.
	"conformance/test_operator_mm/model.onnx": "no diagonal",
}

func runEncrypted(t *testing.T, c *onnxtest.Case, m *onnx.Model, w *tabwriter.Writer) error {
	served, err := m.Serve()
	if err != nil {
		return err
	}
	rows, err := c.Rows(served.Graph)
	if err != nil {
		return err
	}
	p := &publication{path: c.Name, model: served, set: &dataset.Set{X: rows, Shape: []int{len(rows[0])}, Y: make([]float64, len(rows))}}
	built, err := publish.Build(context.Background(), p.recipe(filepath.Base(filepath.Dir(c.Name))), publish.Options{})
	if err != nil {
		return err
	}
	dir := t.TempDir()
	if err := built.Save(dir); err != nil {
		return err
	}
	e, err := built.Try(context.Background(), dir, 3, func(int, int) {})
	if err != nil {
		return err
	}
	bound, worst := built.Compiled.MaxScoreError, 0.0
	for i := range e.Scores {
		for k, s := range built.Simulated[i].Scores {
			worst = max(worst, math.Abs(e.Scores[i][k]-s))
		}
	}
	parameters := built.Compiled.Circuit.Parameters
	fmt.Fprintf(w, "%s\t%d\t2^%d\t%.3g\t%.3g\t%v\tencrypted\n", c.Name, parameters.MaxLevel(), parameters.LogN, bound, worst, publish.Median(e.All).Round(10*time.Microsecond))
	if !(worst <= bound) {
		return fmt.Errorf("the largest error of an encrypted score is %.3g: at most %.3g is promised", worst, bound)
	}
	return nil
}

func TestImportCommand(t *testing.T) {
	data := filepath.Join(testdata.Dir(t), "onnx", "sklearn")
	dir := t.TempDir()
	var out bytes.Buffer
	err := run(context.Background(), []string{"import", filepath.Join(data, "logreg_iris.onnx"), "--calibration", filepath.Join(data, "iris_X_test.npy"),
		"--labels", filepath.Join(data, "iris_Y_test.npy"), "--out", dir, "--encrypted-samples", "3"}, &out, null(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"encrypted, on the server: Dense", "on the client after decryption: Softmax", "encrypted label = clear label"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the answer has no %q:\n%s", want, out.String())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "versions.json")); err != nil {
		t.Error(err)
	}
}

func TestImportRefusals(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rows, text := write("rows.csv", "a,b\n1,2\n3,4\n"), write("text.csv", "a,b\nred,2\n")
	unknown := write("model.bin", "no model")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"import"}, "name a model file"},
		{[]string{"import", unknown}, "--calibration is missing"},
		{[]string{"import", unknown, "--calibration", rows}, "format is not known"},
		{[]string{"import", unknown, "--calibration", text}, "is no number"},
		{[]string{"import", filepath.Join(dir, "none"), "--calibration", rows}, "no such file"},
	} {
		if err := run(context.Background(), test.args, new(bytes.Buffer), null(t)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: want an error about %q, got %v", test.args, test.want, err)
		}
	}
}

func TestLabelsAreClassesOfTheModelOrTargets(t *testing.T) {
	for _, test := range []struct {
		classes []string
		answers int
		labels  []string
		want    []float64
		known   []string
	}{
		{[]string{"setosa", "virginica"}, 2, []string{"virginica", "setosa"}, []float64{1, 0}, []string{"setosa", "virginica"}},
		{[]string{"5", "7"}, 2, []string{"7.0", "5"}, []float64{1, 0}, []string{"5", "7"}},
		{nil, 3, []string{"2", "0"}, []float64{2, 0}, []string{"0", "1", "2"}},
		{nil, 1, []string{"1", "0"}, []float64{1, 0}, []string{"0", "1"}},
		{nil, 1, []string{"1.5", "-3"}, []float64{1.5, -3}, nil},
		{nil, 1, []string{"yes", "no"}, nil, nil},
		{[]string{"a", "b"}, 2, []string{"c"}, nil, nil},
	} {
		p := &publication{model: &model.Imported{Classes: test.classes}, set: new(dataset.Set)}
		err := p.label(test.labels, test.answers)
		if (err != nil) != (test.want == nil) {
			t.Errorf("%v: %v", test.labels, err)
		}
		if err == nil && (fmt.Sprint(p.set.Y) != fmt.Sprint(test.want) || fmt.Sprint(p.set.Labels) != fmt.Sprint(test.known)) {
			t.Errorf("%v: got %v of %v", test.labels, p.set.Y, p.set.Labels)
		}
	}
}
