package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cipherpoint/deployment"
	"cipherpoint/matching"
)

// written writes vectors as CSV.
func written(t *testing.T, name string, vectors [][]float64) string {
	t.Helper()
	var b strings.Builder
	for _, v := range vectors {
		for k, x := range v {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%.5f", x)
		}
		b.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnrolledTemplatesAreFound(t *testing.T) {
	const dimensions = 32
	g, err := matching.CompileStored("faces", dimensions)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := (deployment.FHEModelDev{Name: "faces", Kind: "gallery of its users", Circuit: g.Circuit, Pipeline: g.Pipeline}).Save(dir); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	templates, queries := make([][]float64, 50), make([][]float64, 3)
	for i := range templates {
		for range dimensions {
			templates[i] = append(templates[i], r.NormFloat64())
		}
	}
	for i := range queries {
		for _, x := range templates[7*i+3] {
			queries[i] = append(queries[i], 5*x+r.NormFloat64())
		}
	}
	enrol, input := written(t, "templates.csv", templates), written(t, "queries.csv", queries)
	code, stdout, stderr := runs(t, t.Context(), nil, "--model", dir, "--enrol", enrol, "--input", input, "--top", "2")
	if code != success || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	for i := range queries {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^for %d-th input, prediction=%d in %s\n   1\. %d 0\.9\d+\n   2\. \d+ 0\.\d+$`, i, 7*i+3, seconds, 7*i+3)).MatchString(stdout) {
			t.Fatalf("query %d was not found in:\n%s", i, stdout)
		}
	}
	code, stdout, _ = runs(t, t.Context(), nil, "--model", dir, "--enrol", enrol, "--input", input, "--top", "2", "--json")
	var found result
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || code != success {
		t.Fatalf("code %d, %v: %s", code, err, stdout)
	}
	for i, a := range found.Answers {
		if len(a.Best) != 2 || a.Best[0].Name != fmt.Sprint(7*i+3) || a.Class != a.Best[0].Name {
			t.Errorf("query %d: best %v", i, a.Best)
		}
	}
	for what, args := range map[string][]string{
		"no templates":       {"--model", dir, "--input", input},
		"other dimensions":   {"--model", dir, "--input", input, "--enrol", written(t, "short.csv", [][]float64{{1, 2}})},
		"not such a gallery": {"--model", saved(t), "--enrol", enrol},
	} {
		if code, _, stderr := runs(t, t.Context(), nil, args...); code != failure || stderr == "" {
			t.Errorf("%s: code %d, %q", what, code, stderr)
		}
	}
}
