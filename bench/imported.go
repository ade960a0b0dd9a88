package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/creating_models/rows"
	"cipherpoint/internal/progress"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/lightgbm"
	"cipherpoint/model/onnx"
	"cipherpoint/model/xgboost"
	"cipherpoint/pipeline"
)

// published is a model that others trained, in a file below onnx/ of the data folder.
type published struct {
	name, file string
	read       func(data []byte) (*model.Imported, error)
	rows       string // a file beside; without one, the model is for MNIST's images
	labelled   bool   // the first column of the rows is a label
}

// publishedModels are trained without a thought of encryption.
var publishedModels = []published{
	{"mnist-8", "mnist-cnn/mnist-8.onnx", readONNX, "", false},
	{"mnist-12", "mnist-cnn/mnist-12.onnx", readONNX, "", false},
	{"lg_rf_iris", "lightgbm/lg_rf_iris.model", lightgbm.Read, "lightgbm/iris_test.libsvm", false},
	{"lg_breast_cancer", "lightgbm/lg_breast_cancer.txt", lightgbm.Read, "lightgbm/breast_cancer_test.tsv", false},
	{"lg_dart_breast_cancer", "lightgbm/lg_dart_breast_cancer.model", lightgbm.Read, "lightgbm/breast_cancer_test.tsv", false},
	{"lg_kddcup99", "lightgbm/lg_kddcup99.model", lightgbm.Read, "lightgbm/kddcup99_test.tsv", false},
	{"lgmulticlass", "lightgbm/lgmulticlass.model", lightgbm.Read, "lightgbm/multiclass_test.tsv", true},
	{"xgagaricus", "xgboost/binary/xgagaricus.json", xgboost.Read, "xgboost/binary/agaricus_test.libsvm", false},
	{"xgblin_agaricus", "xgboost/binary/xgblin_agaricus.json", xgboost.Read, "xgboost/binary/agaricus_test.libsvm", false},
	{"xg_dart_agaricus", "xgboost/binary/xg_dart_agaricus.json", xgboost.Read, "xgboost/binary/agaricus_test.libsvm", false},
	{"xgdermatology", "xgboost/binary/xgdermatology.json", xgboost.Read, "xgboost/binary/dermatology_test.libsvm", false},
	{"mortgage_xgb", "xgboost/json/mortgage_xgb.json", xgboost.Read, "xgboost/json/mortgage_data.csv", false},
}

func readONNX(data []byte) (*model.Imported, error) {
	m, err := onnx.Read(data, onnx.Options{})
	if err != nil {
		return nil, err
	}
	return m.Serve()
}

// runImported measures models that others trained.
func runImported(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("imported", stderr)
	names := flags.String("model", "", "`models` to measure, separated by commas; all by default")
	samples := flags.Int("samples", 1000, "`rows` of each that are encrypted, at most")
	data := flags.String("data", "", "`folder` of data sets, with the models in onnx/; $CIPHERPOINT_DATA by default")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *samples < 1 {
		return fmt.Errorf("samples has to be at least 1")
	}
	dir, err := dataFolder(*data)
	if err != nil {
		return err
	}
	list, err := findPublished(*names)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var table []Row
	for _, p := range list {
		fmt.Fprintln(stderr, p.name)
		show := progress.Steps(stderr)
		row, err := p.measure(ctx, dir, *samples, filepath.Join(scratch, p.name), show.Step)
		show.Done()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		table = append(table, row)
	}
	fmt.Fprintln(stdout, describeMachine())
	if err := writeTables(stdout, table); err != nil {
		return err
	}
	if err := writeFaithfulness(stdout, table); err != nil {
		return err
	}
	return writeReplacements(stdout, table)
}

func findPublished(names string) ([]published, error) {
	if names == "" {
		return publishedModels, nil
	}
	var list []published
	for name := range strings.SplitSeq(names, ",") {
		before := len(list)
		for _, p := range publishedModels {
			if p.name == name {
				list = append(list, p)
			}
		}
		if len(list) == before {
			return nil, fmt.Errorf("no published model %q", name)
		}
	}
	return list, nil
}

func (p published) measure(ctx context.Context, dir string, samples int, artifact string, progress func(string, int, int)) (Row, error) {
	data, err := os.ReadFile(filepath.Join(dir, "onnx", p.file))
	if err != nil {
		return Row{}, err
	}
	imported, err := p.read(data)
	if err != nil {
		return Row{}, err
	}
	return measure(ctx, recipes.Recipe{
		Name: p.name, Kind: imported.Format,
		Load: func(ctx context.Context, source dataset.Source) (known, test *dataset.Set, err error) {
			if p.rows == "" {
				return digits(ctx, source, samples)
			}
			set, err := p.set(dir, imported)
			return set, set, err
		},
		Train: func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
			return imported.Graph, nil, nil
		},
	}, publish.Options{Source: dataset.Source{Dir: dir}, EncryptedSamples: samples, Progress: progress}, artifact)
}

// digits returns images of the training set to calibrate with, and the first ones of the test set.
func digits(ctx context.Context, source dataset.Source, samples int) (known, test *dataset.Set, err error) {
	if known, err = source.MNISTTrain(ctx); err != nil {
		return nil, nil, err
	}
	if test, err = source.MNISTTest(ctx); err != nil {
		return nil, nil, err
	}
	return first(known, publish.CalibrationRows), first(test, samples), nil
}

// first copies the first rows of a set, which may then be forgotten.
func first(s *dataset.Set, n int) *dataset.Set {
	indices := make([]int, min(n, s.Len()))
	for i := range indices {
		indices[i] = i
	}
	return s.Subset(indices)
}

// set reads the rows; the model's own labels are taken as true.
func (p published) set(dir string, m *model.Imported) (*dataset.Set, error) {
	path, features := filepath.Join(dir, "onnx", p.rows), m.Graph.Inputs[0].Shape.Size()
	set := &dataset.Set{Labels: m.Classes}
	if strings.HasSuffix(path, ".libsvm") {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		unlisted := 0.0
		if strings.HasPrefix(p.file, "xgboost/") {
			unlisted = math.NaN() // missing, to XGBoost
		}
		if set.X, err = dataset.LibSVM(f, features, unlisted); err != nil {
			return nil, err
		}
	} else {
		table, err := rows.Read(path)
		if err != nil {
			return nil, err
		}
		for _, row := range table.X {
			if p.labelled {
				row = row[1:]
			}
			set.X = append(set.X, row[:features])
		}
	}
	answers, err := m.Graph.RunRows(set.X)
	for _, a := range answers {
		if m.Classes != nil {
			set.Y = append(set.Y, float64(pipeline.Label(a)))
		} else {
			set.Y = append(set.Y, a[0])
		}
	}
	return set, err
}

// writeFaithfulness prints how close encrypted answers are to those of the model as published.
func writeFaithfulness(w io.Writer, table []Row) error {
	fmt.Fprintln(w, "\nAnswers beside those of the model as it was published, labels on the whole test set with simulated noise:")
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "model\tlabels, encrypted\tlabels, simulated\tlargest error of a score, encrypted\tsimulated\t")
	for _, r := range table {
		fmt.Fprintf(t, "%s\t%.4f of %d\t%.4f of %d\t%.2g %%\t%.2g %%\t\n", r.Recipe, r.Agreement, r.Samples, r.simulatedAgreement, r.whole,
			100*r.MaxScoreError/r.scoreRange, 100*r.simulatedError/r.scoreRange)
	}
	return t.Flush()
}

// writeReplacements prints what polynomials stand for, and the accuracy with them in clear.
func writeReplacements(w io.Writer, table []Row) error {
	if !slices.ContainsFunc(table, func(r Row) bool { return len(r.approximation.Replacements) > 0 }) {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nmodel\taccuracy with polynomials, in clear\tin the place of\tby\tdegrees\trange\tvalues outside\tlayers fitted anew")
	for _, row := range table {
		for i, r := range row.approximation.Replacements {
			name, accuracy, refitted := "", "", ""
			if i == 0 {
				name, accuracy, refitted = row.Recipe, fmt.Sprintf("%.4f", row.approximated), strings.Join(row.approximation.Refitted, ", ")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%v\t%.3g to %.3g\t%.2g\t%s\n", name, accuracy, strings.Join(r.Nodes, ", "), r.By, r.Degrees, r.Low, r.High, r.Outside, refitted)
		}
	}
	return t.Flush()
}
