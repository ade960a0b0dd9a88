// Package fit makes models of tables: it reads the columns, trains the sizes of a model that matter under encryption, has
// the compiler price each, and chooses.
//
//	table, err := fit.ReadTable("adult.csv", fit.ReadOptions{})
//	result, err := fit.Fit(ctx, table, fit.Options{Kind: fit.Boosting, Target: "income"})
//	report, err := publish.Run(ctx, result.Recipe("income"), publish.Options{Out: "compiled_model", EncryptedSamples: 100})
//
// What is done to a row before the model, missing values, categories, words, scaling, runs on the client: users ask with
// rows of text as they stand in the table.
//
// # Dangers
//
// client.zip is public and tells of the training rows: means and deviations of numbers, frequent categories and words, of
// trees the grid of quantiles, of nearest neighbours the classes or values of the gallery (not its rows).
//
// The scores of cross-validation choose among sizes; only the test rows, which nothing is learnt from, tell how good the
// chosen model is. Categories, words and scales are learnt from all other rows, without their targets, before these are
// divided into folds.
package fit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cipherpoint/compiler"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// Kind is a kind of model.
type Kind string

// The kinds of models. Those that are neither for classes nor for values only take either.
const (
	Linear     Kind = "linear"     // least squares
	Ridge      Kind = "ridge"      // with a penalty on squared weights
	Lasso      Kind = "lasso"      // with a penalty on weights, most of which become 0
	ElasticNet Kind = "elasticnet" // with both
	Poisson    Kind = "poisson"    // regression with log link, for counts
	Gamma      Kind = "gamma"      // regression with log link, for positive values
	Tweedie    Kind = "tweedie"    // regression with log link, for sums that are often zero
	Logistic   Kind = "logistic"   // regression of two classes or more
	SVM        Kind = "svm"        // linear support vector machine
	Tree       Kind = "tree"
	Forest     Kind = "forest"
	Boosting   Kind = "boosting"
	MLP        Kind = "mlp" // network of layers of weighted sums and squares
	CNN        Kind = "cnn" // network for images
	Neighbours Kind = "knn" // nearest neighbours in a gallery
	Centroid   Kind = "centroid"
)

// Task says what a model answers.
type Task string

const (
	TaskSniffed    Task = "" // classes if the target is text or has few distinct whole numbers
	Classification Task = "classification"
	Regression     Task = "regression"
)

// Options say what is fitted. The zero values of all but Kind and Target are good ones.
type Options struct {
	Kind   Kind
	Others []Kind // that are tried beside it on the same folds
	Target string // column: its name, or its number from 1
	Task   Task
	// Test is rows of their own to test on; nil takes TestShare of the table, 0.2 if zero, drawn by the seed.
	Test      *Table
	TestShare float64
	Folds     int // of cross-validation; 5 if zero
	Measure   Measure
	// Weight is the column that says how much each row counts in training, which is no feature; none if empty. Rows without a
	// weight, or with 0, are left out. Scores and metrics count rows alike.
	Weight string
	// Balanced makes each class count as much as any other in training.
	Balanced bool
	// CrossRows bounds the rows that cross-validation uses, drawn by the seed; 20,000 if zero.
	CrossRows int
	Seed      uint64
	Power     float64 // of Tweedie, between 1 and 2; 1.5 if zero
	Shape     []int   // of images, channels first
	Choose    Choice
	Prefer    compiler.Preference
	// Unpriced leaves out what candidates cost, and whether they are served: for comparing scores, with ChooseBest.
	Unpriced bool
	// Progress may be nil; it is told what is done and how much of it.
	Progress func(step string, done, of int)
}

// Choice says which candidate is taken.
type Choice string

const (
	// ChooseWell takes the candidate of least latency among those whose score is within a standard error of the best.
	ChooseWell Choice = ""
	ChooseBest Choice = "best" // score
	ChooseFast Choice = "fast" // least latency
	// A number takes that candidate of all, from 1, and tries no other.
)

// Result is a fitted model.
type Result struct {
	Kind        Kind
	Graph       *model.Graph     // rows as Columns encode them to answers
	Columns     pipeline.Columns // nil where rows are numbers from the start
	Grid        [][]float64      // public edges of trees, or nil
	Known, Test *dataset.Set     // rows as Columns encode them
	Measure     string           // what scores are: accuracy, R², RMSE
	Candidates  []Candidate
	Chosen      int     // index of a candidate
	TestScore   float64 // of the chosen one on the test rows, in clear; NaN where these lack a class that the measure needs
	Left        []LeftOut
	Dropped     int // rows without a target or a weight
	seed        uint64
	lossName    string // of the candidates' losses
	several     bool   // kinds
}

// Fit fits a model to a table.
func Fit(ctx context.Context, t *Table, o Options) (*Result, error) {
	return o.fit(ctx, func(o Options) (*comparison, error) { return o.ofTable(t) })
}

// FitSet fits a model to rows that are numbers already, such as images: columns have the name of features or none.
func FitSet(ctx context.Context, known, test *dataset.Set, o Options) (*Result, error) {
	for _, set := range []*dataset.Set{known, test} {
		if err := set.Validate(); err != nil {
			return nil, err
		}
		if set.Len() == 0 || set.Y == nil {
			return nil, errors.New("no rows with targets")
		}
	}
	return o.fit(ctx, func(o Options) (*comparison, error) {
		// The columns are numbers, but the client needs none to read them.
		columns := slices.Repeat(pipeline.Columns{{Kind: pipeline.Number}}, known.Width())
		return o.ofSets(&Result{Known: known, Test: test}, columns)
	})
}

// fit compares what is made of the data for each kind.
func (o Options) fit(ctx context.Context, prepare func(Options) (*comparison, error)) (*Result, error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	var list []*comparison
	for _, kind := range append([]Kind{o.Kind}, o.Others...) {
		of := o
		of.Kind = kind
		c, err := prepare(of)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return o.compare(ctx, list)
}

// ofTable encodes the rows of a table.
func (o Options) ofTable(t *Table) (*comparison, error) {
	known, test, err := o.split(t)
	if err != nil {
		return nil, err
	}
	if o.Kind != CNN { // images have a place for every pixel
		before := len(known.table.Left)
		if known.table, err = known.table.leaveOut(); err != nil {
			return nil, err
		}
		for _, left := range known.table.Left[before:] {
			if test.table, err = test.table.Without(left.Column); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range known.table.Columns {
		if o.Kind == CNN && c.Kind != pipeline.Number {
			return nil, fmt.Errorf("column %q: images are rows of numbers", c.Name)
		}
	}
	columns, err := columnsOf(known.table, o.Kind.words())
	if err != nil {
		return nil, err
	}
	r := &Result{Columns: columns, Left: known.table.Left, Dropped: known.dropped + test.dropped}
	if r.Known, err = known.encode(columns); err != nil {
		return nil, err
	}
	if r.Test, err = test.encode(columns); err != nil {
		return nil, fmt.Errorf("test rows: %w", err)
	}
	if o.Kind == CNN {
		r.Known.Shape, r.Test.Shape = o.Shape, o.Shape
		for _, set := range []*dataset.Set{r.Known, r.Test} {
			if err := set.Validate(); err != nil {
				return nil, err
			}
		}
	}
	return o.ofSets(r, columns)
}

// ofSets makes features of encoded rows and lists the sizes that are tried.
func (o Options) ofSets(r *Result, columns pipeline.Columns) (*comparison, error) {
	c := &comparison{Options: o, result: r, features: r.Known}
	r.Kind, r.seed = o.Kind, o.Seed
	if o.Balanced && r.Known.Labels == nil {
		return nil, errors.New("weights that balance classes are for classes")
	}
	if (o.Balanced || r.Known.Weights != nil) && (o.Kind == Neighbours || o.Kind == Centroid) {
		return nil, fmt.Errorf("a model of kind %s takes no weights", o.Kind)
	}
	var err error
	if o.Kind != CNN {
		if c.prepare, err = preparation(columns, r.Known.X, o.Kind); err != nil {
			return nil, err
		}
	}
	if c.prepare != nil {
		x, err := c.prepare.RunRows(r.Known.X)
		if err != nil {
			return nil, err
		}
		c.features = &dataset.Set{X: x, Y: r.Known.Y, Weights: r.Known.Weights, Labels: r.Known.Labels, Shape: []int{len(x[0])}}
	}
	if o.Balanced {
		c.features = c.features.Balanced()
	}
	if c.sizes, err = o.sizes(c.features); err != nil {
		return nil, err
	}
	if c.measure, err = o.measure(c.features); err != nil {
		return nil, err
	}
	r.Measure, r.lossName = c.measure.name, c.measure.lossName()
	return c, nil
}

// Recipe lets the model be published.
func (r *Result) Recipe(name string) recipes.Recipe {
	chosen := r.Candidates[r.Chosen]
	return recipes.Recipe{
		Name: name, Kind: r.Kind.long(), Description: fmt.Sprintf("%s, %s.", r.Kind.long(), chosen.Label),
		Data: fmt.Sprintf("%d rows to learn from, %d to test on", r.Known.Len(), r.Test.Len()), Seed: r.seed, Columns: r.Columns,
		Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
			return r.Known, r.Test, nil
		},
		Train: func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
			return r.Graph, r.Grid, nil
		},
	}
}
