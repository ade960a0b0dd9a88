package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cipherpoint/internal/testdata"
)

// A data set goes the whole way: split, fitted, compiled, encrypted, and into a table beside the baseline.
func TestTableTheWholeWay(t *testing.T) {
	if testing.Short() {
		t.Skip("fits and compiles for some seconds")
	}
	data := testdata.Dir(t)
	file := filepath.Join(t.TempDir(), "tables.md")
	var out bytes.Buffer
	err := run(context.Background(), []string{"tables", "--data", data, "--only", "diabetes-regression", "--samples", "10", "--divisions", "2", "--out", file}, &out, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), data) {
		t.Error("the table tells where the data is")
	}
	var models int
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 18 || !strings.Contains(cells[1], "diabetes") {
			continue
		}
		models++
		for k := range cells {
			cells[k] = strings.TrimSpace(cells[k])
		}
		var figures []float64
		for _, k := range []int{6, 11, 12} {
			mean, _, _ := strings.Cut(cells[k], " ")
			v, err := strconv.ParseFloat(mean, 64)
			if err != nil {
				t.Fatal(err)
			}
			figures = append(figures, v)
		}
		// In cross-validation of the published data least squares explain 0.4 to 0.5 of the variance.
		if cells[5] != "R2" || figures[0] < 0.3 || figures[0] > 0.6 {
			t.Errorf("%s: %s is %v on all rows", cells[4], cells[5], figures[0])
		}
		// Scores may be off by 1/256 of their range.
		if cells[10] != "10" || cells[3] != "2 ×" || math.Abs(figures[1]-figures[2]) > 0.01 {
			t.Errorf("%s: of %s rows %s is %v in clear and %v encrypted", cells[4], cells[10], cells[5], figures[1], figures[2])
		}
		if !strings.HasSuffix(cells[7], "Ridge") || !strings.Contains(cells[8], "±") {
			t.Errorf("%s stands beside %q, a difference of %q", cells[4], cells[7], cells[8])
		}
	}
	if models != 2 {
		t.Errorf("%d models in:\n%s", models, text)
	}
	if svg, err := os.ReadFile(strings.TrimSuffix(file, ".md") + ".svg"); err != nil || !bytes.Contains(svg, []byte("diabetes-regression")) {
		t.Errorf("picture: %v", err)
	}
}

func TestFiguresOfDivisions(t *testing.T) {
	theirs := counterpart{{Model: "Ridge", Metrics: map[string]float64{"R2": 0.5}}, {Model: "Ridge", Metrics: map[string]float64{"R2": 0.7}}}
	ours := measuredMetric{Name: "R2", Clear: []float64{0.6, 0.76}, Noise: 0.01}
	// Differences of 0.1 and 0.06: the mean is 0.08, the deviation 0.02·√2, the standard error 0.02.
	if got := difference(ours, theirs); got != "+0.0800 ± 0.0200" {
		t.Errorf("difference %s", got)
	}
	if got := ofBaseline(theirs, "R2"); got != "0.6000 ± 0.1414 Ridge" {
		t.Errorf("theirs %s", got)
	}
	if got := clear(measuredMetric{Name: "R2", Clear: []float64{0.6}, Noise: 0.01}); got != "0.6000 ± 0.0100" {
		t.Errorf("of one division %s", got)
	}
	if got := counted([]string{"a", "b", "a"}); got != "a (2 ×); b (1 ×)" {
		t.Errorf("counted %s", got)
	}
}

func TestTablesArguments(t *testing.T) {
	for _, args := range [][]string{{"--only", "unknown", "--data", "."}, {"--samples", "0", "--data", "."}, {"--data", "/does/not/exist"}, {"--data", ".", "--only", "adult"}} {
		if err := run(context.Background(), append([]string{"tables"}, args...), new(bytes.Buffer), os.Stderr); err == nil {
			t.Errorf("%q: accepted", args)
		}
	}
}
