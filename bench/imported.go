package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/internal/progress"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/onnx"
)

// importedNetworks are networks for MNIST that others trained and published, below the data folder.
var importedNetworks = []string{"mnist-8", "mnist-12"}

// runImported measures models that others trained, without a thought of encryption.
func runImported(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("imported", stderr)
	names := flags.String("model", "", "`models` to measure, separated by commas; all by default")
	samples := flags.Int("samples", 1000, "test images, each of which is encrypted")
	data := flags.String("data", "", "folder of data sets, with the models in onnx/; $CIPHERPOINT_DATA by default")
	if err := parse(flags, args); err != nil {
		return err
	}
	dir, err := dataFolder(*data)
	if err != nil {
		return err
	}
	if *names == "" {
		*names = strings.Join(importedNetworks, ",")
	}
	scratch, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var rows []Row
	for name := range strings.SplitSeq(*names, ",") {
		if !slices.Contains(importedNetworks, name) {
			return fmt.Errorf("no model %q: there are %s", name, strings.Join(importedNetworks, ", "))
		}
		fmt.Fprintln(stderr, name)
		show := progress.Steps(stderr)
		row, err := measure(ctx, importedNetwork(name, dir, *samples), publish.Options{
			Source: dataset.Source{Dir: dir}, EncryptedSamples: *samples, Progress: show.Step,
		}, filepath.Join(scratch, name))
		show.Done()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, row)
	}
	fmt.Fprintln(stdout, describeMachine())
	if err := writeTables(stdout, rows); err != nil {
		return err
	}
	return writeReplacements(stdout, rows)
}

// importedNetwork goes the way of a recipe: rows of the training set calibrate, the first ones of the test set are asked.
func importedNetwork(name, dir string, samples int) recipes.Recipe {
	return recipes.Recipe{
		Name: name, Kind: "convolutional network",
		Load: func(ctx context.Context, source dataset.Source) (known, test *dataset.Set, err error) {
			if known, err = source.MNISTTrain(ctx); err != nil {
				return nil, nil, err
			}
			if test, err = source.MNISTTest(ctx); err != nil {
				return nil, nil, err
			}
			first := make([]int, min(samples, test.Len()))
			for i := range first {
				first[i] = i
			}
			return known, test.Subset(first), nil
		},
		Train: func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
			data, err := os.ReadFile(filepath.Join(dir, "onnx", "mnist-cnn", name+".onnx"))
			if err != nil {
				return nil, nil, err
			}
			m, err := onnx.Read(data, onnx.Options{})
			if err != nil {
				return nil, nil, err
			}
			served, err := m.Serve()
			if err != nil {
				return nil, nil, err
			}
			return served.Graph, nil, nil
		},
	}
}

// writeReplacements prints what polynomials stand for, and the accuracy with them in clear.
func writeReplacements(w io.Writer, rows []Row) error {
	fmt.Fprintln(w, "\nPolynomials in the place of activations and pools:")
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "model\taccuracy with them, in clear\treplaced\tby\tdegrees\trange\tvalues outside\tlayers fitted anew")
	for _, row := range rows {
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
