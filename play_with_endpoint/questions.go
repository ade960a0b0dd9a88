package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"cipherpoint/creating_models/recipes"
	"cipherpoint/deployment"
	"cipherpoint/internal/delimited"
	"cipherpoint/internal/format"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// maxInput bounds the file of the user's rows.
const maxInput = 256 << 20

// questions returns the samples to ask about: the user's rows, or test samples of the data set of the model's recipe.
// What the model answers to the latter is known (Y).
func questions(ctx context.Context, o options, spec *deployment.Client) (*dataset.Set, error) {
	set, err := read(ctx, o, spec)
	if err != nil {
		return nil, err
	}
	features := spec.Pipeline.Features()
	if set.Width() != features {
		return nil, fmt.Errorf("rows have %d values, the model takes %d features", set.Width(), features)
	}
	if o.samples > 0 && set.Len() > o.samples {
		first := make([]int, o.samples)
		for i := range first {
			first[i] = i
		}
		set = set.Subset(first)
	}
	return set, nil
}

func read(ctx context.Context, o options, spec *deployment.Client) (*dataset.Set, error) {
	if o.input != "" {
		return readRows(o.input, spec.Pipeline.Columns)
	}
	recipe, err := recipes.Find(spec.Name)
	if err != nil {
		return nil, fmt.Errorf("no test samples are known for the model %q: ask about rows of your own with --input", format.Text(spec.Name))
	}
	_, test, err := recipe.Load(ctx, o.source)
	if err != nil {
		return nil, fmt.Errorf("test samples: %w (--data names a folder of data sets)", err)
	}
	return test, nil
}

// readRows reads a table of features. Where the model reads columns of text, it is a table of these; else its first line
// is a header if something in it is not a number. Missing values are left to the model.
func readRows(name string, columns pipeline.Columns) (*dataset.Set, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if len(content) > maxInput {
		return nil, fmt.Errorf("input: the file is larger than %d bytes", maxInput)
	}
	if len(columns) > 0 {
		return readColumns(content, columns)
	}
	records, err := delimited.Read(content, 0)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if slices.ContainsFunc(records[0], func(field string) bool { _, err := pipeline.ParseNumber(field); return err != nil }) {
		if records = records[1:]; len(records) == 0 {
			return nil, errors.New("input: no rows below the names of columns")
		}
	}
	set := &dataset.Set{Shape: []int{len(records[0])}}
	for i, record := range records {
		row := make([]float64, len(record))
		for k, field := range record {
			if row[k], err = pipeline.ParseNumber(field); err != nil {
				return nil, fmt.Errorf("input: row %d, column %d: not a number", i+1, k+1)
			}
		}
		set.X = append(set.X, row)
	}
	return set, nil
}

// readColumns reads a table as the model's columns say.
func readColumns(content []byte, columns pipeline.Columns) (*dataset.Set, error) {
	records, err := delimited.Read(content, 0)
	if len(columns) == 1 && (err != nil || len(records[0]) > 1 && !slices.Contains(records[0], columns[0].Name)) {
		records, err = delimited.Read(content, '\n') // lines of text with commas in them
	}
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	x, err := columns.Table(records)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return &dataset.Set{X: x, Shape: []int{columns.Width()}}, nil
}
