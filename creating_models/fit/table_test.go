package fit

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

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

// Tables as people have them.
func TestMessyTables(t *testing.T) {
	for message, c := range map[string]struct {
		data string
		o    ReadOptions
	}{
		`two columns have the name "a"`:     {"a,b,a\n1,2,3\n", ReadOptions{}},
		`not "unknown" in row 11`:           {"a,b\n" + strings.Repeat("1,x\n", 10) + "unknown,y\n", ReadOptions{}},
		`not "$1,200" in row 1`:             {"a;b\n$1,200;x\n1;y\n3;y\n", ReadOptions{}},
		"thousands or fractions":            {"a;b\n1,200;x\n1;y\n", ReadOptions{}},
		"a point or a comma":                {"a;b\n1;2\n", ReadOptions{Decimal: "x"}},
		`no column "z": there are a, b`:     {"a,b\n1,2\n", ReadOptions{Text: []string{"z"}}},
		"the first row is taken for data":   {"1,b\n1,2\n", ReadOptions{Ignore: []string{"z"}}},
		"1e300 in row 2 is too large":       {"a,b\n1,2\n1e300,3\n", ReadOptions{}},
		"line 3 has 3 fields":               {"a,b\n1,2\n1,2,3\n", ReadOptions{}},
		"line 2 is not UTF-8":               {"a,b\nM\xfcller,2\n", ReadOptions{}},
		"is a workbook or an archive: save": {"PK\x03\x04", ReadOptions{}},
	} {
		if _, err := ParseCSV([]byte(c.data), c.o); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", message, err)
		}
	}
	for name, c := range map[string]struct {
		data  string
		o     ReadOptions
		names string
		cell  string // of the first row, the last column
		comma bool
	}{
		"index":          {",a,b\n7,1,2\n3,3,4\n", ReadOptions{}, "a b", "2", false},
		"pandas":         {"Unnamed: 0,a\n0,5\n1,6\n", ReadOptions{}, "a", "5", false},
		"no index":       {",a\n7,1\n7,3\n", ReadOptions{}, "column 1 a", "1", false},
		"comma":          {"a;b\n1;2,5\n1;3\n1;\n", ReadOptions{}, "a b", "2.5", true},
		"quoted commas":  {"a,b\n1,\"2,25\"\n", ReadOptions{}, "a b", "2.25", true},
		"said":           {"a;b\n1;2,500\n", ReadOptions{Decimal: DecimalComma}, "a b", "2.500", true},
		"thousands":      {"a;b\n1;2,500\n", ReadOptions{Decimal: DecimalPoint}, "a b", "2,500", false},
		"mostly numbers": {"a,b\n" + strings.Repeat("x,1\n", 10) + "y,unknown\n", ReadOptions{Categories: []string{"b"}}, "a b", "1", false},
		"mark":           {"\xef\xbb\xbfa,b\r\n1,2\r\n", ReadOptions{}, "a b", "2", false},
	} {
		table, err := ParseCSV([]byte(c.data), c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for _, column := range table.Columns {
			names = append(names, column.Name)
		}
		last := len(names) - 1
		if strings.Join(names, " ") != c.names || table.Rows[0][last] != c.cell || table.Columns[last].DecimalComma != c.comma {
			t.Errorf("%s: %+v of %q", name, table.Columns, table.Rows)
		}
	}
}

func TestColumnsWithoutUseAreLeftOut(t *testing.T) {
	var b strings.Builder
	b.WriteString("id;when;same;none;x;y\n")
	for i := range 40 {
		fmt.Fprintf(&b, "k%d;2024-01-%02d;7;;%d,5;%d\n", i, i%9+1, i%7, 2*(i%7))
	}
	table, err := ParseCSV([]byte(b.String()), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Kind: Linear, Target: "y", Task: Regression, Folds: 2, TestShare: 0.25, Unpriced: true}
	if o.Test, err = ParseCSV([]byte(b.String()), ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := Fit(t.Context(), table, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Left) != 4 || len(r.Columns) != 1 || r.Columns[0].Name != "x" || !r.Columns[0].DecimalComma || r.Candidates[0].Score < 0.999 {
		t.Errorf("%+v of %+v, %+v", r.Left, r.Columns, r.Candidates)
	}
	if x, err := r.Columns.Encode([]string{"2,5"}); err != nil || x[0] != 2.5 {
		t.Errorf("2,5 is %v, %v", x, err)
	}
	if only, err := table.Without("x"); err == nil {
		if _, err = Fit(t.Context(), only, Options{Kind: Linear, Target: "y", Task: Regression}); err == nil || !strings.Contains(err.Error(), "no column is left") {
			t.Errorf("columns without use: %v", err)
		}
	}
}

func TestRowsToTestOn(t *testing.T) {
	known, err := ParseCSV([]byte("x,c\n"+strings.Repeat("1,a\n2,b\n3,a\n", 5)), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for data, message := range map[string]string{
		"more,c,x\n9,b,5\n": "", "x,y\n1,2\n": `no column "c"`, "x,c\n1,d\n": `class "d" is not known`, "1,2,3\n": "3 columns in the place of 2",
	} {
		o := Options{Kind: Tree, Target: "c"}
		if o.Test, err = ParseCSV([]byte(data), ReadOptions{}); err != nil {
			t.Fatal(err)
		}
		_, test, err := o.split(known)
		switch {
		case message == "" && (err != nil || !reflect.DeepEqual(test.table.Rows, [][]string{{"5"}}) || test.y[0] != 1):
			t.Errorf("%q: %+v, %v", data, test, err)
		case message != "" && (err == nil || !strings.Contains(err.Error(), message)):
			t.Errorf("%q: %v", message, err)
		}
	}
}

func TestReadTableOfParquet(t *testing.T) {
	type record struct {
		Age   *float64 `parquet:"age,optional"`
		Job   string   `parquet:"job"`
		Class int32    `parquet:"class"`
		Index int64    `parquet:"__index_level_0__"`
	}
	age := 30.5
	path := filepath.Join(t.TempDir(), "table.parquet")
	if err := parquet.WriteFile(path, []record{{&age, "clerk", 1, 5}, {nil, "nurse", 0, 6}}); err != nil {
		t.Fatal(err)
	}
	table, err := ReadTable(path, ReadOptions{Ignore: []string{"job"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &Table{Columns: []Column{{Name: "age", Kind: pipeline.Number}, {Name: "class", Kind: pipeline.Number}}, Rows: [][]string{{"30.5", "1"}, {"", "0"}}, Named: true}
	if !reflect.DeepEqual(table, want) {
		t.Errorf("%+v, want %+v", table, want)
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
		"in 99 folds of":       {Kind: Linear, Target: "many", Folds: 99},
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
