package delimited

import (
	"reflect"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		text      string
		separator rune
		want      [][]string
	}{
		"comma":        {"a, b\n1 ,\"x, y\"\n\n", 0, [][]string{{"a", "b"}, {"1", "x, y"}}},
		"semicolon":    {"1,5;2,5\n3,5;4,5\n", 0, [][]string{{"1,5", "2,5"}, {"3,5", "4,5"}}},
		"tab":          {"He said, \"no.\t0\r\n\"Yes\", she, said\t1\r\n", 0, [][]string{{`He said, "no.`, "0"}, {`"Yes", she, said`, "1"}}},
		"bar":          {"\xef\xbb\xbfa|b\n1|2\n", 0, [][]string{{"a", "b"}, {"1", "2"}}},
		"spaces":       {" 1  2\n3 4\n", ' ', [][]string{{"1", "2"}, {"3", "4"}}},
		"some spaces":  {"a b\n1  2\n 3 x\n", 0, [][]string{{"a", "b"}, {"1", "2"}, {"3", "x"}}},
		"sentences":    {"It was good\nIt was bad\n", 0, [][]string{{"It was good"}, {"It was bad"}}},
		"lines":        {"so, good\nbad\n", '\n', [][]string{{"so, good"}, {"bad"}}},
		"one column":   {"a\nb c\n", 0, [][]string{{"a"}, {"b c"}}},
		"lines within": {"a;b\n\"x\ny;z\";2\n", 0, [][]string{{"a", "b"}, {"x\ny;z", "2"}}},
		"no comma":     {"a;b\n1;2,5\n3,5;4\n", 0, [][]string{{"a", "b"}, {"1", "2,5"}, {"3,5", "4"}}},
		"quoted lines": {"a,b\n\"x\ny\",2\n", ',', [][]string{{"a", "b"}, {"x\ny", "2"}}},
	} {
		got, err := Read([]byte(c.text), c.separator)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	for text, message := range map[string]string{
		"": "has no rows", "\n\n": "has no rows", "a,b\n1\n": "line 2 has 1", "a;b\n1;2\n\n3;4\n5\n": "line 5 has 1 fields, the first has 2",
		"a,b\nM\xfcller,2\n": "line 2 is not UTF-8", "\xff\xfea\x00": "UTF-16", "PK\x03\x04": "workbook", "\x1f\x8b\x08": "compressed",
	} {
		if _, err := Read([]byte(text), 0); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v, want %q", text, err, message)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{"a,b\n1,2\n", "a\tb\n", "\"", "1;2\n3;4", "\xff|\x00"} {
		f.Add([]byte(text), uint8(0))
		f.Add([]byte(text), uint8('\t'))
	}
	f.Fuzz(func(t *testing.T, data []byte, separator uint8) {
		records, err := Read(data, rune(separator))
		if err == nil && len(records) == 0 {
			t.Error("no records and no error")
		}
	})
}
