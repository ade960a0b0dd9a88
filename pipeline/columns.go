package pipeline

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ColumnKind says what the cells of a column are.
type ColumnKind string

const (
	// Number: a cell gives its value; an empty one, ?, -, na, n/a, #n/a, <na>, nan, nat, null and none give NaN, a missing value.
	Number ColumnKind = "number"
	// Category: a cell gives the index of its text among Values, or -1 where it is not there.
	Category ColumnKind = "category"
	// Text: a cell gives for each of Values how often that word or pair of words occurs in it; see Words.
	Text ColumnKind = "text"
)

// Column says how the cells of one column become numbers.
type Column struct {
	Name   string     `json:"name"`
	Kind   ColumnKind `json:"kind"`
	Values []string   `json:"values,omitempty"` // categories or words, ascending
	// DecimalComma lets a number be written with a comma in the place of the point.
	DecimalComma bool `json:"decimal_comma,omitempty"`
}

// Columns reads rows of text, as tables have them, as the numbers that a prefix takes: one column after the other.
type Columns []Column

// maxColumnValues bounds the numbers of a row.
const maxColumnValues = 1 << 20

// Width is the number of values that a row of text becomes.
func (c Columns) Width() int {
	n := 0
	for _, column := range c {
		n += column.width()
	}
	return n
}

func (c *Column) width() int {
	if c.Kind == Text {
		return len(c.Values)
	}
	return 1
}

// Validate checks kinds, names and lists.
func (c Columns) Validate() error {
	names := map[string]bool{}
	for i, column := range c {
		switch {
		case column.Name == "" || names[column.Name]:
			return fmt.Errorf("column %d has no name of its own", i)
		case column.Kind != Number && column.Kind != Category && column.Kind != Text:
			return fmt.Errorf("column %d is of an unknown kind", i)
		case column.DecimalComma && column.Kind != Number:
			return fmt.Errorf("column %d: a decimal comma is for numbers", i)
		case (column.Kind == Number) != (len(column.Values) == 0):
			return fmt.Errorf("column %d: %d values for its kind", i, len(column.Values))
		case len(column.Values) > maxColumnValues:
			return fmt.Errorf("column %d has more than %d values", i, maxColumnValues)
		}
		for k, value := range column.Values {
			if k > 0 && value <= column.Values[k-1] {
				return fmt.Errorf("column %d: values do not ascend", i)
			}
		}
		names[column.Name] = true
	}
	if c.Width() > maxColumnValues {
		return fmt.Errorf("rows have more than %d values", maxColumnValues)
	}
	return nil
}

// Encode turns a row of cells into numbers.
func (c Columns) Encode(cells []string) ([]float64, error) {
	if len(cells) != len(c) {
		return nil, fmt.Errorf("row has %d cells: want %d", len(cells), len(c))
	}
	row := make([]float64, 0, c.Width())
	for i, column := range c {
		cell := strings.TrimSpace(cells[i])
		switch column.Kind {
		case Category:
			at, found := slices.BinarySearch(column.Values, cell)
			if !found {
				at = -1
			}
			row = append(row, float64(at))
		case Text:
			counts := make([]float64, len(column.Values))
			for _, word := range Words(cell) {
				if at, found := slices.BinarySearch(column.Values, word); found {
					counts[at]++
				}
			}
			row = append(row, counts...)
		default:
			if column.DecimalComma {
				cell = strings.Replace(cell, ",", ".", 1)
			}
			v, err := ParseNumber(cell)
			if err != nil {
				return nil, fmt.Errorf("column %q: not a number", column.Name)
			}
			row = append(row, v)
		}
	}
	return row, nil
}

// Table encodes the rows of a table. If the first row names columns, they are found by their names and others are passed
// over; else each row holds the columns in their order.
func (c Columns) Table(records [][]string) ([][]float64, error) {
	if len(records) == 0 {
		return nil, errors.New("no rows")
	}
	places := make([]int, len(c))
	named := true
	for i, column := range c {
		places[i] = slices.Index(records[0], column.Name)
		named = named && places[i] >= 0
	}
	if named {
		records = records[1:]
	} else if len(records[0]) != len(c) {
		return nil, fmt.Errorf("rows have %d cells and the first does not name the %d columns that the model takes", len(records[0]), len(c))
	}
	if len(records) == 0 {
		return nil, errors.New("no rows below the names of columns")
	}
	rows := make([][]float64, len(records))
	cells := make([]string, len(c))
	for i, record := range records {
		if len(record) != len(records[0]) {
			return nil, fmt.Errorf("row %d has %d cells: want %d", i+1, len(record), len(records[0]))
		}
		copy(cells, record[:min(len(cells), len(record))])
		if named {
			for k, at := range places {
				cells[k] = record[at]
			}
		}
		var err error
		if rows[i], err = c.Encode(cells); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return rows, nil
}

// missing are the texts, in lower case, that tables write where there is no value.
var missing = []string{"", "?", "-", "na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none"}

// IsMissing reports whether a cell holds no value.
func IsMissing(cell string) bool { return slices.Contains(missing, strings.ToLower(cell)) }

// ParseNumber reads a cell of a column of numbers; NaN stands for no value. Infinity is no number.
func ParseNumber(cell string) (float64, error) {
	if IsMissing(cell) {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, errors.New("not a number")
	}
	return v, nil
}

// Words lists the words of a text, runs of two or more letters, digits and underscores, in lower case, and then the pairs of
// words that follow each other, with a space between them.
func Words(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
	})
	words = slices.DeleteFunc(words, func(word string) bool { return utf8.RuneCountInString(word) < 2 })
	for i := range len(words) - 1 {
		words = append(words, words[i]+" "+words[i+1])
	}
	return words
}
