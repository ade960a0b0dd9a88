package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/internal/testdata"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

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

func TestClassesAreNamedByThePublisher(t *testing.T) {
	for _, test := range []struct {
		classes string
		answers int
		want    []string
		err     string
	}{
		{"", 3, nil, ""},
		{"3", 3, []string{"0", "1", "2"}, ""},
		{"no, yes", 1, []string{"no", "yes"}, ""},
		{"a,b,c", 3, []string{"a", "b", "c"}, ""},
		{"a,b", 3, nil, "names 2, the model has scores of 3"},
		{"10", 3, nil, "names 1"},
		{"a,a", 2, nil, "twice"},
	} {
		p := &publication{model: new(model.Imported), answers: test.answers}
		err := p.name(test.classes)
		if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q: %v", test.classes, err)
		}
		if fmt.Sprint(p.model.Classes) != fmt.Sprint(test.want) {
			t.Errorf("%q: got %v", test.classes, p.model.Classes)
		}
	}
}

func TestLogitsAreTold(t *testing.T) {
	for _, test := range []struct {
		answers, labels []float64
		want            bool
	}{
		{[]float64{0.1, 0.9}, nil, false},
		{[]float64{-4, 3}, nil, true},
		{[]float64{-0.1, 0.4, 0.9}, []float64{0, 0, 1}, false}, // a regression on the labels
		{[]float64{-0.1, 0.4, 0.9}, []float64{0, 1, 1}, true},
	} {
		var answers [][]float64
		for _, a := range test.answers {
			answers = append(answers, []float64{a})
		}
		if got := isLogit(answers, test.labels); got != test.want {
			t.Errorf("%v with labels %v: %v", test.answers, test.labels, got)
		}
	}
}
