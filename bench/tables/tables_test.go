package tables

import (
	"bytes"
	"encoding/csv"
	"io"
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
			d, err := s.Write(data, io.Discard, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if of := b.Sets[s.Name]; *d != of.Digests {
				t.Errorf("exported %+v, the baseline is of %+v", *d, of.Digests)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	data := testdata.Dir(t)
	for _, c := range []struct {
		name        string
		train, test int
		first       []string // of test.csv
	}{
		{"adult", 32561, 16281, []string{"25", "Private", "226802", "11th", "7", "Never-married", "Machine-op-inspct", "Own-child", "Black", "Male", "0", "0", "40", "United-States", "below"}},
	} {
		s, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		var trainFile, testFile bytes.Buffer
		if _, err := s.Write(data, &trainFile, &testFile); err != nil {
			t.Fatal(err)
		}
		sides := map[bool][][]string{}
		for known, file := range map[bool]*bytes.Buffer{true: &trainFile, false: &testFile} {
			if sides[known], err = csv.NewReader(file).ReadAll(); err != nil {
				t.Fatal(err)
			}
		}
		if len(sides[true]) != c.train+1 || len(sides[false]) != c.test+1 {
			t.Errorf("%s: %d and %d lines", c.name, len(sides[true]), len(sides[false]))
		}
		for k, want := range c.first {
			if got := sides[false][1][k]; got != want {
				t.Errorf("%s: field %d of the first row is %q, published is %q", c.name, k, got, want)
			}
		}
	}
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
		p := s.side(row)
		if p != s.side(row) {
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
