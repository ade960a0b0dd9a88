package fit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cipherpoint/compiler"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

const (
	defaultFolds     = 5
	defaultCrossRows = 20_000
	// calibrationRows is how many rows the compiler prices a model with.
	calibrationRows = 512
)

// Candidate is one size of a model with its score in cross-validation and its price under encryption.
type Candidate struct {
	Number        int // from 1, as in Options.Choose
	Kind          Kind
	Label         string
	Score         float64 // mean of the folds' measures
	StandardError float64
	Loss          float64       // what the score is short of a perfect one: of errors, all of it
	Latency       time.Duration // of the server on one core, estimated
	KeyBytes      int64
	RequestBytes  int64
	ReplyBytes    int64
	LogN          int
	Front         bool // no other candidate is as good in score, latency and keys and better in one of them
	// Refused says why the compiler does not serve it, or is empty.
	Refused string
}

// size is a model to be tried: it is trained on features and answers for them.
type size struct {
	label string
	train func(set *dataset.Set) (*model.Graph, [][]float64, error)
}

// comparison is that of the sizes of one kind.
type comparison struct {
	Options
	result   *Result
	prepare  *model.Graph
	features *dataset.Set // of the known rows
	measure  *measure
	sizes    []size
	first    int // number of the first size
}

// compare has the sizes of all kinds tried, chooses among them, and trains the chosen one on all rows.
func (o Options) compare(ctx context.Context, list []*comparison) (*Result, error) {
	first := 1
	for _, c := range list {
		if c.measure.name != list[0].measure.name {
			return nil, fmt.Errorf("%s is judged by %s, %s by %s: say the task or the measure", list[0].Kind, list[0].measure.name, c.Kind, c.measure.name)
		}
		c.first = first
		first += len(c.sizes)
	}
	several := len(list) > 1
	if n, err := strconv.Atoi(string(o.Choose)); err == nil {
		if list = slices.DeleteFunc(list, func(c *comparison) bool { return n < c.first || n >= c.first+len(c.sizes) }); len(list) == 0 {
			return nil, fmt.Errorf("candidate %d: there are %d", n, first-1)
		}
		only := list[0]
		only.sizes, only.first, o.Choose = only.sizes[n-only.first:n-only.first+1], n, ChooseBest
	}
	var all []Candidate
	var owners []*comparison
	for _, c := range list {
		candidates, err := c.try(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Kind, err)
		}
		all = append(all, candidates...)
		owners = append(owners, slices.Repeat([]*comparison{c}, len(candidates))...)
	}
	markFront(all)
	chosen, err := o.Choose.of(all)
	if err != nil {
		return nil, err
	}
	best := owners[chosen]
	r := best.result
	r.Candidates, r.Chosen, r.several = all, chosen, several
	best.Progress("training on all rows", 0, 0)
	size := best.sizes[all[chosen].Number-best.first]
	core, grid, err := size.train(best.features)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", best.Kind, size.label, err)
	}
	r.Grid = grid
	if r.Graph, err = join(best.prepare, core); err != nil {
		return nil, err
	}
	answers, err := r.Graph.RunRows(r.Test.X)
	if err != nil {
		return nil, err
	}
	r.TestScore = best.measure.score(answers, r.Test.Y)
	return r, nil
}

// try returns the candidates of a kind with their scores and prices.
func (c *comparison) try(ctx context.Context) ([]Candidate, error) {
	candidates := make([]Candidate, len(c.sizes))
	for i, s := range c.sizes {
		candidates[i] = Candidate{Number: c.first + i, Kind: c.Kind, Label: s.label}
	}
	trained, err := c.validate(ctx, candidates)
	if err != nil || c.Unpriced {
		return candidates, err
	}
	for i, t := range trained {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.Progress("pricing", i, len(c.sizes))
		if err := c.price(&candidates[i], t); err != nil {
			return nil, fmt.Errorf("%s: %w", c.sizes[i].label, err)
		}
	}
	return candidates, nil
}

// trained is a size of a model after training.
type trained struct {
	core *model.Graph
	grid [][]float64
}

// validate scores all sizes by cross-validation and returns what the first fold gave.
func (c *comparison) validate(ctx context.Context, candidates []Candidate) ([]trained, error) {
	sizes := c.sizes
	folds, most := c.Folds, c.CrossRows
	if folds == 0 {
		folds = defaultFolds
	}
	if most == 0 {
		most = defaultCrossRows
	}
	set := c.features
	if set.Len() > most {
		set = set.Subset(dataset.Permutation(set.Len(), c.Seed)[:most])
	}
	if folds < 2 || folds > set.Len() {
		return nil, fmt.Errorf("cross-validation in %d folds of %d rows: want at least 2 folds, and as many rows", folds, set.Len())
	}
	divisions := set.Folds(folds, c.Seed)
	first, scores := make([]trained, len(sizes)), make([]float64, len(sizes)*folds)
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range sizes {
		for f, division := range divisions {
			group.Go(func() error {
				if err := ctx.Err(); err != nil {
					return err
				}
				core, grid, err := s.train(division.Train)
				if err != nil {
					return fmt.Errorf("%s: %w", s.label, err)
				}
				if f == 0 {
					first[i] = trained{core, grid}
				}
				answers, err := core.RunRows(division.Test.X)
				if err != nil {
					return err
				}
				if scores[i*folds+f] = c.measure.score(answers, division.Test.Y); math.IsNaN(scores[i*folds+f]) {
					return fmt.Errorf("%s: no %s of fold %d: a class has fewer rows than there are folds", s.label, c.measure.name, f+1)
				}
				c.Progress("cross-validation", int(done.Add(1)), len(scores))
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i := range sizes {
		candidate := &candidates[i]
		candidate.Score, candidate.StandardError = meanAndError(scores[i*folds : (i+1)*folds])
		candidate.Loss = c.measure.loss(candidate.Score)
	}
	return first, nil
}

func meanAndError(list []float64) (mean, standardError float64) {
	n := float64(len(list))
	for _, v := range list {
		mean += v / n
	}
	for _, v := range list {
		standardError += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(standardError / (n - 1) / n)
}

// price has the compiler tell what a model costs. It is the one of a fold: with other rows, the price is about the same.
func (c *comparison) price(candidate *Candidate, t trained) error {
	graph, err := join(c.prepare, t.core)
	if err != nil {
		return err
	}
	known := c.result.Known
	compiled, err := compiler.Compile(graph, known.X[:min(calibrationRows, known.Len())],
		compiler.Options{Grid: t.grid, Classes: known.Labels, Prefer: c.Prefer})
	if err != nil {
		candidate.Refused = err.Error()
		return nil
	}
	best := compiled.Candidates[0]
	candidate.Latency = time.Duration(best.Latency * float64(time.Millisecond))
	candidate.KeyBytes, candidate.RequestBytes, candidate.ReplyBytes = int64(best.KeyBytes), int64(best.RequestBytes), int64(best.ReplyBytes)
	candidate.LogN = best.LogN
	return nil
}

// markFront marks the candidates that no other dominates.
func markFront(list []Candidate) {
	for i := range list {
		a := &list[i]
		a.Front = a.Refused == "" && !slices.ContainsFunc(list, func(b Candidate) bool {
			asGood := b.Refused == "" && b.Loss <= a.Loss && b.Latency <= a.Latency && b.KeyBytes <= a.KeyBytes
			return asGood && (b.Loss < a.Loss || b.Latency < a.Latency || b.KeyBytes < a.KeyBytes)
		})
	}
}

// negligible is the latency below which all are alike: the network takes longer.
const negligible = time.Millisecond

// faster holds if a takes less time than b, or as little with a better score.
func faster(a, b Candidate) bool {
	x, y := max(a.Latency, negligible), max(b.Latency, negligible)
	return x < y || x == y && a.Loss < b.Loss
}

// of returns the index of the chosen candidate.
func (c Choice) of(list []Candidate) (int, error) {
	best, fast := -1, -1
	for i, a := range list {
		if a.Refused != "" {
			continue
		}
		if best < 0 || a.Loss < list[best].Loss || a.Loss == list[best].Loss && a.Latency < list[best].Latency {
			best = i
		}
		if fast < 0 || faster(a, list[fast]) {
			fast = i
		}
	}
	if best < 0 {
		return 0, errors.New("the compiler serves no candidate: " + list[0].Refused)
	}
	switch c {
	case ChooseBest:
		return best, nil
	case ChooseFast:
		return fast, nil
	case ChooseWell:
		most := list[best].Loss + list[best].StandardError
		chosen := best
		for i, a := range list {
			if a.Refused == "" && a.Loss <= most && faster(a, list[chosen]) {
				chosen = i
			}
		}
		return chosen, nil
	}
	return 0, fmt.Errorf("choice %q: want best, fast, or the number of a candidate", string(c))
}
