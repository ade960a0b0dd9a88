package fit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"cipherpoint/creating_models/rows"
	"cipherpoint/internal/delimited"
	"cipherpoint/pipeline"
)

// maxTable bounds the file of a table.
const maxTable = 1 << 30

// Column is a column of a Table.
type Column struct {
	Name string
	Kind pipeline.ColumnKind
	// DecimalComma holds where users write numbers with a comma; the cells of the table have points.
	DecimalComma bool
}

// Table is rows of text with what is known of their columns. Kinds may be changed by hand.
type Table struct {
	Columns []Column
	Rows    [][]string // cells without spaces around them
	// Named holds if the columns have names from the file, so that users' rows may have more columns.
	Named bool
	Left  []LeftOut
}

// LeftOut is a column that no model takes.
type LeftOut struct{ Column, Why string }

// ReadOptions say how a table is read. The zero value finds out.
type ReadOptions struct {
	Separator rune    // of cells; 0 for the one of tab, semicolon, bar and comma that each line has equally often
	Header    Header  // whether the first row names the columns
	Decimal   Decimal // mark
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

// Decimal is the mark before the fraction of a number.
type Decimal string

const (
	// DecimalSniffed: the comma in columns whose cells are numbers only if it is, and where it cannot part thousands.
	DecimalSniffed Decimal = ""
	DecimalPoint   Decimal = "."
	DecimalComma   Decimal = ","
)

// ReadTable reads a table from a file of separated text or of Parquet, which is told by its content.
func ReadTable(path string, o ReadOptions) (*Table, error) {
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
	names, records, ok, err := rows.Parquet(data)
	var t *Table
	switch {
	case err != nil:
	case ok:
		t, err = newTable(names, records, o)
	default:
		t, err = ParseCSV(data, o)
	}
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
	switch o.Header {
	case HeaderYes, HeaderNo, HeaderSniffed:
	default:
		return nil, fmt.Errorf("header %q: want yes, no or nothing", o.Header)
	}
	if o.Header == HeaderYes || o.Header == HeaderSniffed && namesColumns(records) {
		return newTable(records[0], records[1:], o)
	}
	return newTable(nil, records, o)
}

// newTable tells the kinds of columns; names may be nil.
func newTable(names []string, records [][]string, o ReadOptions) (*Table, error) {
	if len(records) == 0 {
		return nil, errors.New("has no rows")
	}
	t := &Table{Rows: records, Named: names != nil}
	ignore := slices.Clone(o.Ignore)
	for k := range records[0] {
		name := "column " + strconv.Itoa(k+1)
		if t.Named && names[k] != "" {
			name = names[k]
		}
		t.Columns = append(t.Columns, Column{Name: name})
		if t.Named && isIndex(names[k], records, k) {
			ignore = append(ignore, name)
			t.Left = append(t.Left, LeftOut{name, "it has no name and counts the rows"})
		}
	}
	said, err := t.kinds(o)
	if err != nil {
		return nil, err
	}
	if t, err = t.Without(ignore...); err != nil {
		return nil, err
	}
	for k, column := range t.Columns {
		if i := slices.IndexFunc(t.Columns[:k], func(c Column) bool { return c.Name == column.Name }); i >= 0 {
			return nil, fmt.Errorf("two columns have the name %q: give them names of their own", column.Name)
		}
		if said[column.Name] != "" {
			t.Columns[k].Kind = said[column.Name]
		} else if err := t.tell(k, o.Decimal); err != nil {
			return nil, fmt.Errorf("column %q: %w", column.Name, err)
		}
	}
	return t, nil
}

// kinds returns those of columns that the options give.
func (t *Table) kinds(o ReadOptions) (map[string]pipeline.ColumnKind, error) {
	said := map[string]pipeline.ColumnKind{}
	for kind, list := range map[pipeline.ColumnKind][]string{pipeline.Category: o.Categories, pipeline.Text: o.Text} {
		for _, name := range list {
			k, err := t.Find(name)
			if err != nil {
				return nil, err
			}
			said[t.Columns[k].Name] = kind
		}
	}
	if o.Decimal != DecimalSniffed && o.Decimal != DecimalPoint && o.Decimal != DecimalComma {
		return nil, fmt.Errorf("decimal mark %q: want a point or a comma", o.Decimal)
	}
	return said, nil
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
	names := make([]string, len(t.Columns))
	for k, c := range t.Columns {
		names[k] = c.Name
	}
	const shown = 20
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("and %d more", more))
	}
	hint := ""
	if !t.Named {
		hint = " (the first row is taken for data, not for names)"
	}
	return 0, fmt.Errorf("no column %q: there are %s%s", name, strings.Join(names, ", "), hint)
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
	kept := &Table{Rows: make([][]string, len(t.Rows)), Named: t.Named, Left: t.Left}
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

// like returns the columns of another table, found by their names where both have names, else by their places.
func (t *Table) like(other *Table) (*Table, error) {
	if (!t.Named || !other.Named) && len(t.Columns) != len(other.Columns) {
		return nil, fmt.Errorf("%d columns in the place of %d", len(t.Columns), len(other.Columns))
	}
	places := make([]int, len(other.Columns))
	for k, c := range other.Columns {
		places[k] = k
		if t.Named && other.Named {
			if places[k] = slices.IndexFunc(t.Columns, func(mine Column) bool { return mine.Name == c.Name }); places[k] < 0 {
				return nil, fmt.Errorf("no column %q", c.Name)
			}
		}
	}
	same := &Table{Columns: other.Columns, Named: other.Named, Rows: make([][]string, len(t.Rows))}
	for i, row := range t.Rows {
		same.Rows[i] = make([]string, len(places))
		for k, at := range places {
			same.Rows[i][k] = row[at]
		}
	}
	return same, nil
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
	part := &Table{Columns: t.Columns, Named: t.Named, Left: t.Left, Rows: make([][]string, len(indices))}
	for i, j := range indices {
		part.Rows[i] = t.Rows[j]
	}
	return part
}
