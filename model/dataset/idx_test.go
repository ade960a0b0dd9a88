package dataset

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

func gzipped(content ...byte) []byte {
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	w.Write(content)
	w.Close()
	return buffer.Bytes()
}

func TestReadIDX(t *testing.T) {
	idx, err := ReadIDX(bytes.NewReader(gzipped(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(idx.Dims, []int{2, 3}) || !bytes.Equal(idx.Data, []byte{1, 2, 3, 4, 5, 255}) {
		t.Errorf("got %v", idx)
	}
}

func TestReadIDXRefuses(t *testing.T) {
	for _, test := range []struct {
		name, message string
		content       []byte
	}{
		{"not gzip", "gzip", []byte("0123456789")},
		{"empty", "header", gzipped()},
		{"floats", "not an array", gzipped(0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0)},
		{"no dimension", "not an array", gzipped(0, 0, 8, 0)},
		{"five dimensions", "not an array", gzipped(0, 0, 8, 5)},
		{"cut header", "header", gzipped(0, 0, 8, 2, 0, 0, 0, 2)},
		{"zero", "dimension 0", gzipped(0, 0, 8, 1, 0, 0, 0, 0)},
		{"4 GiB", "dimension 0", gzipped(0, 0, 8, 1, 255, 255, 255, 255)},
		{"overflow", "dimension 1", gzipped(0, 0, 8, 4, 8, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0)},
		{"announced, not sent", "do not fill", gzipped(0, 0, 8, 1, 16, 0, 0, 0)},
		{"short", "do not fill", gzipped(0, 0, 8, 1, 0, 0, 0, 2, 1)},
		{"long", "do not fill", gzipped(0, 0, 8, 1, 0, 0, 0, 2, 1, 2, 3)},
		{"cut gzip", "EOF", gzipped(0, 0, 8, 1, 0, 0, 0, 2, 1, 2)[:20]},
	} {
		idx, err := ReadIDX(bytes.NewReader(test.content))
		if err == nil || idx != nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: got %v and %v, want %q", test.name, idx, err, test.message)
		}
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add([]byte{0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 7, 8})
	f.Add([]byte{0, 0, 8, 1, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, content []byte) {
		idx, err := ReadIDX(bytes.NewReader(gzipped(content...)))
		if err != nil {
			return
		}
		size := 1
		for _, n := range idx.Dims {
			size *= n
		}
		if size != len(idx.Data) || 4+4*len(idx.Dims)+size != len(content) {
			t.Errorf("%v with %d values from %d bytes", idx.Dims, len(idx.Data), len(content))
		}
	})
}
