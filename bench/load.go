package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"cipherpoint/client"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/deployment"
	"cipherpoint/fhe"
	"cipherpoint/internal/plot"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
)

// fractions of saturation at which requests arrive.
var fractions = []float64{0.2, 0.4, 0.6, 0.8, 0.9, 1}

// runLoad loads an endpoint.
func runLoad(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("load", stderr)
	name := flags.String("recipe", "", "recipe to train and serve")
	dir := flags.String("model", "compiled_model", "folder of the compiled model to serve where no recipe is named")
	data := flags.String("data", "", "folder of data sets; $CIPHERPOINT_DATA by default")
	duration := flags.Duration("duration", 20*time.Second, "time at each load")
	out := flags.String("out", "", "write a plot of latency against load to this SVG file")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *duration < 100*time.Millisecond {
		return errors.New("duration has to be at least 100ms")
	}
	if *name != "" {
		folder, err := dataFolder(*data)
		if err != nil {
			return err
		}
		recipe, err := recipes.Find(*name)
		if err != nil {
			return err
		}
		if *dir, err = os.MkdirTemp("", "bench"); err != nil {
			return err
		}
		defer os.RemoveAll(*dir)
		show := progress.Steps(stderr)
		m, err := publish.Build(ctx, recipe, publish.Options{Source: dataset.Source{Dir: folder}, Progress: show.Step})
		show.Done()
		if err != nil {
			return err
		}
		if err := m.Save(*dir); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, describeMachine())
	return printLoad(ctx, *dir, *duration, *out, stdout, stderr)
}

// loadRecipe is served where all recipes are measured.
const loadRecipe = "cnn-digits"

// printLoad loads an endpoint on a compiled model's folder, for so long each time.
func printLoad(ctx context.Context, dir string, duration time.Duration, plotFile string, stdout io.Writer, stderr *os.File) error {
	show := progress.Steps(stderr)
	f, err := measureLoad(ctx, dir, duration, show.Step)
	show.Done()
	if err != nil {
		return err
	}
	return f.write(stdout, plotFile)
}

// loadFigures are what an endpoint reaches under load.
type loadFigures struct {
	model      string
	cores      int
	oneCore    time.Duration // an inference alone on one core, without HTTP
	sideBySide float64       // inferences a second, one on each core, without HTTP
	alone      time.Duration // a request alone on an idle endpoint, over HTTP
	roundTrip  time.Duration // of as many bytes over HTTP, unanswered
	saturation *phase        // closed loop
	open       []*phase      // at the fractions
}

// ideal is how many requests a second all cores could do if they did nothing but inference, none slower beside the others.
func (f *loadFigures) ideal() float64 { return float64(f.cores) / f.oneCore.Seconds() }

const (
	// clientsPerCore ask in a closed loop. With so many, some always wait.
	clientsPerCore = 4
	// turns is how often saturation is measured, each time beside inference without HTTP: what else the machine does
	// hits both. The medians count.
	turns = 5
)

// measureLoad starts an endpoint on a compiled model's folder and loads it: in a closed loop, then with requests that
// come when they like.
func measureLoad(ctx context.Context, dir string, duration time.Duration, progress func(step string, done, of int)) (*loadFigures, error) {
	user, err := newUser(ctx, dir)
	if err != nil {
		return nil, err
	}
	f := &loadFigures{model: user.model.Spec().Name, cores: runtime.GOMAXPROCS(0)}
	single, err := user.serve(ctx, dir, 1)
	if err != nil {
		return nil, err
	}
	all, err := user.serve(ctx, dir, f.cores)
	if err != nil {
		return nil, err
	}
	p, err := startEndpoint(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	l, replyBytes, err := user.load(ctx, p)
	if err != nil {
		return nil, err
	}
	defer l.close()

	steps, step := 2+turns+len(fractions), 0
	next := func() { step++; progress("loads", step, steps) }
	alone, err := l.closed(ctx, 1, duration/4)
	if err != nil {
		return nil, err
	}
	f.alone = alone.percentile(50)
	next()
	if f.roundTrip, err = roundTrip(ctx, l.bodies, replyBytes, duration/8); err != nil {
		return nil, err
	}
	next()
	var times []time.Duration
	var rates []float64
	var closed []*phase
	for range turns {
		lone, err := single.oneCore(ctx)
		if err != nil {
			return nil, err
		}
		rate, err := all.sideBySide(ctx, f.cores, duration/8)
		if err != nil {
			return nil, err
		}
		saturated, err := l.closed(ctx, clientsPerCore*f.cores, duration/4)
		if err != nil {
			return nil, err
		}
		times, rates, closed = append(times, lone), append(rates, rate), append(closed, saturated)
		next()
	}
	slices.SortFunc(closed, func(a, b *phase) int { return cmp.Compare(a.rate(), b.rate()) })
	f.oneCore, f.sideBySide, f.saturation = median(times), median(rates), closed[turns/2]
	for _, fraction := range fractions {
		open, err := l.open(ctx, fraction*f.saturation.rate(), duration)
		if err != nil {
			return nil, err
		}
		next()
		f.open = append(f.open, open)
	}
	return f, nil
}

// user has keys and questions for a model.
type user struct {
	model     *client.FHEModelClient
	keys      []byte
	questions [][]byte
}

// questions are made before the clock starts: encryption is the users' work, not the endpoint's.
const questions = 16

func newUser(ctx context.Context, dir string) (*user, error) {
	m, err := client.Load(dir)
	if err != nil {
		return nil, err
	}
	if err := m.GenerateKeys(); err != nil {
		return nil, err
	}
	u := &user{model: m}
	if u.keys, err = m.EvaluationKeys(ctx, nil); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range questions {
		row := make([]float64, m.Spec().Pipeline.Features())
		for i := range row {
			row[i] = rng.Float64()
		}
		question, err := m.QuantizeEncryptSerialize(row)
		if err != nil {
			return nil, err
		}
		u.questions = append(u.questions, question)
	}
	return u, nil
}

// inferences answers a user's questions in this process.
type inferences struct {
	server    *deployment.FHEModelServer
	keys      *fhe.EvaluationKeys
	questions [][]byte
}

// serve prepares a compiled model's folder for the user's questions.
func (u *user) serve(ctx context.Context, dir string, workers int) (*inferences, error) {
	server, err := deployment.LoadServer(ctx, dir, workers)
	if err != nil {
		return nil, err
	}
	keys, err := server.LoadKeys(ctx, bytes.NewReader(u.keys))
	return &inferences{server, keys, u.questions}, err
}

func (s *inferences) answer(ctx context.Context, i int) error {
	_, err := s.server.Run(ctx, s.keys, s.questions[i%len(s.questions)])
	return err
}

// oneCore is the median time of an inference on one core.
func (s *inferences) oneCore(ctx context.Context) (time.Duration, error) {
	var times []time.Duration
	err := onOneCore(func() error {
		for i := range 100 {
			start := time.Now()
			if err := s.answer(ctx, i); err != nil {
				return err
			}
			times = append(times, time.Since(start))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return median(times), nil
}

// sideBySide is how many inferences a second so many make that follow each other at once.
func (s *inferences) sideBySide(ctx context.Context, many int, duration time.Duration) (float64, error) {
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for first := range many {
		group.Go(func() error {
			for i := first; time.Since(start) < duration; i++ {
				if err := s.answer(ctx, i); err != nil {
					return err
				}
				count.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(count.Load()) / time.Since(start).Seconds(), err
}

// load uploads the keys and returns what asks the questions, and the size of a reply.
func (u *user) load(ctx context.Context, p *endpointProcess) (l *load, replyBytes int, err error) {
	connection, err := client.New(p.URL(), "", client.Options{})
	if err != nil {
		return nil, 0, err
	}
	defer connection.Close()
	uid, err := connection.Upload(ctx, u.model.KeySet(), bytes.NewReader(u.keys), client.Upload{})
	if err != nil {
		return nil, 0, err
	}
	reply, err := connection.Infer(ctx, uid, u.questions[0])
	if err != nil {
		return nil, 0, err
	}
	if _, err := u.model.DeserializeDecryptDequantize(reply); err != nil {
		return nil, 0, err
	}
	l, err = newLoad(p.URL(), p.PID(), uid, u.questions)
	return l, len(reply), err
}

// write prints the figures and writes the plot, where a file is named.
func (f *loadFigures) write(w io.Writer, plotFile string) error {
	s := f.saturation
	fmt.Fprintf(w, "\n%s over HTTP. The load comes from this machine too, encrypted beforehand.\n\n", f.model)
	fmt.Fprintf(w, "an inference alone on one core, without HTTP  %.2f ms: %d cores could do %.0f a second\n", inMS(f.oneCore), f.cores, f.ideal())
	fmt.Fprintf(w, "one on each core, without HTTP                %.0f a second: %.0f %% of that\n", f.sideBySide, 100*f.sideBySide/f.ideal())
	fmt.Fprintf(w, "a request alone on the idle endpoint          %.2f ms\n", inMS(f.alone))
	fmt.Fprintf(w, "as many bytes there and back, without answer  %.2f ms\n", inMS(f.roundTrip))
	fmt.Fprintf(w, "saturation, %2d clients in a closed loop       %.0f requests a second: %.0f %% of what the cores could do,\n"+
		"                                              %.0f %% of what they do without HTTP\n", s.clients, s.rate(), 100*s.rate()/f.ideal(), 100*s.rate()/f.sideBySide)
	if s.ours > 0 {
		left := 1 - s.ours - s.others
		fmt.Fprintf(w, "                                              of all cores, the endpoint takes %.1f %%, the load generator %.1f %%, others %.1f %%:\n"+
			"                                              %.0f %% and %.0f %% of what is left of the cores\n", 100*s.theirs, 100*s.ours, 100*s.others, 100*s.rate()/(f.ideal()*left), 100*s.rate()/(f.sideBySide*left))
	}
	fmt.Fprintln(w, "\nRequests that arrive at random (Poisson), from when they were due:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "load\tarriving a second\tanswered\trefused\tp50, ms\tp95\tp99\tp99 / p50\t")
	for i, o := range f.open {
		p50, p99 := o.percentile(50), o.percentile(99)
		fmt.Fprintf(t, "%.0f %%\t%.0f\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t\n", 100*fractions[i], o.offered, o.rate(), o.refused,
			inMS(p50), inMS(o.percentile(95)), inMS(p99), float64(p99)/float64(max(p50, 1)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if plotFile == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(plotFile), 0o755); err != nil {
		return err
	}
	return os.WriteFile(plotFile, f.plot().Document(), 0o644)
}

// plot draws latency against load.
func (f *loadFigures) plot() plot.Figure {
	chart := plot.CurveChart{
		ID: "load", Title: "Latency of " + f.model + " under load",
		X:     plot.Axis{Label: "requests a second"},
		Y:     plot.Axis{Label: "latency, ms", Log: true},
		Marks: []plot.Mark{{X: f.saturation.rate(), Label: "saturation"}},
	}
	for _, p := range []int{50, 95, 99} {
		series := plot.Series{Name: fmt.Sprintf("p%d", p)}
		for _, o := range f.open {
			series.Points = append(series.Points, plot.Point{X: o.offered, Y: inMS(o.percentile(p))})
		}
		chart.Series = append(chart.Series, series)
	}
	return plot.Curves(chart)
}
