package pipeline

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var someColumns = Columns{
	{Name: "age", Kind: Number},
	{Name: "job", Kind: Category, Values: []string{"?", "clerk", "nurse"}},
	{Name: "note", Kind: Text, Values: []string{"good", "très", "very"}},
}

func TestColumnsEncode(t *testing.T) {
	if err := someColumns.Validate(); err != nil || someColumns.Width() != 5 {
		t.Fatalf("%v, width %d", err, someColumns.Width())
	}
	for _, c := range []struct {
		cells []string
		want  []float64
	}{
		{[]string{" 4.5", "nurse ", "Very, VERY good! a"}, []float64{4.5, 2, 1, 0, 2}},
		{[]string{"-1e2", "?", ""}, []float64{-100, 0, 0, 0, 0}},
		{[]string{"7", "Clerk", "(très)"}, []float64{7, -1, 0, 1, 0}},
	} {
		got, err := someColumns.Encode(c.cells)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, %v; want %v", c.cells, got, err, c.want)
		}
	}
	for _, cell := range []string{"", "?", "NA", "n/a", "NaN", "NULL", "None"} {
		if got, err := someColumns.Encode([]string{cell, "clerk", ""}); err != nil || !math.IsNaN(got[0]) {
			t.Errorf("%q: %v, %v", cell, got, err)
		}
	}
	for _, cells := range [][]string{{"x", "clerk", ""}, {"inf", "clerk", ""}, {"1", "clerk"}} {
		if _, err := someColumns.Encode(cells); err == nil {
			t.Errorf("encoded %q", cells)
		}
	}
}

func TestWords(t *testing.T) {
	got := Words("It's NOT good - not_so, très à 42!")
	want := []string{"it", "not", "good", "not_so", "très", "42", "it not", "not good", "good not_so", "not_so très", "très 42"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Words("a."); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func TestColumnsTable(t *testing.T) {
	want := [][]float64{{30, 1, 1, 0, 0}, {31, 2, 0, 0, 0}}
	for name, records := range map[string][][]string{
		"in order": {{"30", "clerk", "good"}, {"31", "nurse", "bad"}},
		"by name":  {{"note", "label", "age", "job"}, {"good", "1", "30", "clerk"}, {"bad", "0", "31", "nurse"}},
	} {
		if got, err := someColumns.Table(records); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for message, records := range map[string][][]string{
		"no rows":               {},
		"names of columns":      {{"age", "job", "note"}},
		"does not name":         {{"30", "clerk", "good", "1"}},
		"row 2 has 2":           {{"30", "clerk", "good"}, {"31", "clerk"}},
		`column "age": not a`:   {{"x", "clerk", "good"}},
		"row 2: column \"age\"": {{"age", "job", "note"}, {"1", "clerk", ""}, {"x", "clerk", ""}},
	} {
		if _, err := someColumns.Table(records); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v, want %q", records, err, message)
		}
	}
}

func TestColumnsValidate(t *testing.T) {
	for name, spoil := range map[string]func(Columns){
		"name":   func(c Columns) { c[0].Name = "job" },
		"kind":   func(c Columns) { c[0].Kind = "date" },
		"values": func(c Columns) { c[0].Values = []string{"1"} },
		"none":   func(c Columns) { c[1].Values = nil },
		"order":  func(c Columns) { c[2].Values = []string{"b", "a"} },
	} {
		c := slices.Clone(someColumns)
		spoil(c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	p := example(t)
	p.Columns = someColumns
	if err := p.Validate(8, nil, nil); err == nil || !strings.Contains(err.Error(), "columns give 5 values") {
		t.Errorf("too wide: %v", err)
	}
}

func FuzzColumnsEncode(f *testing.F) {
	f.Add("1", "clerk", "very good")
	f.Add("\xff", "", "a\x00b")
	f.Fuzz(func(t *testing.T, number, category, text string) {
		row, err := someColumns.Encode([]string{number, category, text})
		if err == nil && len(row) != someColumns.Width() {
			t.Errorf("%d values", len(row))
		}
	})
}
