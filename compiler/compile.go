// Package compiler turns a float model into a circuit that runs on encrypted vectors, and into the client's side of it.
//
//	result, err := compiler.Compile(graph, rows, compiler.Options{})
//
// It cuts the model into what the client runs before encryption and after decryption and what runs encrypted; folds
// chains of linear layers into one sparse matrix; packs vectors into slots; and searches ring degree, primes, scales,
// rotations and the reply's modulus for the cheapest circuit that is 128-bit secure and keeps the scores within the
// stated error. Nothing is tuned by hand, and Result.Candidates says what was compared.
//
// Danger: calibration rows decide ranges. Rows far outside what they cover may wrap around and decrypt to nonsense:
// use real ones, a hundred or more. The error bound is a prediction from measured noise; simulate (Result.Simulate) and
// try encrypted samples before an artifact is given away, as creating_models does.
package compiler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// Options steer the compiler. The zero value is right for most models.
type Options struct {
	// MaxScoreError is the largest error of a score that is accepted; 0 means ErrorShare of the scores' range on the
	// calibration rows or, for a classifier, as much less as its labels need.
	MaxScoreError float64
	// ErrorShare is a share of the scores' range; 0 means 1/256.
	ErrorShare float64
	// Prefer moves the balance of latency and sizes.
	Prefer Preference
	// MaxKeyBytes is what evaluation keys take at most, if that can be had; 0 means what endpoints take by default.
	MaxKeyBytes float64
	// Grid holds the public edges of each feature on which trees were trained, or to which trees.Snap moved them; the
	// client compares with all of them, so that it learns nothing of the thresholds used. Without it, the client learns
	// the thresholds; see Result.Thresholds.
	Grid [][]float64
	// Classes names the labels of a classifier.
	Classes []string
	// MaxLabelChanges is the share of calibration rows whose label polynomials in the place of a classifier's
	// activations may change; 0 means 1 %. For other models MaxScoreError counts.
	MaxLabelChanges float64
	// KeepWeights forbids to fit a classifier's layers anew to polynomials before them, which saves depth.
	KeepWeights bool
	// Flood hides the weights from whom the replies are for: replies are re-randomised, and normal noise 2^Flood times
	// as wide as the circuit's own is added. It costs Flood bits of precision everywhere, so 0, the default, is off.
	Flood int
	// Headroom is how far below the bound the largest error on the few simulated rows stays, since more rows have larger
	// ones; 0 means DefaultHeadroom.
	Headroom float64
	// Packing says how many samples a ciphertext holds; one by default.
	Packing Packing
	// Progress is told what the compiler is at.
	Progress func(step string)
}

func (o Options) progress(step string) {
	if o.Progress != nil {
		o.Progress(step)
	}
}

// Preference names a balance.
type Preference string

const (
	PreferBalance Preference = ""
	PreferLatency Preference = "latency"
	PreferKeys    Preference = "keys"
)

// Weights are what a megabyte is worth in milliseconds of server time.
type Weights struct {
	Keys, Messages float64

	mostKeys float64 // bytes
}

// anyKeys is what having keys at all costs, as bytes of them: users have to make, send and keep them before they ask.
const anyKeys = 1e6

// mostKeys are what endpoints take if nobody tells them otherwise; more are only sent if there is no other way.
const mostKeys, moreKeys = 256 << 20, 1e6

func (w Weights) price(latency, keyBytes, messageBytes float64) float64 {
	if keyBytes > w.mostKeys {
		latency += moreKeys
	}
	if keyBytes > 0 {
		keyBytes += anyKeys
	}
	return latency + (w.Keys*keyBytes+w.Messages*messageBytes)/1e6
}

// A line of 100 Mbit/s takes 80 ms for a megabyte, one of 1 Gbit/s 8 ms; keys are uploaded once for many requests.
var weightsOf = map[Preference]Weights{
	PreferBalance: {Keys: 0.7, Messages: 80},
	PreferLatency: {Keys: 0.05, Messages: 8},
	PreferKeys:    {Keys: 20, Messages: 80},
}

// Result is a compiled model.
type Result struct {
	Circuit    *circuit.Circuit
	Pipeline   *pipeline.Pipeline
	Candidates []Candidate // cheapest first; the first is the chosen one
	// MaxScoreError is the bound that the circuit was chosen for.
	MaxScoreError float64
	Flood         int // as asked for
	// Approximation is the model that runs encrypted, with polynomials, and what they stand for.
	Approximation *approximation.Result

	packing    *packing
	profile    *profile
	publicGrid bool
}

// bound is the caller's bound, or a share of the range of the answers.
func (o Options) bound(answers [][]float64) float64 {
	if o.MaxScoreError > 0 {
		return o.MaxScoreError
	}
	return spread(answers) * cmp.Or(o.ErrorShare, 1./256)
}

// maxUnsafe is the share of calibration rows whose label may depend on an error of half the bound. Errors are rarely that
// large: about a tenth of these labels change.
const maxUnsafe = 0.002

// maxHalvings bounds how often the error allowed is halved for the sake of labels: ties, as of the votes in a forest, stay
// unsafe however small it is.
const maxHalvings = 6

// judge runs the model up to its scores on all rows: the largest ones have to fit the last modulus, and they tell the
// bound on the error. Where the caller states none, a classifier's is halved until nearly all labels are safe.
func (k *compilation) judge(g *model.Graph, rows [][]float64) error {
	suffix := k.split.suffix
	outputs := make([]string, len(suffix.Inputs))
	for i, port := range suffix.Inputs {
		outputs[i] = port.Name
	}
	scores, err := (&model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: g.Nodes, Outputs: outputs}).RunRows(rows)
	if err != nil {
		return err
	}
	at := 0
	for _, port := range suffix.Inputs {
		largest := 0.0
		for _, row := range scores {
			for _, s := range row[at : at+port.Shape.Size()] {
				largest = max(largest, math.Abs(s))
			}
		}
		k.largest = append(k.largest, largest)
		at += port.Shape.Size()
	}
	o := k.options
	k.scores, k.bound = scores, o.bound(scores)
	for halvings := 0; o.MaxScoreError == 0 && len(o.Classes) > 0 && halvings < maxHalvings; halvings++ {
		unsafe, err := countUnsafe(suffix, scores, k.bound/2)
		if err != nil {
			return err
		}
		if float64(unsafe) <= maxUnsafe*float64(len(scores)) {
			break
		}
		k.bound /= 2
	}
	return nil
}

// countUnsafe counts the rows whose label an error of this size could change.
func countUnsafe(suffix *model.Graph, scores [][]float64, size float64) (int, error) {
	unsafe, err := unsafeLabels(suffix, scores, size)
	return count(unsafe), err
}

// unsafeLabels says which rows' labels an error of this size could change.
func unsafeLabels(suffix *model.Graph, scores [][]float64, size float64) ([]bool, error) {
	direct, err := largestWins(suffix, scores)
	if err != nil {
		return nil, err
	}
	unsafe := make([]bool, len(scores))
	if direct {
		for i, row := range scores {
			sorted := slices.Sorted(slices.Values(row))
			unsafe[i] = sorted[len(sorted)-1]-sorted[len(sorted)-2] < 2*size
		}
		return unsafe, nil
	}
	// Each score in turn is moved, of many some.
	const most = 16
	var moved [][]float64
	step := (len(scores[0]) + most - 1) / most
	for _, row := range scores {
		moved = append(moved, row)
		for k := 0; k < len(row); k += step {
			for _, by := range []float64{-size, size} {
				other := slices.Clone(row)
				other[k] += by
				moved = append(moved, other)
			}
		}
	}
	answers, err := suffix.RunRows(moved)
	if err != nil {
		return nil, err
	}
	each := len(moved) / len(scores)
	for i := range unsafe {
		own := answers[i*each : (i+1)*each]
		label := pipeline.Label(own[0])
		unsafe[i] = slices.ContainsFunc(own[1:], func(a []float64) bool { return pipeline.Label(a) != label })
	}
	return unsafe, nil
}

// largestWins holds where the label is that of the largest score.
func largestWins(suffix *model.Graph, scores [][]float64) (bool, error) {
	if len(scores[0]) == 1 {
		return false, nil
	}
	answers, err := suffix.RunRows(scores)
	if err != nil {
		return false, err
	}
	for i, row := range scores {
		if len(answers[i]) != len(row) || answers[i][pipeline.Label(row)] < slices.Max(answers[i]) {
			return false, nil
		}
	}
	return true, nil
}

// calibrationRows is how many of the caller's rows are run through each packing.
const calibrationRows = 48

// ErrTooExact says that the error allowed is too small.
var ErrTooExact = approximation.ErrTooExact

// Compile compiles a model. Rows are samples of its inputs, flattened, as it will meet them.
func Compile(g *model.Graph, rows [][]float64, o Options) (*Result, error) {
	if len(rows) == 0 {
		return nil, errors.New("compiling needs calibration rows")
	}
	weights, known := weightsOf[o.Prefer]
	if !known {
		return nil, fmt.Errorf("unknown preference %q: want latency or keys, or none", o.Prefer)
	}
	if o.Packing != PackSample && o.Packing != PackBatch {
		return nil, fmt.Errorf("unknown packing %q: want batch, or none", o.Packing)
	}
	if o.Flood < 0 || o.Flood > maxFlood {
		return nil, fmt.Errorf("noise 2^%d times as wide as the circuit's: want up to 2^%d", o.Flood, maxFlood)
	}
	if o.Packing == PackSample {
		if err := tooLarge(g); err != nil {
			return nil, err
		}
	}
	weights.mostKeys = cmp.Or(o.MaxKeyBytes, mostKeys)
	want, err := g.RunRows(rows)
	if err != nil {
		return nil, fmt.Errorf("running the model on the calibration rows: %w", err)
	}
	approximated, err := o.approximate(g, rows, want)
	if err != nil {
		return nil, err
	}
	o.progress("cutting and folding the model")
	polynomials := approximated.Graph
	if want, err = polynomials.RunRows(rows); err != nil {
		return nil, err
	}
	s, err := lower(polynomials, o.Grid)
	if err != nil {
		return nil, err
	}
	if err := s.balance(rows); err != nil {
		return nil, err
	}
	k := &compilation{split: s, options: o, weights: weights, progress: o.progress, packed: map[int][]*packing{}, profiles: map[int][][]styled{}}
	if len(o.Classes) == 0 {
		k.approximated = approximated.Loss
	}
	if o.Packing == PackBatch {
		err = k.batchable()
	} else {
		err = s.encrypted.servable()
	}
	if err != nil {
		return nil, err
	}
	if err := k.judge(polynomials, rows); err != nil {
		return nil, err
	}
	if err := k.calibrate(rows); err != nil {
		return nil, err
	}
	result, err := k.search()
	if err != nil {
		return nil, err
	}
	result.Approximation, result.publicGrid = approximated, o.Grid != nil
	return result, result.check(rows, want, k.scores)
}

type compilation struct {
	split    *split
	options  Options
	weights  Weights
	progress func(string)
	encoded  [][][]float64 // of each calibration row, what each input of the program holds
	bound    float64       // on the error of a score, as stated
	// approximated is what approximation has taken of the bound, on the rows set aside.
	approximated float64
	target       float64            // what is searched for: less than the bound where simulation shows more noise than predicted
	scores       [][]float64        // of each row, as the model has them
	largest      []float64          // score of each output
	packed       map[int][]*packing // by log2 of the ring degree
	profiles     map[int][][]styled // likewise
	candidates   []Candidate
}

// room is what of the bound is left to noise: half of it at least.
func (k *compilation) room() float64 { return max(k.bound-k.approximated, k.bound/2) }

// calibrate encodes the rows on the client's side, once for all packings.
func (k *compilation) calibrate(rows [][]float64) error {
	for i := range min(calibrationRows, len(rows)) {
		row := rows[i*len(rows)/min(calibrationRows, len(rows))]
		inputs := make([]model.Tensor, len(k.split.prefix.Inputs))
		for j, port := range k.split.prefix.Inputs {
			n := port.Shape.Size()
			inputs[j] = model.Tensor{Shape: port.Shape, Data: row[:n:n]}
			row = row[n:]
		}
		tensors, err := k.split.prefix.Run(inputs...)
		if err != nil {
			return fmt.Errorf("client's side of the model: %w", err)
		}
		var vectors [][]float64
		for j, t := range tensors {
			if at := slices.IndexFunc(t.Data, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }); at >= 0 {
				return fmt.Errorf("client's side of the model: value %q is %v on calibration row %d: only finite numbers can be encrypted",
					k.split.prefix.Outputs[j], t.Data[at], i*len(rows)/min(calibrationRows, len(rows))+1)
			}
			vectors = append(vectors, t.Data)
		}
		k.encoded = append(k.encoded, vectors)
	}
	return nil
}

// spreadOut puts the encoded rows into the slots of a packing.
func (k *compilation) spreadOut(p *packing) [][][]float64 {
	rows := make([][][]float64, len(k.encoded))
	for i, vectors := range k.encoded {
		for v, gather := range p.inputs {
			slots := make([]float64, p.circuit.Width(v))
			for j := range slots {
				if e := gather.Elements[j%len(gather.Elements)]; e >= 0 {
					slots[j] = vectors[gather.Output][e]
				}
			}
			rows[i] = append(rows[i], slots)
		}
	}
	return rows
}

// DefaultHeadroom is that of Options.
const DefaultHeadroom = 1.75
