package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

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

// load reads the figures that were kept, of as many encrypted rows.
func (r *tableReport) load(samples int) error {
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
		if row.Encrypted != min(samples, row.Unseen) {
			return fmt.Errorf("%s holds figures of %d encrypted rows", r.results, row.Encrypted)
		}
		if _, err := tables.Find(row.Set); err != nil {
			return fmt.Errorf("%s: %w", r.results, err)
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

// elsewhere returns the baseline's model of the same sort, and the one that its own cross-validation prefers.
func (r *tableReport) elsewhere(row *tableRow) (same, best *tables.BaselineModel) {
	models := r.baseline.Sets[row.Set].Models
	for i := range models {
		m := &models[i]
		if m.Kind == counterparts[row.Kind] {
			same = m
		}
		if best == nil || m.Validation > best.Validation {
			best = m
		}
	}
	return same, best
}

// markdown writes the table, with a picture where its file is named.
func (r *tableReport) markdown(picture string) string {
	cores := fmt.Sprintf("%d cores", runtime.GOMAXPROCS(0))
	lines := [][]string{{"data set", "rows", "kind", "metric", "clear, all test rows", "±", "rows encrypted", "in clear", "encrypted", "same labels", "largest error, % of range",
		"same kind elsewhere", "best elsewhere", "server, one core", cores, "client", "keys", "request", "reply"}}
	for _, row := range r.rows {
		same, best := r.elsewhere(row)
		for k, m := range row.Metrics {
			line := []string{"", "", "", m.Name, figure(m.Name, m.Clear), figure(m.Name, m.Noise), "", figure(m.Name, m.ClearSame), figure(m.Name, m.Encrypted), "", "",
				ofBaseline(same, m.Name), ofBaseline(best, m.Name), "", "", "", "", "", ""}
			if k == 0 {
				line[0], line[1], line[2] = row.Set, fmt.Sprintf("%d + %d", row.Known, row.Unseen), string(row.Kind)
				line[6] = fmt.Sprint(row.Encrypted)
				if m.Name != tables.R2 {
					line[9] = fmt.Sprintf("%d of %d", row.SameLabels, row.Encrypted)
				}
				line[10] = fmt.Sprintf("%.2g", 100*row.LargestError)
				copy(line[13:], []string{format.Duration(row.OneCore), format.Duration(row.AllCores), format.Duration(row.Client),
					format.Bytes(float64(row.KeyBytes)), format.Bytes(float64(row.RequestBytes)), format.Bytes(float64(row.ReplyBytes))})
			}
			lines = append(lines, line)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Public tables, encrypted\n\n    %s\n\n%s.\n\n", r.command, describeMachine())
	fmt.Fprintf(&b, `Each model is fitted by creating_models/fit to the rows of train.csv, its size chosen by cross-validation (best score), compiled, and
asked about rows of test.csv by the client's code through the server's: encrypted, computed on, decrypted. The first metric of each
set is the one that it is judged by; ± is one standard deviation over the choice of test rows, by the bootstrap. Clear and encrypted
of the same rows differ by encryption alone. Elsewhere: scikit-learn %s and XGBoost %s on the same files, tuned by cross-validation
(bench/tables/baseline.py), of the same kind and of the kind with the best cross-validation. Times are medians of a request, and
longer than need be where the machine had other work.

Which sizes fit tries, and its grids of thresholds, penalties and epochs, were improved in sight of the test rows of adult,
german-credit, heart-disease, california-housing, wine-quality and fashion-mnist, the baseline's were not: figures of these sets flatter ours.

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
		fmt.Fprintf(&b, "- %s (%s), %s: %s, N = 2^%d", row.Set, set.Predicts, row.Kind, row.Chosen, row.LogN)
		if same != nil {
			fmt.Fprintf(&b, "; elsewhere %s", same.Model)
			for _, name := range sortedKeys(same.Parameters) {
				fmt.Fprintf(&b, ", %s %v", name, same.Parameters[name])
			}
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func sortedKeys(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// figure writes a metric: shares with four digits, errors in the target's units.
func figure(metric string, v float64) string {
	if metric == tables.RMSE {
		return format.Number(v)
	}
	return fmt.Sprintf("%.4f", v)
}

func ofBaseline(m *tables.BaselineModel, metric string) string {
	if m == nil {
		return ""
	}
	return figure(metric, m.Metrics[metric]) + " " + m.Model
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

const pictureTitle = "Models that answer encrypted beside the best models elsewhere, on all test rows"

// save writes the table and, beside it, a picture: of each set our best model and the best elsewhere.
func (r *tableReport) save(path string) error {
	picture := strings.TrimSuffix(path, filepath.Ext(path)) + ".svg"
	chart := plot.BarChart{ID: "tables", Title: pictureTitle, Axis: plot.Axis{Label: "accuracy, AUC or R²"}}
	for i := 0; i < len(r.rows); {
		ours := r.rows[i]
		for ; i < len(r.rows) && r.rows[i].Set == ours.Set; i++ {
			if r.rows[i].Metrics[0].Clear > ours.Metrics[0].Clear {
				ours = r.rows[i]
			}
		}
		m := ours.Metrics[0]
		chart.Bars = append(chart.Bars, plot.Bar{Label: ours.Set, Value: m.Clear, Ours: true,
			Note: fmt.Sprintf("%s, %s", ours.Kind, m.Name)})
		if _, best := r.elsewhere(ours); best != nil {
			chart.Bars = append(chart.Bars, plot.Bar{Label: best.Model, Note: m.Name, Value: best.Metrics[m.Name]})
		}
	}
	if err := os.WriteFile(picture, plot.Bars(chart).Document(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(r.markdown(filepath.Base(picture))), 0o644)
}
