package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	kinds := flags.String("kinds", "", "`kinds` of models, separated by commas; two for each data set by default")
	samples := flags.Int("samples", 200, "encrypted `rows` of each model")
	divisions := flags.Int("divisions", 5, "`divisions` of each data set into rows to learn from and to test on, at most")
	export := flags.String("export", "", "write train.csv and test.csv of each division of each data set to a `folder`, and no more")
	results := flags.String("results", "", "keep figures in this JSON `file`; what it holds is printed too, and not measured again")
	out := flags.String("out", "", "write the table to this `file` of Markdown, and a picture beside it")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *samples < 1 || *divisions < 1 {
		return errors.New("samples and divisions have to be at least 1")
	}
	folder, err := dataFolder(*data)
	if err != nil {
		return err
	}
	if folder == "" {
		return errors.New("data has to name the folder of data sets")
	}
	sets, err := findTables(*only)
	if err != nil {
		return err
	}
	if *export != "" {
		return exportTables(sets, folder, *export, stdout)
	}
	r := &tableReport{command: tablesCommand(flags), results: *results}
	if r.baseline, err = tables.LoadBaseline(); err != nil {
		return err
	}
	if err := r.load(*samples, *divisions); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	show := progress.Steps(stderr)
	defer show.Done()
	for _, set := range sets {
		list := tableKinds[set.Name]
		if *kinds != "" {
			list = nil
			for _, kind := range strings.Split(*kinds, ",") {
				list = append(list, fit.Kind(kind))
			}
		}
		numbers := set.Numbers()
		s := &tableRun{set: set, numbers: numbers[:min(*divisions, len(numbers))], samples: *samples, data: folder, dir: filepath.Join(dir, set.Name), step: show.Step}
		if err := r.measure(ctx, s, list); err != nil {
			return err
		}
		if err := os.RemoveAll(s.dir); err != nil {
			return err
		}
	}
	show.Done()
	r.sort()
	if *out != "" {
		if err := r.save(*out); err != nil {
			return err
		}
	}
	_, err = io.WriteString(stdout, r.markdown(""))
	return err
}

// findTables returns the data sets that are named, with commas between, or all.
func findTables(names string) ([]*tables.Set, error) {
	if names == "" {
		return tables.All(), nil
	}
	var sets []*tables.Set
	for _, name := range strings.Split(names, ",") {
		set, err := tables.Find(name)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	return sets, nil
}

func exportTables(sets []*tables.Set, data, out string, stdout io.Writer) error {
	for _, set := range sets {
		for _, n := range set.Numbers() {
			d, err := set.Export(data, n, filepath.Join(out, set.Name, strconv.Itoa(n)))
			if err != nil {
				return err
			}
			fmt.Fprintf(stdout, "%s, division %d: %d rows to learn from, %d to test on\n", set.Name, n, d.TrainRows, d.TestRows)
		}
	}
	return nil
}

// tablesCommand is the command line without the folders and files of one machine.
func tablesCommand(flags *flag.FlagSet) string {
	command := "go run ./bench tables"
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "data":
			command += " --data DIR"
		case "results":
			command += " --results FILE"
		case "out":
			command += " --out " + filepath.Base(f.Value.String())
		default:
			command += " --" + f.Name + " " + f.Value.String()
		}
	})
	return command
}

// tableRow is what was measured of one kind of model of one data set. What is encrypted, and its price, is of the first
// division. Times are medians of a request.
type tableRow struct {
	Set          string           `json:"set"`
	Kind         fit.Kind         `json:"kind"`
	Chosen       []string         `json:"chosen"` // sizes, of each division
	Known        int              `json:"known"`  // rows
	Unseen       int              `json:"unseen"`
	Encrypted    int              `json:"encrypted"`
	Metrics      []measuredMetric `json:"metrics"`
	SameLabels   int              `json:"same_labels"`
	LargestError float64          `json:"largest_error"` // of a score, as a share of the range of scores
	OneCore      time.Duration    `json:"one_core_ns"`
	AllCores     time.Duration    `json:"all_cores_ns"`
	Client       time.Duration    `json:"client_ns"` // encryption and decryption
	KeyBytes     int64            `json:"key_bytes"`
	RequestBytes int              `json:"request_bytes"`
	ReplyBytes   int              `json:"reply_bytes"`
	LogN         int              `json:"log_n"`
}

// measuredMetric is one metric in clear on all test rows, and on those that were encrypted.
type measuredMetric struct {
	Name      string    `json:"name"`
	Clear     []float64 `json:"clear"` // of each division
	Noise     float64   `json:"noise"` // of the first, over the choice of test rows
	ClearSame float64   `json:"clear_same"`
	Encrypted float64   `json:"encrypted"`
}

// tableRun is a data set that is measured.
type tableRun struct {
	set       *tables.Set
	numbers   []int // of its divisions
	samples   int   // encrypted
	data, dir string
	step      func(string, int, int)
}

// measure goes the whole way with the kinds of models that are not there yet.
func (r *tableReport) measure(ctx context.Context, t *tableRun, kinds []fit.Kind) error {
	for _, kind := range kinds {
		if slices.ContainsFunc(r.rows, func(row *tableRow) bool { return row.Set == t.set.Name && row.Kind == kind }) {
			continue
		}
		row, err := t.measure(ctx, kind)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", t.set.Name, kind, err)
		}
		r.rows = append(r.rows, row)
		if err := r.keep(); err != nil {
			return err
		}
	}
	return nil
}

// measure fits models of a kind to all divisions, and asks that of the first encrypted.
func (t *tableRun) measure(ctx context.Context, kind fit.Kind) (*tableRow, error) {
	var row *tableRow
	for i, n := range t.numbers {
		fitted, err := t.fit(ctx, kind, n, i > 0)
		if err != nil {
			return nil, err
		}
		answers, err := fitted.Graph.RunRows(fitted.Test.X)
		if err != nil {
			return nil, err
		}
		clear := predictions(t.set, answers, fitted.Test.Y)
		if i == 0 {
			if row, err = t.encrypted(ctx, fitted); err != nil {
				return nil, err
			}
			for k := range row.Metrics {
				row.Metrics[k].Noise = tables.Noise(row.Metrics[k].Name, clear)
			}
		}
		for k := range row.Metrics {
			m := &row.Metrics[k]
			m.Clear = append(m.Clear, tables.Measure(m.Name, clear))
		}
		row.Chosen = append(row.Chosen, fitted.Candidates[fitted.Chosen].Label)
	}
	return row, nil
}

// mostSimulated bounds the test rows by which the compiler's choice is judged before any is encrypted.
const mostSimulated = 2000

// encrypted compiles a model and asks it encrypted. Metrics in clear are of the encrypted rows alone.
func (t *tableRun) encrypted(ctx context.Context, fitted *fit.Result) (*tableRow, error) {
	set, kind := t.set, fitted.Kind
	step := t.named(kind, t.numbers[0])
	recipe := fitted.Recipe(set.Name + "-" + string(kind))
	// Files are in an order of their own: the rows that are simulated and encrypted are drawn.
	drawn := dataset.Permutation(fitted.Test.Len(), tables.Seed)
	unseen := fitted.Test.Subset(drawn[:min(max(mostSimulated, t.samples), len(drawn))])
	recipe.Load = func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
		return fitted.Known, unseen, nil
	}
	m, err := publish.Build(ctx, recipe, publish.Options{Progress: step})
	if err != nil {
		return nil, err
	}
	artifact := filepath.Join(t.dir, string(kind))
	if err := m.Save(artifact); err != nil {
		return nil, err
	}
	e, err := m.Try(ctx, artifact, t.samples, func(done, of int) { step("encrypted rows", done, of) })
	if err != nil {
		return nil, err
	}
	spec := e.Model.Spec()
	row := &tableRow{
		Set: set.Name, Kind: kind,
		Known: m.Known.Len(), Unseen: fitted.Test.Len(), Encrypted: len(e.Answers), LogN: spec.Signature.Parameters.LogN,
		OneCore: publish.Median(e.OneCore), AllCores: publish.Median(e.All), Client: publish.Median(e.Encrypt) + publish.Median(e.Decrypt),
		KeyBytes: spec.KeyBytes(), RequestBytes: spec.RequestBytes(), ReplyBytes: spec.ReplyBytes(),
	}
	encrypted := predictions(set, e.Answers, m.Test.Y)
	same := predictions(set, m.Clear[:len(encrypted)], m.Test.Y)
	for _, name := range set.Metrics() {
		row.Metrics = append(row.Metrics, measuredMetric{Name: name, ClearSame: tables.Measure(name, same), Encrypted: tables.Measure(name, encrypted)})
	}
	for i, p := range encrypted {
		if p.Class == same[i].Class {
			row.SameLabels++
		}
	}
	least, most := m.Simulated[0].Scores[0], m.Simulated[0].Scores[0]
	for i, s := range m.Simulated {
		for k, score := range s.Scores {
			least, most = min(least, score), max(most, score)
			if i < len(e.Scores) {
				row.LargestError = max(row.LargestError, abs(e.Scores[i][k]-score))
			}
		}
	}
	row.LargestError /= most - least
	return row, nil
}

// named is told what is done, and says of which model.
func (t *tableRun) named(kind fit.Kind, division int) func(string, int, int) {
	return func(what string, done, of int) {
		t.step(fmt.Sprintf("%s %d, %s: %s", t.set.Name, division, kind, what), done, of)
	}
}

// manyRows is from how many rows folds are three, as those of the baseline.
const manyRows = 10_000

// fit fits a model to a division.
func (t *tableRun) fit(ctx context.Context, kind fit.Kind, division int, unpriced bool) (*fit.Result, error) {
	dir := filepath.Join(t.dir, strconv.Itoa(division))
	digests, err := t.set.Export(t.data, division, dir)
	if err != nil {
		return nil, err
	}
	o := fit.Options{Kind: kind, Target: tables.Target, Task: fit.Classification, Seed: tables.Seed, Choose: fit.ChooseBest, Shape: t.set.Image,
		Unpriced: unpriced, Progress: t.named(kind, division)}
	if t.set.Regression {
		o.Task = fit.Regression
	}
	if t.set.Unbalanced {
		o.Measure = fit.AUC
	}
	if digests.TrainRows > manyRows {
		o.Folds = 3
	}
	if t.set.Image != nil { // a network takes as long to train on a part of the images
		o.Folds = 2
	}
	if kind == fit.CNN {
		o.CrossRows = 10_000
	}
	known, err := fit.ReadTable(filepath.Join(dir, tables.TrainFile), fit.ReadOptions{Header: fit.HeaderYes})
	if err != nil {
		return nil, err
	}
	if o.Test, err = fit.ReadTable(filepath.Join(dir, tables.TestFile), fit.ReadOptions{Header: fit.HeaderYes}); err != nil {
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
