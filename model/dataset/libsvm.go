package dataset

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// LibSVM reads lines of a label and the features that are not zero, index:value, counted from 0; see LIBSVM's README.
// What a line does not list gets the given value: 0, or NaN as XGBoost has it. Features from count on are left out.
func LibSVM(r io.Reader, count int, unlisted float64) ([][]float64, error) {
	var rows [][]float64
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		row := make([]float64, count)
		for i := range row {
			row[i] = unlisted
		}
		for _, word := range words[1:] {
			index, value, _ := strings.Cut(word, ":")
			i, err := strconv.ParseUint(index, 10, 31)
			if err != nil {
				return nil, fmt.Errorf("libsvm: row %d: %q is no index:value", len(rows)+1, word)
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("libsvm: row %d: %q is no index:value", len(rows)+1, word)
			}
			if int(i) < count {
				row[i] = v
			}
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}
