package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/gonum/stat"

	"cipherpoint/bench/tables"
	"cipherpoint/internal/format"
	"cipherpoint/internal/plot"
)

// tableReport is the outcome of `bench tables`.
type tableReport struct {
	command  string
	results  string // file, or empty
	baseline *tables.Baseline
	rows     []*tableRow
}

// load reads the figures that were kept, of as many encrypted rows and divisions.
func (r *tableReport) load(samples, divisions int) error {
	data, err := os.ReadFile(r.results)
	if r.results == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r.rows); err != nil {
		return fmt.Errorf("%s: %w", r.results, err)
	}
	for _, row := range r.rows {
		set, err := tables.Find(row.Set)
		if err != nil {
			return fmt.Errorf("%s: %w", r.results, err)
		}
		if row.Encrypted != min(samples, row.Unseen) || len(row.Chosen) != min(divisions, len(set.Numbers())) {
			return fmt.Errorf("%s holds figures of %d encrypted rows and %d divisions", r.results, row.Encrypted, len(row.Chosen))
		}
	}
	return nil
}

// keep writes all figures.
func (r *tableReport) keep() error {
	if r.results == "" {
		return nil
	}
	data, err := json.MarshalIndent(r.rows, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(r.results, append(data, '\n'), 0o644)
}

// sort brings the rows into the order of the data sets and, within each, of the kinds.
func (r *tableReport) sort() {
	place := func(row *tableRow) int {
		return slices.IndexFunc(tables.All(), func(s *tables.Set) bool { return s.Name == row.Set })*100 + slices.Index(tableKinds[row.Set], row.Kind)
	}
	slices.SortStableFunc(r.rows, func(a, b *tableRow) int { return place(a) - place(b) })
}

// counterpart is one kind of model of another library, with its model of each division.
type counterpart []tables.BaselineModel

func (c counterpart) values(metric string) []float64 {
	var list []float64
	for _, m := range c {
		list = append(list, m.Metrics[metric])
	}
	return list
}

func (c counterpart) validation() float64 {
	sum := 0.0
	for _, m := range c {
		sum += m.Validation
	}
	return sum
}

// elsewhere returns the baseline's models of the same sort, and those that its own cross-validation prefers, of the divisions
// that were measured here.
func (r *tableReport) elsewhere(row *tableRow) (same, best counterpart) {
	kinds := map[string]counterpart{}
	for n := range row.Chosen {
		for _, m := range r.baseline.Sets[row.Set][n+1].Models {
			kinds[m.Kind] = append(kinds[m.Kind], m)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if c := kinds[kind]; len(best) == 0 || c.validation() > best.validation() {
			best = c
		}
	}
	return kinds[counterparts[row.Kind]], best
}

// meanAndSpread returns the mean and the standard deviation, which is NaN of a single value.
func meanAndSpread(list []float64) (mean, spread float64) {
	mean = stat.Mean(list, nil)
	if len(list) < 2 {
		return mean, math.NaN()
	}
	return mean, stat.StdDev(list, nil)
}

// markdown writes the table, with a picture where its file is named.
func (r *tableReport) markdown(picture string) string {
	cores := fmt.Sprintf("%d cores", runtime.GOMAXPROCS(0))
	lines := [][]string{{"data set", "rows", "divided", "kind", "metric", "clear, all test rows", "same kind elsewhere", "difference", "best elsewhere",
		"rows encrypted", "in clear", "encrypted", "same labels", "largest error, % of range", "server, one core", cores, "client", "keys", "request", "reply"}}
	for _, row := range r.rows {
		same, best := r.elsewhere(row)
		for k, m := range row.Metrics {
			line := []string{"", "", "", "", m.Name, clear(m), ofBaseline(same, m.Name), difference(m, same), ofBaseline(best, m.Name),
				"", figure(m.Name, m.ClearSame), figure(m.Name, m.Encrypted), "", "", "", "", "", "", "", ""}
			if k == 0 {
				copy(line, []string{row.Set, fmt.Sprintf("%d + %d", row.Known, row.Unseen), fmt.Sprintf("%d ×", len(row.Chosen)), string(row.Kind)})
				line[9] = fmt.Sprint(row.Encrypted)
				if m.Name != tables.R2 {
					line[12] = fmt.Sprintf("%d of %d", row.SameLabels, row.Encrypted)
				}
				line[13] = fmt.Sprintf("%.2g", 100*row.LargestError)
				copy(line[14:], []string{format.Duration(row.OneCore), format.Duration(row.AllCores), format.Duration(row.Client),
					format.Bytes(float64(row.KeyBytes)), format.Bytes(float64(row.RequestBytes)), format.Bytes(float64(row.ReplyBytes))})
			}
			lines = append(lines, line)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Public tables, encrypted\n\n    %s\n\n%s.\n\n", r.command, describeMachine())
	fmt.Fprintf(&b, `The rows of a data set are divided anew as many times as "divided" says, by seeds that were used for nothing else; images keep
their published division. In each, creating_models/fit chooses a size by cross-validation on the rows of train.csv (best score) and
fits it, and scikit-learn %s and XGBoost %s are tuned in the same way (bench/tables/baseline.py); the rows of test.csv are
asked about once. Metrics are means over the divisions, ± one standard deviation over them, of a single division over the choice of
test rows by the bootstrap; the difference is ours less theirs, division by division, ± its standard error. The first metric of each
set is the one that sizes are chosen and models are judged by. Best elsewhere is the kind with the best cross-validation.

The model of the first division is compiled and asked about some of its test rows by the client's code through the server's:
encrypted, computed on, decrypted. Clear and encrypted of the same rows differ by encryption alone. Times are medians of a request,
and longer than need be where the machine had other work.

Which sizes fit tries was worked out on these data sets, as other libraries' defaults were on others: by cross-validation, and in
earlier versions in sight of test rows of other divisions. No row is new to those who did it, each model's test rows are to the model.

`, r.baseline.Versions["scikit-learn"], r.baseline.Versions["xgboost"])
	writeMarkdown(&b, lines)
	if picture != "" {
		fmt.Fprintf(&b, "\n![%s](%s)\n", pictureTitle, picture)
	}
	b.WriteString("\nWhat was fitted:\n\n")
	for _, row := range r.rows {
		same, _ := r.elsewhere(row)
		set, err := tables.Find(row.Set)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "- %s (%s), %s, N = 2^%d: %s", row.Set, set.Predicts, row.Kind, row.LogN, counted(row.Chosen))
		var others []string
		for _, m := range same {
			var parameters []string
			for _, name := range slices.Sorted(maps.Keys(m.Parameters)) {
				parameters = append(parameters, fmt.Sprintf("%s %v", name, m.Parameters[name]))
			}
			others = append(others, strings.Join(parameters, ", "))
		}
		if len(same) > 0 {
			fmt.Fprintf(&b, "; elsewhere %s: %s", same[0].Model, counted(others))
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// counted joins texts, each once, those that occur more than once with their number.
func counted(list []string) string {
	var once []string
	count := map[string]int{}
	for _, text := range list {
		if count[text]++; count[text] == 1 {
			once = append(once, text)
		}
	}
	for i, text := range once {
		if len(list) > 1 {
			once[i] = fmt.Sprintf("%s (%d ×)", text, count[text])
		}
	}
	return strings.Join(once, "; ")
}

// figure writes a metric: shares with four digits, errors in the target's units.
func figure(metric string, v float64) string {
	if metric == tables.RMSE {
		return format.Number(v)
	}
	return fmt.Sprintf("%.4f", v)
}

// withSpread writes a figure with its deviation, which is left out if it is NaN.
func withSpread(metric string, mean, spread float64) string {
	if math.IsNaN(spread) {
		return figure(metric, mean)
	}
	return figure(metric, mean) + " ± " + figure(metric, spread)
}

func clear(m measuredMetric) string {
	mean, spread := meanAndSpread(m.Clear)
	if len(m.Clear) == 1 {
		spread = m.Noise
	}
	return withSpread(m.Name, mean, spread)
}

func ofBaseline(c counterpart, metric string) string {
	if len(c) == 0 {
		return ""
	}
	mean, spread := meanAndSpread(c.values(metric))
	return withSpread(metric, mean, spread) + " " + c[0].Model
}

// difference is that of the same divisions: most of what divisions differ in is common to both.
func difference(m measuredMetric, same counterpart) string {
	if len(same) != len(m.Clear) {
		return ""
	}
	list := same.values(m.Name)
	for i, v := range m.Clear {
		list[i] = v - list[i]
	}
	mean, spread := meanAndSpread(list)
	text := withSpread(m.Name, mean, spread/math.Sqrt(float64(len(list))))
	if mean > 0 {
		return "+" + text
	}
	return text
}

// writeMarkdown writes a table whose first line is its head, in columns that can be read as they stand.
func writeMarkdown(b *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for k, cell := range line {
			widths[k] = max(widths[k], utf8.RuneCountInString(cell))
		}
	}
	for i, line := range lines {
		for k, cell := range line {
			fmt.Fprintf(b, "| %s%s ", cell, strings.Repeat(" ", widths[k]-utf8.RuneCountInString(cell)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, w := range widths {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
}

const pictureTitle = "Models that answer encrypted beside the best models elsewhere, means over divisions of the rows"

// save writes the table and, beside it, a picture: of each set our best model and the best elsewhere.
func (r *tableReport) save(path string) error {
	picture := strings.TrimSuffix(path, filepath.Ext(path)) + ".svg"
	chart := plot.BarChart{ID: "tables", Title: pictureTitle, Axis: plot.Axis{Label: "accuracy, AUC or R²"}}
	for i := 0; i < len(r.rows); {
		ours := r.rows[i]
		for ; i < len(r.rows) && r.rows[i].Set == ours.Set; i++ {
			if stat.Mean(r.rows[i].Metrics[0].Clear, nil) > stat.Mean(ours.Metrics[0].Clear, nil) {
				ours = r.rows[i]
			}
		}
		m := ours.Metrics[0]
		chart.Bars = append(chart.Bars, plot.Bar{Label: ours.Set, Value: stat.Mean(m.Clear, nil), Ours: true,
			Note: fmt.Sprintf("%s, %s", ours.Kind, m.Name)})
		if _, best := r.elsewhere(ours); len(best) > 0 {
			chart.Bars = append(chart.Bars, plot.Bar{Label: best[0].Model, Note: m.Name, Value: stat.Mean(best.values(m.Name), nil)})
		}
	}
	if err := os.WriteFile(picture, plot.Bars(chart).Document(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(r.markdown(filepath.Base(picture))), 0o644)
}
