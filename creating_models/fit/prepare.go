package fit

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
	"cipherpoint/pipeline"
)

const (
	// maxCategories and the words bound what a column becomes: the most frequent are kept. A weighted sum of as many words as
	// there are slots costs no more than one of few; other kinds pay for each.
	maxCategories, manyWords, fewWords = 64, 4000, 500
	// maxCells bounds the numbers of a column of text in all rows.
	maxCells = 1 << 27
	// rareCategory is how often a category has to occur, as a share of the rows; rarer ones are as none of the others.
	rareCategory = 0.002
	// mostDeviations is how far from the mean the numbers for networks are at most.
	mostDeviations = 3
	// rareWord is in how many rows a word has to occur.
	rareWord = 2
)

// columnsOf learns from rows how those of a table are read: which categories and words count.
func columnsOf(t *Table, words int) (pipeline.Columns, error) {
	columns := make(pipeline.Columns, len(t.Columns))
	for k, c := range t.Columns {
		columns[k] = pipeline.Column{Name: c.Name, Kind: c.Kind, DecimalComma: c.DecimalComma}
		switch c.Kind {
		case pipeline.Category:
			columns[k].Values = frequentCategories(t.column(k))
		case pipeline.Text:
			counts := map[string]int{}
			for _, cell := range t.column(k) {
				words := pipeline.Words(cell)
				slices.Sort(words)
				for _, word := range slices.Compact(words) {
					counts[word]++
				}
			}
			columns[k].Values = frequent(counts, rareWord, min(words, maxCells/len(t.Rows)))
		}
		if c.Kind != pipeline.Number && len(columns[k].Values) == 0 {
			return nil, fmt.Errorf("column %q has no %s that occurs twice: leave it out", c.Name, c.Kind)
		}
	}
	return columns, columns.Validate()
}

// frequentCategories returns the values that occur often enough.
func frequentCategories(cells []string) []string {
	counts := map[string]int{}
	for _, cell := range cells {
		counts[cell]++
	}
	return frequent(counts, max(2, int(math.Ceil(rareCategory*float64(len(cells))))), maxCategories)
}

// frequent returns the most frequent keys, of equals the first in the alphabet, in ascending order.
func frequent(counts map[string]int, least, most int) []string {
	var keys []string
	for key, n := range counts {
		if n >= least {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	slices.SortStableFunc(keys, func(a, b string) int { return counts[b] - counts[a] })
	keys = keys[:min(most, len(keys))]
	slices.Sort(keys)
	return keys
}

// preparation makes the graph that turns encoded rows into features: of numbers and bits of categories, and of the
// frequencies of words. Scaled features are for models of weighted sums: missing numbers become medians, numbers get mean 0
// and deviation 1, words are weighed by their rarity (tf-idf) and each text has length 1. For networks, whose squares make
// much of what is far away, numbers are bounded. Features for trees are as they come.
func preparation(columns pipeline.Columns, rows [][]float64, kind Kind) (*model.Graph, error) {
	scaled := !kind.grows()
	b := model.New("table", model.Shape{columns.Width()})
	input := b.Value()
	var numbers, categories []int
	var bits [][]float64
	var parts []string
	at := 0
	var texts [][]int
	for _, c := range columns {
		switch c.Kind {
		case pipeline.Number:
			numbers = append(numbers, at)
			at++
		case pipeline.Category:
			categories = append(categories, at)
			list := make([]float64, len(c.Values))
			for i := range list {
				list[i] = float64(i)
			}
			bits = append(bits, list)
			at++
		case pipeline.Text:
			words := make([]int, len(c.Values))
			for i := range words {
				words[i] = at + i
			}
			texts = append(texts, words)
			at += len(words)
		}
	}
	take := func(elements []int) {
		if b.From(input); len(elements) < at {
			b.Gather(0, elements...)
		}
	}
	if len(numbers) > 0 {
		take(numbers)
		if scaled {
			fill, factor, offset := scales(rows, numbers)
			b.Imputer(fill).Scale(factor, offset)
			if kind == MLP {
				b.Clip(-mostDeviations, mostDeviations)
			}
		}
		parts = append(parts, b.Value())
	}
	if len(categories) > 0 {
		take(categories)
		parts = append(parts, b.OneHot(bits).Value())
	}
	for _, words := range texts {
		take(words)
		if scaled {
			b.Scale(rarity(rows, words), make([]float64, len(words))).Normalizer(model.NormL2)
		}
		parts = append(parts, b.Value())
	}
	if len(parts) > 1 {
		b.From(parts[0]).Concat(0, parts[1:]...)
	}
	if b.Value() == input {
		return nil, nil
	}
	return b.Graph()
}

// scales returns medians, and factors and offsets that give numbers, missing ones filled in, mean 0 and deviation 1.
func scales(rows [][]float64, columns []int) (fill, factor, offset []float64) {
	for _, c := range columns {
		var values []float64
		for _, row := range rows {
			if !math.IsNaN(row[c]) {
				values = append(values, row[c])
			}
		}
		median := 0.0
		if len(values) > 0 {
			slices.Sort(values)
			median = (values[(len(values)-1)/2] + values[len(values)/2]) / 2
		}
		n := float64(len(rows))
		mean := median * float64(len(rows)-len(values)) / n
		for _, v := range values {
			mean += v / n
		}
		variance := (median - mean) * (median - mean) * float64(len(rows)-len(values)) / n
		for _, v := range values {
			variance += (v - mean) * (v - mean) / n
		}
		deviation := math.Sqrt(variance)
		if deviation == 0 {
			deviation = 1
		}
		fill, factor, offset = append(fill, median), append(factor, 1/deviation), append(offset, -mean/deviation)
	}
	return fill, factor, offset
}

// rarity weighs words by log((1 + rows)/(1 + rows with the word)) + 1.
func rarity(rows [][]float64, words []int) []float64 {
	weights := make([]float64, len(words))
	for i, w := range words {
		n := 0.0
		for _, row := range rows {
			if row[w] > 0 {
				n++
			}
		}
		weights[i] = math.Log((1+float64(len(rows)))/(1+n)) + 1
	}
	return weights
}

// join makes one model of a preparation, which may be nil, and what comes after it.
func join(prepare, core *model.Graph) (*model.Graph, error) {
	if prepare == nil {
		return core, nil
	}
	g := &model.Graph{Name: core.Name, Inputs: prepare.Inputs, Nodes: slices.Clone(prepare.Nodes)}
	renamed := func(value string) string {
		if value == core.Inputs[0].Name {
			return prepare.Outputs[0]
		}
		return "model " + value
	}
	for _, node := range core.Nodes {
		inputs := make([]string, len(node.Inputs))
		for k, value := range node.Inputs {
			inputs[k] = renamed(value)
		}
		g.Nodes = append(g.Nodes, model.Node{Name: "model " + node.Name, Op: node.Op, Inputs: inputs, Output: renamed(node.Output)})
	}
	for _, value := range core.Outputs {
		g.Outputs = append(g.Outputs, renamed(value))
	}
	return g, g.Validate()
}
