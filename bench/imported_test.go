package main

import (
	"context"
	"path/filepath"
	"testing"

	"cipherpoint/creating_models/publish"
	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
	"cipherpoint/model/dataset"
)

// TestNetworksOfOthersAnswerEncrypted runs some images through a published network with ReLUs and max pools.
func TestNetworksOfOthersAnswerEncrypted(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("compiles for half a minute")
	}
	const samples = 20
	dir := testdata.Dir(t)
	row, err := measure(context.Background(), importedNetwork("mnist-12", dir, samples),
		publish.Options{Source: dataset.Source{Dir: dir}, EncryptedSamples: samples, Progress: func(string, int, int) {}}, filepath.Join(t.TempDir(), "artifact"))
	if err != nil {
		t.Fatal(err)
	}
	if row.Samples != samples || row.AccuracyEncrypted < 0.95 || row.Agreement < 0.95 || row.approximated < 0.95 {
		t.Errorf("implausible accuracy: %+v", row)
	}
	if row.LogN > 14 || row.Levels > 5 || len(row.approximation.Replacements) != 2 {
		t.Errorf("2^%d, %d levels, %d replacements", row.LogN, row.Levels, len(row.approximation.Replacements))
	}
}
