package main

import (
	"context"
	"path/filepath"
	"testing"

	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
)

// TestNetworksOfOthersAnswerEncrypted runs some images through a published network with ReLUs and max pools.
func TestNetworksOfOthersAnswerEncrypted(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("compiles for half a minute")
	}
	const samples = 20
	dir := testdata.Dir(t)
	list, err := findPublished("mnist-12")
	if err != nil {
		t.Fatal(err)
	}
	row, err := list[0].measure(context.Background(), dir, samples, filepath.Join(t.TempDir(), "artifact"), func(string, int, int) {})
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
