package check

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/compiler"
	"cipherpoint/compiler/approximation"
	"cipherpoint/deployment"
	"cipherpoint/model"
)

func random(r *rand.Rand, std float64, shape ...int) model.Tensor {
	t := model.NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = std * r.NormFloat64()
	}
	return t
}

// rows are normal values, each feature with a deviation of its own.
func rows(r *rand.Rand, n int, std ...float64) [][]float64 {
	list := make([][]float64, n)
	for i := range list {
		for _, s := range std {
			list[i] = append(list[i], s*r.NormFloat64())
		}
	}
	return list
}

// artifact compiles a model into a folder.
func artifact(t *testing.T, b *model.Builder, calibration [][]float64, o compiler.Options) (string, *Record) {
	t.Helper()
	g, err := b.Graph()
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(g, calibration, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := (deployment.FHEModelDev{Name: g.Name, Kind: "example", Circuit: compiled.Circuit, Pipeline: compiled.Pipeline}).Save(dir); err != nil {
		t.Fatal(err)
	}
	record := NewRecord(g, compiled)
	if err := record.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir, record
}

func replayed(t *testing.T, dir string, rows [][]float64, samples int) *Outcome {
	t.Helper()
	outcome, err := Run(context.Background(), dir, rows, Options{Samples: samples})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := outcome.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	return outcome
}

// blamed fails unless every disagreement, of which there are some, has the cause and the layer.
func blamed(t *testing.T, o *Outcome, cause Cause, layer string) {
	t.Helper()
	if len(o.Disagreements) == 0 {
		t.Error("no disagreements")
	}
	for _, d := range o.Disagreements {
		if d.Cause != cause || layer != "" && d.Layer != layer || d.Layer == "" {
			t.Errorf("row %d: %s of layer %q: want %s of %q", d.Row+1, d.Cause, d.Layer, cause, layer)
		}
	}
}

// broken fails unless the artifact is said not to keep what it states, for the reason given.
func broken(t *testing.T, o *Outcome, reason string) {
	t.Helper()
	if err := o.Broken(); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("want an error about %q, got %v", reason, err)
	}
}

var classes = []string{"left", "right"}

// branches is a network of two activations: what the second sees comes from the first and, past it, from features 2 and 3.
func branches(r *rand.Rand) *model.Builder {
	b := model.New("branches", model.Shape{4})
	const width = 3
	first, past := random(r, 0.7, width, 4), random(r, 0.7, width, 4)
	for row := range width {
		first.Data[4*row+2], first.Data[4*row+3] = 0, 0
		past.Data[4*row], past.Data[4*row+1] = 0, 0
	}
	input := b.Value()
	b.Dense(past, nil)
	branch := b.Value()
	return b.From(input).Dense(first, nil).Tanh().Dense(random(r, 0.5, width, width), nil).Add(branch).Tanh().Dense(random(r, 0.6, 2, width), nil)
}

func TestRangeOverflowIsFoundAtItsLayer(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for some seconds")
	}
	r := rand.New(rand.NewPCG(1, 1))
	data := rows(r, 128, 1, 1, 0.2, 0.2)
	dir, record := artifact(t, branches(r), data, compiler.Options{Classes: classes, MaxLabelChanges: 0.02})
	second := record.Replacements[1].Node
	outcome := replayed(t, dir, rows(r, 60, 1, 1, 3, 3), 30)
	blamed(t, outcome, Overflow, second)
	broken(t, outcome, "largest error of an encrypted score")
	for _, d := range outcome.Disagreements {
		if !strings.Contains(d.Detail, "outside [") {
			t.Errorf("row %d: no value and range in %q", d.Row+1, d.Detail)
		}
	}
}

func TestAnswersTooLargeForThePrimesAreFound(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	data := rows(r, 64, 1, 1, 1, 1)
	b := model.New("linear", model.Shape{4}).Dense(random(r, 1, 1, 4), nil).Named("scores")
	dir, _ := artifact(t, b, data, compiler.Options{})
	for _, row := range data[:5] {
		for k := range row {
			row[k] *= 1e5
		}
	}
	outcome := replayed(t, dir, data[:20], 20)
	blamed(t, outcome, Overflow, "")
	broken(t, outcome, "largest error of an encrypted score")
	for _, d := range outcome.Disagreements {
		if d.Row > 4 || !strings.Contains(d.Detail, "the primes hold") {
			t.Errorf("row %d: %q", d.Row+1, d.Detail)
		}
	}
}

func TestCoarseApproximationIsFoundAtItsLayer(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for some seconds")
	}
	r := rand.New(rand.NewPCG(2, 2))
	data := rows(r, 128, 1, 1, 1, 1)
	// The first activation is so nearly linear that a coarse polynomial does.
	b := model.New("coarse", model.Shape{4}).Dense(random(r, 0.05, 3, 4), nil).Tanh().Dense(random(r, 12, 3, 3), nil).ReLU().Dense(random(r, 0.6, 2, 3), nil)
	dir, record := artifact(t, b, data, compiler.Options{Classes: classes, MaxLabelChanges: 0.3, KeepWeights: true, MaxScoreError: 1e-3})
	outcome := replayed(t, dir, data, 60)
	blamed(t, outcome, Approximation, record.Replacements[1].Node)
	if err := outcome.Broken(); err != nil {
		t.Errorf("with %v labels kept of the 70 %% stated: %v", outcome.Circuit, err)
	}
	outcome.LabelChanges = 0.01
	broken(t, outcome, "polynomials keep")
}

func TestTooFewBitsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for some seconds")
	}
	r := rand.New(rand.NewPCG(3, 3))
	data := rows(r, 200, 1, 1, 1, 1)
	sum := model.Tensor{Shape: model.Shape{1, 4}, Data: []float64{0.5, -0.5, 0.5, -0.5}} // of squares: as often above as below zero
	b := model.New("noisy", model.Shape{4}).Dense(random(r, 0.5, 4, 4), nil).Square().Dense(sum, nil).Sigmoid()
	dir, _ := artifact(t, b, data, compiler.Options{Classes: classes, MaxScoreError: 1})
	outcome := replayed(t, dir, data, 100)
	blamed(t, outcome, Precision, "")
	broken(t, outcome, "labels are those without noise")
}

func TestAnotherModelIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	data := rows(r, 64, 1, 1, 1, 1)
	dir, record := artifact(t, model.New("linear", model.Shape{4}).Dense(random(r, 1, 1, 4), nil), data, compiler.Options{})
	record.Graph.Nodes[0].Op.(*model.Dense).Bias = []float64{5}
	if err := record.Save(dir); err != nil {
		t.Fatal(err)
	}
	outcome := replayed(t, dir, data, 4)
	blamed(t, outcome, Lowering, "circuit")
	broken(t, outcome, "largest error of an encrypted score")
}

func TestGoodArtifactsKeepWhatTheyState(t *testing.T) {
	data := rows(rand.New(rand.NewPCG(5, 5)), 200, 1, 1, 1, 1)
	trees := &model.TreeEnsemble{Features: 4, Comparison: model.Less, Aggregate: model.AggregateSum, Roots: []int{0},
		Feature: []int{0, 1, 2}, Threshold: []float64{0, 0.5, -0.5}, Left: []int{1, ^0, ^2}, Right: []int{2, ^1, ^3},
		Values: [][]float64{{1}, {-2}, {3}, {0.5}}}
	dense := func() *model.Builder {
		return model.New("dense", model.Shape{4}).Dense(random(rand.New(rand.NewPCG(5, 6)), 1, 1, 4), nil)
	}
	for name, test := range map[string]struct {
		*model.Builder
		compiler.Options
	}{
		"linear":     {dense(), compiler.Options{}},
		"flooded":    {dense(), compiler.Options{Flood: 6}},
		"classifier": {dense().Sigmoid(), compiler.Options{Classes: classes}},
		"batch":      {dense(), compiler.Options{Packing: compiler.PackBatch}},
		"trees":      {model.New("trees", model.Shape{4}).Apply(trees), compiler.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "trees" && testing.Short() {
				t.Skip("compiles for some seconds")
			}
			dir, _ := artifact(t, test.Builder, data, test.Options)
			outcome := replayed(t, dir, data, 40)
			if err := outcome.Broken(); err != nil || len(outcome.Disagreements) > 0 || !outcome.Original {
				t.Errorf("%v; %d disagreements; original: %v", err, len(outcome.Disagreements), outcome.Original)
			}
		})
	}
}

func TestWhatIsNoArtifactIsRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	data := rows(r, 64, 1, 1)
	linear := func() *model.Builder { return model.New("linear", model.Shape{2}).Dense(random(r, 1, 1, 2), nil) }
	dir, record := artifact(t, linear(), data, compiler.Options{})
	other, _ := artifact(t, linear(), data, compiler.Options{})
	path := filepath.Join(dir, RecordFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(other, RecordFile))
	if err != nil {
		t.Fatal(err)
	}
	record.Polynomial, record.Replacements = record.Graph, []approximation.Replacement{{Node: "x", Nodes: []string{"x"}, New: []string{"y"}}}
	replaced, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want   string
		record []byte
		rows   [][]float64
	}{
		{"no rows", good, nil},
		{"row 1 has 1 values", good, [][]float64{{1}}},
		{"of another model", foreign, data},
		{RecordFile, []byte("{}"), data},
		{RecordFile, []byte("no json"), data},
		{"unknown ones", replaced, data},
	} {
		if err := os.WriteFile(path, test.record, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Run(context.Background(), dir, test.rows, Options{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("want an error about %q, got %v", test.want, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), dir, data, Options{}); err == nil || !strings.Contains(err.Error(), "nothing says what is promised") {
		t.Errorf("without a record: %v", err)
	}
}
