package report

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cipherpoint/endpoint/server"
)

// cardOf returns the two parts of a card.
func cardOf(t *testing.T, r *Report) (front map[string]any, body string) {
	t.Helper()
	var b strings.Builder
	if err := r.WriteCard(&b); err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(b.String(), "---\n", 3)
	if len(parts) != 3 || parts[0] != "" {
		t.Fatalf("no front matter:\n%s", b.String())
	}
	if err := yaml.Unmarshal([]byte(parts[1]), &front); err != nil {
		t.Fatal(err)
	}
	return front, parts[2]
}

// at follows keys and indices into YAML.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[step] == nil {
				t.Fatalf("no %q in %v", step, v)
			}
			v = m[step]
		case int:
			list, ok := v.([]any)
			if !ok || step >= len(list) {
				t.Fatalf("no entry %d in %v", step, v)
			}
			v = list[step]
		}
	}
	return v
}

func TestCardHasTheHubsFields(t *testing.T) {
	r := sample()
	r.Model.Kind, r.Model.License, r.Model.Images = "Convolutional network, 3 layers", "apache-2.0", true
	front, body := cardOf(t, r)
	for _, test := range []struct {
		want any
		path []any
	}{
		{"apache-2.0", []any{"license"}},
		{"cipherpoint", []any{"library_name"}},
		{"image-classification", []any{"pipeline_tag"}},
		{"fhe", []any{"tags", 0}},
		{"ckks", []any{"tags", 1}},
		{"convolutional-network", []any{"tags", 3}},
		{"optical-digits", []any{"datasets", 0}},
		{"accuracy", []any{"metrics", 0}},
		{r.Model.Name, []any{"model-index", 0, "name"}},
		{"image-classification", []any{"model-index", 0, "results", 0, "task", "type"}},
		{r.Model.Dataset, []any{"model-index", 0, "results", 0, "dataset", "name"}},
		{"optical-digits", []any{"model-index", 0, "results", 0, "dataset", "type"}},
		{"accuracy", []any{"model-index", 0, "results", 0, "metrics", 1, "type"}},
		{r.Classification.Encrypted.Share(), []any{"model-index", 0, "results", 0, "metrics", 1, "value"}},
		{"Accuracy encrypted, of 200 samples", []any{"model-index", 0, "results", 0, "metrics", 1, "name"}},
	} {
		if got := at(t, front, test.path...); got != test.want {
			t.Errorf("%v: %v, want %v", test.path, got, test.want)
		}
	}
	for _, want := range []string{
		"# cnn-digits\n", "| **encrypted** | **200** | **199** |", "| stated bound | 0.001 |", "3,214,112", "3.52 ms", "128 bits of classical security",
		"docker run", "go run ./endpoint", "model.QuantizeEncryptSerialize(row) // 64 values", "curl -s", "one of 10 classes: 0, 1,",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the card has no %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "NaN") || strings.Contains(body, "no value") {
		t.Errorf("the card has holes:\n%s", body)
	}
}

func TestCardOfARegression(t *testing.T) {
	r := sample()
	r.Classification, r.Model.Dataset, r.Model.License = nil, "Red Wine.csv, 100 rows", ""
	r.Regression = &Regression{Clear: Fit{100, 2.5, 0.75}, Encrypted: Fit{20, 2.6, 0.5}}
	front, body := cardOf(t, r)
	for _, test := range []struct {
		want any
		path []any
	}{
		{"unknown", []any{"license"}},
		{"tabular-regression", []any{"pipeline_tag"}},
		{"red-wine", []any{"datasets", 0}},
		{"r_squared", []any{"model-index", 0, "results", 0, "metrics", 2, "type"}},
		{0.5, []any{"model-index", 0, "results", 0, "metrics", 2, "value"}},
		{2.6, []any{"model-index", 0, "results", 0, "metrics", 3, "value"}},
	} {
		if got := at(t, front, test.path...); got != test.want {
			t.Errorf("%v: %v, want %v", test.path, got, test.want)
		}
	}
	if !strings.Contains(body, "## Fit") {
		t.Error("no fit")
	}
	r.Model.Dataset = ""
	if front, _ := cardOf(t, r); front["datasets"] != nil || at(t, front, "model-index", 0, "results", 0, "dataset", "type") != "private" {
		t.Errorf("no data: %v", front)
	}
}

func TestCardIsSafeFromNames(t *testing.T) {
	r := sample()
	r.Model.Name, r.Model.Dataset = "a|b: <i>\x1b[1m\n---\nlicense: mit", "x: [1\n"
	front, body := cardOf(t, r)
	if at(t, front, "model-index", 0, "name") != r.Model.Name || front["license"] != "unknown" {
		t.Errorf("front matter %v", front)
	}
	if head := strings.SplitN(strings.TrimSpace(body), "\n", 2)[0]; strings.ContainsAny(head, "<\x1b") || !strings.Contains(head, `a\|b`) {
		t.Errorf("heading %q", head)
	}
}

// blocks returns the contents of a card's code blocks in a language.
func blocks(body, language string) []string {
	var list []string
	for _, part := range strings.Split(body, "```"+language+"\n")[1:] {
		list = append(list, part[:strings.Index(part, "```")])
	}
	return list
}

// TestCardsGoCompiles compiles what a card says of the client, with the values around it that it takes for granted.
func TestCardsGoCompiles(t *testing.T) {
	single, batch, text := sample(), sample(), sample()
	batch.Sizes.Samples = 4096
	text.Model.Columns = []string{"age", "job"}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		report    *Report
		variables string
	}{
		"single": {single, "row []float64"}, "batch": {batch, "rows [][]float64"}, "text": {text, "cells []string"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body := cardOf(t, test.report)
			code := blocks(body, "go")
			if len(code) != 1 {
				t.Fatalf("%d blocks of Go", len(code))
			}
			answer := "answer"
			if name == "batch" {
				answer = "answers"
			}
			source := "package cards\n\nimport (\n\t\"bytes\"\n\t\"context\"\n\t\"os\"\n\n\t\"cipherpoint/client\"\n)\n\n" +
				"func Call(ctx context.Context, " + test.variables + ") (any, error) {\n" + code[0] + "\nreturn " + answer + ", err\n}\n"
			dir := t.TempDir()
			file, overlay := filepath.Join(dir, "call.go"), filepath.Join(dir, "overlay.json")
			replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "cards", "call.go"): file}})
			if err != nil {
				t.Fatal(err)
			}
			for path, data := range map[string][]byte{file: []byte(source), overlay: replace} {
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "./cards")
			build.Dir = root
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, source)
			}
		})
	}
}

// TestCardsCommandsExist reads the endpoint's flags and environment, and the Dockerfile, for what a card says of them.
func TestCardsCommandsExist(t *testing.T) {
	_, body := cardOf(t, sample())
	for _, want := range []string{"go run ./endpoint --model DIR --listen :8080", "CIPHERPOINT_MODEL=/repository", "docker build -t cipherpoint ."} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	config, err := server.Parse([]string{"--model", "DIR", "--listen", ":8080"}, nil, os.Stderr)
	if err != nil || config.Model != "DIR" || config.Listen != ":8080" {
		t.Errorf("flags: %v, %+v", err, config)
	}
	config, err = server.Parse(nil, []string{"CIPHERPOINT_MODEL=/repository"}, os.Stderr)
	if err != nil || config.Model != "/repository" || !strings.HasSuffix(config.HealthURL(), "/health") {
		t.Errorf("environment: %v, %+v", err, config)
	}
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(dockerfile))
	for _, want := range []string{"PORT=80", "CIPHERPOINT_MODEL=/repository/compiled_model"} {
		if !slices.Contains(words, want) {
			t.Errorf("the image has no %s", want)
		}
	}
	if _, err := os.Stat("../../creating_models/check.go"); err != nil {
		t.Error(err)
	}
}

func TestCardNeedsASoundReport(t *testing.T) {
	r := sample()
	r.Classification.Encrypted.Hits = math.MaxInt
	if err := r.WriteCard(new(strings.Builder)); err == nil {
		t.Error("a report that contradicts itself has a card")
	}
}
