package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"cipherpoint/internal/format"
)

//go:embed card.md
var cardSource string

//go:embed deploy.md
var deploySource string // what all cards say of it

var card = template.Must(template.New("card").Parse(cardSource))

// frontMatter is what Hugging Face's hub reads at the head of a model card (hub-docs, modelcard.md).
type frontMatter struct {
	License     string         `yaml:"license"`
	LibraryName string         `yaml:"library_name"`
	PipelineTag string         `yaml:"pipeline_tag,omitempty"`
	Tags        []string       `yaml:"tags"`
	Datasets    []string       `yaml:"datasets,omitempty"`
	Metrics     []string       `yaml:"metrics,omitempty"`
	ModelIndex  []indexedModel `yaml:"model-index,omitempty"`
}

type indexedModel struct {
	Name    string          `yaml:"name"`
	Results []indexedResult `yaml:"results"`
}

type indexedResult struct {
	Task    taskType      `yaml:"task"`
	Dataset dataSet       `yaml:"dataset"`
	Metrics []metricValue `yaml:"metrics"`
}

type taskType struct {
	Type string `yaml:"type"`
}

type dataSet struct {
	Name string `yaml:"name"`
	Type string `yaml:"type"`
}

type metricValue struct {
	Type  string  `yaml:"type"`
	Value float64 `yaml:"value"`
	Name  string  `yaml:"name"`
}

// WriteCard writes a model card for Hugging Face's hub: the README.md of a repository that holds the artifact.
func (r *Report) WriteCard(w io.Writer) error {
	if err := r.Check(); err != nil {
		return err
	}
	var front bytes.Buffer
	encoder := yaml.NewEncoder(&front)
	encoder.SetIndent(2)
	if err := encoder.Encode(r.frontMatter()); err != nil {
		return err
	}
	origin := markdown(strings.Join(r.origin(), ", "))
	return card.Execute(w, map[string]any{
		"FrontMatter": front.String(), "Name": markdown(r.Model.Name), "Description": markdown(r.Model.Description), "Kind": markdown(r.Model.Kind),
		"Answers": r.answers(), "Origin": strings.ToUpper(origin[:1]) + origin[1:], "Regression": r.Regression != nil, "Batch": r.Sizes.Samples > 1,
		"Features": format.Integer(int64(r.Model.Features)), "Columns": format.Text(strings.Join(r.Model.Columns, ", ")),
		"Quality": r.quality().markdown(), "Scores": r.Scores.table().markdown(), "Sizes": r.Sizes.table().markdown(),
		"Times": r.times().markdown(), "Security": r.Parameters.security(), "Deploy": deploySource,
	})
}

// unknownLicense is how the hub names it.
const unknownLicense = "unknown"

// answers says what the model answers.
func (r *Report) answers() string {
	switch {
	case r.Classification == nil && r.Regression.Unit != "":
		return "values, in " + markdown(r.Regression.Unit)
	case r.Classification == nil:
		return "values"
	}
	const most = 20
	classes := r.Classification.Classes
	list := markdown(strings.Join(classes[:min(most, len(classes))], ", "))
	if len(classes) > most {
		list += ", …"
	}
	return fmt.Sprintf("one of %d classes: %s", len(classes), list)
}

func (r *Report) frontMatter() frontMatter {
	task := "tabular-classification"
	switch {
	case r.Regression != nil:
		task = "tabular-regression"
	case r.Model.Images:
		task = "image-classification"
	}
	f := frontMatter{License: r.Model.License, LibraryName: "cipherpoint", PipelineTag: task,
		Tags: []string{"fhe", "ckks", "encrypted-inference"}}
	if f.License == "" {
		f.License = unknownLicense
	}
	if tag := slug(before(r.Model.Kind, ",(")); tag != "" {
		f.Tags = append(f.Tags, tag)
	}
	set := strings.TrimSpace(before(r.Model.Dataset, ",("))
	data := dataSet{Name: r.Model.Dataset, Type: slug(strings.TrimSuffix(set, filepath.Ext(set)))}
	if data.Type == "" {
		data = dataSet{Name: "the publisher's own", Type: "private"}
	} else {
		f.Datasets = []string{data.Type}
	}
	result := indexedResult{Task: taskType{task}, Dataset: data}
	add := func(metric string, value float64, name string) {
		result.Metrics = append(result.Metrics, metricValue{metric, value, name})
	}
	if c := r.Classification; c != nil {
		f.Metrics = []string{"accuracy"}
		add("accuracy", c.Clear.Share(), fmt.Sprintf("Accuracy in clear, of %d samples", c.Clear.Of))
		add("accuracy", c.Encrypted.Share(), fmt.Sprintf("Accuracy encrypted, of %d samples", c.Encrypted.Of))
		add("accuracy", c.Agreement.Share(), fmt.Sprintf("Encrypted labels that are those of the same computation in clear, of %d samples", c.Agreement.Of))
	} else {
		f.Metrics = []string{"r_squared", "rmse"}
		for _, side := range []struct {
			name string
			Fit
		}{{"in clear", r.Regression.Clear}, {"encrypted", r.Regression.Encrypted}} {
			add("r_squared", side.R2, fmt.Sprintf("R² %s, of %d samples", side.name, side.Samples))
			add("rmse", side.RMSE, fmt.Sprintf("RMSE %s, of %d samples", side.name, side.Samples))
		}
	}
	f.ModelIndex = []indexedModel{{Name: r.Model.Name, Results: []indexedResult{result}}}
	return f
}

// before is the part of a text before the first of some characters.
func before(s, stops string) string {
	if i := strings.IndexAny(s, stops); i >= 0 {
		return s[:i]
	}
	return s
}

// slug is a text as tags and identifiers are written.
func slug(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	return strings.Join(words, "-")
}

// level says how hard it is to break the encryption.
func (p Parameters) level() string {
	return fmt.Sprintf("- %.0f bits of classical security: ring degree %s (%s), modulus of %.1f bits, at most %s by the tables of [ePrint 2024/463](https://eprint.iacr.org/2024/463).",
		p.SecurityBits, format.Power(2, p.LogN), p.Ring, p.LogQP, format.Number(p.LogQPLimit))
}

// security lists what the parameters promise.
func (p Parameters) security() string {
	var b strings.Builder
	b.WriteString(p.level() + "\n")
	if p.Flood > 0 {
		fmt.Fprintf(&b, "- Replies are re-randomised and drowned in noise 2^%d times the circuit's own, which hides the weights: 1,000 replies tell models of equal scores apart with an advantage of at most %s.\n", p.Flood, format.Number(p.Advantage))
	} else {
		b.WriteString("- Who asks often enough learns about the weights from the answers and their noise.\n")
	}
	if p.Thresholds != "" {
		fmt.Fprintf(&b, "- Thresholds of the trees: %s.\n", markdown(p.Thresholds))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// markdown makes a text from elsewhere safe in a paragraph, a heading or a cell.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`).Replace(format.Text(s))
}

// markdown writes the table with its note.
func (t table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	head, rule := make([]string, len(t.Head)), make([]string, len(t.Head))
	for i, c := range t.Head {
		head[i], rule[i] = markdown(c.Name), "---:"
		if c.Text {
			rule[i] = "---"
		}
	}
	line(head)
	line(rule)
	for _, row := range t.Rows {
		cells := make([]string, len(row.Cells))
		for i, c := range row.Cells {
			cells[i] = markdown(c)
			if row.Strong && c != "" {
				cells[i] = "**" + cells[i] + "**"
			}
		}
		line(cells)
	}
	if t.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", markdown(t.Note))
	}
	return b.String()
}
