// Package gallery publishes a gallery of templates, or one that its users fill, and proves it on encrypted samples.
//
//	report, err := gallery.Publish(ctx, gallery.Options{Name: "faces", Templates: vectors, Names: names, Out: "compiled_model", Samples: 20})
//	report.WriteText(os.Stdout)
//
// Danger: templates in server.zip are in clear. See package matching for what users learn of them.
package gallery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/client"
	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/report"
	"cipherpoint/deployment"
	"cipherpoint/fhe"
	"cipherpoint/internal/format"
	"cipherpoint/matching"
)

// Options say what is published.
type Options struct {
	Name string
	// Templates are vectors of any length but zero, which are scaled to one where they are, and Names theirs; their row
	// numbers where there are none.
	Templates [][]float64
	Names     []string
	// Dimensions, in place of templates, is what those have that users enrol.
	Dimensions int
	License    string                          // as Hugging Face's hub names it; empty is unknown
	Out        string                          // folder to write to
	Samples    int                             // templates that are looked for encrypted, with noise as long as they are
	Progress   func(step string, done, of int) // may be nil
}

// invented is how many templates a gallery of users is tried with: what they enrol is not known here.
const invented = 1000

// Publish compiles a gallery, asks it encrypted, and writes it if its scores are as good as stated.
func Publish(ctx context.Context, o Options) (*Report, error) {
	p := &Report{options: o, templates: o.Templates, names: o.Names}
	if p.options.Progress == nil {
		p.options.Progress = func(string, int, int) {}
	}
	artifact := deployment.FHEModelDev{Name: o.Name, Kind: "gallery"}
	var compiled *matching.Gallery
	var err error
	if o.Dimensions > 0 {
		artifact.Kind = "gallery of its users"
		r := rand.New(rand.NewPCG(1, 1))
		p.templates = nil
		for range invented {
			p.templates = append(p.templates, matching.RandomUnit(r, o.Dimensions))
		}
		compiled, err = matching.CompileStored(o.Name, o.Dimensions)
	} else {
		if err = scale(o.Templates); err != nil {
			return nil, err
		}
		compiled, err = matching.Compile(o.Name, p.templates)
	}
	if err != nil {
		return nil, err
	}
	if len(p.names) == 0 {
		for i := range p.templates {
			p.names = append(p.names, strconv.Itoa(i))
		}
	}
	if len(p.names) != len(p.templates) {
		return nil, fmt.Errorf("%d names for %d templates", len(p.names), len(p.templates))
	}
	artifact.Circuit, artifact.Pipeline = compiled.Circuit, compiled.Pipeline
	if o.Dimensions == 0 {
		artifact.Pipeline.Classes = p.names
	}
	return p, p.publish(ctx, artifact)
}

// scale makes templates as long as one.
func scale(templates [][]float64) error {
	for i, t := range templates {
		length := 0.0
		for _, x := range t {
			length = math.Hypot(length, x)
		}
		if !(length > 0) || math.IsInf(length, 1) {
			return fmt.Errorf("template %d has no length", i)
		}
		for k := range t {
			t[k] /= length
		}
	}
	return nil
}

// Report is a published gallery and what was found by asking it.
type Report struct {
	options   Options
	templates [][]float64 // of length one
	names     []string

	spec     *deployment.Client
	enrolled int // bytes, of what users enrol
	same     int // samples with the best match of the clear scores
	largest  float64
	median   time.Duration
}

// publish saves the artifact beside what it replaces, asks it, and puts it in place if its scores are as good as stated.
func (p *Report) publish(ctx context.Context, artifact deployment.FHEModelDev) error {
	progress := p.options.Progress
	progress("saving", 0, 0)
	if err := os.MkdirAll(p.options.Out, 0o755); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(p.options.Out, "draft-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	if err := artifact.Save(draft); err != nil {
		return err
	}
	progress("loading", 0, 0)
	ask, err := p.asker(ctx, draft)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(2, 2))
	var times []time.Duration
	for i := range p.options.Samples {
		progress("encrypted samples", i, p.options.Samples)
		query := matching.RandomUnit(r, len(p.templates[0]))
		for k, x := range p.templates[r.IntN(len(p.templates))] {
			query[k] = (query[k] + x) / math.Sqrt2
		}
		scores, took, err := ask(query)
		if err != nil {
			return err
		}
		times = append(times, took)
		p.compare(query, scores)
	}
	slices.Sort(times)
	p.median = times[len(times)/2]
	if p.largest > matching.MaxError {
		return fmt.Errorf("not written: the largest error of an encrypted score is %.3g: at most %.3g is promised", p.largest, matching.MaxError)
	}
	if err := p.writeCard(draft); err != nil {
		return err
	}
	// What is said of an earlier model there is not true of this one.
	for _, name := range []string{check.RecordFile, publish.ReportFile} {
		if err := os.Remove(filepath.Join(p.options.Out, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range []string{deployment.ClientFile, deployment.ServerFile, deployment.VersionsFile, publish.CardFile} {
		if err := os.Rename(filepath.Join(draft, name), filepath.Join(p.options.Out, name)); err != nil {
			return err
		}
	}
	return publish.WriteAttributes(p.options.Out)
}

// writeCard writes the model card.
func (p *Report) writeCard(dir string) error {
	parameters := p.spec.Signature.Parameters
	g := report.Gallery{
		Name: p.options.Name, License: p.options.License, Dimensions: len(p.templates[0]), Templates: len(p.templates), Enrolled: p.enrolled > 0,
		Named: len(p.options.Names) > 0, Samples: p.options.Samples, Same: p.same, Largest: p.largest, Bound: matching.MaxError, Median: p.median,
		Machine: report.Machine{CPU: publish.CPUName(), Cores: runtime.GOMAXPROCS(0)},
		Parameters: report.Parameters{LogN: parameters.LogN, Ring: string(parameters.Ring), LogQP: parameters.LogQP(),
			LogQPLimit: circuit.MaxLogQP(parameters.LogN), SecurityBits: circuit.SecurityBits},
		KeyBytes: p.spec.KeyBytes(), RequestBytes: int64(p.spec.RequestBytes()), ReplyBytes: int64(p.spec.ReplyBytes()),
		PerReply: min(len(p.templates), p.perReply()), TemplateBytes: float64(p.enrolled) / float64(len(p.templates)),
	}
	var card bytes.Buffer
	if err := g.WriteCard(&card); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, publish.CardFile), card.Bytes(), 0o644)
}

// asker loads both ends and returns what asks the one about the other, with the endpoint's time.
func (p *Report) asker(ctx context.Context, dir string) (func(query []float64) ([]float64, time.Duration, error), error) {
	endpoint, err := deployment.LoadServer(ctx, dir, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	user, err := client.Load(dir)
	if err != nil {
		return nil, err
	}
	p.spec = user.Spec()
	if err := user.GenerateKeys(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(user.WriteEvaluationKeys(ctx, writer, nil)) }()
	keys, err := endpoint.LoadKeys(ctx, reader)
	if err != nil {
		return nil, err
	}
	var templates []*fhe.Templates
	if p.spec.Dimensions() > 0 {
		file, err := user.EncryptTemplates(ctx, p.templates)
		if err != nil {
			return nil, err
		}
		p.enrolled = len(file)
		read, err := endpoint.LoadTemplates(ctx, bytes.NewReader(file))
		if err != nil {
			return nil, err
		}
		templates = append(templates, read)
	}
	return func(query []float64) ([]float64, time.Duration, error) {
		input, err := user.QuantizeEncryptSerialize(query)
		if err != nil {
			return nil, 0, err
		}
		start := time.Now()
		var reply []byte
		if templates != nil {
			reply, err = endpoint.Match(ctx, keys, templates, input)
		} else {
			reply, err = endpoint.Run(ctx, keys, input)
		}
		took := time.Since(start)
		if err != nil {
			return nil, 0, err
		}
		if templates != nil {
			scores, _, err := user.DecryptScores([]client.Enrolment{{IDs: p.names}}, reply)
			return scores, took, err
		}
		answer, err := user.DeserializeDecryptDequantize(reply)
		return answer.Values, took, err
	}, nil
}

// compare compares encrypted scores with those in clear.
func (p *Report) compare(query, scores []float64) {
	length := 0.0
	for _, x := range query {
		length = math.Hypot(length, x)
	}
	clear := make([]float64, len(p.templates))
	for i, t := range p.templates {
		for k, x := range t {
			clear[i] += x * query[k] / length
		}
		p.largest = max(p.largest, math.Abs(scores[i]-clear[i]))
	}
	if matching.Best(scores, 1)[0].Template == matching.Best(clear, 1)[0].Template {
		p.same++
	}
}

// WriteText writes the report.
func (p *Report) WriteText(w io.Writer) error {
	parameters := p.spec.Signature.Parameters
	fmt.Fprintf(w, "%s, %s: ring degree %s, %.0f bits of modulus\n", p.spec.Name, p.spec.Kind, format.Power(2, parameters.LogN), parameters.LogQP())
	if p.enrolled > 0 {
		fmt.Fprintf(w, "Users enrol templates of %d values, %s each; tried with %d.\n", len(p.templates[0]),
			format.Bytes(float64(p.enrolled)/float64(len(p.templates))), len(p.templates))
	} else {
		fmt.Fprintf(w, "%d templates of %d values\n", len(p.templates), len(p.templates[0]))
	}
	fmt.Fprintf(w, "Keys %s, request %s, reply %s for %s templates\n", format.Bytes(float64(p.spec.KeyBytes())), format.Bytes(float64(p.spec.RequestBytes())),
		format.Bytes(float64(p.spec.ReplyBytes())), format.Integer(int64(min(len(p.templates), p.perReply()))))
	_, err := fmt.Fprintf(w, "Encrypted, the best match is the one in clear for %d of %d samples; largest error of a score %.4f, %.3f promised\nEndpoint's time %s\nwritten to %s\n",
		p.same, p.options.Samples, p.largest, matching.MaxError, format.Duration(p.median), p.options.Out)
	return err
}

// perReply is how many templates spec.ReplyBytes are for.
func (p *Report) perReply() int {
	if p.enrolled > 0 {
		return p.spec.Signature.Parameters.Slots()
	}
	return len(p.templates)
}
