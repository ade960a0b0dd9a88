package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"
	"time"

	"cipherpoint/compiler"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/deployment"
	"cipherpoint/internal/format"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// batchRecipe is measured by default: published figures are there for its data.
const batchRecipe = "cnn-mnist"

// runBatch measures a recipe that is compiled for batches, on its whole test set.
func runBatch(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("batch", stderr)
	name := flags.String("recipe", batchRecipe, "`recipe` to measure")
	data := flags.String("data", "", "folder of data sets; $CIPHERPOINT_DATA by default")
	if err := parse(flags, args); err != nil {
		return err
	}
	recipe, err := recipes.Find(*name)
	if err != nil {
		return err
	}
	folder, err := dataFolder(*data)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	show := progress.Steps(stderr)
	defer show.Done()
	f, err := measureBatch(ctx, recipe, publish.Options{Source: dataset.Source{Dir: folder}, Packing: compiler.PackBatch, Progress: show.Step}, dir)
	if err != nil {
		return fmt.Errorf("%s: %w", recipe.Name, err)
	}
	show.Done()
	fmt.Fprintln(stdout, describeMachine())
	return f.write(stdout)
}

// batchFigures are what a batch costs. Times are medians, of a whole batch.
type batchFigures struct {
	recipe                     string
	size, samples              int // in a batch, asked about
	clear, encrypted, agree    int
	largestError, logQP        float64
	logN                       int
	keyBytes                   int64
	request, reply             int
	encrypt, decrypt           time.Duration
	oneCore, allCores, compile time.Duration
}

func measureBatch(ctx context.Context, recipe recipes.Recipe, o publish.Options, dir string) (*batchFigures, error) {
	m, err := publish.Build(ctx, recipe, o)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, recipe.Name)
	if err := m.Save(dir); err != nil {
		return nil, err
	}
	e, err := m.Try(ctx, dir, m.Test.Len(), func(done, of int) { o.Progress("encrypted samples", done, of) })
	if err != nil {
		return nil, err
	}
	spec, p := e.Model.Spec(), m.Compiled.Circuit.Parameters
	f := &batchFigures{
		recipe: recipe.Name, size: spec.BatchSize(), samples: len(e.Answers),
		clear: m.Hits(m.Clear).Hits, encrypted: m.Hits(e.Answers).Hits, logQP: p.LogQP(), logN: p.LogN,
		keyBytes: spec.KeyBytes(), request: spec.RequestBytes(), reply: spec.ReplyBytes(), encrypt: publish.Median(e.Encrypt),
		decrypt: publish.Median(e.Decrypt), compile: m.CompileTime,
	}
	if f.oneCore, err = timeBatch(ctx, dir, e, 1); err != nil {
		return nil, err
	}
	if f.allCores, err = timeBatch(ctx, dir, e, runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	for i, answer := range e.Answers {
		if pipeline.Label(answer) == pipeline.Label(m.Clear[i]) {
			f.agree++
		}
		for k, score := range e.Scores[i] {
			f.largestError = max(f.largestError, abs(score-m.Simulated[i].Scores[k]))
		}
	}
	return f, nil
}

// batchRuns is how often a batch is timed, after one that finds its memory.
const batchRuns = 7

// timeBatch is the median time of a batch on a server that is warm.
func timeBatch(ctx context.Context, dir string, e *publish.Encrypted, workers int) (time.Duration, error) {
	server, err := deployment.LoadServer(ctx, dir, workers)
	if err != nil {
		return 0, err
	}
	keys, err := server.LoadKeys(ctx, bytes.NewReader(e.UserKeys))
	if err != nil {
		return 0, err
	}
	var times []time.Duration
	for range 1 + batchRuns {
		start := time.Now()
		if _, err := server.Run(ctx, keys, e.Request); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	return publish.Median(times[1:]), nil
}

func abs(x float64) float64 { return max(x, -x) }

// tenThousand is how long whole batches of at least 10,000 samples take.
func (f *batchFigures) tenThousand(batch time.Duration) float64 {
	return float64((10000+f.size-1)/f.size) * batch.Seconds()
}

// rate is samples a second.
func (f *batchFigures) rate(batch time.Duration) float64 { return float64(f.size) / batch.Seconds() }

func (f *batchFigures) write(w io.Writer) error {
	fmt.Fprintf(w, "\nBatches: %s, a feature of %d samples in each ciphertext, N = 2^%d, log QP %.1f, compiled in %.1f s.\n\n",
		f.recipe, f.size, f.logN, f.logQP, f.compile.Seconds())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	share := func(n int) string { return fmt.Sprintf("%.4f", float64(n)/float64(f.samples)) }
	fmt.Fprintln(t, "samples\tclear\tencrypted\tagreement\tlargest error\tkeys\trequest\ta sample\treply\ta sample\t")
	fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%.2g\t%s\t%s\t%s\t%s\t%s\t\n\n", f.samples, share(f.clear), share(f.encrypted), share(f.agree), f.largestError,
		format.Bytes(float64(f.keyBytes)), format.Bytes(float64(f.request)), format.Bytes(float64(f.request)/float64(f.size)),
		format.Bytes(float64(f.reply)), format.Bytes(float64(f.reply)/float64(f.size)))
	fmt.Fprint(t, "a batch\tmedian, ms\tsamples a second\t10,000 samples, s\t\n")
	for _, step := range []struct {
		name string
		time time.Duration
	}{
		{"client: encryption", f.encrypt}, {"server, one core", f.oneCore}, {fmt.Sprintf("server, %d cores", runtime.GOMAXPROCS(0)), f.allCores},
		{"client: decryption", f.decrypt},
	} {
		fmt.Fprintf(t, "%s\t%.1f\t%.0f\t%.3f\t\n", step.name, inMS(step.time), f.rate(step.time), f.tenThousand(step.time))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nAim: 10,000 samples a second on four cores. Published: HEaaN2 on a CPU, 10,000 images of MNIST by a 484-128-10 network, 0.70 s.\n")
	return nil
}
