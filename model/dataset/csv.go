package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// CSV says how a table of comma-separated values is read. The zero value reads features alone, without a header.
type CSV struct {
	// Header is true where the first line names the columns.
	Header bool
	// Comma separates fields; 0 is a comma.
	Comma rune
	// Target is the column to be predicted: its name, or its index from 0, negative from the end (-1 is the last).
	// Empty where the table holds features alone.
	Target string
	// Regression reads the target as a number. Otherwise it is the name of a class.
	Regression bool
	// Labels names the classes in the order of their indices; nil takes those that occur, numbers in ascending
	// order, then names in lexical order.
	Labels []string
	// Skip lists columns that are not features, by name or index.
	Skip []string
	// Missing lists the fields that stand for a missing value besides the empty one, such as "?" or "NA".
	Missing []string
}

// Read reads a whole table. Fields may be quoted, spaces around them are ignored, blank lines too. Missing features
// become NaN; a missing target is an error, as is any feature that is not a finite number.
func (c CSV) Read(r io.Reader) (*Set, error) {
	reader := csv.NewReader(r)
	reader.TrimLeadingSpace = true
	reader.ReuseRecord = true
	if c.Comma != 0 {
		reader.Comma = c.Comma
	}
	record, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("csv: no rows")
	}
	if err != nil {
		return nil, fmt.Errorf("csv: %w", err)
	}
	var names []string
	if c.Header {
		for _, name := range record {
			names = append(names, strings.Clone(strings.TrimSpace(name)))
		}
	}
	table, err := c.newTable(names, len(record))
	if err != nil {
		return nil, err
	}
	if c.Header {
		record, err = reader.Read()
	}
	for ; err == nil; record, err = reader.Read() {
		if err := table.add(record); err != nil {
			line, _ := reader.FieldPos(0)
			return nil, fmt.Errorf("csv: line %d: %w", line, err)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("csv: %w", err)
	}
	return table.set()
}

// table collects rows.
type table struct {
	CSV
	names    []string // of all columns; nil without a header
	target   int      // -1 without a target
	features []int    // columns of X
	x        [][]float64
	y        []float64
	classes  []string // the target of each row, where it names a class
}

func (c CSV) newTable(names []string, columns int) (*table, error) {
	t := &table{CSV: c, names: names, target: -1}
	if c.Target != "" {
		column, err := findColumn(names, columns, c.Target)
		if err != nil {
			return nil, err
		}
		t.target = column
	}
	skip := make([]bool, columns)
	for _, name := range c.Skip {
		column, err := findColumn(names, columns, name)
		if err != nil {
			return nil, err
		}
		skip[column] = true
	}
	for column := range columns {
		if column != t.target && !skip[column] {
			t.features = append(t.features, column)
		}
	}
	if len(t.features) == 0 {
		return nil, errors.New("csv: no feature columns")
	}
	return t, nil
}

func findColumn(names []string, columns int, name string) (int, error) {
	if column := slices.Index(names, name); column >= 0 {
		return column, nil
	}
	column, err := strconv.Atoi(name)
	if err != nil {
		return 0, fmt.Errorf("csv: no column named %q", name)
	}
	if column < 0 {
		column += columns
	}
	if column < 0 || column >= columns {
		return 0, fmt.Errorf("csv: column %s of %d does not exist", name, columns)
	}
	return column, nil
}

func (t *table) missing(field string) bool {
	return field == "" || slices.Contains(t.Missing, field)
}

func (t *table) add(record []string) error {
	row := make([]float64, len(t.features))
	for i, column := range t.features {
		field := strings.TrimSpace(record[column])
		if t.missing(field) {
			row[i] = math.NaN()
			continue
		}
		v, err := parseFinite(field)
		if err != nil {
			return fmt.Errorf("column %s is not a number", t.columnName(column))
		}
		row[i] = v
	}
	t.x = append(t.x, row)
	if t.target < 0 {
		return nil
	}
	field := strings.TrimSpace(record[t.target])
	switch {
	case t.missing(field):
		return fmt.Errorf("column %s, the target, is missing", t.columnName(t.target))
	case t.Regression:
		v, err := parseFinite(field)
		if err != nil {
			return fmt.Errorf("column %s, the target, is not a number", t.columnName(t.target))
		}
		t.y = append(t.y, v)
	default:
		t.classes = append(t.classes, strings.Clone(field))
	}
	return nil
}

func (t *table) columnName(column int) string {
	if t.names == nil {
		return strconv.Itoa(column)
	}
	return strconv.Quote(t.names[column])
}

func (t *table) set() (*Set, error) {
	if len(t.x) == 0 {
		return nil, errors.New("csv: no rows")
	}
	s := &Set{X: t.x, Y: t.y, Shape: []int{len(t.features)}}
	if t.names != nil {
		for _, column := range t.features {
			s.Features = append(s.Features, t.names[column])
		}
	}
	if t.target < 0 || t.Regression {
		return s, nil
	}
	s.Labels = t.Labels
	if s.Labels == nil {
		s.Labels = slices.Clone(t.classes)
		slices.SortFunc(s.Labels, compareLabels)
		s.Labels = slices.Compact(s.Labels)
	}
	index := make(map[string]int, len(s.Labels))
	for i, label := range s.Labels {
		index[label] = i
	}
	s.Y = make([]float64, len(t.classes))
	for i, class := range t.classes {
		c, ok := index[class]
		if !ok {
			return nil, fmt.Errorf("csv: class %q is none of %q", class, s.Labels)
		}
		s.Y[i] = float64(c)
	}
	return s, nil
}

// compareLabels orders numbers by value and before names.
func compareLabels(a, b string) int {
	x, errX := parseFinite(a)
	y, errY := parseFinite(b)
	switch {
	case errX == nil && errY == nil && x < y:
		return -1
	case errX == nil && errY == nil && x > y:
		return 1
	case errX == nil && errY != nil:
		return -1
	case errX != nil && errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

func parseFinite(field string) (float64, error) {
	v, err := strconv.ParseFloat(field, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, strconv.ErrSyntax
	}
	return v, nil
}
