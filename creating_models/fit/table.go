package fit

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"cipherpoint/internal/delimited"
	"cipherpoint/pipeline"
)

// maxTable bounds the file of a table.
const maxTable = 1 << 30

// Column is a column of a Table.
type Column struct {
	Name string
	Kind pipeline.ColumnKind
}

// Table is rows of text with what is known of their columns. Kinds may be changed by hand.
type Table struct {
	Columns []Column
	Rows    [][]string // cells without spaces around them
}

// ReadOptions say how a table is read. The zero value finds out.
type ReadOptions struct {
	Separator rune   // of cells; 0 for the one of tab, semicolon, bar and comma that each line has equally often
	Header    Header // whether the first row names the columns
	// Categories and Text list columns that hold categories or text, Ignore those that are left out. A column is given by its
	// name or its number from 1; other columns are numbers if all their cells are, else text if most cells have four words or
	// more, else categories.
	Categories, Text, Ignore []string
}

// Header says whether the first row of a table names its columns.
type Header string

const (
	// HeaderSniffed: the first row names columns if none of its cells is a number and one of them stands above a number, or
	// above categories of which it is none.
	HeaderSniffed Header = ""
	HeaderYes     Header = "yes"
	HeaderNo      Header = "no"
)

// ReadCSV reads a table from a file.
func ReadCSV(path string, o ReadOptions) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxTable+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxTable {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxTable)
	}
	t, err := ParseCSV(data, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ParseCSV reads a table from bytes.
func ParseCSV(data []byte, o ReadOptions) (*Table, error) {
	records, err := delimited.Read(data, o.Separator)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(records[0]))
	switch o.Header {
	case HeaderYes, HeaderNo, HeaderSniffed:
	default:
		return nil, fmt.Errorf("header %q: want yes, no or nothing", o.Header)
	}
	if o.Header == HeaderYes || o.Header == HeaderSniffed && namesColumns(records) {
		copy(names, records[0])
		records = records[1:]
	}
	if len(records) == 0 {
		return nil, errors.New("has no rows")
	}
	t := &Table{Rows: records}
	for k, name := range names {
		if name == "" {
			name = "column " + strconv.Itoa(k+1)
		}
		t.Columns = append(t.Columns, Column{Name: name, Kind: kindOf(records, k)})
	}
	for kind, list := range map[pipeline.ColumnKind][]string{pipeline.Category: o.Categories, pipeline.Text: o.Text} {
		for _, name := range list {
			k, err := t.Find(name)
			if err != nil {
				return nil, err
			}
			t.Columns[k].Kind = kind
		}
	}
	return t.Without(o.Ignore...)
}

// Find returns the index of a column, given by its name or its number from 1.
func (t *Table) Find(name string) (int, error) {
	for k, c := range t.Columns {
		if c.Name == name {
			return k, nil
		}
	}
	if k, err := strconv.Atoi(name); err == nil && k >= 1 && k <= len(t.Columns) {
		return k - 1, nil
	}
	return 0, fmt.Errorf("no column %q", name)
}

// Without returns the table without some of its columns.
func (t *Table) Without(names ...string) (*Table, error) {
	if len(names) == 0 {
		return t, nil
	}
	drop := make([]bool, len(t.Columns))
	for _, name := range names {
		k, err := t.Find(name)
		if err != nil {
			return nil, err
		}
		drop[k] = true
	}
	kept := &Table{Rows: make([][]string, len(t.Rows))}
	for k, c := range t.Columns {
		if !drop[k] {
			kept.Columns = append(kept.Columns, c)
		}
	}
	for i, row := range t.Rows {
		cells := make([]string, 0, len(kept.Columns))
		for k, cell := range row {
			if !drop[k] {
				cells = append(cells, cell)
			}
		}
		kept.Rows[i] = cells
	}
	return kept, nil
}

// column returns the cells of a column.
func (t *Table) column(k int) []string {
	cells := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		cells[i] = row[k]
	}
	return cells
}

// subset returns the rows at the given indices.
func (t *Table) subset(indices []int) *Table {
	part := &Table{Columns: t.Columns, Rows: make([][]string, len(indices))}
	for i, j := range indices {
		part.Rows[i] = t.Rows[j]
	}
	return part
}

func namesColumns(records [][]string) bool {
	if len(records) < 2 {
		return false
	}
	for _, cell := range records[0] {
		if isNumber(cell) {
			return false
		}
	}
	for k, cell := range records[0] {
		if isNumber(records[1][k]) || !slices.ContainsFunc(records[1:], func(row []string) bool { return row[k] == cell }) && kindOf(records[1:], k) == pipeline.Category {
			return true
		}
	}
	return false
}

func isNumber(cell string) bool {
	v, err := pipeline.ParseNumber(cell)
	return err == nil && !math.IsNaN(v)
}

// textWords is from how many words in the mean cells are taken for text.
const textWords = 4

func kindOf(rows [][]string, k int) pipeline.ColumnKind {
	number, words, filled := true, 0, 0
	for _, row := range rows {
		if pipeline.IsMissing(row[k]) {
			continue
		}
		filled++
		number = number && isNumber(row[k])
		words += len(strings.Fields(row[k]))
	}
	switch {
	case filled > 0 && number:
		return pipeline.Number
	case words >= textWords*filled && filled > 0:
		return pipeline.Text
	}
	return pipeline.Category
}
