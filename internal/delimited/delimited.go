// Package delimited reads tables of text: fields that end at commas, semicolons, bars or tabs.
//
//	records, err := delimited.Read(data, 0)
//
// Danger: a table is held in memory whole.
package delimited

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// sniffed is how many lines are looked at to tell the separator.
const sniffed = 20

// Read returns the records of a table, spaces around fields taken off, blank lines left out. Separator 0 stands for the
// one of tab, semicolon, bar and comma that occurs equally often in each of the first lines; a space takes any run of
// spaces, and a line feed leaves each line whole. Fields may be quoted but where tabs, spaces or line feeds separate. All records have the same number of fields.
func Read(data []byte, separator rune) ([][]string, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if separator == 0 {
		separator = sniff(data)
	}
	var records [][]string
	var err error
	switch separator {
	case '\t', ' ', '\n':
		records = unquoted(data, separator)
	default:
		r := csv.NewReader(bytes.NewReader(data))
		r.Comma, r.TrimLeadingSpace, r.LazyQuotes, r.FieldsPerRecord = separator, true, true, -1
		if records, err = r.ReadAll(); err != nil {
			return nil, err
		}
	}
	if len(records) == 0 {
		return nil, errors.New("has no rows")
	}
	for i, record := range records {
		if len(record) != len(records[0]) {
			return nil, fmt.Errorf("row %d has %d fields, the first has %d", i+1, len(record), len(records[0]))
		}
		for k, field := range record {
			record[k] = strings.TrimSpace(field)
		}
	}
	return records, nil
}

func unquoted(data []byte, separator rune) [][]string {
	var records [][]string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
		case separator == ' ':
			records = append(records, strings.Fields(line))
		default:
			records = append(records, strings.Split(line, string(separator)))
		}
	}
	return records
}

func sniff(data []byte) rune {
	var lines []string
	for line := range bytes.Lines(data) {
		if len(bytes.TrimSpace(line)) > 0 {
			lines = append(lines, string(line))
		}
		if len(lines) == sniffed {
			break
		}
	}
	for _, separator := range "\t;|," {
		least, most := count(lines, separator)
		if least > 0 && least == most {
			return separator
		}
	}
	return ','
}

// count returns how often a separator occurs in a line outside of quotes, at least and at most.
func count(lines []string, separator rune) (least, most int) {
	for i, line := range lines {
		n, quoted := 0, false
		for _, c := range line {
			switch {
			case c == '"' && separator != '\t':
				quoted = !quoted
			case c == separator && !quoted:
				n++
			}
		}
		if i == 0 {
			least = n
		}
		least, most = min(least, n), max(most, n)
	}
	return least, most
}
