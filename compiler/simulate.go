package compiler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// Simulation is what a circuit would answer for one row.
type Simulation struct {
	Scores, Answer           []float64 // in float, without noise
	NoisyScores, NoisyAnswer []float64 // with the noise of encryption drawn from its model
}

// Simulate runs rows through the circuit in float with and without the noise that encryption adds, on all cores. It is
// deterministic: row i draws from a generator seeded with i.
func (r *Result) Simulate(rows [][]float64) ([]Simulation, error) {
	noise := r.noiseModel()
	results := make([]Simulation, len(rows))
	errs := make([]error, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				results[i], errs[w] = r.simulateRow(rows[i], noise, uint64(i))
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// Tied says which rows have a label that hangs on rounding, as where trees' votes are equal or neighbours equally far: no
// precision helps, and either label is as good.
func (r *Result) Tied(rows []Simulation) ([]bool, error) {
	scores := make([][]float64, len(rows))
	for i, s := range rows {
		scores[i] = s.Scores
	}
	return unsafeLabels(r.Pipeline.Suffix, scores, 1e-9*spread(scores))
}

// Excess returns the power of two by which errors of scores have to be smaller, so that the noise is expected to change no
// more than the allowed number of the simulated rows' labels.
func (r *Result) Excess(rows []Simulation, allowed float64) (float64, error) {
	const most = 64
	scores := make([][]float64, len(rows))
	squares := make([]float64, len(rows[0].Scores))
	for i, s := range rows {
		scores[i] = s.Scores
		for k := range s.Scores {
			squares[k] += (s.NoisyScores[k] - s.Scores[k]) * (s.NoisyScores[k] - s.Scores[k])
		}
	}
	deviation := math.Sqrt(slices.Max(squares) / float64(len(rows)))
	for excess := 1.0; ; excess *= 2 {
		changed, err := expectedChanges(r.Pipeline.Suffix, scores, deviation/excess)
		if err != nil || changed <= allowed || excess == most {
			return excess, err
		}
	}
}

// expectedChanges returns how many rows' labels normal noise on the scores is expected to change: of those that an error of
// so many deviations could change, but no smaller one, the share that is that far to one side.
func expectedChanges(suffix *model.Graph, scores [][]float64, deviation float64) (float64, error) {
	const step, most = 0.25, 4
	changed, before := 0.0, 0
	for z := step; z <= most; z += step {
		unsafe, err := countUnsafe(suffix, scores, z*deviation)
		if err != nil {
			return 0, err
		}
		changed += float64(unsafe-before) * math.Erfc((z-step/2)/math.Sqrt2) / 2
		before = unsafe
	}
	return changed, nil
}

// LargestError returns the largest error that simulated noise makes on a score.
func LargestError(rows []Simulation) float64 {
	largest := 0.0
	for _, s := range rows {
		for k := range s.Scores {
			largest = max(largest, math.Abs(s.NoisyScores[k]-s.Scores[k]))
		}
	}
	return largest
}

func (r *Result) simulateRow(row []float64, noise noiseModel, seed uint64) (s Simulation, err error) {
	slots, err := r.slots(row)
	if err != nil {
		return s, err
	}
	out, err := r.Circuit.Run(slots...)
	if err != nil {
		return s, err
	}
	if s.Scores, s.Answer, err = r.Pipeline.Decode(out); err != nil {
		return s, err
	}
	if out, err = r.noisy(slots, noise, rand.New(rand.NewPCG(seed, 2))); err != nil {
		return s, err
	}
	s.NoisyScores, s.NoisyAnswer, err = r.Pipeline.Decode(out)
	return s, err
}

// noiseModel is a circuit with rounded scalars, and the noise that each of its values adds.
type noiseModel struct {
	circuit *circuit.Circuit
	sigma   []deviation
}

func (r *Result) noiseModel() noiseModel {
	m := noiseModel{rounded(r.Circuit), make([]deviation, r.Circuit.Values())}
	e := newNoise(r.Circuit.Parameters)
	// What the rounded circuit holds is not drawn.
	drawn := *r.profile
	drawn.mixes, drawn.linear = nil, map[int]linearProfile{}
	for i, profile := range r.profile.linear {
		if linear := r.Circuit.Nodes[i].Linear; linear != nil {
			if isSmall(linear) {
				profile.encoding = 0
			}
			drawn.linear[i] = profile
		}
	}
	for v := range m.sigma {
		d := &m.sigma[v]
		*d = e.introduced(m.circuit, &drawn, v)
		d.period, d.steps = r.packing.linearPeriod(v), r.packing.foldSteps(v)
		if r.Circuit.Packing == circuit.Coefficients {
			d.white, d.keyed = math.Hypot(d.white, d.keyed)/e.embedding, 0
		}
	}
	return m
}

// noisy runs the circuit with noise on every value and on the replies, under a key of its own.
func (r *Result) noisy(vectors [][]float64, noise noiseModel, random *rand.Rand) ([][]float64, error) {
	key := drawKey(r.Circuit, random)
	out, err := noise.circuit.RunObserved(func(v int, x []float64) { noise.sigma[v].addTo(x, key, random) }, vectors...)
	if err != nil {
		return nil, err
	}
	r.addReplyNoise(out, random)
	return out, nil
}

// addReplyNoise adds what rounding and flooding do to the outputs.
func (r *Result) addReplyNoise(out [][]float64, random *rand.Rand) {
	e := newNoise(r.Circuit.Parameters)
	for o, sums := range out {
		std := e.replyNoise(r.Circuit, o)
		for i := range sums {
			sums[i] += std * random.NormFloat64()
		}
	}
}

// draws is how often noise is drawn to see how large it may become: the keys of a few users in a hundred make it large.
const draws = 384

// simulateVectors returns the largest error that noise makes on the scores of encoded rows, or the first above a limit.
func (r *Result) simulateVectors(rows [][][]float64, limit float64) (float64, error) {
	noise := r.noiseModel()
	largest := 0.0
	for draw := 0; draw < draws && largest <= limit; draw++ {
		i := draw % len(rows)
		out, err := r.noisy(rows[i], noise, rand.New(rand.NewPCG(uint64(draw), 3)))
		if err != nil {
			return 0, err
		}
		for j, s := range r.packing.scores(out) {
			largest = max(largest, math.Abs(s-r.profile.scores[i][j]))
		}
	}
	return largest, nil
}

// check compares the circuit, run in float, with the model that was lowered, on calibration rows: packing and folding
// are exact but for rounding. Answers may hang on that, as neighbours at the same distance do, but not scores.
func (r *Result) check(rows, want, scores [][]float64) error {
	const precision = 1e-6
	tolerance := func(rows [][]float64) float64 {
		scale := 1.0
		for _, row := range rows {
			for _, v := range row {
				scale = max(scale, math.Abs(v))
			}
		}
		return precision * scale
	}
	ofAnswers, ofScores := tolerance(want), tolerance(scores)
	for i := range min(calibrationRows, len(rows)) {
		s, err := r.simulateRow(rows[i], noiseModel{r.Circuit, make([]deviation, r.Circuit.Values())}, 0)
		if err != nil {
			return err
		}
		if len(s.Answer) != len(want[i]) {
			return fmt.Errorf("the circuit gives %d answers, the model %d", len(s.Answer), len(want[i]))
		}
		d := largestDifference([][]float64{s.Answer}, want[i:i+1])
		ok := d <= ofAnswers
		if !ok && len(s.Scores) == len(scores[i]) {
			again, err := r.Pipeline.Suffix.RunRows(scores[i : i+1])
			if err != nil {
				return err
			}
			ok = largestDifference(again, want[i:i+1]) <= ofAnswers && largestDifference([][]float64{s.Scores}, scores[i:i+1]) <= ofScores
		}
		if !ok {
			return fmt.Errorf("the circuit differs from the model by %.3g on calibration row %d", d, i)
		}
	}
	return nil
}
