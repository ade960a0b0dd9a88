package compiler

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/pipeline"
)

// Replay makes of a saved circuit and its pipeline a result that Simulate, LayerNoise and Wrapped work on. What the noise
// depends on besides the circuit is measured on rows: samples of the model's inputs. Of values that vary from row to row the
// median counts, so that a few strange rows do not change the prediction for the others.
func Replay(c *circuit.Circuit, p *pipeline.Pipeline, rows [][]float64) (*Result, error) {
	if len(rows) == 0 {
		return nil, errors.New("a replay needs rows")
	}
	r := &Result{
		Circuit: c, Pipeline: p, packing: &packing{circuit: c, inputs: p.Inputs, outputs: p.Outputs},
		profile: &profile{rms: make([]float64, c.Values()), linear: map[int]linearProfile{}},
	}
	if c.Packing == circuit.Slots {
		r.packing.profileLinears(r.profile)
	}
	rows = rows[:min(calibrationRows, len(rows))]
	rms := make([][]float64, c.Values())
	for i, row := range rows {
		slots, err := r.slots(row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		_, err = c.RunObserved(func(v int, x []float64) {
			square := 0.0
			for _, xj := range x {
				square += xj * xj / float64(len(x))
			}
			rms[v] = append(rms[v], math.Sqrt(square))
		}, slots...)
		if err != nil {
			return nil, err
		}
	}
	for v, list := range rms {
		slices.Sort(list)
		r.profile.rms[v] = list[len(list)/2]
	}
	return r, nil
}

// slots encodes a row as the client does.
func (r *Result) slots(row []float64) ([][]float64, error) {
	vectors, err := r.Pipeline.Encode(row)
	if err != nil {
		return nil, err
	}
	for i, v := range vectors {
		vectors[i] = circuit.Vector{Period: len(v), Values: v}.Full(r.Circuit.Width(i))
	}
	return vectors, nil
}

// LayerNoise is what the noise of one layer alone does to the scores of a row.
type LayerNoise struct {
	Layer  string    // as the circuit's nodes name it; or "encryption" of the inputs, or "reply": rounding and flooding
	Scores []float64 // deviation of each
}

// LayerNoise simulates a row with the noise of one layer after the other, all others exact. The noise adds up: the squares
// of the layers' deviations make that of the whole.
func (r *Result) LayerNoise(row []float64) ([]LayerNoise, error) {
	const repeats = 8
	slots, err := r.slots(row)
	if err != nil {
		return nil, err
	}
	clean, err := r.Circuit.Run(slots...)
	if err != nil {
		return nil, err
	}
	exact := r.packing.scores(clean)
	noise := r.noiseModel()
	random := rand.New(rand.NewPCG(1, 4))
	var list []LayerNoise
	add := func(layer string, run func() ([][]float64, error)) error {
		alone := LayerNoise{Layer: layer, Scores: make([]float64, len(exact))}
		for range repeats {
			out, err := run()
			if err != nil {
				return err
			}
			for k, s := range r.packing.scores(out) {
				alone.Scores[k] += (s - exact[k]) * (s - exact[k]) / repeats
			}
		}
		for k, variance := range alone.Scores {
			alone.Scores[k] = math.Sqrt(variance)
		}
		list = append(list, alone)
		return nil
	}
	layers, values := r.layers()
	for _, layer := range layers {
		c := *r.Circuit
		c.Nodes = slices.Clone(c.Nodes)
		for _, v := range values[layer] {
			if i := v - len(c.Inputs); i >= 0 {
				c.Nodes[i] = noise.circuit.Nodes[i]
			}
		}
		err := add(layer, func() ([][]float64, error) {
			return c.RunObserved(func(v int, x []float64) {
				if slices.Contains(values[layer], v) {
					noise.sigma[v].addTo(x, nil, random)
				}
			}, slots...)
		})
		if err != nil {
			return nil, err
		}
	}
	err = add("reply", func() ([][]float64, error) {
		out := make([][]float64, len(clean))
		for o := range out {
			out[o] = slices.Clone(clean[o])
		}
		r.addReplyNoise(out, random)
		return out, nil
	})
	return list, err
}

// layers names the circuit's layers in order, with the values that each makes.
func (r *Result) layers() (names []string, values map[string][]int) {
	values = map[string][]int{}
	for v := range r.Circuit.Values() {
		name := "encryption"
		if i := v - len(r.Circuit.Inputs); i >= 0 {
			name = r.Circuit.Nodes[i].Name
		}
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], v)
	}
	return names, values
}

// Wrap is a value that may be too large for the primes at its level: it decrypts to nonsense.
type Wrap struct {
	Layer       string
	Size, Limit float64 // mean size over the slots
}

// Wrapped returns the first value of a row that may not fit its modulus, or nil. A coefficient of a message is at most
// scale times the mean size of the slots; of an output only the answer's coefficients have to fit.
func (r *Result) Wrapped(row []float64) (*Wrap, error) {
	slots, err := r.slots(row)
	if err != nil {
		return nil, err
	}
	c := r.Circuit
	layers, values := r.layers()
	sizes := make([]float64, c.Values())
	out, err := c.RunObserved(func(v int, x []float64) {
		for _, xj := range x {
			if c.Packing == circuit.Slots {
				sizes[v] += math.Abs(xj) / float64(len(x))
			} else {
				sizes[v] = max(sizes[v], math.Abs(xj))
			}
		}
	}, slots...)
	if err != nil {
		return nil, err
	}
	for o, spec := range c.Outputs {
		sizes[spec.Value] = 0
		for _, s := range out[o] {
			if c.Packing == circuit.Slots {
				s *= float64(spec.Period) / float64(c.Parameters.Slots())
			}
			sizes[spec.Value] = max(sizes[spec.Value], math.Abs(s))
		}
	}
	for _, layer := range layers {
		for _, v := range values[layer] {
			limit := math.Exp2(c.Parameters.LogQ(c.Level(v))-1) / c.Scale(v)
			if !(sizes[v] < limit) {
				return &Wrap{layer, sizes[v], limit}, nil
			}
		}
	}
	return nil, nil
}
