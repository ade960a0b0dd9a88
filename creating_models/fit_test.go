package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cipherpoint/client"
	"cipherpoint/creating_models/fit"
	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/race"
	"cipherpoint/pipeline"
)

// smallTable is of two numbers, of which some are missing, categories with rare ones among them, and a text. The classes, the
// value and the count hang on all of them.
func smallTable(t *testing.T) *fit.Table { return tableOf(t, 240) }

func tableOf(t *testing.T, rows int) *fit.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	fmt.Fprintln(&b, "size;weight;colour;note;class;value;count")
	for i := range rows {
		size, weight := r.NormFloat64(), 50+10*r.NormFloat64()
		colour := []string{"red", "green", "blue"}[r.IntN(3)]
		note, score := "it was bad, they said", 2*size+(weight-50)/10
		if r.IntN(2) == 0 {
			note, score = "it was very good and fine", score+1
		}
		if colour == "red" {
			score++
		}
		cell := fmt.Sprintf("%.3f", size)
		if i%17 == 3 {
			cell = "?"
		}
		if i%60 == 7 {
			colour = fmt.Sprintf("mauve %d", i)
		}
		class := "low"
		if score > 0.5 {
			class = "high"
		}
		fmt.Fprintf(&b, "%s;%.2f;%s;%s;%s;%.3f;%d\n", cell, weight, colour, note, class, 300+20*score, int(math.Exp(score/2)*(1+r.Float64())))
	}
	table, err := fit.ParseCSV([]byte(b.String()), fit.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestFitGoesTheWholeWay fits a size of each kind, compiles it, and asks encrypted with rows of text.
func TestFitGoesTheWholeWay(t *testing.T) {
	for _, test := range []struct {
		kind   fit.Kind
		target string
		choose fit.Choice
		least  float64 // score
		slow   bool
	}{
		{fit.Linear, "value", "1", 0.8, false},
		{fit.Ridge, "value", "4", 0.8, true},
		{fit.Lasso, "value", "4", 0.8, true},
		{fit.ElasticNet, "value", "4", 0.8, true},
		{fit.Poisson, "count", "3", 0.6, true},
		{fit.Gamma, "value", "5", 0.7, true},
		{fit.Tweedie, "count", "3", 0.6, true},
		{fit.Logistic, "class", "3", 0.85, false},
		{fit.SVM, "class", "3", 0.85, true},
		{fit.Centroid, "class", "1", 0.7, true},
		{fit.Neighbours, "class", "2", 0.75, true},
		{fit.Neighbours, "value", "2", 0.5, true},
		{fit.Tree, "class", "1", 0.7, true},
		{fit.Tree, "value", "1", 0.3, true},
		{fit.Forest, "value", "1", 0.5, true},
		{fit.Boosting, "class", "1", 0.8, true},
		{fit.MLP, "class", "2", 0.75, true},
	} {
		t.Run(string(test.kind)+" of "+test.target, func(t *testing.T) {
			if test.slow && (testing.Short() || race.Enabled) {
				t.Skip("takes long")
			}
			t.Parallel()
			ctx := context.Background()
			others := slices.DeleteFunc([]string{"class", "value", "count"}, func(name string) bool { return name == test.target })
			table, err := smallTable(t).Without(others...)
			if err != nil {
				t.Fatal(err)
			}
			result, err := fit.Fit(ctx, table, fit.Options{Kind: test.kind, Target: test.target, Choose: test.choose, Folds: 3, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if c := result.Candidates[0]; c.Score < test.least || !(c.Latency > 0) || fmt.Sprint(c.Number) != string(test.choose) {
				t.Errorf("candidate %+v, want a score of %g", c, test.least)
			}
			dir := t.TempDir()
			m, err := publish.Build(ctx, result.Recipe("small"), publish.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			e, err := m.Try(ctx, dir, 4, func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			for i, scores := range e.Scores {
				for k, s := range scores {
					if d := math.Abs(s - m.Simulated[i].Scores[k]); !(d <= m.Compiled.MaxScoreError) {
						t.Errorf("row %d: score %d differs by %.3g, more than %.3g", i, k, d, m.Compiled.MaxScoreError)
					}
				}
				if result.Test.Labels != nil && pipeline.Label(e.Answers[i]) != pipeline.Label(m.Clear[i]) {
					t.Errorf("row %d: another label", i)
				}
			}
			user, err := client.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			row, err := user.ReadRow([]string{"?", "61.5", "mauve 9", "A very good one: Good!"})
			if err != nil {
				t.Fatal(err)
			}
			want := []float64{math.NaN(), 61.5, -1}
			for i, v := range want {
				if row[i] != v && !math.IsNaN(v) {
					t.Errorf("value %d is %v, want %v", i, row[i], v)
				}
			}
			if _, err := result.Graph.RunRows([][]float64{row}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFitCommand writes an artifact with its figures.
func TestFitCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for some seconds")
	}
	dir := t.TempDir()
	data, out := filepath.Join(dir, "table.csv"), filepath.Join(dir, "out")
	var b strings.Builder
	for i := range 120 {
		fmt.Fprintf(&b, "%d,%d,%d\n", i%7, i%11, 3*(i%7)-i%11+20)
	}
	if err := os.WriteFile(data, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout strings.Builder
	err := run(t.Context(), []string{"fit", "--kind", "ridge", "--data", data, "--target", "3", "--out", out, "--encrypted-samples", "5"}, &stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"numbers: column 1, column 2", "penalty 0.0001", "chosen", "The front of candidates is drawn in", "R²", "table-ridge", "on the client before encryption: Imputer, Scale", "clients learn medians, means and deviations of 2 numbers"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in %s", want, stdout.String())
		}
	}
	for _, name := range []string{"client.zip", "server.zip", "versions.json", "report.html", "latency.svg", "keys.svg"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	stdout.Reset()
	err = run(t.Context(), []string{"fit", "--kind", "ridge,lasso", "--measure", "mae", "--sample-weight", "2", "--data", data, "--target", "3", "--out", out, "--encrypted-samples", "5"}, &stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"on 22 test rows", "11 rows without a target or a weight are left out", "numbers: column 1\n", "MAE", "lasso, penalty", "ridge, penalty"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in %s", want, stdout.String())
		}
	}
	for _, args := range [][]string{{"fit"}, {"fit", "--kind", "ridge", "--data", data, "--target", "3", "--class-weight", "odd"}, {"fit", "--kind", "ridge", "--data", data}, {"fit", "--kind", "ridge", "--data", data, "--target", "3", "--separator", "ab"}} {
		if err := run(t.Context(), args, &stdout, os.Stderr); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
