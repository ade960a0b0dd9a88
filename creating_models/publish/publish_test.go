package publish

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cipherpoint/creating_models/recipes"
	"cipherpoint/deployment"
	"cipherpoint/internal/testdata"
	"cipherpoint/model/dataset"
)

func find(t *testing.T, name string) recipes.Recipe {
	t.Helper()
	r, err := recipes.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// builds are those of built, by the recipe's name.
var builds sync.Map

// built returns a recipe's model, which is trained and compiled once for all tests. They may change fields of what they get,
// and nothing that these point to.
func built(t *testing.T, name string) *Model {
	t.Helper()
	recipe := find(t, name)
	build, _ := builds.LoadOrStore(name, sync.OnceValues(func() (*Model, error) {
		data, _ := testdata.Find() // without it, what has no need of it can be built
		return Build(context.Background(), recipe, Options{Source: dataset.Source{Dir: data}})
	}))
	m, err := build.(func() (*Model, error))()
	if err != nil {
		t.Fatal(err)
	}
	own := *m
	return &own
}

func TestRunWritesTheSameArtifactEveryTime(t *testing.T) {
	var first map[string][]byte
	for range 2 {
		out := t.TempDir()
		r, err := Run(context.Background(), find(t, "logreg-cancer"), Options{Out: out, EncryptedSamples: 20})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Scores.Kept() || r.Classification.Agreement.Hits != 20 || r.Classification.Simulated.Of != 143 {
			t.Errorf("report: scores kept %v, agreement %+v, simulated %+v", r.Scores.Kept(), r.Classification.Agreement, r.Classification.Simulated)
		}
		files := map[string][]byte{}
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if files[entry.Name()], err = os.ReadFile(filepath.Join(out, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
		if len(files) != 6 || !bytes.Contains(files["report.html"], []byte("logreg-cancer")) {
			t.Errorf("%d files written: want the artifact's three, its record, its report and its card", len(files))
		}
		if first == nil {
			first = files
			continue
		}
		for _, name := range []string{deployment.ClientFile, deployment.ServerFile, deployment.VersionsFile} {
			if len(files[name]) == 0 || !bytes.Equal(files[name], first[name]) {
				t.Errorf("%s differs between two runs", name)
			}
		}
	}
}

func TestWhatMissesItsPromiseIsNotWritten(t *testing.T) {
	for _, test := range []struct {
		want  string
		spoil func(*recipes.Recipe, *Options)
	}{
		{"below the recipe's", func(r *recipes.Recipe, _ *Options) { r.MinAccuracy = 1 }},
		{"or allow more", func(_ *recipes.Recipe, o *Options) { o.MaxScoreError = 1e-40 }},
	} {
		r, o := find(t, "logreg-cancer"), Options{Out: filepath.Join(t.TempDir(), "out"), EncryptedSamples: 5}
		test.spoil(&r, &o)
		if _, err := Run(context.Background(), r, o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("want an error about %q, got %v", test.want, err)
		}
		if entries, err := os.ReadDir(o.Out); err == nil && len(entries) > 0 {
			t.Errorf("%d files were written", len(entries))
		}
	}
}

func TestVerifyHoldsTheArtifactToItsPromises(t *testing.T) {
	m, dir := built(t, "logreg-cancer"), t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	e, err := m.Try(context.Background(), dir, 5, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.report(e, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.verify(r); err != nil {
		t.Fatalf("a good artifact: %v", err)
	}
	r.Scores.Pairs[0].Encrypted += 2 * r.Scores.Bound
	if err := m.verify(r); err == nil || !strings.Contains(err.Error(), "largest error") {
		t.Errorf("a large error: %v", err)
	}
	r.Classification.Agreement.Hits--
	if err := m.verify(r); err == nil || !strings.Contains(err.Error(), "4 of 5 labels") {
		t.Errorf("another label: %v", err)
	}
}

// TestAnArtifactALittleAboveItsBoundIsMadeAgain states less error than encryption makes, as where the rows that were simulated
// happened to have little: the artifact is compiled anew with more headroom, and what it states then is kept.
func TestAnArtifactALittleAboveItsBoundIsMadeAgain(t *testing.T) {
	ctx := context.Background()
	m := built(t, "logreg-cancer")
	dir, samples := t.TempDir(), m.Test.Len()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	e, err := m.Try(ctx, dir, samples, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	squares := 0.0
	for i, scores := range e.Scores {
		squares += math.Pow(scores[0]-m.Simulated[i].Scores[0], 2) / float64(samples)
	}
	deviation := math.Sqrt(squares)
	first, before := m.Compiled, m.options
	// The largest of so many errors is two to four deviations, but once in a hundred times.
	for attempt := 1; ; attempt++ {
		stated := *first
		stated.MaxScoreError = 2 * deviation
		m.Compiled, m.options = &stated, before
		r, err := m.prove(ctx, dir, samples, func(string, int, int) {})
		if err == nil && r.Scores.Kept() && m.Compiled != &stated && m.options.Headroom > before.Headroom {
			break
		}
		if attempt == 4 {
			t.Fatalf("headroom %g, before %g: %v", m.options.Headroom, before.Headroom, err)
		}
	}
	// Far above what is stated, values do not fit: that is no matter of headroom.
	stated := *first
	stated.MaxScoreError = deviation / 8
	m.Compiled, m.options = &stated, before
	if _, err := m.prove(ctx, dir, samples, func(string, int, int) {}); err == nil || !strings.Contains(err.Error(), "not written") || m.Compiled != &stated {
		t.Errorf("errors many times as large as stated: %v", err)
	}
}
