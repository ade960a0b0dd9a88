package main

import (
	"fmt"
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
	baseline *tables.Baseline
	rows     []*tableRow
}

// elsewhere returns the baseline's model of the same sort, and the one that its own cross-validation prefers.
func (r *tableReport) elsewhere(row *tableRow) (same, best *tables.BaselineModel) {
	models := r.baseline.Sets[row.set.Name].Models
	for i := range models {
		m := &models[i]
		if m.Kind == counterparts[row.kind] {
			same = m
		}
		if best == nil || m.Validation > best.Validation {
			best = m
		}
	}
	return same, best
}

func (r *tableReport) markdown() string {
	cores := fmt.Sprintf("%d cores", runtime.GOMAXPROCS(0))
	lines := [][]string{{"data set", "rows", "kind", "metric", "clear, all test rows", "±", "rows encrypted", "in clear", "encrypted", "same labels", "largest error, % of range",
		"same kind elsewhere", "best elsewhere", "server, one core", cores, "client", "keys", "request", "reply"}}
	for _, row := range r.rows {
		same, best := r.elsewhere(row)
		for k, metric := range row.set.Metrics() {
			line := []string{"", "", "", metric, figure(metric, tables.Measure(metric, row.clear)), figure(metric, tables.Noise(metric, row.clear)), "",
				figure(metric, tables.Measure(metric, row.clearSame)), figure(metric, tables.Measure(metric, row.encrypted)), "", "",
				ofBaseline(same, metric), ofBaseline(best, metric), "", "", "", "", "", ""}
			if k == 0 {
				line[0], line[1], line[2] = row.set.Name, fmt.Sprintf("%d + %d", row.known, row.unseen), string(row.kind)
				line[6] = fmt.Sprint(len(row.encrypted))
				if !row.set.Regression {
					line[9] = fmt.Sprintf("%d of %d", row.sameLabels, len(row.encrypted))
				}
				line[10] = fmt.Sprintf("%.2g", 100*row.largest)
				copy(line[13:], []string{format.Duration(row.oneCore), format.Duration(row.all), format.Duration(row.client),
					format.Bytes(float64(row.keyBytes)), format.Bytes(float64(row.request)), format.Bytes(float64(row.reply))})
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
(bench/tables/baseline.py), of the same kind and of the kind with the best cross-validation.

`, r.baseline.Versions["scikit-learn"], r.baseline.Versions["xgboost"])
	writeMarkdown(&b, lines)
	b.WriteString("\nWhat was fitted:\n\n")
	for _, row := range r.rows {
		same, _ := r.elsewhere(row)
		fmt.Fprintf(&b, "- %s (%s), %s: %s, N = 2^%d", row.set.Name, row.set.Predicts, row.kind, row.chosen, row.logN)
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

// save writes the table and, beside it, a picture: of each set the best encrypted model and the best elsewhere.
func (r *tableReport) save(path, text string) error {
	picture := strings.TrimSuffix(path, filepath.Ext(path)) + ".svg"
	chart := plot.BarChart{ID: "tables", Title: "Encrypted answers beside the best model elsewhere", Axis: plot.Axis{Label: "accuracy, AUC or R²"}}
	for i := 0; i < len(r.rows); {
		set := r.rows[i].set
		metric := set.Metrics()[0]
		var ours *tableRow
		for ; i < len(r.rows) && r.rows[i].set == set; i++ {
			if ours == nil || tables.Measure(metric, r.rows[i].clear) > tables.Measure(metric, ours.clear) {
				ours = r.rows[i]
			}
		}
		chart.Bars = append(chart.Bars, plot.Bar{Label: set.Name, Note: fmt.Sprintf("%s, encrypted: %s of %d rows", ours.kind, metric, len(ours.encrypted)),
			Value: tables.Measure(metric, ours.encrypted), Ours: true})
		if _, best := r.elsewhere(ours); best != nil {
			chart.Bars = append(chart.Bars, plot.Bar{Label: best.Model, Note: fmt.Sprintf("in clear: %s of %d rows", metric, ours.unseen), Value: best.Metrics[metric]})
		}
	}
	if err := os.WriteFile(picture, plot.Bars(chart).Document(), 0o644); err != nil {
		return err
	}
	text = strings.Replace(text, "\nWhat was fitted:", fmt.Sprintf("\n![Encrypted answers beside the best model elsewhere](%s)\n\nWhat was fitted:", filepath.Base(picture)), 1)
	return os.WriteFile(path, []byte(text), 0o644)
}
