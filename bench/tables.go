package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cipherpoint/bench/tables"
	"cipherpoint/creating_models/fit"
	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// tableKinds are the kinds that are fitted to each data set, and what other libraries call the same.
var tableKinds = map[string][]fit.Kind{
	"adult":                   {fit.Logistic, fit.Boosting},
	"credit-default":          {fit.Logistic, fit.Boosting},
	"german-credit":           {fit.Logistic, fit.Forest},
	"heart-disease":           {fit.Logistic, fit.Forest},
	"creditcard-fraud-sample": {fit.Logistic, fit.Boosting},
	"wine-quality":            {fit.Ridge, fit.Boosting},
	"california-housing":      {fit.Ridge, fit.Boosting},
	"diabetes-regression":     {fit.Ridge, fit.Lasso},
	"sentiment-labelled":      {fit.Logistic, fit.SVM},
	"fashion-mnist":           {fit.MLP, fit.CNN},
}

// counterparts are the baseline's kinds of the same sort of model.
var counterparts = map[fit.Kind]string{
	fit.Logistic: "linear", fit.SVM: "linear", fit.Ridge: "linear", fit.Lasso: "linear",
	fit.Forest: "forest", fit.Boosting: "boosting", fit.MLP: "network", fit.CNN: "network",
}

// runTables fits models to public tables and puts their clear and encrypted answers beside other libraries' models.
func runTables(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("tables", stderr)
	data := flags.String("data", "", "`folder` of data sets; $CIPHERPOINT_DATA by default")
	only := flags.String("only", "", "data `sets`, separated by commas; all by default")
	samples := flags.Int("samples", 200, "encrypted `rows` of each model")
	export := flags.String("export", "", "write train.csv and test.csv of each data set to a `folder`, and no more")
	out := flags.String("out", "", "write the table to this `file` of Markdown, and a picture beside it")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *samples < 1 {
		return errors.New("samples has to be at least 1")
	}
	folder, err := dataFolder(*data)
	if err != nil {
		return err
	}
	if folder == "" {
		return errors.New("data has to name the folder of data sets")
	}
	sets := tables.All()
	if *only != "" {
		sets = nil
		for _, name := range strings.Split(*only, ",") {
			set, err := tables.Find(name)
			if err != nil {
				return err
			}
			sets = append(sets, set)
		}
	}
	if *export != "" {
		for _, set := range sets {
			d, err := set.Export(folder, filepath.Join(*export, set.Name))
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s: %d rows to learn from, %d to test on\n", set.Name, d.TrainRows, d.TestRows)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	show := progress.Steps(stderr)
	defer show.Done()
	r := &tableReport{command: "go run ./bench tables"}
	flags.Visit(func(f *flag.Flag) {
		if value := f.Value.String(); f.Name == "data" {
			r.command += " --data DIR"
		} else {
			r.command += " --" + f.Name + " " + value
		}
	})
	if r.baseline, err = tables.LoadBaseline(); err != nil {
		return err
	}
	for _, set := range sets {
		rows, err := measureTable(ctx, set, folder, filepath.Join(dir, set.Name), *samples, show.Step)
		if err != nil {
			return fmt.Errorf("%s: %w", set.Name, err)
		}
		r.rows = append(r.rows, rows...)
	}
	show.Done()
	text := r.markdown()
	if *out != "" {
		if err := r.save(*out, text); err != nil {
			return err
		}
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// tableRow is what was measured of one model of one data set. Times are medians of a request.
type tableRow struct {
	set            *tables.Set
	kind           fit.Kind
	chosen         string // its size
	known, unseen  int    // rows
	clear          []tables.Prediction
	clearSame      []tables.Prediction // of the rows that were encrypted
	encrypted      []tables.Prediction
	sameLabels     int
	largest        float64 // error of a score, as a share of the range of scores
	oneCore, all   time.Duration
	client         time.Duration // encryption and decryption
	keyBytes       int64
	request, reply int
	logN           int
}

// measureTable goes the whole way with every kind of model of a data set.
func measureTable(ctx context.Context, set *tables.Set, data, dir string, samples int, step func(string, int, int)) ([]*tableRow, error) {
	if _, err := set.Export(data, dir); err != nil {
		return nil, err
	}
	var rows []*tableRow
	for _, kind := range tableKinds[set.Name] {
		named := func(what string, done, of int) { step(fmt.Sprintf("%s, %s: %s", set.Name, kind, what), done, of) }
		row, err := measureKind(ctx, set, kind, dir, samples, named)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func measureKind(ctx context.Context, set *tables.Set, kind fit.Kind, dir string, samples int, step func(string, int, int)) (*tableRow, error) {
	fitted, err := fitTable(ctx, set, kind, dir, step)
	if err != nil {
		return nil, err
	}
	row := &tableRow{set: set, kind: kind, chosen: fitted.Candidates[fitted.Chosen].Label}
	recipe := fitted.Recipe(set.Name + "-" + string(kind))
	// Files are in an order of their own: the rows that are encrypted are drawn.
	unseen := fitted.Test.Shuffle(tables.Seed)
	recipe.Load = func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		return fitted.Known, unseen, nil
	}
	m, err := publish.Build(ctx, recipe, publish.Options{Progress: step})
	if err != nil {
		return nil, err
	}
	artifact := filepath.Join(dir, string(kind))
	if err := m.Save(artifact); err != nil {
		return nil, err
	}
	e, err := m.Try(ctx, artifact, samples, func(done, of int) { step("encrypted rows", done, of) })
	if err != nil {
		return nil, err
	}
	spec := e.Model.Spec()
	row.known, row.unseen, row.logN = m.Known.Len(), m.Test.Len(), spec.Signature.Parameters.LogN
	row.keyBytes, row.request, row.reply = spec.KeyBytes(), spec.RequestBytes(), spec.ReplyBytes()
	row.oneCore, row.all = publish.Median(e.OneCore), publish.Median(e.All)
	row.client = publish.Median(e.Encrypt) + publish.Median(e.Decrypt)
	row.clear = predictions(set, m.Clear, m.Test.Y)
	row.clearSame = row.clear[:len(e.Answers)]
	row.encrypted = predictions(set, e.Answers, m.Test.Y)
	for i, p := range row.encrypted {
		if p.Class == row.clearSame[i].Class {
			row.sameLabels++
		}
	}
	least, most := m.Simulated[0].Scores[0], m.Simulated[0].Scores[0]
	for i, s := range m.Simulated {
		for k, score := range s.Scores {
			least, most = min(least, score), max(most, score)
			if i < len(e.Scores) {
				row.largest = max(row.largest, abs(e.Scores[i][k]-score))
			}
		}
	}
	row.largest /= most - least
	return row, nil
}

func fitTable(ctx context.Context, set *tables.Set, kind fit.Kind, dir string, step func(string, int, int)) (*fit.Result, error) {
	o := fit.Options{Kind: kind, Target: tables.Target, Task: fit.Classification, Seed: tables.Seed, Choose: fit.ChooseBest, Shape: set.Image, Progress: step}
	if set.Regression {
		o.Task = fit.Regression
	}
	known, err := fit.ReadCSV(filepath.Join(dir, tables.TrainFile), fit.ReadOptions{Header: fit.HeaderYes})
	if err != nil {
		return nil, err
	}
	if o.Test, err = fit.ReadCSV(filepath.Join(dir, tables.TestFile), fit.ReadOptions{Header: fit.HeaderYes}); err != nil {
		return nil, err
	}
	return fit.Fit(ctx, known, o)
}

// predictions are a model's answers beside the truth.
func predictions(set *tables.Set, answers [][]float64, truth []float64) []tables.Prediction {
	list := make([]tables.Prediction, len(answers))
	for i, a := range answers {
		list[i] = tables.Prediction{Score: a[len(a)-1], Truth: truth[i]} // of two classes the last is class 1
		if !set.Regression {
			list[i].Class = pipeline.Label(a)
		}
	}
	return list
}
