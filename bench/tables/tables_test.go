package tables

import (
	"bytes"
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"testing"

	"cipherpoint/internal/testdata"
)

// The rows that the other libraries were trained on are those that are exported.
func TestBaselineIsOfTheseRows(t *testing.T) {
	data := testdata.Dir(t)
	b, err := LoadBaseline()
	if err != nil {
		t.Fatal(err)
	}
	if b.Seed != Seed || len(b.Sets) != len(All()) {
		t.Errorf("baseline has seed %d and %d sets, here are %d and %d", b.Seed, len(b.Sets), Seed, len(All()))
	}
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if len(b.Sets[s.Name]) != len(s.Numbers()) {
				t.Errorf("the baseline is of %d divisions", len(b.Sets[s.Name]))
			}
			for _, n := range s.Numbers() {
				d, err := s.Write(data, n, io.Discard, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if of := b.Sets[s.Name][n]; *d != of.Digests {
					t.Errorf("division %d: exported %+v, the baseline is of %+v", n, *d, of.Digests)
				}
			}
		})
	}
}

// Each row is on one side, on different ones in different divisions.
func TestDivisions(t *testing.T) {
	s, err := Find("heart-disease")
	if err != nil {
		t.Fatal(err)
	}
	data := testdata.Dir(t)
	seen := map[string]bool{}
	for _, n := range s.Numbers() {
		var sides [2]bytes.Buffer
		if _, err := s.Write(data, n, &sides[0], &sides[1]); err != nil {
			t.Fatal(err)
		}
		known, unseen := lines(t, &sides[0]), lines(t, &sides[1])
		if len(known)+len(unseen) != 303 || len(unseen) < 70 || len(unseen) > 115 {
			t.Errorf("division %d: %d and %d rows of 303", n, len(known), len(unseen))
		}
		for _, row := range unseen {
			if slices.Contains(known, row) {
				t.Errorf("division %d: %s is on both sides", n, row)
			}
		}
		if first := strings.Join(unseen, "\n"); seen[first] {
			t.Errorf("division %d is another one", n)
		} else {
			seen[first] = true
		}
	}
}

// lines are those of a file below its header.
func lines(t *testing.T, file *bytes.Buffer) []string {
	t.Helper()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, row := range rows[1:] {
		list = append(list, strings.Join(row, ","))
	}
	return list
}

// A row that is there twice is on one side.
func TestSidesAreByContent(t *testing.T) {
	s, err := Find("wine-quality")
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for i := range 10000 {
		row := []string{string(rune('a' + i%26)), string(rune(i))}
		p := s.side(1, row)
		if p != s.side(1, row) {
			t.Fatal("a row is on both sides")
		}
		if p == test {
			tests++
		}
	}
	if tests < 1900 || tests > 2100 {
		t.Errorf("%d of 10000 rows are held out, asked for are 2000", tests)
	}
}
