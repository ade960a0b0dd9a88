package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/client"
	"cipherpoint/deployment"
	"cipherpoint/internal/format"
	"cipherpoint/internal/progress"
	"cipherpoint/matching"
	"cipherpoint/model/dataset"
)

const (
	deleteTime = 10 * time.Second // to delete the key at the end
	kilo       = 1024             // of the original's kbytes and kilobytes
)

// player plays with one endpoint.
type player struct {
	screen     *screen
	connection *client.Connection
	model      *client.FHEModelClient
	circuit    *circuit.Circuit // of the model in clear, nil where it is not at hand
	set        *dataset.Set
	uid        string
	enrolments []client.Enrolment
	top        int
	result     result
}

// play asks the questions and prints what the original's script prints, and some more.
func play(ctx context.Context, o options, s *screen) (r *result, err error) {
	defer s.end()
	address, token := o.url, o.token
	if address == "" {
		s.begin("starting an endpoint", 0, "")
		own, secret, stop, err := serve(ctx, o.model, s.notes)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		address, token = own, secret
	}
	p := &player{screen: s, top: o.top}
	p.connection, err = client.New(address, token, client.Options{OnWait: func(reason error, wait time.Duration) {
		s.note("%v: trying again in %s", reason, format.Duration(wait))
	}})
	if err != nil {
		return nil, err
	}
	defer p.connection.Close()
	if err := p.load(ctx, o.model); err != nil {
		return nil, err
	}
	spec := p.model.Spec()
	if p.set, err = questions(ctx, o, spec); err != nil {
		return nil, err
	}
	parameters := spec.Signature.Parameters
	p.result = result{Model: spec.Model, Name: spec.Name, Kind: spec.Kind, Samples: p.set.Len(), Keys: spec.Keys.Count(), KeyBytes: spec.KeyBytes()}
	s.line("%s, %s: ring degree %s, %s of modulus, %d-bit security, %d keys", format.Text(spec.Name), format.Text(spec.Kind),
		format.Power(2, parameters.LogN), bits(parameters.LogQP()), circuit.SecurityBits, spec.Keys.Count())
	defer func() {
		if p.uid != "" {
			// Also after an interruption.
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
			defer cancel()
			if failed := p.connection.DeleteKey(ending, p.uid); failed != nil && err == nil {
				err = fmt.Errorf("the key is still at the endpoint: %w", failed)
			}
			for _, e := range p.enrolments {
				if failed := p.connection.DeleteKey(ending, e.UID); failed != nil && err == nil {
					err = fmt.Errorf("templates are still at the endpoint: %w", failed)
				}
			}
		}
	}()
	if err := p.sendKeys(ctx); err != nil {
		return nil, err
	}
	if err := p.enrol(ctx, o.enrol); err != nil {
		return nil, err
	}
	if err := p.ask(ctx); err != nil {
		return nil, err
	}
	p.conclude()
	return &p.result, nil
}

func bits(n float64) string { return strconv.Itoa(int(math.Ceil(n))) + " bits" }

// load reads the client part of the model: from the folder, or where none is given from the endpoint.
func (p *player) load(ctx context.Context, dir string) error {
	description, err := p.connection.Describe(ctx)
	if err != nil {
		return err
	}
	if dir == "" {
		p.model, err = client.Read(description.ClientZip)
	} else {
		p.model, err = client.Load(dir)
	}
	if err != nil {
		return err
	}
	if p.model.Spec().Model != description.Model.ID {
		return fmt.Errorf("the endpoint serves another model, %q: leave out --model to use it", format.Text(description.Model.Name))
	}
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, deployment.ServerFile)); err == nil && p.model.Spec().Dimensions() == 0 {
		p.circuit, _, err = deployment.LoadCircuit(dir)
		return err
	}
	return nil
}

// sendKeys makes keys and uploads those for the endpoint.
func (p *player) sendKeys(ctx context.Context) error {
	size := p.model.Spec().KeyBytes()
	p.screen.begin("making keys", size, progress.Bytes)
	start := time.Now()
	if err := p.model.GenerateKeys(); err != nil {
		return err
	}
	keys, err := p.model.EvaluationKeys(ctx, p.screen.reach)
	if err != nil {
		return err
	}
	p.result.KeygenSeconds = time.Since(start).Seconds()
	p.screen.begin("sending keys", size, progress.Bytes)
	start = time.Now()
	p.uid, err = p.connection.Upload(ctx, p.model.KeySet(), bytes.NewReader(keys), client.Upload{
		Progress: p.screen.reach,
		OnPiece: func(piece int, remaining int64) {
			p.screen.line("Sending %d-th piece of the key (remaining size is %.2f kbytes)", piece, float64(remaining)/kilo)
		},
	})
	if err != nil {
		return err
	}
	p.result.UploadSeconds = time.Since(start).Seconds()
	// The whole uid would let others use and delete the key.
	p.screen.line("Storing the key in the database under uid=%.8s…", format.Text(p.uid))
	return nil
}

// ask asks one question after the other.
func (p *player) ask(ctx context.Context) error {
	p.screen.begin("asking", int64(p.set.Len()), "samples")
	start := time.Now()
	for i, row := range p.set.X {
		if err := p.askOne(ctx, i, row); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		p.screen.reach(int64(i + 1))
	}
	p.result.TotalSeconds = time.Since(start).Seconds()
	return nil
}

func (p *player) askOne(ctx context.Context, i int, row []float64) error {
	sentBefore, receivedBefore := p.connection.Traffic()
	start := time.Now()
	question, err := p.model.QuantizeEncryptSerialize(row)
	if err != nil {
		return err
	}
	encrypted := time.Now()
	reply, err := p.infer(ctx, question)
	if err != nil {
		return err
	}
	replied := time.Now()
	decrypted, names, err := p.decrypt(reply)
	if err != nil {
		return err
	}
	end := time.Now()
	if i == 0 {
		sent, received := p.connection.Traffic()
		p.result.RequestBytes, p.result.ReplyBytes = sent-sentBefore, received-receivedBefore
		p.screen.line("Size of the payload: %.2f kilobytes", float64(p.result.RequestBytes)/kilo)
	}
	a := answer{
		Prediction: prediction(decrypted), Class: decrypted.Class, Values: decrypted.Values, scores: decrypted.Scores,
		Seconds: end.Sub(start).Seconds(), encrypt: encrypted.Sub(start), roundTrip: replied.Sub(encrypted), decrypt: end.Sub(replied),
	}
	if p.set.Y != nil {
		a.Expected = &p.set.Y[i]
	}
	for _, m := range matching.Best(a.Values, p.top) {
		a.Best = append(a.Best, match{name(names, m.Template), m.Score})
	}
	p.result.Answers = append(p.result.Answers, a)
	p.screen.line("for %d-th input, prediction=%s in %.3f seconds", i, a.text(), a.Seconds)
	for place, m := range a.Best {
		p.screen.line("%4d. %s %.4f", place+1, format.Text(m.Name), m.Score)
	}
	if p.circuit == nil {
		return nil
	}
	clear, err := p.model.Clear(p.circuit, row)
	if err != nil {
		return err
	}
	p.result.compare(a, clear)
	return nil
}

// prediction is the index of a class, or for a regression the value.
func prediction(a client.Answer) float64 {
	if a.Class == "" && len(a.Values) > 0 {
		return a.Values[0]
	}
	return float64(a.Label)
}

// conclude prints what there is to say about all questions together.
func (p *player) conclude() {
	s, r := p.screen, &p.result
	s.end()
	r.summarize(p.set)
	captions := make([]string, min(maxPictures, len(r.Answers)))
	for i := range captions {
		captions[i] = "decrypted: " + format.Text(r.Answers[i].name())
	}
	if art := pictures(p.set, captions); art != "" {
		s.line("\n%s\n", art)
	}
	if r.Accuracy != nil {
		s.line("Accuracy on %d samples is %s", r.Samples, strconv.FormatFloat(*r.Accuracy, 'g', -1, 64))
	}
	s.line("Total time: %.3f seconds", r.TotalSeconds)
	s.line("Duration per inference: %.3f seconds", r.SecondsPerInference)
	s.line("Latency: p50 %s, p95 %s (p50 of encryption %s, of request and reply %s, of decryption %s)", milliseconds(r.LatencyMS.P50),
		milliseconds(r.LatencyMS.P95), milliseconds(r.EncryptMS.P50), milliseconds(r.RoundTripMS.P50), milliseconds(r.DecryptMS.P50))
	if r.Agreement != nil {
		s.line("Agreement with the model in clear: %d of %d, largest score error %s", r.agreed, r.Samples, format.Number(*r.MaxScoreError))
	}
}

func milliseconds(ms float64) string { return format.Seconds(ms / 1e3) }

// percentiles are two of a list of times.
type percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// percentilesOf takes the nearest ranks, in milliseconds.
func percentilesOf(times []time.Duration) percentiles {
	slices.Sort(times)
	rank := func(p int) float64 {
		return float64(times[(len(times)*p+99)/100-1]) / float64(time.Millisecond)
	}
	return percentiles{rank(50), rank(95)}
}
