package recipes

import (
	"context"
	"testing"

	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// TestRecipesReachTheirAccuracy trains every recipe but the long one, which creating_models itself checks.
func TestRecipesReachTheirAccuracy(t *testing.T) {
	for _, r := range All() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			var source dataset.Source
			switch r.Name {
			case "cnn-mnist":
				t.Skip("trains for minutes: run creating_models cnn-mnist")
			case "tree-spam", "forest-spam", "boosting-spam":
				source.Dir = testdata.Dir(t)
			case "qnn-iris", "cnn-digits":
				if race.Enabled {
					t.Skip("the network library does not run under the race detector")
				}
			}
			known, test, err := r.Load(context.Background(), source)
			if err != nil {
				t.Fatal(err)
			}
			graph, _, err := r.Train(context.Background(), known, nil)
			if err != nil {
				t.Fatal(err)
			}
			answers, err := graph.RunRows(test.X)
			if err != nil {
				t.Fatal(err)
			}
			hits := 0
			for i, a := range answers {
				if pipeline.Label(a) == test.Class(i) {
					hits++
				}
			}
			accuracy := float64(hits) / float64(len(answers))
			t.Logf("accuracy %.4f of %d", accuracy, len(answers))
			if accuracy < r.MinAccuracy {
				t.Errorf("accuracy %.4f is below %.4f", accuracy, r.MinAccuracy)
			}
		})
	}
}

func TestFind(t *testing.T) {
	if r, err := Find("cnn-digits"); err != nil || r.Name != "cnn-digits" {
		t.Errorf("%v, %v", r.Name, err)
	}
	if _, err := Find("cnn"); err == nil {
		t.Error("found a recipe that is not there")
	}
}
