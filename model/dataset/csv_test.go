package dataset

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	nan := math.NaN()
	for _, test := range []struct {
		name string
		csv  CSV
		text string
		want Set
	}{
		{
			"header, target by name", CSV{Header: true, Target: "kind"},
			"\"a, b\",kind,c\n1,x,2\n3,\"y\",4\r\n\n5,x,6\n",
			Set{X: [][]float64{{1, 2}, {3, 4}, {5, 6}}, Y: []float64{0, 1, 0}, Features: []string{"a, b", "c"}, Labels: []string{"x", "y"}},
		},
		{
			"last column, numbers sorted by value", CSV{Target: "-1"}, "1,10\n2,9\n3,-1\n",
			Set{X: [][]float64{{1}, {2}, {3}}, Y: []float64{2, 1, 0}, Labels: []string{"-1", "9", "10"}},
		},
		{
			"missing values", CSV{Target: "0", Missing: []string{"?"}}, "a,1, ?\nb, ,2",
			Set{X: [][]float64{{1, nan}, {nan, 2}}, Y: []float64{0, 1}, Labels: []string{"a", "b"}},
		},
		{
			"regression, semicolons, skipped column", CSV{Header: true, Comma: ';', Target: "y", Regression: true, Skip: []string{"id"}},
			"id;x;y\nno number;1.5;-2e3",
			Set{X: [][]float64{{1.5}}, Y: []float64{-2000}, Features: []string{"x"}},
		},
		{
			"features alone", CSV{}, "1,2\n3,4", Set{X: [][]float64{{1, 2}, {3, 4}}},
		},
		{
			"given labels", CSV{Target: "1", Labels: []string{"no", "yes", "maybe"}}, "1,yes",
			Set{X: [][]float64{{1}}, Y: []float64{1}, Labels: []string{"no", "yes", "maybe"}},
		},
	} {
		s, err := test.csv.Read(strings.NewReader(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if !equalRows(s.X, test.want.X) || !slices.Equal(s.Y, test.want.Y) ||
			!slices.Equal(s.Features, test.want.Features) || !slices.Equal(s.Labels, test.want.Labels) {
			t.Errorf("%s: got %+v, want %+v", test.name, *s, test.want)
		}
	}
}

func equalRows(a, b [][]float64) bool {
	return slices.EqualFunc(a, b, func(x, y []float64) bool {
		return slices.EqualFunc(x, y, func(v, w float64) bool { return v == w || math.IsNaN(v) && math.IsNaN(w) })
	})
}

func TestCSVRefuses(t *testing.T) {
	for _, test := range []struct {
		name, text, message string
		csv                 CSV
	}{
		{"nothing", "", "no rows", CSV{}},
		{"header alone", "a,b\n", "no rows", CSV{Header: true}},
		{"ragged", "1,2\n3\n", "wrong number of fields", CSV{}},
		{"text feature", "1,2\n3,x\n", "line 2: column 1 is not a number", CSV{}},
		{"infinite feature", "a\ninf\n", `line 2: column "a" is not a number`, CSV{Header: true}},
		{"missing target", "1,?\n", "the target, is missing", CSV{Target: "1", Missing: []string{"?"}}},
		{"text target", "1,x\n", "the target, is not a number", CSV{Target: "1", Regression: true}},
		{"unknown class", "1,x\n", `class "x" is none of ["a"]`, CSV{Target: "1", Labels: []string{"a"}}},
		{"unknown column", "a,b\n1,2\n", `no column named "c"`, CSV{Header: true, Target: "c"}},
		{"column outside", "1,2\n", "column -3 of 2 does not exist", CSV{Target: "-3"}},
		{"target alone", "1\n", "no feature columns", CSV{Target: "0"}},
		{"open quote", "\"1,2\n", "csv:", CSV{}},
	} {
		s, err := test.csv.Read(strings.NewReader(test.text))
		if err == nil || s != nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: got %v and %v, want %q", test.name, s, err, test.message)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a,b\n1,x\n\"2\",y\n", true)
	f.Add("1,2\n?,4\n", false)
	f.Fuzz(func(t *testing.T, text string, header bool) {
		s, err := CSV{Header: header, Target: "-1", Missing: []string{"?"}}.Read(strings.NewReader(text))
		if err != nil {
			if s != nil {
				t.Error("a set beside an error")
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	})
}
