package main

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"

	"cipherpoint/client"
	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/fit"
	"cipherpoint/creating_models/publish"
	"cipherpoint/deployment"
	"cipherpoint/internal/race"
)

// TestNoiseHangsOnWeightsAndKeys asks for distances to rows with rare categories, whose weights are large in one slot: the
// scores' noise differs, and each one's from key to key. There are so many of them that rotations are needed: fewer distances
// are one product of polynomials, without keys.
func TestNoiseHangsOnWeightsAndKeys(t *testing.T) {
	if race.Enabled {
		t.Skip("takes long")
	}
	ctx := context.Background()
	table, err := tableOf(t, 1200).Without("value", "count")
	if err != nil {
		t.Fatal(err)
	}
	result, err := fit.Fit(ctx, table, fit.Options{Kind: fit.Neighbours, Target: "class", Choose: "5", Folds: 3, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m, err := publish.Build(ctx, result.Recipe("small"), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	server, err := deployment.LoadServer(ctx, dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	user, err := client.Read(server.ClientZip())
	if err != nil {
		t.Fatal(err)
	}
	const keys, times = 96, 2 // with fewer keys a factor of two is no rare chance
	row := m.Test.X[:1]
	simulated, err := m.Compiled.Simulate(slices.Repeat(row, keys*times))
	if err != nil {
		t.Fatal(err)
	}
	squares := func(sum []float64, noisy []float64) {
		for k, s := range noisy {
			d := s - simulated[0].Scores[k]
			sum[k] += d * d
		}
	}
	scores := len(simulated[0].Scores)
	want, got := make([]float64, scores), make([]float64, scores)
	for _, s := range simulated {
		squares(want, s.NoisyScores)
	}
	largest := make([]float64, scores) // under one key
	for range keys {
		if err := user.GenerateKeys(); err != nil {
			t.Fatal(err)
		}
		raw, err := user.EvaluationKeys(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := server.LoadKeys(ctx, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		ofKey := make([]float64, scores)
		for range times {
			request, err := check.Encrypt(ctx, user, row)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := server.Run(ctx, loaded, request)
			if err != nil {
				t.Fatal(err)
			}
			answers, err := check.Decrypt(ctx, user, reply, 1)
			if err != nil {
				t.Fatal(err)
			}
			for k, s := range answers[0].Scores {
				if d := math.Abs(s - simulated[0].Scores[k]); d > m.Compiled.MaxScoreError {
					t.Errorf("score %d is %.3g off, more than %.3g", k, d, m.Compiled.MaxScoreError)
				}
			}
			squares(ofKey, answers[0].Scores)
		}
		for k, sum := range ofKey {
			got[k] += sum
			largest[k] = max(largest[k], sum*keys)
		}
	}
	for k := range got {
		if ratio := math.Sqrt(got[k] / want[k]); ratio < 0.5 || ratio > 2 {
			t.Errorf("score %d: the error is %.2f times the simulated one: want a factor of two at most", k, ratio)
		}
		t.Logf("score %2d: simulated %.2e, encrypted %.2e, under the worst key %.2e", k, math.Sqrt(want[k]/keys/times), math.Sqrt(got[k]/keys/times), math.Sqrt(largest[k]/keys/times))
	}
	spread := func(of []float64) float64 { return math.Sqrt(slices.Max(of) / slices.Min(of)) }
	if s := spread(want); s < 3 {
		t.Errorf("the simulated errors of scores differ by a factor of %.1f: these weights make more of a difference", s)
	}
}
