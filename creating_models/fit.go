package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cipherpoint/compiler"
	"cipherpoint/creating_models/fit"
	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
)

// fitFlags are what `fit` takes.
type fitFlags struct {
	data, labels, test, testLabels, name, out string
	separator, categories, text, ignore       string
	header, decimal, shape, prefer, license   string
	kinds, weights                            string
	samples                                   int
	bound                                     float64
	options                                   fit.Options
}

// runFit trains a model on a table and publishes it.
func runFit(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	f := new(fitFlags)
	flags := f.set(stderr)
	if err := flags.Parse(args); err != nil {
		return asUsage(err)
	}
	if flags.NArg() > 0 || f.samples < 1 {
		return errUsage
	}
	if f.data == "" || f.kinds == "" {
		return fmt.Errorf("%w: --kind and --data are missing", errUsage)
	}
	for i, kind := range list(f.kinds) {
		if i == 0 {
			f.options.Kind = fit.Kind(kind)
		} else {
			f.options.Others = append(f.options.Others, fit.Kind(kind))
		}
	}
	steps := progress.Steps(stderr)
	defer steps.Done()
	f.options.Prefer, f.options.Progress = compiler.Preference(f.prefer), steps.Step
	result, err := f.fit(ctx)
	steps.Done()
	if err != nil {
		return err
	}
	if f.name == "" {
		f.name = strings.TrimSuffix(filepath.Base(f.data), filepath.Ext(f.data)) + "-" + string(result.Kind)
	}
	if result.Dropped > 0 {
		fmt.Fprintf(stdout, "%d rows without a target or a weight are left out\n", result.Dropped)
	}
	for _, left := range result.Left {
		fmt.Fprintf(stdout, "column %q is left out: %s\n", left.Column, left.Why)
	}
	if columns := result.Reading(); columns != "" {
		fmt.Fprintln(stdout, columns)
	}
	if err := result.WriteTable(stdout); err != nil {
		return err
	}
	if err := writePlaces(stdout, result.Graph); err != nil {
		return err
	}
	for _, line := range result.Disclosed() {
		fmt.Fprintf(stdout, "clients learn %s\n", line)
	}
	recipe := result.Recipe(f.name)
	recipe.Data = filepath.Base(f.data) + ", " + recipe.Data
	report, err := publish.Run(ctx, recipe, publish.Options{
		Out: f.out, EncryptedSamples: f.samples, Prefer: f.options.Prefer, MaxScoreError: f.bound, License: f.license, Progress: steps.Step,
	})
	steps.Done()
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	latency, keys := result.Figures()
	for name, figure := range map[string][]byte{"latency.svg": latency, "keys.svg": keys} {
		if err := os.WriteFile(filepath.Join(f.out, name), figure, 0o644); err != nil {
			return err
		}
	}
	if err := report.WriteText(stdout); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nThe front of candidates is drawn in %s and %s.\n", filepath.Join(f.out, "latency.svg"), filepath.Join(f.out, "keys.svg"))
	return nil
}

func (f *fitFlags) set(stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("creating_models fit", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := &f.options
	names := make([]string, 0, len(fit.Kinds()))
	for _, kind := range fit.Kinds() {
		names = append(names, string(kind))
	}
	flags.StringVar(&f.kinds, "kind", "", "`kind` of model, or several with commas between, of which the best is taken: "+strings.Join(names, ", "))
	flags.StringVar(&f.data, "data", "", "table (`file` of Parquet, or of text with comma, semicolon, bar or tab between cells), or IDX images with --labels")
	flags.StringVar(&f.labels, "labels", "", "IDX `file` of labels")
	flags.StringVar(&o.Target, "target", "", "`column` to be predicted: its name, or its number from 1")
	flags.StringVar((*string)(&o.Task), "task", "", "`what` to predict: classification or regression; by default classes where the target is text or has up to ten whole numbers")
	flags.StringVar(&f.test, "test", "", "`file` of test rows, like --data; a fifth of the rows by default, drawn by the seed")
	flags.StringVar(&f.testLabels, "test-labels", "", "IDX `file` of their labels")
	flags.StringVar(&f.categories, "categories", "", "`columns` of categories, with commas between; others are numbers where all cells are")
	flags.StringVar(&f.text, "text", "", "`columns` of free text")
	flags.StringVar(&f.ignore, "ignore", "", "`columns` to leave out")
	flags.StringVar(&f.separator, "separator", "", "`character` between cells: , ; | tab or space")
	flags.StringVar(&f.header, "header", "", "`whether` the first row names the columns: yes or no; found out by default")
	flags.StringVar(&f.decimal, "decimal", "", "`mark` before fractions: , or . ; found out by default")
	flags.StringVar((*string)(&o.Measure), "measure", "", "`what` sizes are compared by: accuracy, auc or f1 of classes, rmse, mae or r2 of values; accuracy, R² or explained deviance by default")
	flags.StringVar(&f.weights, "class-weight", "", "balanced: `how` much rows count in training, so that all classes count alike")
	flags.StringVar(&o.Weight, "sample-weight", "", "`column` that says how much each row counts in training")
	flags.StringVar(&f.shape, "shape", "", "`shape` of images in a table of pixels, channels first, such as 1,28,28")
	flags.StringVar((*string)(&o.Choose), "choose", "", "`which` candidate: best, fast, or its number, and then no other is tried; by default the fastest within a standard error of the best")
	flags.IntVar(&o.Folds, "folds", 5, "`folds` of cross-validation")
	flags.IntVar(&o.CrossRows, "cross-rows", 20000, "`rows` for cross-validation, at most")
	flags.Float64Var(&o.Power, "power", 1.5, "`power` of the mean with which a Tweedie target's variance grows, between 1 and 2")
	flags.Uint64Var(&o.Seed, "seed", 1, "`seed` of all that is drawn")
	flags.StringVar(&f.name, "name", "", "`name` of the model; that of the file and the kind by default")
	flags.StringVar(&f.out, "out", "compiled_model", "`folder` to write to")
	flags.IntVar(&f.samples, "encrypted-samples", 100, "test `rows` that are really encrypted")
	flags.StringVar(&f.prefer, "prefer", "", "`what` to spare: latency or keys; both alike by default")
	flags.StringVar(&f.license, "license", "", "`license` of the model for its card, as Hugging Face's hub names it: apache-2.0, mit, other")
	flags.Float64Var(&f.bound, "max-score-error", 0, "largest `error` of a score; 1/256 of the scores' range by default")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: creating_models fit --kind KIND --data FILE --target COLUMN [flags]\n\nExit codes: 0 written, 1 not written, 2 wrong arguments.")
		flags.PrintDefaults()
	}
	return flags
}

// fit reads the data and fits the model.
func (f *fitFlags) fit(ctx context.Context) (*fit.Result, error) {
	o := f.options
	if o.Balanced = f.weights == "balanced"; f.weights != "" && !o.Balanced {
		return nil, fmt.Errorf("%w: --class-weight is balanced or nothing", errUsage)
	}
	if f.labels != "" {
		known, test, err := f.images()
		if err != nil {
			return nil, err
		}
		return fit.FitSet(ctx, known, test, o)
	}
	if o.Target == "" {
		return nil, fmt.Errorf("%w: --target is missing", errUsage)
	}
	for _, field := range list(f.shape) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("%w: --shape is a list of numbers", errUsage)
		}
		o.Shape = append(o.Shape, n)
	}
	read := fit.ReadOptions{Header: fit.Header(f.header), Decimal: fit.Decimal(f.decimal), Categories: list(f.categories), Text: list(f.text), Ignore: list(f.ignore)}
	switch f.separator {
	case "", ",", ";", "|":
		for _, c := range f.separator {
			read.Separator = c
		}
	case "tab":
		read.Separator = '\t'
	case "space":
		read.Separator = ' '
	default:
		return nil, fmt.Errorf("%w: --separator is one of , ; | tab space", errUsage)
	}
	table, err := fit.ReadTable(f.data, read)
	if err != nil {
		return nil, err
	}
	if f.test != "" {
		if o.Test, err = fit.ReadTable(f.test, read); err != nil {
			return nil, err
		}
	}
	return fit.Fit(ctx, table, o)
}

// images reads IDX files; without test ones a part of the images is drawn.
func (f *fitFlags) images() (known, test *dataset.Set, err error) {
	if known, err = fit.ReadIDX(f.data, f.labels); err != nil {
		return nil, nil, err
	}
	if f.test != "" {
		test, err = fit.ReadIDX(f.test, f.testLabels)
		return known, test, err
	}
	known, test = known.StratifiedSplit(0.2, f.options.Seed)
	return known, test, nil
}

// list splits a flag at its commas.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
