package rows

import (
	"bytes"
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
		data  []byte
		names []string
		want  [][]float64
	}{
		"csv":           {[]byte("a,b\n1,2\n3,\n"), []string{"a", "b"}, [][]float64{{1, 2}, {3, nan}}},
		"without names": {[]byte("1,2\n3,4\n"), nil, [][]float64{{1, 2}, {3, 4}}},
		"semicolons":    {[]byte("a;b\n1;true\n"), []string{"a", "b"}, [][]float64{{1, 1}}},
		"tabs":          {[]byte("a\tb\n1\tNA\n"), []string{"a", "b"}, [][]float64{{1, nan}}},
		"parquet":       {table.Bytes(), []string{"age", "rooms"}, [][]float64{{1.5, 3}, {2, nan}}},
		"npy":           {numPy(t, []float32{1, 2, 3}), nil, [][]float64{{1}, {2}, {3}}},
		"npy integers":  {numPy(t, []int64{-1, 2}), nil, [][]float64{{-1}, {2}}},
		"npy truths":    {numPy(t, []bool{true, false}), nil, [][]float64{{1}, {0}}},
	} {
		got, err := Read(write(t, "rows", test.data))
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
		"column of text": {[]byte("red\nblue\n"), []string{"red", "blue"}},
	} {
		got, err := Labels(write(t, "labels", test.data))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
