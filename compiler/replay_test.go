package compiler

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// typical is the root mean square of the simulated noise of scores.
func typical(rows []Simulation) float64 {
	squares, count := 0.0, 0.0
	for _, s := range rows {
		for k := range s.Scores {
			squares += (s.NoisyScores[k] - s.Scores[k]) * (s.NoisyScores[k] - s.Scores[k])
			count++
		}
	}
	return math.Sqrt(squares / count)
}

func TestReplaySimulatesLikeTheCompiler(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g, err := model.New("cubic", model.Shape{4}).Dense(randomTensor(r, 0.4, 4, 4), nil).Polynomial(0.1, 0.5, 0.2).Dense(randomTensor(r, 0.5, 2, 4), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := randomRows(r, 200, 4)
	compiled, err := Compile(g, rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := Replay(compiled.Circuit, compiled.Pipeline, rows)
	if err != nil {
		t.Fatal(err)
	}
	want, err := compiled.Simulate(rows)
	if err != nil {
		t.Fatal(err)
	}
	got, err := replayed.Simulate(rows)
	if err != nil {
		t.Fatal(err)
	}
	if ratio := typical(got) / typical(want); ratio < 0.8 || ratio > 1.25 {
		t.Errorf("a replay has %.2f times the noise", ratio)
	}
	// The layers' noise makes up the whole, over rows.
	variance, scores := 0.0, 0.0
	layers := map[string]bool{}
	for _, row := range rows[:40] {
		list, err := replayed.LayerNoise(row)
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range list {
			layers[layer.Layer] = true
			for _, s := range layer.Scores {
				variance += s * s
			}
		}
		scores += float64(len(list[0].Scores))
	}
	if ratio := math.Sqrt(variance/scores) / typical(got); ratio < 0.7 || ratio > 1.4 {
		t.Errorf("the noise of all layers is %.2f times the noise", ratio)
	}
	if !layers["encryption"] || !layers["reply"] || len(layers) < 4 {
		t.Errorf("layers %v", layers)
	}
}

func TestWrappedFindsWhatOutgrowsThePrimes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	g, err := model.New("linear", model.Shape{4}).Dense(randomTensor(r, 1, 1, 4), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	rows := randomRows(r, 64, 4)
	for _, packing := range []Packing{PackSample, PackBatch} {
		compiled, err := Compile(g, rows, Options{Packing: packing})
		if err != nil {
			t.Fatal(err)
		}
		if w, err := compiled.Wrapped(rows[0]); w != nil || err != nil {
			t.Errorf("a row of the calibration: %+v, %v", w, err)
		}
		if w, err := compiled.Wrapped([]float64{1e9, -1e9, 1e9, 1e9}); w == nil || err != nil || w.Size <= w.Limit {
			t.Errorf("a row of huge values: %+v, %v", w, err)
		}
	}
}

func TestRoundedSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, period := range []int{1, 2, 4, 64, 4096} {
		v := circuit.Vector{Period: period, Values: randomTensor(r, 1, period).Data}
		fine := roundedSlots(v, math.Exp2(45))
		coarse := roundedSlots(v, 8)
		again := roundedSlots(coarse, 8)
		for j, x := range v.Values {
			if math.Abs(fine.Values[j]-x) > 1e-10 || math.Abs(again.Values[j]-coarse.Values[j]) > 1e-10 {
				t.Errorf("period %d, slot %d: %g, finely rounded %g, coarsely %g and then %g", period, j, x, fine.Values[j], coarse.Values[j], again.Values[j])
			}
		}
		if period > 1 && slices.Equal(coarse.Values, v.Values) {
			t.Errorf("period %d: nothing is rounded", period)
		}
	}
}
