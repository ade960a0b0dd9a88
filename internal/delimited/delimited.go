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
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sniffed is how many records are looked at to tell the separator.
const sniffed = 20

// Read returns the records of a table, spaces around fields taken off, blank lines left out. Separator 0 stands for the
// one of tab, semicolon, bar and comma that occurs equally often in each of the first records, or in most of them, or of
// spaces if these part lines of numbers; a space takes any run of spaces, and a line feed leaves each line whole. Fields may be quoted but where tabs, spaces or line feeds
// separate. All records have the same number of fields.
func Read(data []byte, separator rune) ([][]string, error) {
	if err := checkText(data); err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if separator == 0 {
		separator = sniff(data)
	}
	var records [][]string
	add := func(line int, record []string) error {
		if len(records) > 0 && len(record) != len(records[0]) {
			return fmt.Errorf("line %d has %d fields, the first has %d", line, len(record), len(records[0]))
		}
		for k, field := range record {
			record[k] = strings.TrimSpace(field)
		}
		records = append(records, record)
		return nil
	}
	read := quoted
	switch separator {
	case '\t', ' ', '\n':
		read = unquoted
	}
	if err := read(data, separator, add); err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errors.New("has no rows")
	}
	return records, nil
}

// checkText names the files that are often taken for tables of text.
func checkText(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return errors.New("is a workbook or an archive: save the table as CSV")
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return errors.New("is compressed: unpack it")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return errors.New("is UTF-16: save it as UTF-8")
	case utf8.Valid(data):
		return nil
	}
	line := 0
	for text := range bytes.Lines(data) {
		if line++; !utf8.Valid(text) {
			break
		}
	}
	return fmt.Errorf("line %d is not UTF-8: save the file as UTF-8", line)
}

func quoted(data []byte, separator rune, add func(line int, record []string) error) error {
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.TrimLeadingSpace, r.LazyQuotes, r.FieldsPerRecord = separator, true, true, -1
	for {
		record, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		if err := add(line, record); err != nil {
			return err
		}
	}
}

func unquoted(data []byte, separator rune, add func(line int, record []string) error) error {
	at := 0
	for line := range strings.Lines(string(data)) {
		at++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		record := strings.Fields(line)
		if separator != ' ' {
			record = strings.Split(line, string(separator))
		}
		if err := add(at, record); err != nil {
			return err
		}
	}
	return nil
}

func sniff(data []byte) rune {
	best, largest := ',', 0
	for _, separator := range "\t;|," {
		alike, records := agreement(data, separator)
		if alike > 0 && alike == records {
			return separator
		}
		if 2*alike > records && alike > largest {
			best, largest = separator, alike
		}
	}
	if largest == 0 && spaced(data) {
		return ' '
	}
	return best
}

// spaced holds if spaces part the first lines into as many fields, two or more, with a number among them.
func spaced(data []byte) bool {
	width, lines := 0, 0
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		if width == 0 {
			width = len(fields)
		}
		isNumber := func(field string) bool { _, err := strconv.ParseFloat(field, 64); return err == nil }
		if len(fields) != width || width < 2 || lines > 0 && !slices.ContainsFunc(fields, isNumber) {
			return false
		}
		if lines++; lines == sniffed {
			break
		}
	}
	return lines > 1
}

// agreement returns in how many of the first records a separator occurs as often as it does in most of them, outside of
// quotes, which may hold line feeds.
func agreement(data []byte, separator rune) (alike, records int) {
	times := map[int]int{}
	n, inQuotes, filled := 0, false, false
	end := func() {
		if filled {
			times[n]++
			records++
		}
		n, filled = 0, false
	}
	for _, c := range string(data) {
		switch {
		case c == '"' && separator != '\t':
			inQuotes = !inQuotes
		case c == '\n' && !inQuotes:
			end()
		case c == separator && !inQuotes:
			n++
		}
		filled = filled || c > ' '
		if records == sniffed {
			return most(times), records
		}
	}
	end()
	return most(times), records
}

// most returns how many records have the most frequent number of separators, of those that have any.
func most(times map[int]int) int {
	best := 0
	for n, count := range times {
		if n > 0 {
			best = max(best, count)
		}
	}
	return best
}
