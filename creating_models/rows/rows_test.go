package rows

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/sbinet/npyio/npy"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func numPy(t *testing.T, array any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := npy.Write(&b, array); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// header is that of an array, up to its elements.
func header(kind string, columns bool, shape string) string {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }", kind, map[bool]string{true: "True", false: "False"}[columns], shape)
	text += strings.Repeat(" ", 117-len(text)) + "\n"
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(text)), 0}) + text
}

type record struct {
	Age   float64 `parquet:"age"`
	Rooms *int32  `parquet:"rooms,optional"`
	Index int64   `parquet:"__index_level_0__"`
}

func TestRead(t *testing.T) {
	rooms := int32(3)
	var table bytes.Buffer
	if err := parquet.Write(&table, []record{{1.5, &rooms, 0}, {2, nil, 1}}); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for name, test := range map[string]struct {
		data  any // text or bytes
		names []string
		want  [][]float64
	}{
		"csv":           {[]byte("a,b\n1,2\n3,\n"), []string{"a", "b"}, [][]float64{{1, 2}, {3, nan}}},
		"without names": {[]byte("1,2\n3,4\n"), nil, [][]float64{{1, 2}, {3, 4}}},
		"semicolons":    {[]byte("a;b\n1;true\n"), []string{"a", "b"}, [][]float64{{1, 1}}},
		"tabs":          {[]byte("a\tb\n1\tNA\n"), []string{"a", "b"}, [][]float64{{1, nan}}},
		"parquet":       {table.Bytes(), []string{"age", "rooms"}, [][]float64{{1.5, 3}, {2, nan}}},
		"csv, index":    {[]byte(",a,b\n7,1,2\n0,3,4\n"), []string{"a", "b"}, [][]float64{{1, 2}, {3, 4}}},
		"npy":           {numPy(t, []float32{1, 2, 3}), nil, [][]float64{{1}, {2}, {3}}},
		"npy halves":    {header("<f2", false, "(4,)") + "\x00\x3e\x00\xc0\x01\x00\x00\x7c", nil, [][]float64{{1.5}, {-2}, {0x1p-24}, {math.Inf(1)}}},
		"npy columns":   {header("|i1", true, "(2, 1, 3)") + "\x01\x04\x02\x05\x03\x06", nil, [][]float64{{1, 2, 3}, {4, 5, 6}}},
		"npy big end":   {header(">u2", false, "(1, 2)") + "\x01\x00\x00\x02", nil, [][]float64{{256, 2}}},
		"npy integers":  {numPy(t, []int64{-1, 2}), nil, [][]float64{{-1}, {2}}},
		"npy truths":    {numPy(t, []bool{true, false}), nil, [][]float64{{1}, {0}}},
	} {
		data, isText := test.data.(string)
		if !isText {
			data = string(test.data.([]byte))
		}
		got, err := Read(write(t, "rows", []byte(data)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same := len(got.X) == len(test.want)
		for i := range test.want {
			for k := range test.want[i] {
				same = same && len(got.X[i]) == len(test.want[i]) && (got.X[i][k] == test.want[i][k] || math.IsNaN(got.X[i][k]) && math.IsNaN(test.want[i][k]))
			}
		}
		if !same || !reflect.DeepEqual(got.Names, test.names) {
			t.Errorf("%s: got %v of %v, want %v of %v", name, got.X, got.Names, test.want, test.names)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	whole := numPy(t, []float32{1, 2, 3})
	short := whole[:len(whole)-4]
	huge := bytes.Replace(whole, []byte("(3,"), []byte("(9,"), 1)
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"text":                     {[]byte("a,b\n1,red\n"), `"red" is no number`},
		"nothing":                  {nil, "no rows"},
		"ragged":                   {[]byte("1,2\n3\n"), "line 2 has 1 fields"},
		"npy cut short":            {short, "does not fit"},
		"npy that states too many": {huge, "does not fit"},
		"npy of objects":           {[]byte(header("|O", false, "(1,)") + "pickle"), "save numbers"},
		"npy of complex numbers":   {[]byte(header("<c8", false, "(1,)") + "12345678"), "save numbers"},
		"parquet cut short":        {[]byte("PAR1 and no more"), "parquet"},
	} {
		if _, err := Read(write(t, "rows", test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: want an error about %q, got %v", name, test.want, err)
		}
	}
}

func TestLabels(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		want []string
	}{
		"text":           {[]byte("id,label\n1,red\n2,blue\n"), []string{"red", "blue"}},
		"npy":            {numPy(t, []int64{2, 0}), []string{"2", "0"}},
		"npy of text":    {[]byte(header("<U2", false, "(2,)") + "a\x00\x00\x00\x00\x00\x00\x00b\x00\x00\x00c\x00\x00\x00"), []string{"a", "bc"}},
		"npy of bytes":   {[]byte(header("|S2", false, "(2,)") + "a\x00bc"), []string{"a", "bc"}},
		"npy one-hot":    {[]byte(header("|u1", false, "(2, 2)") + "\x00\x01\x01\x00"), []string{"1", "0"}},
		"column of text": {[]byte("red\nblue\n"), []string{"red", "blue"}},
	} {
		got, err := Labels(write(t, "labels", test.data))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
