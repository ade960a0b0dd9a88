package publish

import (
	"context"
	"testing"

	"cipherpoint/compiler"
	"cipherpoint/internal/race"
)

// TestBatch trains, compiles and asks all test samples of the digits in one batch.
func TestBatch(t *testing.T) {
	if race.Enabled {
		t.Skip("the training library's pointer arithmetic stops under the race detector")
	}
	r, err := Run(context.Background(), find(t, "cnn-digits"), Options{Out: t.TempDir(), EncryptedSamples: 1, Packing: compiler.PackBatch})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Classification
	if r.Sizes.Samples < 4096 || c.Encrypted.Of != c.Clear.Of || c.Encrypted.Hits < c.Clear.Hits-1 || !r.Scores.Kept() {
		t.Errorf("%d samples a request; %+v encrypted, %+v in clear; scores kept: %v", r.Sizes.Samples, c.Encrypted, c.Clear, r.Scores.Kept())
	}
}
