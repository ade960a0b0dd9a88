package fit

import (
	"reflect"
	"strings"
	"testing"

	"cipherpoint/pipeline"
)

func TestParseCSVFindsOut(t *testing.T) {
	number, category, text := pipeline.Number, pipeline.Category, pipeline.Text
	for name, c := range map[string]struct {
		data  string
		o     ReadOptions
		names []string
		kinds []pipeline.ColumnKind
		rows  int
	}{
		"header":        {"age, job\n30, clerk\n?, nurse\n", ReadOptions{}, []string{"age", "job"}, []pipeline.ColumnKind{number, category}, 2},
		"no header":     {"30;clerk\n31;nurse\n", ReadOptions{}, []string{"column 1", "column 2"}, []pipeline.ColumnKind{number, category}, 2},
		"all text":      {"job,town\nclerk,Bern\nclerk,Rome\n", ReadOptions{}, []string{"job", "town"}, []pipeline.ColumnKind{category, category}, 2},
		"all text, no":  {"clerk,Bern\nclerk,Rome\nnurse,Bern\n", ReadOptions{Header: HeaderNo}, []string{"column 1", "column 2"}, []pipeline.ColumnKind{category, category}, 3},
		"header of few": {"a,b\n1,2\n", ReadOptions{Header: HeaderNo}, []string{"column 1", "column 2"}, []pipeline.ColumnKind{category, category}, 2},
		"text":          {"It was not good, at all.\t0\nI liked it very much\t1\n", ReadOptions{}, []string{"column 1", "column 2"}, []pipeline.ColumnKind{text, number}, 2},
		"said":          {"a,b,c\n1,2,3\n", ReadOptions{Categories: []string{"a"}, Text: []string{"3"}, Ignore: []string{"b"}}, []string{"a", "c"}, []pipeline.ColumnKind{category, text}, 1},
	} {
		table, err := ParseCSV([]byte(c.data), c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for k, column := range table.Columns {
			if len(table.Columns) != len(c.names) || column.Name != c.names[k] || column.Kind != c.kinds[k] {
				t.Errorf("%s: column %d is %+v", name, k, column)
			}
		}
		if len(table.Rows) != c.rows || len(table.Rows[0]) != len(table.Columns) {
			t.Errorf("%s: rows %q", name, table.Rows)
		}
	}
	for message, c := range map[string]struct {
		data string
		o    ReadOptions
	}{
		"":              {"", ReadOptions{}},
		"has no rows":   {"a,b\n", ReadOptions{Header: HeaderYes}},
		"want yes":      {"a,b\n", ReadOptions{Header: "perhaps"}},
		`no column "z"`: {"a,b\n1,2\n", ReadOptions{Ignore: []string{"z"}}},
	} {
		if _, err := ParseCSV([]byte(c.data), c.o); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", message, err)
		}
	}
}

func TestTargets(t *testing.T) {
	table, err := ParseCSV([]byte("x,few,many,word,rare\n1,0,0.5,yes,1\n2,1,1.5,no,\n3,0,2.5,yes,2\n4,1,3.5,no,3\n5,1,9,yes,1\n"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind   Kind
		target string
		task   Task
		labels []string
		rows   int
	}{
		{Tree, "few", Classification, []string{"0", "1"}, 5},
		{Tree, "many", Regression, nil, 5},
		{Tree, "word", Classification, []string{"no", "yes"}, 5},
		{Tree, "5", Classification, []string{"1", "2", "3"}, 4},
		{Ridge, "few", Regression, nil, 5},
		{Logistic, "many", Classification, []string{"0.5", "1.5", "2.5", "3.5", "9"}, 5},
	} {
		o := Options{Kind: c.kind, Target: c.target}
		task, err := o.task(table)
		if err != nil || task != c.task {
			t.Errorf("%s of %s: %s, %v", c.kind, c.target, task, err)
			continue
		}
		p, err := o.newPart(table, task, nil)
		if err != nil || !reflect.DeepEqual(p.labels, c.labels) || len(p.y) != c.rows || p.dropped != 5-c.rows || len(p.table.Columns) != 4 {
			t.Errorf("%s of %s: %+v, %v", c.kind, c.target, p, err)
		}
	}
	for message, o := range map[string]Options{
		"no column":            {Kind: Tree, Target: "y"},
		"holds text":           {Kind: Ridge, Target: "word"},
		"none for":             {Kind: Logistic, Target: "few", Task: Regression},
		"classification or":    {Kind: Tree, Target: "few", Task: "clustering"},
		"between 0 and 1":      {Kind: Tree, Target: "few", TestShare: 2},
		`kind "stump" is not`:  {Kind: "stump", Target: "few"},
		`"perhaps": want best`: {Kind: Linear, Target: "many", Folds: 2, Choose: "perhaps"},
		"99 folds":             {Kind: Linear, Target: "many", Folds: 99},
	} {
		only, err := table.Without("word")
		if message == "holds text" {
			only = table
		}
		if err == nil {
			_, err = Fit(t.Context(), only, o)
		}
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", message, err)
		}
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("a,b\n1,x\n2,y\n"))
	f.Add([]byte("It is a long text, I say\t1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseCSV(data, ReadOptions{})
		if err == nil && (len(table.Rows) == 0 || len(table.Columns) != len(table.Rows[0])) {
			t.Error("rows and columns differ")
		}
	})
}
