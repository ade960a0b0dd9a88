// Package treetest reads the tables beside published tree models, for the tests of their readers.
package treetest

import (
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"cipherpoint/model"
)

// Table reads numbers separated by space or commas, one row a line; a line that starts with a letter is skipped.
func Table(t testing.TB, path string) [][]float64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float64
	for line := range strings.Lines(string(data)) {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
		if len(words) == 0 || words[0][0] >= 'a' && words[0][0] != 'n' && words[0][0] != 'i' {
			continue
		}
		row := make([]float64, len(words))
		for i, w := range words {
			if row[i], err = strconv.ParseFloat(w, 64); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Rows reads features: a table, the first column of which may be a label, or libsvm lines, where what is not listed has
// the given value.
func Rows(t testing.TB, path string, features int, label bool, unlisted float64) [][]float64 {
	t.Helper()
	if !strings.HasSuffix(path, ".libsvm") {
		rows := Table(t, path)
		for i := range rows {
			if label {
				rows[i] = rows[i][1:]
			}
			rows[i] = rows[i][:features]
		}
		return rows
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float64
	for line := range strings.Lines(string(data)) {
		row := make([]float64, features)
		for i := range row {
			row[i] = unlisted
		}
		for _, word := range strings.Fields(line)[1:] {
			index, value, _ := strings.Cut(word, ":")
			i, err := strconv.Atoi(index)
			if err != nil {
				t.Fatal(err)
			}
			if i < features {
				if row[i], err = strconv.ParseFloat(value, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// Raw is the graph up to the value named scores.
func Raw(g *model.Graph) *model.Graph {
	return &model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: g.Nodes, Outputs: []string{"scores"}}
}

// Compare fails where answers differ by more than the tolerance; see Difference.
func Compare(t testing.TB, g *model.Graph, rows, want [][]float64, tolerance float64) {
	t.Helper()
	if worst := Difference(t, g, rows, want); !(worst <= tolerance) {
		t.Errorf("answers differ by %.3g, relatively", worst)
	}
}

// Difference is the largest one of an answer, relative to the wanted one or to 1e-2. It fails where the largest of a
// row's answers is another.
func Difference(t testing.TB, g *model.Graph, rows, want [][]float64) float64 {
	t.Helper()
	got, err := g.RunRows(rows)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("row %d: %d answers, want %d", i, len(got[i]), len(want[i]))
		}
		for k, w := range want[i] {
			worst = max(worst, math.Abs(got[i][k]-w)/max(math.Abs(w), 1e-2))
		}
		if a, b := largest(got[i]), largest(want[i]); want[i][a] != want[i][b] {
			t.Errorf("row %d: answer %d is the largest, want %d", i, a, b)
		}
	}
	return worst
}

func largest(row []float64) int {
	at := 0
	for i, v := range row {
		if v > row[at] {
			at = i
		}
	}
	return at
}
