package main

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cipherpoint/pipeline"
)

func TestRowsOfTextAreReadAsTheModelSays(t *testing.T) {
	table := pipeline.Columns{{Name: "age", Kind: pipeline.Number}, {Name: "job", Kind: pipeline.Category, Values: []string{"clerk", "nurse"}}}
	note := pipeline.Columns{{Name: "note", Kind: pipeline.Text, Values: []string{"bad", "good"}}}
	for name, c := range map[string]struct {
		columns pipeline.Columns
		content string
		want    [][]float64
	}{
		"in order":      {table, "30, nurse\n31, diver\n", [][]float64{{30, 1}, {31, -1}}},
		"by name":       {table, "job;salary;age\nclerk;9;30\n", [][]float64{{30, 0}}},
		"lines of text": {note, "good, so good\nbad\n", [][]float64{{0, 2}, {1, 0}}},
		"one of more":   {note, "id,note\n1,bad\n", [][]float64{{1, 0}}},
		"numbers":       {nil, "1,-2e3\n", [][]float64{{1, -2000}}},
		"below names":   {nil, "a;b\n1;2\n", [][]float64{{1, 2}}},
	} {
		file := filepath.Join(t.TempDir(), "rows.csv")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		set, err := readRows(file, c.columns)
		if err != nil || !reflect.DeepEqual(set.X, c.want) {
			t.Errorf("%s: %+v, %v; want %v", name, set, err, c.want)
		}
	}
	file := filepath.Join(t.TempDir(), "missing.csv")
	if err := os.WriteFile(file, []byte("1,nan\n,?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if set, err := readRows(file, nil); err != nil || set.X[0][0] != 1 || !math.IsNaN(set.X[0][1]+set.X[1][0]) {
		t.Errorf("missing values: %v, %v", set, err)
	}
	file = filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte("thirty,nurse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRows(file, table); err == nil || !strings.Contains(err.Error(), `row 1: column "age"`) {
		t.Errorf("text for a number: %v", err)
	}
}
