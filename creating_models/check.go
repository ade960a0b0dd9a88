package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"cipherpoint/client"
	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/creating_models/rows"
	"cipherpoint/internal/progress"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// runCheck replays an artifact on data and explains where its answers differ.
func runCheck(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := flag.NewFlagSet("creating_models check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	data := flags.String("data", "", "`file` of rows (.npy, .csv, .parquet); without it, the test set of the recipe that the artifact is of")
	labels := flags.String("labels", "", "`file` of one label for each row of --data")
	samples := flags.Int("samples", 100, "`rows` that are really encrypted; 0 for all")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: creating_models check DIR [flags]\n\nExit codes: 0 the artifact keeps what it states, 1 it does not, 2 wrong arguments.")
		flags.PrintDefaults()
	}
	dir, err := parse(flags, args, "the artifact's folder")
	if err != nil {
		return err
	}
	if *samples < 0 || *labels != "" && *data == "" {
		return errUsage
	}
	artifact, err := client.Load(dir)
	if err != nil {
		return err
	}
	set, err := checkSet(ctx, artifact, *data, *labels)
	if err != nil {
		return err
	}
	steps := progress.Steps(stderr)
	defer steps.Done()
	outcome, err := check.Run(ctx, dir, set.X, check.Options{Samples: *samples, Truth: set.Y, Progress: steps.Step})
	steps.Done()
	if err != nil {
		return err
	}
	if err := outcome.WriteText(stdout); err != nil {
		return err
	}
	return outcome.Broken()
}

// readSet reads rows as the artifact's client does: of text where it knows columns, else of numbers.
func readSet(columns pipeline.Columns, path string) (*dataset.Set, error) {
	if len(columns) == 0 {
		table, err := rows.Read(path)
		if err != nil {
			return nil, err
		}
		return &dataset.Set{X: table.X}, nil
	}
	text, err := rows.ReadText(path)
	if err != nil {
		return nil, err
	}
	x, err := columns.Table(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &dataset.Set{X: x}, nil
}

// checkSet reads the rows, with the labels where they are known.
func checkSet(ctx context.Context, artifact *client.FHEModelClient, data, labels string) (*dataset.Set, error) {
	spec := artifact.Spec()
	if data == "" {
		recipe, err := recipes.Find(spec.Name)
		if err != nil {
			return nil, fmt.Errorf("%w: --data is missing, and %q is no recipe with a test set", errUsage, spec.Name)
		}
		_, test, err := recipe.Load(ctx, dataset.Source{Dir: os.Getenv("CIPHERPOINT_DATA")})
		return test, err
	}
	set, err := readSet(spec.Pipeline.Columns, data)
	if err != nil {
		return nil, err
	}
	if labels == "" {
		return set, nil
	}
	if len(spec.Pipeline.Classes) == 0 {
		return nil, errors.New("--labels: the artifact is no classifier")
	}
	list, err := rows.Labels(labels)
	if err != nil {
		return nil, err
	}
	if len(list) != set.Len() {
		return nil, fmt.Errorf("%s has %d labels for %d rows", labels, len(list), set.Len())
	}
	p := &publication{set: set, model: &model.Imported{Classes: spec.Pipeline.Classes}}
	if err := p.label(list, len(spec.Pipeline.Classes)); err != nil {
		return nil, fmt.Errorf("%s: %w", labels, err)
	}
	return set, nil
}
