package publish

import (
	"context"
	"math"
	"testing"

	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
)

// The kinds of circuits differ in where their noise comes from: encoding, rounding of rescaling, key switching in
// rotations, and in folds, whose later steps copy the noise of the ones before.
func TestSimulationPredictsTheErrorOfEncryption(t *testing.T) {
	names := []string{"logreg-cancer", "qnn-iris", "cnn-digits"}
	_, found := testdata.Find()
	switch {
	case testing.Short() || race.Enabled:
		names = names[:1]
	case found:
		names = append(names, "tree-spam")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			m, dir := built(t, name), t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			var simulated, encrypted, scores float64
			for range 5 { // keys, whose errors differ
				e, err := m.Try(ctx, dir, 30, func(int, int) {})
				if err != nil {
					t.Fatal(err)
				}
				for i, answer := range e.Scores {
					for k, score := range answer {
						s := m.Simulated[i]
						simulated += (s.NoisyScores[k] - s.Scores[k]) * (s.NoisyScores[k] - s.Scores[k])
						encrypted += (score - s.Scores[k]) * (score - s.Scores[k])
						scores++
					}
				}
			}
			simulated, encrypted = math.Sqrt(simulated/scores), math.Sqrt(encrypted/scores)
			if ratio := encrypted / simulated; ratio < 0.5 || ratio > 2 {
				t.Errorf("the error of an encrypted score is %.3g (rms), simulated %.3g: want a factor of two at most", encrypted, simulated)
			}
		})
	}
}
