// Package rows reads calibration rows and labels from files that publishers have: NumPy's .npy, Parquet, CSV. The format
// is told by the content.
//
//	table, err := rows.Read("rows.parquet")
//	labels, err := rows.Labels("labels.csv")
//
// Danger: a file is held in memory whole; it is the publisher's own.
package rows

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/sbinet/npyio/npy"

	"cipherpoint/internal/delimited"
)

// Table is rows of numbers; NaN stands for a missing value.
type Table struct {
	Names []string // of the columns, where the file has them
	X     [][]float64
}

// cells are the fields of a file as text, which every format has in common.
type cells struct {
	names []string
	rows  [][]string
}

// Read reads rows of numbers. An array of more than two dimensions is flattened, sample by sample.
func Read(path string) (*Table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if isNumPy(data) {
		x, err := readNumPy(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &Table{X: x}, nil
	}
	c, err := readCells(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := &Table{Names: c.names, X: make([][]float64, len(c.rows))}
	for i, row := range c.rows {
		t.X[i] = make([]float64, len(row))
		for k, field := range row {
			if t.X[i][k], err = number(field); err != nil {
				return nil, fmt.Errorf("%s: row %d, column %d: %q is no number: encode it as the model's training did", path, i+1, k+1, field)
			}
		}
	}
	return t, nil
}

// ReadText reads the rows of a table as they are written, after the names of its columns where it has them.
func ReadText(path string) ([][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if isNumPy(data) {
		return nil, fmt.Errorf("%s: an array of numbers has no text", path)
	}
	c, err := readCells(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.names != nil {
		return append([][]string{c.names}, c.rows...), nil
	}
	return c.rows, nil
}

// Parquet reads the columns of a Parquet file as text, "" where there is no value. ok is false for a file of another format.
func Parquet(data []byte) (names []string, rows [][]string, ok bool, err error) {
	if !isParquet(data) {
		return nil, nil, false, nil
	}
	c, err := readCells(data)
	if err != nil {
		return nil, nil, true, err
	}
	return c.names, c.rows, true, nil
}

// Labels reads one label for each row: the last column of a table as text, or of an array the number; a row of several
// numbers of an array is one-hot, and its label the index of the largest.
func Labels(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if isNumPy(data) {
		x, err := readNumPy(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		labels := make([]string, len(x))
		for i, row := range x {
			label := row[0]
			if len(row) > 1 {
				best := 0
				for k, v := range row {
					if v > row[best] {
						best = k
					}
				}
				label = float64(best)
			}
			labels[i] = strconv.FormatFloat(label, 'f', -1, 64)
		}
		return labels, nil
	}
	c, err := readCells(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	labels := make([]string, len(c.rows))
	for i, row := range c.rows {
		labels[i] = row[len(row)-1]
	}
	return labels, nil
}

func isNumPy(data []byte) bool { return bytes.HasPrefix(data, []byte("\x93NUMPY")) }

func readNumPy(data []byte) ([][]float64, error) {
	r, err := npy.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	shape := r.Header.Descr.Shape
	size, each := 1, 1
	for i, d := range shape {
		if d < 1 || size > len(data)/d {
			return nil, fmt.Errorf("shape %v does not fit its %d bytes", shape, len(data))
		}
		if size *= d; i > 0 {
			each *= d
		}
	}
	if len(shape) == 0 {
		return nil, errors.New("array has no rows")
	}
	if r.Header.Descr.Fortran && len(shape) > 1 {
		return nil, errors.New("array is stored column by column: save numpy.ascontiguousarray of it")
	}
	// The library takes a file that ends early for one with zeros.
	content := payload(data)
	if width := strings.TrimLeft(r.Header.Descr.Type, "<>|=fiub"); content%size != 0 || width != strconv.Itoa(content/size) {
		return nil, fmt.Errorf("shape %v of %q does not fit its %d bytes", shape, r.Header.Descr.Type, content)
	}
	flat, err := readFlat(r)
	if err != nil {
		return nil, err
	}
	x := make([][]float64, shape[0])
	for i := range x {
		x[i] = flat[i*each : (i+1)*each]
	}
	return x, nil
}

// payload is the number of bytes after the header, whose length stands in two bytes in version 1 and in four since.
func payload(data []byte) int {
	if data[6] == 1 {
		return len(data) - 10 - int(binary.LittleEndian.Uint16(data[8:]))
	}
	return len(data) - 12 - int(binary.LittleEndian.Uint32(data[8:]))
}

// readFlat reads the elements of any numeric type.
func readFlat(r *npy.Reader) ([]float64, error) {
	switch kind := strings.TrimLeft(r.Header.Descr.Type, "<>|="); kind {
	case "f8":
		var v []float64
		return v, r.Read(&v)
	case "f4":
		return widened[float32](r)
	case "i8":
		return widened[int64](r)
	case "i4":
		return widened[int32](r)
	case "i2":
		return widened[int16](r)
	case "i1":
		return widened[int8](r)
	case "u8":
		return widened[uint64](r)
	case "u4":
		return widened[uint32](r)
	case "u2":
		return widened[uint16](r)
	case "u1":
		return widened[uint8](r)
	case "b1":
		var v []bool
		if err := r.Read(&v); err != nil {
			return nil, err
		}
		x := make([]float64, len(v))
		for i, b := range v {
			if b {
				x[i] = 1
			}
		}
		return x, nil
	default:
		return nil, fmt.Errorf("array of type %q: numbers are read", r.Header.Descr.Type)
	}
}

func widened[T float32 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](r *npy.Reader) ([]float64, error) {
	var v []T
	if err := r.Read(&v); err != nil {
		return nil, err
	}
	x := make([]float64, len(v))
	for i := range v {
		x[i] = float64(v[i])
	}
	return x, nil
}

// number reads a field; what tables write for a missing value is NaN.
func number(field string) (float64, error) {
	switch strings.ToLower(strings.TrimSpace(field)) {
	case "", "na", "nan", "null", "none", "?":
		return math.NaN(), nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	return strconv.ParseFloat(strings.TrimSpace(field), 64)
}

func isParquet(data []byte) bool { return bytes.HasPrefix(data, []byte("PAR1")) }

func readCells(data []byte) (*cells, error) {
	var c *cells
	var err error
	if isParquet(data) {
		c, err = readParquet(data)
	} else {
		c, err = readCSV(data)
	}
	if err == nil && (len(c.rows) == 0 || len(c.rows[0]) == 0) {
		err = errors.New("has no rows")
	}
	return c, err
}

// readCSV takes a first line without a number in it as names.
func readCSV(data []byte) (*cells, error) {
	records, err := delimited.Read(data, 0)
	if err != nil {
		return nil, err
	}
	c := &cells{rows: records}
	if len(records) < 2 {
		return c, nil
	}
	for k, field := range records[0] {
		if v, err := number(field); err == nil && !math.IsNaN(v) {
			return c, nil
		}
		if _, err := number(records[1][k]); err == nil {
			c.names = records[0] // text above a number
		}
	}
	if c.names != nil {
		c.rows = records[1:]
	}
	return c, nil
}

func readParquet(data []byte) (*cells, error) {
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	c := new(cells)
	for _, field := range file.Schema().Fields() {
		if !field.Leaf() || field.Repeated() {
			return nil, fmt.Errorf("column %q is nested: plain columns are read", field.Name())
		}
		c.names = append(c.names, field.Name())
	}
	for _, group := range file.RowGroups() {
		start := len(c.rows)
		for range group.NumRows() {
			c.rows = append(c.rows, make([]string, len(c.names)))
		}
		for k, chunk := range group.ColumnChunks() {
			if err := readColumn(chunk, c.rows[start:], k); err != nil {
				return nil, fmt.Errorf("column %q: %w", c.names[k], err)
			}
		}
	}
	return c.withoutIndex(), nil
}

func readColumn(chunk parquet.ColumnChunk, into [][]string, column int) error {
	pages := chunk.Pages()
	defer pages.Close()
	at := 0
	for {
		page, err := pages.ReadPage()
		if err != nil {
			if at == len(into) {
				return nil
			}
			return err
		}
		values := make([]parquet.Value, page.NumValues())
		n, _ := page.Values().ReadValues(values)
		for _, v := range values[:n] {
			if at >= len(into) {
				return errors.New("has more values than rows")
			}
			if !v.IsNull() {
				into[at][column] = v.String()
			}
			at++
		}
		parquet.Release(page)
	}
}

// withoutIndex leaves out the index column that pandas writes.
func (c *cells) withoutIndex() *cells {
	for k, name := range c.names {
		if !strings.HasPrefix(name, "__index_level_") {
			continue
		}
		c.names = append(c.names[:k:k], c.names[k+1:]...)
		for i, row := range c.rows {
			c.rows[i] = append(row[:k:k], row[k+1:]...)
		}
		break
	}
	return c
}
