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
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

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
		a, err := readArray(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		x, err := a.numbers()
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
				return nil, fmt.Errorf("%s: row %d, column %d: %q is no number: encode it as the model's training did, or leave the column out", path, i+1, k+1, field)
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
		a, err := readArray(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return a.labels()
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
	if c.names == nil {
		return c, nil
	}
	c.rows = records[1:]
	return c.withoutIndex(), nil
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
		if !strings.HasPrefix(name, "__index_level_") && !(k == 0 && c.countsRows(name)) {
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

// countsRows holds for a first column, one of several, that has no name and distinct whole numbers.
func (c *cells) countsRows(name string) bool {
	if len(c.names) == 1 || name != "" && name != "Unnamed: 0" {
		return false
	}
	seen := map[int]bool{}
	for _, row := range c.rows {
		i, err := strconv.Atoi(row[0])
		if err != nil || seen[i] {
			return false
		}
		seen[i] = true
	}
	return true
}
