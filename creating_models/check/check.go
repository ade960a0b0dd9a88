// Package check replays an artifact on rows of data in three ways, and says which layer is to blame where the answers
// differ.
//
//	outcome, err := check.Run(ctx, "compiled_model", rows, check.Options{Samples: 100})
//	err = outcome.WriteText(os.Stdout)
//	err = outcome.Broken() // why the artifact does not keep what it states, or nil
//
// The three ways are the model as it was trained, in float; the circuit with noise drawn from the compiler's model of it;
// and the real thing: fresh keys, encryption, the endpoint's code, decryption. An answer that differs is followed from
// the original model to the encrypted one: each approximated layer is put in the place of the exact one, one after the
// other, first where its input is in range and then everywhere; then the circuit and its noise take the place of the
// model. What moves the answer furthest is to blame.
//
// Danger: the rows are encrypted and decrypted here, with a key that is thrown away. They are the publisher's own data.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"cipherpoint/client"
	"cipherpoint/compiler"
	"cipherpoint/deployment"
	"cipherpoint/pipeline"
)

// MinAgreement is the least share of samples whose label under encryption, simulated or real, is that of the model that runs
// encrypted, with polynomials in the place of activations.
const MinAgreement = 0.999

// Options steer a run. Progress may be nil; it is told the step and how much of it is done.
type Options struct {
	Samples  int       // rows that are really encrypted, from the first on; 0 for all
	Truth    []float64 // class, or target, of each row; nil where it is not known
	Progress func(step string, done, of int)
}

// answer is what one of the ways says of a row.
type answer struct {
	scores, values []float64
	label          int // of a classifier
}

// replay is an artifact with its answers.
type replay struct {
	record     *Record // without a graph where the artifact holds none
	pipeline   *pipeline.Pipeline
	result     *compiler.Result
	layers     *layers // nil without the original model
	comparable bool    // the original's values have the circuit's scores
	rows       [][]float64
	truth      []float64

	float, circuit, simulated []answer // of all rows
	encrypted                 []answer // of the first rows
	typical                   float64  // error of a score, as simulated
}

// classifies is false for a model whose answers are values.
func (r *replay) classifies() bool { return len(r.pipeline.Classes) > 0 }

// Run replays the artifact in a folder.
func Run(ctx context.Context, dir string, rows [][]float64, o Options) (*Outcome, error) {
	if len(rows) == 0 {
		return nil, errors.New("no rows")
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	circuit, spec, err := deployment.LoadCircuit(dir)
	if err != nil {
		return nil, err
	}
	r := &replay{pipeline: spec.Pipeline, rows: rows, truth: o.Truth}
	if r.record, err = ReadRecord(dir, spec.Model); err != nil {
		return nil, err
	}
	for i, row := range rows {
		if len(row) != spec.Pipeline.Features() {
			return nil, fmt.Errorf("row %d has %d values, the model takes %d", i+1, len(row), spec.Pipeline.Features())
		}
	}
	o.Progress("simulating", 0, 0)
	if r.result, err = compiler.Replay(circuit, spec.Pipeline, rows); err != nil {
		return nil, err
	}
	if err := r.simulate(); err != nil {
		return nil, err
	}
	if err := r.original(); err != nil {
		return nil, err
	}
	samples := o.Samples
	if samples == 0 {
		samples = len(rows)
	}
	if err := r.encrypt(ctx, dir, samples, o.Progress); err != nil {
		return nil, err
	}
	o.Progress("explaining", 0, 0)
	return r.outcome(spec.Name)
}

func (r *replay) simulate() error {
	list, err := r.result.Simulate(r.rows)
	if err != nil {
		return err
	}
	for _, s := range list {
		r.circuit = append(r.circuit, newAnswer(s.Scores, s.Answer))
		r.simulated = append(r.simulated, newAnswer(s.NoisyScores, s.NoisyAnswer))
	}
	r.typical = r.errors(r.simulated).Typical
	return nil
}

func newAnswer(scores, values []float64) answer {
	return answer{scores, values, pipeline.Label(values)}
}

// original answers with the model as it was trained, or with the circuit where the artifact does not hold it.
func (r *replay) original() error {
	r.comparable = true
	if r.record.Graph == nil {
		r.float = r.circuit
		return nil
	}
	var names []string
	for _, port := range r.pipeline.Suffix.Inputs {
		names = append(names, port.Name)
	}
	var err error
	if r.layers, r.comparable, err = newLayers(r.record, names); err != nil {
		return err
	}
	values, err := r.record.Graph.RunRows(r.rows)
	if err != nil {
		return err
	}
	scores := values
	if r.comparable {
		if scores, err = r.layers.upTo(-1, false).RunRows(r.rows); err != nil {
			return err
		}
	}
	for i := range values {
		if len(values[i]) != len(r.circuit[i].values) {
			return fmt.Errorf("%s gives %d answers, the artifact %d", RecordFile, len(values[i]), len(r.circuit[i].values))
		}
		r.float = append(r.float, newAnswer(scores[i], values[i]))
	}
	return nil
}

// compared are the numbers of an answer that are followed from layer to layer.
func (r *replay) compared(a answer) []float64 {
	if r.comparable {
		return a.scores
	}
	return a.values
}

// encrypt asks the first rows really encrypted, in whole batches.
func (r *replay) encrypt(ctx context.Context, dir string, samples int, progress func(string, int, int)) error {
	server, err := deployment.LoadServer(ctx, dir, runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	user, err := client.Read(server.ClientZip())
	if err != nil {
		return err
	}
	progress("making keys", 0, 0)
	if err := user.GenerateKeys(); err != nil {
		return err
	}
	file, err := user.EvaluationKeys(ctx, nil)
	if err != nil {
		return err
	}
	keys, err := server.LoadKeys(ctx, bytes.NewReader(file))
	if err != nil {
		return err
	}
	size := user.BatchSize()
	samples = min((samples+size-1)/size*size, len(r.rows))
	for rows := range slices.Chunk(r.rows[:samples], size) {
		request, err := Encrypt(ctx, user, rows)
		if err != nil {
			return err
		}
		reply, err := server.Run(ctx, keys, request)
		if err != nil {
			return err
		}
		answers, err := Decrypt(ctx, user, reply, len(rows))
		if err != nil {
			return err
		}
		for _, a := range answers {
			r.encrypted = append(r.encrypted, newAnswer(a.Scores, a.Values))
		}
		progress("encrypted samples", len(r.encrypted), samples)
	}
	return nil
}

// Encrypt turns as many rows as the model takes at a time into a request.
func Encrypt(ctx context.Context, m *client.FHEModelClient, rows [][]float64) ([]byte, error) {
	if m.BatchSize() > 1 {
		return m.EncryptBatch(ctx, rows)
	}
	return m.QuantizeEncryptSerialize(rows[0])
}

// Decrypt turns the reply to them into answers.
func Decrypt(ctx context.Context, m *client.FHEModelClient, reply []byte, rows int) ([]client.Answer, error) {
	if m.BatchSize() > 1 {
		return m.DecryptBatch(ctx, reply, rows)
	}
	a, err := m.DeserializeDecryptDequantize(reply)
	return []client.Answer{a}, err
}

// Implausible reports whether so few agreements would be seen less than once in a hundred times if labels differed as
// rarely as MinAgreement says.
func Implausible(agree, of int) bool { return implausible(agree, of, 1-MinAgreement) }

func implausible(agree, of int, p float64) bool {
	below, term := 0.0, math.Pow(1-p, float64(of)) // of as many differing labels as k
	for k := range of - agree {
		below += term
		term *= float64(of-k) / float64(k+1) * p / (1 - p)
	}
	return 1-below < 0.01
}
