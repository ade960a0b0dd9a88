package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"cipherpoint/internal/format"
	"cipherpoint/internal/plot"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"clean": format.Text}).Parse(pageSource))

// WriteHTML writes the report as one self-contained page.
func (r *Report) WriteHTML(w io.Writer) error {
	if err := r.Check(); err != nil {
		return err
	}
	v := view{
		Report: r,
		Style:  template.CSS(plot.Style + pageStyle),
		Origin: r.origin(),
		Key:    r.keyFigures(),
	}
	return page.Execute(w, v)
}

// view is what the page's template reads.
type view struct {
	*Report
	Style  template.CSS
	Origin []string
	Key    []keyFigure
}

// keyFigure stands at the head of the page.
type keyFigure struct {
	Name, Value, Note string
	Bad               bool
}

// origin says where the model comes from.
func (r *Report) origin() []string {
	var parts []string
	add := func(pattern string, value any, known bool) {
		if known {
			parts = append(parts, fmt.Sprintf(pattern, value))
		}
	}
	m := r.Model
	add("data set %s", m.Dataset, m.Dataset != "")
	add("%s features", format.Integer(int64(m.Features)), m.Features > 0)
	add("%s training samples", format.Integer(int64(m.Trained)), m.Trained > 0)
	add("recipe %s", m.Recipe, m.Recipe != "")
	add("seed %d", m.Seed, true)
	return parts
}

func (r *Report) keyFigures() []keyFigure {
	var key []keyFigure
	add := func(name, value, note string) { key = append(key, keyFigure{Name: name, Value: value, Note: note}) }
	if c := r.Classification; c != nil && c.Encrypted.Of > 0 {
		add("Accuracy, encrypted", format.Share(c.Encrypted.Share()), fmt.Sprintf("of %d; clear %s of %d",
			c.Encrypted.Of, format.Share(c.Clear.Share()), c.Clear.Of))
		add("Labels as in the clear", format.Share(c.Agreement.Share()),
			fmt.Sprintf("%d of %d samples", c.Agreement.Hits, c.Agreement.Of))
	}
	if g := r.Regression; g != nil && g.Encrypted.Samples > 0 {
		add("R², encrypted", fmt.Sprintf("%.4f", g.Encrypted.R2), fmt.Sprintf("of %d; clear %.4f of %d",
			g.Encrypted.Samples, g.Clear.R2, g.Clear.Samples))
		add("RMSE, encrypted", format.Number(g.Encrypted.RMSE),
			strings.TrimSpace(fmt.Sprintf("clear %s %s", format.Number(g.Clear.RMSE), g.Unit)))
	}
	if len(r.Scores.Pairs) > 0 {
		add("Largest score error", format.Number(r.Scores.Largest()), r.Scores.verdict())
		key[len(key)-1].Bad = r.Scores.Bound > 0 && !r.Scores.Kept()
	}
	if t := r.Times.ServerAllCores; t.Runs > 0 {
		add("Server time", format.Duration(t.Median), fmt.Sprintf("%s, median of %d", cores(r.Machine.Cores), t.Runs))
	}
	if t := r.Times.ServerOneCore; t.Runs > 0 {
		add("Server time, one core", format.Duration(t.Median), fmt.Sprintf("median of %d", t.Runs))
	}
	if r.Sizes.KeyBytes > 0 {
		add("Keys, sent once", format.Bytes(float64(r.Sizes.KeyBytes)), fmt.Sprintf("%d keys", r.Sizes.Keys))
	}
	if r.Sizes.RequestBytes > 0 {
		add("Request", format.Bytes(float64(r.Sizes.RequestBytes)), "reply "+format.Bytes(float64(r.Sizes.ReplyBytes)))
	}
	add("Security", fmt.Sprintf("%.0f bits", r.Parameters.SecurityBits), fmt.Sprintf("degree %s, log₂ QP %.1f of %s",
		format.Power(2, r.Parameters.LogN), r.Parameters.LogQP, format.Number(r.Parameters.LogQPLimit)))
	return key
}

// The tables and figures below are called by the template.

func (v view) Quality() table             { return v.quality() }
func (v view) ScoreTable() table          { return v.Scores.table() }
func (v view) ParameterTable() table      { return v.Parameters.table() }
func (v view) CandidateTable() table      { return candidates(v.Candidates) }
func (v view) LayerTable() table          { return layers(v.Layers) }
func (v view) SizeTable() table           { return v.Sizes.table() }
func (v view) TimeTable() table           { return v.times() }
func (v view) ClassTable() table          { return v.Classification.classes() }
func (v view) MistakeTable() table        { return v.Classification.mistakes() }
func (v view) HasMatrices() bool          { return len(v.Matrices()) > 0 }
func (v view) Budget() template.HTML      { return v.Parameters.figure().Inline() }
func (v view) LayerFigure() template.HTML { return layerFigure(v.Layers).Inline() }

func (v view) ChoiceFigure() template.HTML { return candidateFigure(v.Candidates).Inline() }

func (v view) Matrices() []template.HTML {
	c := v.Classification
	if c == nil {
		return nil
	}
	var figures []template.HTML
	for _, m := range []plot.ConfusionMatrix{
		{ID: "confusion-clear", Title: "Clear", Counts: c.ClearConfusion},
		{ID: "confusion-encrypted", Title: "Encrypted", Counts: c.EncryptedConfusion},
	} {
		if m.Counts != nil {
			m.Classes = c.Classes
			figures = append(figures, plot.Confusion(m).Inline())
		}
	}
	return figures
}

func (v view) ScoreFigures() []template.HTML {
	name := v.Scores.Name
	if name == "" {
		name = "score"
	}
	points := make([]plot.Point, len(v.Scores.Pairs))
	errors := make([]float64, len(v.Scores.Pairs))
	for i, p := range v.Scores.Pairs {
		points[i] = plot.Point{X: p.Clear, Y: p.Encrypted}
		errors[i] = p.Encrypted - p.Clear
	}
	return []template.HTML{
		plot.Scores(plot.ScorePairs{ID: "scores", Title: "Encrypted against clear scores", Unit: name, Pairs: points,
			Bound: v.Scores.Bound}).Inline(),
		plot.Errors(plot.ErrorHistogram{ID: "errors", Title: "Distribution of score errors", Errors: errors,
			Bound: v.Scores.Bound}).Inline(),
	}
}

func (p Parameters) figure() plot.Figure {
	return plot.Budget(plot.Modulus{ID: "budget", Title: "Modulus bits", Q: p.QBits, P: p.PBits, Limit: p.LogQPLimit})
}

func layerFigure(list []Layer) plot.Figure {
	rows := make([]plot.Layer, len(list))
	for i, l := range list {
		rows[i] = plot.Layer{Name: l.Name, Level: l.Level, Rescale: l.Rescale, Estimated: l.Estimated, Measured: l.Measured}
	}
	return plot.Layers(plot.LayerChart{ID: "layers", Title: "Level and time by layer", Layers: rows})
}

func candidateFigure(list []Candidate) plot.Figure {
	standing := map[Outcome]plot.Standing{Considered: plot.Possible, Refused: plot.Refused, Chosen: plot.Chosen}
	alternatives := make([]plot.Alternative, len(list))
	for i, c := range list {
		alternatives[i] = plot.Alternative{
			Label:    fmt.Sprintf("%s: %s, %s", format.Power(2, c.LogN), primes(c.QBits), primes(c.PBits)),
			X:        c.Latency.Seconds(),
			Y:        float64(c.KeyBytes),
			Standing: standing[c.Outcome],
		}
	}
	return plot.Alternatives(plot.TradeOff{ID: "candidates", Title: "Candidates by latency and key size",
		X:            plot.Axis{Label: "estimated server latency", Log: true, Format: format.Seconds},
		Y:            plot.Axis{Label: "keys", Log: true, Format: format.Bytes},
		Alternatives: alternatives})
}
