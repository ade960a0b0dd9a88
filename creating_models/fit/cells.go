package fit

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"cipherpoint/pipeline"
)

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

// isIndex holds for a column without a name of distinct whole numbers, as data frames write their index.
func isIndex(name string, rows [][]string, k int) bool {
	if name != "" && !strings.HasPrefix(name, "Unnamed: ") {
		return false
	}
	seen := map[float64]bool{}
	for _, row := range rows {
		v, err := pipeline.ParseNumber(row[k])
		if err != nil || v != math.Trunc(v) || seen[v] {
			return false
		}
		seen[v] = true
	}
	return true
}

var (
	// withComma is a number with a decimal comma, or one that parts thousands.
	withComma = regexp.MustCompile(`^[+-]?\d*,\d+([eE][+-]?\d+)?$`)
	thousands = regexp.MustCompile(`^[+-]?\d{1,3}(,\d{3})+$`)
	// dressed is what stands about numbers in tables for people.
	dressed = strings.NewReplacer("$", "", "€", "", "£", "", "%", "", ",", "", "'", "", " ", "")
)

// largestNumber bounds numbers so that the sum of their squares is finite.
const largestNumber = 1e100

// mostlyNumbers is the share of numbers in a column from which its other cells are taken for mistakes.
const mostlyNumbers = 0.9

// tell finds out what the cells of a column are, and puts points into numbers with decimal commas.
func (t *Table) tell(k int, mark Decimal) error {
	column := &t.Columns[k]
	switch column.Kind = kindOf(t.Rows, k); column.Kind {
	case pipeline.Text:
		return nil
	case pipeline.Number:
		for i, row := range t.Rows {
			if v, _ := pipeline.ParseNumber(row[k]); math.Abs(v) > largestNumber {
				return fmt.Errorf("%s in row %d is too large: write nothing where there is no value", row[k], i+1)
			}
		}
		return nil
	}
	filled, numbers, commas, ambiguous, odd := 0, 0, 0, 0, -1
	for i, row := range t.Rows {
		cell := row[k]
		switch {
		case pipeline.IsMissing(cell):
			continue
		case isNumber(cell):
			numbers++
		case mark != DecimalPoint && withComma.MatchString(cell):
			commas++
			if thousands.MatchString(cell) {
				ambiguous++
			}
		default:
			if odd < 0 {
				odd = i
			}
			if isNumber(dressed.Replace(cell)) {
				numbers++
			}
		}
		filled++
	}
	switch {
	case commas > 0 && commas+numbers == filled && odd < 0:
		if commas == ambiguous && mark == DecimalSniffed {
			return fmt.Errorf("whether commas part thousands or fractions is not clear: say what the decimal mark is")
		}
		column.Kind, column.DecimalComma = pipeline.Number, true
		for _, row := range t.Rows {
			row[k] = strings.Replace(row[k], ",", ".", 1)
		}
	case odd >= 0 && float64(commas+numbers) >= mostlyNumbers*float64(filled) && filled > 2:
		return fmt.Errorf("most cells are numbers, but not %q in row %d: write plain numbers, nothing where there is no value, or say that the column holds categories",
			t.Rows[odd][k], odd+1)
	}
	return nil
}

// layouts of dates.
var layouts = []string{time.DateOnly, time.DateTime, time.RFC3339, "2006/01/02", "02/01/2006", "01/02/2006", "2.1.2006", "02-Jan-2006", "02/01/2006 15:04", "01/02/2006 15:04"}

func isDate(cell string) bool {
	return slices.ContainsFunc(layouts, func(layout string) bool { _, err := time.Parse(layout, cell); return err == nil })
}

// useless says why no model can learn from a column, or is empty.
func (t *Table) useless(k int) string {
	count := map[string]int{}
	filled, dates := 0, 0
	for _, row := range t.Rows {
		count[row[k]]++
		if !pipeline.IsMissing(row[k]) {
			filled++
			if isDate(row[k]) {
				dates++
			}
		}
	}
	kind := t.Columns[k].Kind
	switch {
	case filled == 0:
		return "it is empty"
	case len(count) == 1:
		return "it has one value only"
	case kind == pipeline.Category && dates == filled:
		return "it holds dates: a model takes years, months or days as numbers"
	case kind == pipeline.Category && len(frequentCategories(t.column(k))) == 0:
		return "hardly any of its values occurs twice"
	}
	return ""
}

// leaveOut drops the columns that no model can learn from. Rows without names of columns have to keep them all.
func (t *Table) leaveOut() (*Table, error) {
	if !t.Named {
		return t, nil
	}
	var names []string
	kept := *t
	for k, c := range t.Columns {
		if why := t.useless(k); why != "" {
			names = append(names, c.Name)
			kept.Left = append(slices.Clip(kept.Left), LeftOut{c.Name, why})
		}
	}
	if len(names) == len(t.Columns) {
		return nil, fmt.Errorf("no column is left to learn from: %q, and others: %s", names[0], t.useless(0))
	}
	return kept.Without(names...)
}
