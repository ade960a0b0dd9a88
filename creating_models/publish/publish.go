// Package publish takes a recipe the whole way: train, compile, simulate, save, and prove on encrypted samples that what
// was saved answers as the model does.
//
//	outcome, err := publish.Run(ctx, recipe, publish.Options{Out: "compiled_model", EncryptedSamples: 100})
//	outcome.Report.WriteText(os.Stdout)
//
// A model that misses its accuracy, or an artifact that misses its stated error, is an error and nothing is written.
//
// Danger: the encrypted samples are decrypted here, by the publisher, with a key that is thrown away. They are test data;
// never run it on somebody's secrets.
package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/client"
	"cipherpoint/compiler"
	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/creating_models/report"
	"cipherpoint/deployment"
	"cipherpoint/fhe"
	"cipherpoint/fhe/kernel"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// CalibrationRows is how many training rows the compiler sees.
const CalibrationRows = 1024

// Options steer a run. Progress may be nil; it is told the step and, where of is positive, how much of it is done.
type Options struct {
	Source           dataset.Source
	Out              string // folder to write to
	EncryptedSamples int
	Prefer           compiler.Preference
	MaxScoreError    float64 // 0: the compiler's choice
	Flood            int     // see compiler.Options
	Packing          compiler.Packing
	License          string // of the model, as Hugging Face's hub names it; empty is unknown
	Progress         func(step string, done, of int)
}

// Model is a trained and compiled recipe.
type Model struct {
	Recipe      recipes.Recipe
	Graph       *model.Graph
	Known, Test *dataset.Set
	Compiled    *compiler.Result
	Clear       [][]float64           // the graph's answers on the test set
	Polynomial  [][]float64           // those of the graph with polynomials, which runs encrypted
	Simulated   []compiler.Simulation // the circuit's, with the noise of encryption
	largest     float64               // error of a simulated score
	tied        []bool                // simulated rows whose label hangs on rounding
	options     compiler.Options      // it was compiled with
	TrainTime   time.Duration
	CompileTime time.Duration
}

// Build trains and compiles a recipe and checks its accuracy in clear on the whole test set.
func Build(ctx context.Context, recipe recipes.Recipe, o Options) (*Model, error) {
	progress := o.Progress
	if progress == nil {
		progress = func(string, int, int) {}
	}
	m := &Model{Recipe: recipe}
	var err error
	if m.Known, m.Test, err = recipe.Load(ctx, o.Source); err != nil {
		return nil, err
	}
	start := time.Now()
	graph, grid, err := recipe.Train(ctx, m.Known, func(done, of int) { progress("training", done, of) })
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	m.Graph, m.TrainTime = graph, time.Since(start)
	if m.Clear, err = graph.RunRows(m.Test.X); err != nil {
		return nil, err
	}
	if m.classifies() {
		if accuracy := m.Hits(m.Clear).Share(); accuracy < recipe.MinAccuracy {
			return nil, fmt.Errorf("accuracy %.4f in clear is below the recipe's %.4f", accuracy, recipe.MinAccuracy)
		}
	}
	m.options = compiler.Options{Grid: grid, Classes: m.Known.Labels, Prefer: o.Prefer, MaxKeyBytes: recipe.MaxKeyBytes, MaxScoreError: o.MaxScoreError, Flood: o.Flood, Packing: o.Packing,
		Progress: func(step string) { progress(step, 0, 0) }}
	return m, m.compile()
}

// compile compiles the model and simulates it on the whole test set.
func (m *Model) compile() error {
	start := time.Now()
	options := m.options
	for tried := range compilations {
		compiled, err := m.compileOnce(&options)
		if err != nil && tried > 0 {
			break // a smaller error cannot be had
		}
		if err != nil {
			return fmt.Errorf("compiling: %w", err)
		}
		m.Compiled, m.options.Headroom, m.options.ErrorShare = compiled, options.Headroom, options.ErrorShare
		m.Compiled.Pipeline.Columns = m.Recipe.Columns
		m.Polynomial = m.Clear
		if len(m.Compiled.Approximation.Replacements) > 0 {
			if m.Polynomial, err = m.Compiled.Approximation.Graph.RunRows(m.Test.X); err != nil {
				return err
			}
		}
		options.Progress("simulating the whole test set")
		if m.Simulated, err = m.Compiled.Simulate(m.Test.X); err != nil {
			return err
		}
		if m.classifies() {
			if m.tied, err = m.Compiled.Tied(m.Simulated); err != nil {
				return err
			}
		}
		if m.largest = compiler.LargestError(m.Simulated); m.largest > m.Compiled.MaxScoreError {
			// The whole test set has larger errors than the rows that the compiler saw let expect.
			options.Headroom = m.headroom(m.largest)
			continue
		}
		if !m.classifies() {
			if m.strayed() <= maxStrayed*float64(len(m.Simulated)) {
				break
			}
			// What the client does last, such as looking for the nearest neighbours, makes much of small errors.
			options.MaxScoreError = m.Compiled.MaxScoreError / 4
			continue
		}
		tied := count(m.tied)
		excess, err := m.Compiled.Excess(m.Simulated, max(float64(tied), (1-check.MinAgreement)/4*float64(len(m.Simulated))))
		if err != nil {
			return err
		}
		if excess == 1 && (tied > 0 || m.simulatedAgreement().Share() >= check.MinAgreement) {
			break
		}
		// Some samples are closer to the boundary of two classes than the error allowed.
		options.MaxScoreError = m.Compiled.MaxScoreError / max(2, excess)
	}
	m.CompileTime += time.Since(start)
	return nil
}

// demands are what is asked of the compiler, the first that can be had: the share of the range of values that their error
// may have where nobody stated one, and the share of labels that polynomials may change.
var demands = []struct{ error, labels float64 }{{1. / 256, 0.01}, {1. / 64, 0.02}, {1. / 16, 0.05}}

// compileOnce compiles as exactly as it can.
func (m *Model) compileOnce(options *compiler.Options) (compiled *compiler.Result, err error) {
	for _, d := range demands {
		if d.error < options.ErrorShare {
			continue // in vain before
		}
		options.ErrorShare, options.MaxLabelChanges = d.error, d.labels
		compiled, err = compiler.Compile(m.Graph, m.Known.X[:min(CalibrationRows, m.Known.Len())], *options)
		if !errors.Is(err, compiler.ErrTooExact) || options.MaxScoreError > 0 {
			break
		}
	}
	return compiled, err
}

// Simulated answers that are wrong by more than this share of their range, and the share of them that is accepted.
const strays, maxStrayed = 1. / 32, 0.01

// strayed counts them.
func (m *Model) strayed() float64 {
	low, high, n := math.Inf(1), math.Inf(-1), 0.0
	for _, s := range m.Simulated {
		for _, v := range s.Answer {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, s := range m.Simulated {
		for k, v := range s.Answer {
			if math.Abs(s.NoisyAnswer[k]-v) > strays*(high-low) {
				n++
				break
			}
		}
	}
	return n
}

// headroom is what errors as large as this one ask for.
func (m *Model) headroom(largest float64) float64 {
	return 1.25 * cmp.Or(m.options.Headroom, compiler.DefaultHeadroom) * largest / m.Compiled.MaxScoreError
}

// compilations is how often a model is compiled, for a smaller error each time, until labels do not
// depend on the noise.
const compilations = 6

// classifies is false for a model whose answers are values.
func (m *Model) classifies() bool { return m.Test.Labels != nil }

func (m *Model) simulatedAgreement() report.Count {
	noisy := make([][]float64, len(m.Simulated))
	for i, s := range m.Simulated {
		noisy[i] = s.NoisyAnswer
	}
	return agreement(noisy, m.Polynomial)
}

// Save writes the artifact with the record of what it was made from.
func (m *Model) Save(dir string) error {
	artifact := deployment.FHEModelDev{Name: m.Recipe.Name, Kind: m.Recipe.Kind, Circuit: m.Compiled.Circuit, Pipeline: m.Compiled.Pipeline}
	if err := artifact.Save(dir); err != nil {
		return err
	}
	return check.NewRecord(m.Graph, m.Compiled).Save(dir)
}

// Hits counts right labels among the first answers of the test set.
func (m *Model) Hits(answers [][]float64) report.Count {
	c := report.Count{Of: len(answers)}
	for i, a := range answers {
		if pipeline.Label(a) == m.Test.Class(i) {
			c.Hits++
		}
	}
	return c
}

// Encrypted is what encrypted samples of a saved artifact gave.
type Encrypted struct {
	Answers, Scores       [][]float64
	KeyGen                []time.Duration
	Encrypt, All, Decrypt []time.Duration // a request each
	OneCore               []time.Duration // of the same requests
	Layers                []time.Duration // of each node, median, on one core
	UserKeys              []byte          // the evaluation keys
	Request               []byte          // the first request
	Model                 *client.FHEModelClient
}

// Try asks the first test samples encrypted, in whole batches: of the artifact in a folder, on all cores and then on one.
func (m *Model) Try(ctx context.Context, dir string, samples int, tick func(done, of int)) (*Encrypted, error) {
	server, err := deployment.LoadServer(ctx, dir, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	e := new(Encrypted)
	if e.Model, err = client.Read(server.ClientZip()); err != nil {
		return nil, err
	}
	timed := func(list *[]time.Duration, f func() error) error {
		start := time.Now()
		err := f()
		*list = append(*list, time.Since(start))
		return err
	}
	for range 3 {
		err := timed(&e.KeyGen, func() (err error) {
			if err = e.Model.GenerateKeys(); err == nil {
				e.UserKeys, err = e.Model.EvaluationKeys(ctx, nil)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	keys, err := server.LoadKeys(ctx, bytes.NewReader(e.UserKeys))
	if err != nil {
		return nil, err
	}
	size := e.Model.BatchSize()
	samples = min((samples+size-1)/size*size, m.Test.Len())
	var requests [][]byte
	for rows := range slices.Chunk(m.Test.X[:samples], size) {
		var request, reply []byte
		var answers []client.Answer
		steps := []struct {
			list *[]time.Duration
			do   func() error
		}{
			{&e.Encrypt, func() (err error) { request, err = check.Encrypt(ctx, e.Model, rows); return }},
			{&e.All, func() (err error) { reply, err = server.Run(ctx, keys, request); return }},
			{&e.Decrypt, func() (err error) { answers, err = check.Decrypt(ctx, e.Model, reply, len(rows)); return }},
		}
		for _, step := range steps {
			if err := timed(step.list, step.do); err != nil {
				return nil, err
			}
		}
		requests = append(requests, request)
		for _, a := range answers {
			e.Answers, e.Scores = append(e.Answers, a.Values), append(e.Scores, a.Scores)
		}
		tick(len(e.Answers), samples)
	}
	single, err := deployment.LoadServer(ctx, dir, 1)
	if err != nil {
		return nil, err
	}
	layers := make([][]time.Duration, len(m.Compiled.Circuit.Nodes))
	for _, request := range requests {
		err := timed(&e.OneCore, func() error {
			_, err := single.RunObserved(ctx, keys, request, func(node int, d time.Duration) { layers[node] = append(layers[node], d) })
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for _, list := range layers {
		e.Layers = append(e.Layers, Median(list))
	}
	e.Request = requests[0]
	return e, nil
}

// Median returns the middle of a list, which it sorts.
func Median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}

func timing(list []time.Duration) report.Timing {
	median := Median(list)
	return report.Timing{Median: median, P95: list[min(len(list)-1, len(list)*95/100)], Runs: len(list)}
}

// Run does everything and writes the artifact to the folder, with its report and a model card, so that the folder is a
// repository for Hugging Face's hub.
func Run(ctx context.Context, recipe recipes.Recipe, o Options) (*report.Report, error) {
	progress := o.Progress
	if progress == nil {
		progress = func(string, int, int) {}
	}
	m, err := Build(ctx, recipe, o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	// Beside the files that it replaces, so that moving is renaming.
	draft, err := os.MkdirTemp(o.Out, "draft-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(draft)
	r, err := m.prove(ctx, draft, o.EncryptedSamples, progress)
	if err != nil {
		return nil, err
	}
	r.Model.License = o.License
	if err := describe(r, draft); err != nil {
		return nil, err
	}
	for _, name := range []string{deployment.ClientFile, deployment.ServerFile, deployment.VersionsFile, check.RecordFile, ReportFile, CardFile} {
		if err := os.Rename(filepath.Join(draft, name), filepath.Join(o.Out, name)); err != nil {
			return nil, err
		}
	}
	if err := WriteAttributes(o.Out); err != nil {
		return nil, err
	}
	return r, nil
}

// proofs is how often an artifact is made, with more headroom each time, until encrypted errors are as small as promised.
const proofs = 3

// prove saves the artifact, asks it encrypted, and holds it to what is promised.
func (m *Model) prove(ctx context.Context, dir string, samples int, progress func(string, int, int)) (*report.Report, error) {
	for tried := 1; ; tried++ {
		if err := m.Save(dir); err != nil {
			return nil, err
		}
		encrypted, err := m.Try(ctx, dir, samples, func(done, of int) { progress("encrypted samples", done, of) })
		if err != nil {
			return nil, err
		}
		r, err := m.report(encrypted, dir)
		if err != nil {
			return nil, err
		}
		err = m.verify(r)
		if err == nil {
			return r, nil
		}
		// A little above the bound is the tail of the noise; far above, values do not fit.
		largest := r.Scores.Largest()
		m.options.Headroom = m.headroom(largest)
		if tried == proofs || r.Scores.Kept() || largest > 2*r.Scores.Bound || m.compile() != nil {
			return nil, fmt.Errorf("not written: %w", err)
		}
	}
}

// verify holds the artifact to what is promised. Labels that hang on rounding may differ.
func (m *Model) verify(r *report.Report) error {
	if m.classifies() {
		agree := m.simulatedAgreement()
		if c := forgiving(agree, count(m.tied)); c.Share() < check.MinAgreement {
			return fmt.Errorf("with simulated noise %d of %d labels are the model's: at least %.1f %% are promised", agree.Hits, agree.Of, 100*check.MinAgreement)
		}
		agree = r.Classification.Agreement
		if c := forgiving(agree, count(m.tied[:agree.Of])); check.Implausible(c.Hits, c.Of) {
			return fmt.Errorf("encrypted, %d of %d labels are the model's: at least %.1f %% are promised", agree.Hits, agree.Of, 100*check.MinAgreement)
		}
	}
	switch {
	case m.largest > m.Compiled.MaxScoreError:
		return fmt.Errorf("the largest error of a score with simulated noise is %.3g: at most %.3g is promised", m.largest, m.Compiled.MaxScoreError)
	case !r.Scores.Kept():
		return fmt.Errorf("the largest error of an encrypted score is %.3g: at most %.3g is promised", r.Scores.Largest(), r.Scores.Bound)
	}
	return nil
}

// count returns how many of a list are set.
func count(list []bool) (n int) {
	for _, set := range list {
		if set {
			n++
		}
	}
	return n
}

// forgiving counts as many differing labels as equal.
func forgiving(c report.Count, labels int) report.Count {
	c.Hits = min(c.Hits+labels, c.Of)
	return c
}

// report fills in what is known of the model.
func (m *Model) report(e *Encrypted, dir string) (*report.Report, error) {
	c := m.Compiled.Circuit
	p := c.Parameters
	noisy := make([][]float64, len(m.Simulated))
	var pairs []report.Pair
	for i, s := range m.Simulated {
		noisy[i] = s.NoisyAnswer
		if i < len(e.Scores) {
			for k := range s.Scores {
				pairs = append(pairs, report.Pair{Clear: s.Scores[k], Encrypted: e.Scores[i][k]})
			}
		}
	}
	r := &report.Report{
		Model: report.Model{Name: m.Recipe.Name, Description: m.Recipe.Description, Dataset: m.Recipe.Data, Recipe: m.Recipe.Name,
			Seed: m.Recipe.Seed, Features: m.Test.Width(), Trained: m.Known.Len(),
			Kind: m.Recipe.Kind, Images: len(m.Test.Shape) == 3},
		Scores: report.Scores{Name: "score", Pairs: pairs, Bound: m.Compiled.MaxScoreError, Predicted: m.largest},
		Parameters: report.Parameters{LogN: p.LogN, Ring: string(p.Ring), QBits: bitsOf(p.Q), PBits: bitsOf(p.P), LogQP: p.LogQP(),
			LogQPLimit: circuit.MaxLogQP(p.LogN), SecurityBits: circuit.SecurityBits, Slots: p.Slots(), Levels: p.MaxLevel(),
			Flood: m.Compiled.Flood, Advantage: m.Compiled.Advantage(1000),
			Thresholds: m.Compiled.Thresholds(), Replies: switched(c)},
		Times: report.Times{Train: m.TrainTime, Compile: m.CompileTime, KeyGen: timing(e.KeyGen), Encrypt: timing(e.Encrypt),
			ServerOneCore: timing(e.OneCore), ServerAllCores: timing(e.All), Decrypt: timing(e.Decrypt)},
		Machine: report.Machine{CPU: CPUName(), Cores: runtime.GOMAXPROCS(0), Features: []string{kernel.Features()}},
	}
	for _, column := range m.Compiled.Pipeline.Columns {
		r.Model.Columns = append(r.Model.Columns, column.Name)
	}
	m.quality(r, e, noisy)
	for i, candidate := range m.Compiled.Candidates {
		if i == 12 {
			break
		}
		outcome := report.Considered
		if i == 0 {
			outcome = report.Chosen
		}
		r.Candidates = append(r.Candidates, report.Candidate{
			LogN: candidate.LogN, Ring: string(p.Ring), QBits: candidate.QBits, PBits: candidate.PBits,
			Latency:  time.Duration(candidate.Latency * float64(time.Millisecond)),
			KeyBytes: int64(candidate.KeyBytes), MessageBytes: int64(candidate.RequestBytes + candidate.ReplyBytes),
			PrecisionBits: candidate.Precision, SecurityBits: circuit.SecurityBits, Outcome: outcome, Why: candidate.Packing + ": " + candidate.Reason,
		})
	}
	estimated := compiler.Latencies(c)
	for i, node := range c.Nodes {
		layer := report.Layer{Name: node.Name, Op: node.Operation(), Level: node.Level, Rescale: node.Rescale, ScaleBits: math.Log2(node.Scale),
			Rotations: node.Rotations(), Estimated: time.Duration(estimated[i] * float64(time.Millisecond)), Measured: e.Layers[i]}
		if node.Linear != nil {
			layer.Diagonals = len(node.Linear.Diagonals)
		}
		r.Layers = append(r.Layers, layer)
	}
	spec := e.Model.Spec()
	sizes := map[string]int64{}
	for _, name := range []string{deployment.ClientFile, deployment.ServerFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sizes[name] = info.Size()
	}
	r.Sizes = report.Sizes{Keys: spec.Keys.Count(), KeyBytes: spec.KeyBytes(), Samples: spec.BatchSize(), RequestBytes: int64(spec.RequestBytes()), ReplyBytes: int64(spec.ReplyBytes()),
		ClientZip: sizes[deployment.ClientFile], ServerZip: sizes[deployment.ServerFile]}
	return r, r.Check()
}

// switched says what it costs and saves to switch a circuit's replies to another ring; nil where they are not.
func switched(c *circuit.Circuit) *report.Replies {
	by := c.RingSwitch
	if by == nil {
		return nil
	}
	plain := *c
	plain.RingSwitch = nil
	return &report.Replies{LogN: by.LogN, LogQP: by.LogQP(c.Parameters), LogQPLimit: circuit.MaxLogQP(by.LogN),
		KeyBytes: fhe.KeysSize(c.Parameters, c.Keys()) - fhe.KeysSize(c.Parameters, plain.Keys()),
		Bytes:    fhe.SignatureOf(c).ReplySize(), PlainBytes: fhe.SignatureOf(&plain).ReplySize()}
}

// quality compares the answers with the truth: labels of a classifier, else the first value of each answer.
func (m *Model) quality(r *report.Report, e *Encrypted, noisy [][]float64) {
	same := m.Clear[:len(e.Answers)]
	if !m.classifies() {
		r.Regression = &report.Regression{Clear: m.fit(m.Clear), Simulated: m.fit(noisy), ClearSame: m.fit(same), Encrypted: m.fit(e.Answers)}
		return
	}
	r.Classification = &report.Classification{
		Classes: m.Test.Labels, Clear: m.Hits(m.Clear), Simulated: m.Hits(noisy), ClearSame: m.Hits(same), Encrypted: m.Hits(e.Answers),
		Agreement: agreement(e.Answers, m.Polynomial), ClearConfusion: m.confusion(same), EncryptedConfusion: m.confusion(e.Answers),
	}
	if len(m.Compiled.Approximation.Replacements) > 0 {
		r.Classification.Polynomial, r.Classification.Kept = m.Hits(m.Polynomial), agreement(m.Polynomial, m.Clear)
	}
}

// agreement counts answers with the label of those wanted, of which there may be more, or with one that ties with it, as
// trees' votes do.
func agreement(answers, want [][]float64) report.Count {
	c := report.Count{Of: len(answers)}
	for i, a := range answers {
		label, best := pipeline.Label(a), pipeline.Label(want[i])
		if label == best || len(a) > 1 && want[i][label] >= want[i][best]-tie*math.Abs(want[i][best]) {
			c.Hits++
		}
	}
	return c
}

// tie is the difference of two scores, relative to them, below which rounding decides.
const tie = 1e-9

// fit compares the first value of each answer with the target.
func (m *Model) fit(answers [][]float64) report.Fit {
	mean, residual, total := 0.0, 0.0, 0.0
	for i := range answers {
		mean += m.Test.Y[i] / float64(len(answers))
	}
	for i, a := range answers {
		residual += (a[0] - m.Test.Y[i]) * (a[0] - m.Test.Y[i])
		total += (m.Test.Y[i] - mean) * (m.Test.Y[i] - mean)
	}
	return report.Fit{Samples: len(answers), RMSE: math.Sqrt(residual / float64(len(answers))), R2: 1 - residual/total}
}

func (m *Model) confusion(answers [][]float64) [][]int64 {
	table := make([][]int64, len(m.Test.Labels))
	for c := range table {
		table[c] = make([]int64, len(m.Test.Labels))
	}
	for i, a := range answers {
		table[m.Test.Class(i)][pipeline.Label(a)]++
	}
	return table
}

func bitsOf(primes []uint64) []int {
	list := make([]int, len(primes))
	for i, q := range primes {
		list[i] = bits.Len64(q)
	}
	return list
}

// CPUName is the processor's name where the system tells it.
func CPUName() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(info)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				return strings.TrimLeft(strings.TrimSpace(name), ": \t")
			}
		}
	}
	return runtime.GOARCH
}
