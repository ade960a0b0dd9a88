package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// fewClasses is up to how many distinct whole numbers are taken for classes; more than mostClasses, or more than fewClasses
// with less rows each than leastOfClass in the mean, are not fitted.
const fewClasses, mostClasses, leastOfClass = 10, 1000, 3

// part is some rows of a table with their targets.
type part struct {
	table   *Table // features alone
	y       []float64
	weights []float64 // 1 in the mean, nil where all rows count alike
	labels  []string  // nil for a regression
	dropped int       // rows without a target or a weight
}

// split takes the target from the table and divides the rows into known and test ones.
func (o Options) split(t *Table) (known, test *part, err error) {
	if o.TestShare == 0 {
		o.TestShare = 0.2
	}
	if !(o.TestShare > 0 && o.TestShare < 1) {
		return nil, nil, fmt.Errorf("share of test rows %v: want one between 0 and 1", o.TestShare)
	}
	task, err := o.task(t)
	if err != nil {
		return nil, nil, err
	}
	if known, err = o.newPart(t, task, nil); err != nil {
		return nil, nil, err
	}
	if o.Test != nil {
		same, err := o.Test.like(t)
		if err != nil {
			return nil, nil, fmt.Errorf("test rows: %w", err)
		}
		if test, err = o.newPart(same, task, known.labels); err != nil {
			return nil, nil, fmt.Errorf("test rows: %w", err)
		}
		return known, test, nil
	}
	places := &dataset.Set{Y: known.y, Weights: known.weights, Labels: known.labels, Shape: []int{1}}
	for i := range known.y {
		places.X = append(places.X, []float64{float64(i)})
	}
	var rest, held *dataset.Set
	if task == Classification {
		rest, held = places.StratifiedSplit(o.TestShare, o.Seed)
	} else {
		rest, held = places.Split(o.TestShare, o.Seed)
	}
	if rest.Len() == 0 {
		return nil, nil, fmt.Errorf("%d rows leave none to learn from", places.Len())
	}
	dropped := known.dropped
	known, test = known.subset(rest), known.subset(held)
	known.dropped = dropped
	return known, test, nil
}

// task finds out whether the target is classes or values.
func (o Options) task(t *Table) (Task, error) {
	k, err := t.Find(o.Target)
	if err != nil {
		return "", fmt.Errorf("target: %w", err)
	}
	distinct, whole, numbers := map[float64]bool{}, true, true
	for _, row := range t.Rows {
		v, err := pipeline.ParseNumber(row[k])
		if numbers = numbers && err == nil; !numbers {
			break
		}
		if !math.IsNaN(v) {
			whole = whole && v == math.Trunc(v)
			distinct[v] = true
		}
	}
	if o.Task == TaskSniffed {
		if o.Task = o.Kind.task(); o.Task == TaskSniffed {
			o.Task = Regression
			if !numbers || whole && len(distinct) <= fewClasses {
				o.Task = Classification
			}
		}
	}
	switch {
	case o.Task != Classification && o.Task != Regression:
		return "", fmt.Errorf("task %q: want classification or regression", o.Task)
	case o.Kind.task() != TaskSniffed && o.Kind.task() != o.Task:
		return "", fmt.Errorf("a model of kind %s is none for %s", o.Kind, o.Task)
	case o.Task == Regression && !numbers:
		return "", fmt.Errorf("target %q holds text: no values to be predicted", t.Columns[k].Name)
	}
	return o.Task, nil
}

// newPart takes target and weights out of a table. Labels are the classes that are known already.
func (o Options) newPart(t *Table, task Task, labels []string) (*part, error) {
	k, err := t.Find(o.Target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	weights, err := t.weights(o.Weight)
	if err != nil {
		return nil, err
	}
	var filled []int
	for i, row := range t.Rows {
		if !pipeline.IsMissing(row[k]) && (weights == nil || weights[i] > 0) {
			filled = append(filled, i)
		}
	}
	p := &part{labels: labels, dropped: len(t.Rows) - len(filled)}
	whole := t.subset(filled)
	cells := whole.column(k)
	drop := []string{t.Columns[k].Name}
	if weights != nil {
		at, _ := t.Find(o.Weight)
		drop = append(drop, t.Columns[at].Name)
		total := 0.0
		for _, i := range filled {
			p.weights = append(p.weights, weights[i])
			total += weights[i]
		}
		for i := range p.weights {
			p.weights[i] *= float64(len(filled)) / total
		}
	}
	if p.table, err = whole.Without(drop...); err != nil {
		return nil, err
	}
	if len(p.table.Columns) == 0 || len(cells) == 0 {
		return nil, errors.New("no rows with features and a target")
	}
	if task == Classification && labels == nil {
		if p.labels = classesOf(cells); len(p.labels) < 2 {
			return nil, errors.New("the target has one class only")
		}
		if n := len(p.labels); n > fewClasses && leastOfClass*n > len(cells) || n > mostClasses {
			return nil, fmt.Errorf("the target has %d classes in %d rows: want up to %d, of at least %d rows in the mean; values are for a regression",
				n, len(cells), mostClasses, leastOfClass)
		}
	}
	for _, cell := range cells {
		if task == Regression {
			v, err := pipeline.ParseNumber(cell)
			if err != nil {
				return nil, fmt.Errorf("target %q holds text", t.Columns[k].Name)
			}
			p.y = append(p.y, v)
			continue
		}
		class := slices.Index(p.labels, cell)
		if class < 0 {
			return nil, fmt.Errorf("class %q is not known", cell)
		}
		p.y = append(p.y, float64(class))
	}
	return p, nil
}

// weights reads the column of weights: 0 where there is none. Without a name it returns nil.
func (t *Table) weights(name string) ([]float64, error) {
	if name == "" {
		return nil, nil
	}
	k, err := t.Find(name)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	weights := make([]float64, len(t.Rows))
	for i, cell := range t.column(k) {
		v, err := pipeline.ParseNumber(cell)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("weights: row %d has %q: want a number that is not below 0", i+1, cell)
		}
		if !math.IsNaN(v) {
			weights[i] = v
		}
	}
	return weights, nil
}

// classesOf returns the distinct cells: numbers ascending, then text in lexical order.
func classesOf(cells []string) []string {
	classes := slices.Clone(cells)
	slices.SortFunc(classes, func(a, b string) int {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		switch {
		case errX == nil && errY == nil && x < y, errX == nil && errY != nil:
			return -1
		case errX == nil && errY == nil && x > y, errX != nil && errY == nil:
			return 1
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	return slices.Compact(classes)
}

// subset takes the rows whose indices a set holds.
func (p *part) subset(places *dataset.Set) *part {
	indices := make([]int, places.Len())
	for i, row := range places.X {
		indices[i] = int(row[0])
	}
	return &part{table: p.table.subset(indices), y: places.Y, weights: places.Weights, labels: p.labels}
}

// encode reads the rows as the client will.
func (p *part) encode(columns pipeline.Columns) (*dataset.Set, error) {
	set := &dataset.Set{Y: p.y, Weights: p.weights, Labels: p.labels, Shape: []int{columns.Width()}}
	for i, cells := range p.table.Rows {
		row, err := columns.Encode(cells)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		set.X = append(set.X, row)
	}
	return set, set.Validate()
}
