package fit

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"cipherpoint/internal/format"
	"cipherpoint/internal/plot"
	"cipherpoint/pipeline"
)

// WriteTable prints the candidates with their scores and prices.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	title := string(r.Kind)
	if r.several {
		title = "" // each candidate names its kind
	}
	fmt.Fprintf(t, "\t%s\t%s\tlatency\tkeys\trequest\treply\tring\t\n", title, r.Measure)
	for i, c := range r.Candidates {
		note := ""
		switch {
		case c.Refused != "":
			fmt.Fprintf(t, "%d\t%s\t%.4f ± %.4f\trefused: %s\n", c.Number, r.label(c), c.Score, c.StandardError, c.Refused)
			continue
		case i == r.Chosen && c.Front:
			note = "chosen, on the front"
		case i == r.Chosen:
			note = "chosen"
		case c.Front:
			note = "on the front"
		}
		fmt.Fprintf(t, "%d\t%s\t%.4f ± %.4f\t%s\t%s\t%s\t%s\t2^%d\t%s\n", c.Number, r.label(c), c.Score, c.StandardError, format.Duration(c.Latency),
			format.Bytes(float64(c.KeyBytes)), format.Bytes(float64(c.RequestBytes)), format.Bytes(float64(c.ReplyBytes)), c.LogN, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	chosen := r.Candidates[r.Chosen]
	_, err := fmt.Fprintf(w, "chosen: %d, %s; %s is %.4g in cross-validation, %.4g on %d test rows\n", chosen.Number, r.label(chosen), r.Measure, chosen.Score, r.TestScore, r.Test.Len())
	return err
}

// label names a candidate, with its kind where there are several.
func (r *Result) label(c Candidate) string {
	if r.several {
		return string(c.Kind) + ", " + c.Label
	}
	return c.Label
}

// Reading says as what the columns of a table are read, or is empty.
func (r *Result) Reading() string {
	if r.Columns == nil {
		return ""
	}
	names := map[pipeline.ColumnKind][]string{}
	for _, c := range r.Columns {
		name := c.Name
		if c.Kind != pipeline.Number {
			name = fmt.Sprintf("%s (%d)", c.Name, len(c.Values))
		}
		names[c.Kind] = append(names[c.Kind], name)
	}
	var parts []string
	for _, kind := range []struct {
		of   pipeline.ColumnKind
		name string
	}{{pipeline.Number, "numbers"}, {pipeline.Category, "categories"}, {pipeline.Text, "words of texts"}} {
		list := names[kind.of]
		const shown = 30
		if more := len(list) - shown; more > 0 {
			list = append(list[:shown], fmt.Sprintf("and %d more", more))
		}
		if len(list) > 0 {
			parts = append(parts, kind.name+": "+strings.Join(list, ", "))
		}
	}
	return strings.Join(parts, "\n")
}

// Disclosed lists what client.zip, which is public, tells of the rows that the model learnt from.
func (r *Result) Disclosed() []string {
	var list []string
	tell := func(n int, format string) {
		if n > 0 {
			list = append(list, fmt.Sprintf(format, n))
		}
	}
	count := map[pipeline.ColumnKind]int{}
	for _, c := range r.Columns {
		count[c.Kind] += max(1, len(c.Values))
	}
	switch {
	case r.Kind == CNN:
	case r.Kind.grows():
		edges := 0
		for _, feature := range r.Grid {
			edges += len(feature)
		}
		tell(edges, "a grid of quantiles, %d edges in all, not which of them the trees use")
	case r.Columns == nil:
		tell(r.Known.Width(), "medians, means and deviations of %d features")
	default:
		tell(count[pipeline.Number], "medians, means and deviations of %d numbers")
	}
	tell(count[pipeline.Category], "%d frequent categories")
	tell(count[pipeline.Text], "%d frequent words and pairs of words")
	if r.Kind == Neighbours {
		list = append(list, "the classes or values of the gallery's templates")
	}
	return list
}

// Figures draws what is missing to a perfect score against latency and against bytes of keys.
func (r *Result) Figures() (latency, keys []byte) {
	draw := func(id, title, label string, x func(Candidate) float64, show func(float64) string) []byte {
		list := make([]plot.Alternative, len(r.Candidates))
		axis := plot.Axis{Label: label, Log: true, Format: show}
		for i, c := range r.Candidates {
			standing := plot.Possible
			switch {
			case i == r.Chosen:
				standing = plot.Chosen
			case c.Refused != "":
				standing = plot.Refused
			}
			list[i] = plot.Alternative{Label: r.label(c), X: x(c), Y: c.Loss, Standing: standing}
			axis.Log = axis.Log && (c.Refused != "" || list[i].X > 0) // some models need no keys
		}
		return plot.Alternatives(plot.TradeOff{ID: id, Title: title, X: axis, Y: plot.Axis{Label: r.lossName}, Alternatives: list, Front: true}).Document()
	}
	latency = draw("latency", "Score against encrypted latency", "estimated server latency, one core",
		func(c Candidate) float64 { return c.Latency.Seconds() }, format.Seconds)
	keys = draw("keys", "Score against size of keys", "keys", func(c Candidate) float64 { return float64(c.KeyBytes) }, format.Bytes)
	return latency, keys
}
