package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cipherpoint/compiler"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/creating_models/rows"
	"cipherpoint/internal/progress"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// runImport publishes a model from a file of another tool.
func runImport(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := flag.NewFlagSet("creating_models import", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calibration := flags.String("calibration", "", "`file` of rows as the model meets them (.npy, .csv, .parquet), a hundred or more: they set ranges and are the report's samples")
	labelFile := flags.String("labels", "", "`file` of one label or target for each row; without it encrypted answers are compared with the model's own")
	classes := flags.String("classes", "", "`names` of the classes that the model's values are scores of, in their order and separated by commas, or how many there are; for files that do not say so")
	name := flags.String("name", "", "`name` of the model; that of the file by default")
	out := flags.String("out", "compiled_model", "`folder` to write to")
	samples := flags.Int("encrypted-samples", 100, "calibration `rows` that are really encrypted")
	prefer := flags.String("prefer", "", "`what` to spare: latency or keys; both alike by default")
	thresholds := flags.String("thresholds", thresholdsExact, "`what` clients learn of the thresholds of trees: exact keeps the trees, and clients learn them; private moves them to a grid of quantiles of the calibration rows, and clients learn the grid")
	license := flags.String("license", "", "`license` of the model for its card, as Hugging Face's hub names it: apache-2.0, mit, other")
	bound := flags.Float64("max-score-error", 0, "largest `error` of a score; 1/256 of the scores' range by default")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: creating_models import FILE --calibration ROWS [flags]\n\nExit codes: 0 written, 1 not written, 2 wrong arguments.")
		flags.PrintDefaults()
	}
	path, err := parse(flags, args, "a model file")
	if err != nil {
		return err
	}
	if *samples < 1 || *thresholds != thresholdsExact && *thresholds != thresholdsPrivate {
		return errUsage
	}
	if *calibration == "" {
		return fmt.Errorf("%w: --calibration is missing: ranges of encrypted values come from real rows", errUsage)
	}
	if *name == "" {
		*name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	p, err := loadPublication(path, *calibration, *labelFile, *classes)
	if err != nil {
		return err
	}
	if err := p.describe(stdout); err != nil {
		return err
	}
	if *thresholds == thresholdsPrivate {
		if err := p.hideThresholds(stdout); err != nil {
			return err
		}
	}
	steps := progress.Steps(stderr)
	defer steps.Done()
	report, err := publish.Run(ctx, p.recipe(*name), publish.Options{
		Out: *out, EncryptedSamples: *samples, Prefer: compiler.Preference(*prefer), MaxScoreError: *bound, License: *license, Progress: steps.Step,
	})
	steps.Done()
	if errors.Is(err, compiler.ErrTooExact) && p.set.Labels == nil && p.answers > 1 {
		err = fmt.Errorf("%w; or, if its %d values are scores of classes, say so with --classes %d or --labels FILE", err, p.answers, p.answers)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	return report.WriteText(stdout)
}

// publication is an imported model with the rows that calibrate and try it.
type publication struct {
	path, rowsPath string
	model          *model.Imported
	columns        pipeline.Columns // of rows with text, or nil
	grid           [][]float64      // public edges of trees, or nil
	set            *dataset.Set
	labelled       bool
	answers        int // values of one
}

func loadPublication(path, rowsPath, labelPath, classes string) (*publication, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &publication{path: path, rowsPath: rowsPath, labelled: labelPath != ""}
	if err := p.read(data); err != nil {
		return nil, err
	}
	x := p.set.X
	width := 0
	for _, port := range p.model.Graph.Inputs {
		width += port.Shape.Size()
	}
	for i, row := range x {
		if len(row) != width {
			return nil, fmt.Errorf("%s: row %d has %d values, the model takes %d: rows are its inputs, all of them, without labels", rowsPath, i+1, len(row), width)
		}
	}
	answers, err := p.model.Graph.RunRows(x)
	if err != nil {
		return nil, fmt.Errorf("running the model on the calibration rows: %w", err)
	}
	p.answers = len(answers[0])
	if err := p.name(classes); err != nil {
		return nil, err
	}
	if labelPath != "" {
		labels, err := rows.Labels(labelPath)
		if err != nil {
			return nil, err
		}
		if len(labels) != len(x) {
			return nil, fmt.Errorf("%s has %d labels for %d rows", labelPath, len(labels), len(x))
		}
		if err := p.label(labels, p.answers); err != nil {
			return nil, fmt.Errorf("%s: %w", labelPath, err)
		}
	}
	if classes := cmp.Or(len(p.model.Classes), len(p.set.Labels)); classes == 2 && p.answers == 1 && isLogit(answers, p.set.Y) {
		if answers, err = p.addSigmoid(); err != nil {
			return nil, err
		}
	}
	if labelPath == "" {
		p.answered(answers)
	}
	return p, nil
}

// isLogit holds for single values of two classes that are no probabilities: above zero they stand for the second class, as
// labels say or, without them, values far from those of probabilities.
func isLogit(answers [][]float64, labels []float64) bool {
	asLogit, asProbability := 0, 0
	low, high := 0.0, 1.0
	for i, a := range answers {
		low, high = min(low, a[0]), max(high, a[0])
		if i < len(labels) {
			if a[0] > 0 == (labels[i] == 1) {
				asLogit++
			}
			if a[0] > 0.5 == (labels[i] == 1) {
				asProbability++
			}
		}
	}
	if labels == nil {
		return low < -0.5 || high > 1.5
	}
	return low < 0 && asLogit > asProbability
}

// addSigmoid makes a probability of a logit, so that one half is where labels change, and returns the answers.
func (p *publication) addSigmoid() ([][]float64, error) {
	g := *p.model.Graph
	const name = "probability of the second class"
	g.Nodes = append(slices.Clone(g.Nodes), model.Node{Name: name, Op: &model.Activation{Function: model.Sigmoid}, Inputs: g.Outputs, Output: name})
	g.Outputs = []string{name}
	p.model.Graph = &g
	p.model.Notes = append(p.model.Notes, "its values are taken for logits: the client makes probabilities of them")
	return g.RunRows(p.set.X)
}

// read makes the model and the rows that it takes: numbers or, where some of its inputs are text, a table of text.
func (p *publication) read(data []byte) error {
	table, tableErr := rows.Read(p.rowsPath)
	width := 0
	if tableErr == nil {
		width = len(table.X[0])
	}
	var err error
	if p.model, err = readModel(data, width); err != nil {
		if tableErr != nil {
			return tableErr
		}
		return fmt.Errorf("%s: %w", p.path, err)
	}
	if p.model.Columns == nil {
		if tableErr == nil {
			p.set = &dataset.Set{X: table.X, Features: table.Names, Shape: []int{width}}
		}
		return tableErr
	}
	text, err := rows.ReadText(p.rowsPath)
	if err != nil {
		return err
	}
	for _, c := range p.model.Columns {
		column := pipeline.Column{Name: c.Name, Kind: pipeline.Number, Values: c.Categories}
		if c.Categories != nil {
			column.Kind = pipeline.Category
		}
		p.columns = append(p.columns, column)
	}
	x, err := p.columns.Table(text)
	if err != nil {
		return fmt.Errorf("%s: %w", p.rowsPath, err)
	}
	p.set = &dataset.Set{X: x, Shape: []int{len(p.columns)}}
	return nil
}

// name names the classes as the publisher does: by their names, or by their number.
func (p *publication) name(classes string) error {
	if classes == "" {
		return nil
	}
	names := strings.Split(classes, ",")
	if n, err := strconv.Atoi(classes); err == nil && n == max(2, p.answers) {
		names = numbered(n)
	}
	if len(names) != max(2, p.answers) {
		return fmt.Errorf("--classes names %d, the model has scores of %d", len(names), max(2, p.answers))
	}
	for i, name := range names {
		if names[i] = strings.TrimSpace(name); slices.Contains(names[:i], names[i]) {
			return fmt.Errorf("--classes names %q twice", names[i])
		}
	}
	p.model.Classes = names
	return nil
}

// numbered names classes by their numbers.
func numbered(n int) []string {
	names := make([]string, n)
	for k := range names {
		names[k] = strconv.Itoa(k)
	}
	return names
}

// answered takes the model's own answers as the truth that encryption is held to.
func (p *publication) answered(answers [][]float64) {
	p.set.Labels = p.model.Classes
	for _, answer := range answers {
		if p.model.Classes != nil {
			p.set.Y = append(p.set.Y, float64(pipeline.Label(answer)))
		} else {
			p.set.Y = append(p.set.Y, answer[0])
		}
	}
}

// label turns labels into classes of the model: by name, or by number where the file names no classes. Of a model with
// one value they are classes 0 and 1 if they say so, else targets.
func (p *publication) label(labels []string, answers int) error {
	numbers := make([]float64, len(labels))
	numeric, binary := true, true
	for i, label := range labels {
		v, err := strconv.ParseFloat(strings.TrimSpace(label), 64)
		numbers[i] = v
		numeric = numeric && err == nil
		binary = binary && (v == 0 || v == 1)
	}
	classes := p.model.Classes
	switch {
	case classes == nil && answers > 1:
		classes = numbered(answers)
	case classes == nil && numeric && binary:
		classes = []string{"0", "1"}
	case classes == nil && numeric:
		p.set.Y = numbers
		return nil
	case classes == nil:
		return errors.New("labels are text, but the model gives one value")
	}
	index := map[string]int{}
	for k, class := range classes {
		index[class] = k
	}
	for i, label := range labels {
		k, ok := index[strings.TrimSpace(label)]
		if !ok && numeric { // 1.0 for 1
			k, ok = index[strconv.FormatFloat(numbers[i], 'f', -1, 64)]
		}
		if !ok {
			return fmt.Errorf("label %q of row %d is none of the model's classes %s", label, i+1, strings.Join(classes, ", "))
		}
		p.set.Y = append(p.set.Y, float64(k))
	}
	p.set.Labels = classes
	return nil
}

// recipe lets the model go the way of a trained one.
func (p *publication) recipe(name string) recipes.Recipe {
	truth := "the model's own answers are taken as true"
	if p.labelled {
		truth = "with labels"
	}
	return recipes.Recipe{
		Name: name, Kind: p.model.Format, Columns: p.columns, Description: "Imported from " + filepath.Base(p.path) + " (" + p.model.Format + ").",
		Data: fmt.Sprintf("%s, %d rows, %s", filepath.Base(p.rowsPath), p.set.Len(), truth),
		Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) {
			return p.set, p.set, nil
		},
		Train: func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
			return p.model.Graph, p.grid, nil
		},
	}
}

// enoughRows is from where on the number of calibration rows is not remarked upon.
const enoughRows = 50

// describe prints what was read and who does what of it.
func (p *publication) describe(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s, %d values a row", filepath.Base(p.path), p.model.Format, len(p.set.X[0]))
	if p.model.Classes != nil {
		fmt.Fprintf(w, ", classes %s", strings.Join(p.model.Classes, ", "))
	}
	fmt.Fprintln(w)
	for _, c := range p.columns {
		if c.Kind == pipeline.Category {
			fmt.Fprintf(w, "text: %s, looked up among %d on the client\n", c.Name, len(c.Values))
		}
	}
	if n := len(p.set.X); n < enoughRows {
		fmt.Fprintf(w, "note: %d calibration rows: rows beyond their ranges may get wrong answers; a hundred or more cover them\n", n)
	}
	for _, note := range p.model.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return writePlaces(w, p.model.Graph)
}

// writePlaces prints who does what of a model.
func writePlaces(w io.Writer, g *model.Graph) error {
	places, err := compiler.Places(g)
	if err != nil {
		return err
	}
	for _, place := range []compiler.Place{compiler.BeforeEncryption, compiler.Encrypted, compiler.AfterDecryption} {
		var nodes []string
		for i, node := range g.Nodes {
			if places[i] == place {
				nodes = append(nodes, node.Op.Kind())
			}
		}
		if len(nodes) == 0 {
			nodes = []string{"nothing"}
		}
		fmt.Fprintf(w, "%s: %s\n", place, strings.Join(nodes, ", "))
	}
	return nil
}
