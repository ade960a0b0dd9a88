package report

import (
	"io"
	"strings"

	pretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"cipherpoint/internal/format"
)

// maxCandidates is how many candidates the terminal shows, the chosen one among them.
const maxCandidates = 8

// WriteText writes a summary for a terminal: plain text without colours or control characters.
func (r *Report) WriteText(w io.Writer) error {
	if err := r.Check(); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(format.Text(r.Model.Name))
	if r.Model.Description != "" {
		b.WriteString(": " + format.Text(r.Model.Description))
	}
	b.WriteString("\n" + format.Text(strings.Join(r.origin(), ", ")) + "\n")

	r.quality().write(&b)
	if len(r.Scores.Pairs) > 0 {
		scores := r.Scores.table()
		scores.Title += ": " + r.Scores.verdict()
		scores.write(&b)
	}
	r.Parameters.table().write(&b)
	if len(r.Candidates) > 0 {
		candidates(foremost(r.Candidates)).write(&b)
	}
	r.Sizes.table().write(&b)
	r.times().write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// foremost returns the first candidates, always with the chosen one.
func foremost(all []Candidate) []Candidate {
	if len(all) <= maxCandidates {
		return all
	}
	var few []Candidate
	for i, c := range all {
		if i < maxCandidates-1 || c.Outcome == Chosen {
			few = append(few, c)
		}
	}
	return few
}

// write appends the table below its title, columns aligned.
func (t table) write(b *strings.Builder) {
	if len(t.Rows) == 0 {
		return
	}
	w := pretty.NewWriter()
	style := pretty.Style{
		Box:     pretty.BoxStyle{PaddingLeft: "  ", MiddleHorizontal: "─", MiddleSeparator: "─"},
		Options: pretty.OptionsNoBorders,
	}
	style.Options.SeparateColumns = false
	style.Options.SeparateHeader = false
	w.SetStyle(style)
	w.SuppressTrailingSpaces()

	head := make(pretty.Row, len(t.Head))
	configs := make([]pretty.ColumnConfig, len(t.Head))
	for i, c := range t.Head {
		head[i] = format.Text(c.Name)
		align := text.AlignRight
		if c.Text {
			align = text.AlignLeft
		}
		configs[i] = pretty.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align}
	}
	w.SetColumnConfigs(configs)
	if t.Named() {
		w.AppendHeader(head)
	}
	for _, r := range t.Rows {
		cells := make(pretty.Row, len(r.Cells))
		for i, cell := range r.Cells {
			cells[i] = format.Text(cell)
		}
		w.AppendRow(cells)
	}
	b.WriteString("\n" + format.Text(t.Title) + "\n" + w.Render() + "\n")
	if t.Note != "" {
		b.WriteString("  " + format.Text(t.Note) + "\n")
	}
}
