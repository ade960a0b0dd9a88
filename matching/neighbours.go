package matching

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// CompileNeighbours compiles k nearest neighbours among all rows of a table, by Euclidean distance: the client averages the
// answers (shares of classes, or a value, of one length) of the k rows that are nearest to its own. Distances are those of
// the columns times scale, one over their deviations for example; nil is one.
//
// What the endpoint computes for x and a row t is ⟨x, t⟩ − |t|²/2, which is largest for the nearest, as an inner product
// of (x, w) and (t, −|t|²/2w), scaled to length one. The squared distance is wrong by up to twice MaxError times the
// lengths of both before that, so that of neighbours that are as near as that to each other either may be taken.
//
// Danger: the answers of all rows are in client.zip, which is public; the rows are not.
func CompileNeighbours(name string, rows, answers [][]float64, scale []float64, k int) (*Gallery, error) {
	if len(rows) == 0 || len(rows) != len(answers) || k < 1 || k > len(rows) {
		return nil, fmt.Errorf("%d nearest of %d rows with %d answers", k, len(rows), len(answers))
	}
	width := len(rows[0])
	if width == 0 || width >= MaxDimensions || len(answers[0]) == 0 {
		return nil, fmt.Errorf("rows of %d values with answers of %d: want 1 to %d values and an answer", width, len(answers[0]), MaxDimensions-1)
	}
	if scale == nil {
		scale = slices.Repeat([]float64{1}, width)
	}
	if len(scale) != width {
		return nil, fmt.Errorf("%d scales for %d columns", len(scale), width)
	}
	mean := make([]float64, width)
	for i, row := range rows {
		if len(row) != width || len(answers[i]) != len(answers[0]) {
			return nil, fmt.Errorf("row %d or its answer has another length than the first", i)
		}
		for j, x := range row {
			mean[j] += x / float64(len(rows))
		}
	}
	// Distances are the same from any origin; about their mean rows are shortest.
	squares := make([]float64, len(rows))
	for i, row := range rows {
		for j, x := range row {
			squares[i] += scale[j] * (x - mean[j]) * scale[j] * (x - mean[j])
		}
		if math.IsNaN(squares[i]) || math.IsInf(squares[i], 0) {
			return nil, fmt.Errorf("row %d has a value that is not finite", i)
		}
	}
	lift, middle, longest := liftOf(squares)
	templates := make([][]float64, len(rows))
	for i, row := range rows {
		templates[i] = make([]float64, width+1)
		for j, x := range row {
			templates[i][j] = scale[j] * (x - mean[j]) / longest
		}
		templates[i][width] = (middle - squares[i]) / (2 * lift * longest)
	}
	prefix, err := lifted(name, scale, mean, lift)
	if err != nil {
		return nil, err
	}
	g, err := compile(name, templates, prefix)
	if err != nil {
		return nil, err
	}
	table := model.NewTensor(model.Shape{len(rows), len(answers[0])})
	for i, answer := range answers {
		copy(table.Data[i*len(answer):], answer)
	}
	suffix, scores := g.Pipeline.Suffix, g.Pipeline.Suffix.Outputs[0]
	suffix.Nodes = append(suffix.Nodes,
		model.Node{Name: "nearest", Op: &model.TopK{K: k, Indices: true}, Inputs: []string{scores}, Output: "nearest"},
		model.Node{Name: "answers", Op: &model.Embedding{Table: table}, Inputs: []string{"nearest"}, Output: "answers"},
		model.Node{Name: "answer", Op: &model.ReduceMean{Axes: []int{0}}, Inputs: []string{"answers"}, Output: "answer"})
	suffix.Outputs = []string{"answer"}
	return g, suffix.Validate()
}

// liftOf returns the w, and the constant in place of zero for -|t|²/2w, that make the lengths of both sides, and with them
// the error of a distance, about as small as they can be; and the length of the longest (t, (middle-|t|²)/2w).
func liftOf(squares []float64) (lift, middle, longest float64) {
	low, high := math.Inf(1), 0.0
	for _, s := range squares {
		low, high = min(low, s), max(high, s)
	}
	middle = (low + high) / 2
	least := math.Inf(1)
	for step := -24; step <= 24; step++ {
		w := math.Sqrt(max(high, math.SmallestNonzeroFloat32)) * math.Exp2(float64(step)/4)
		length := 0.0
		for _, s := range squares {
			length = max(length, math.Hypot(math.Sqrt(s), (s-middle)/(2*w)))
		}
		if product := length * math.Hypot(math.Sqrt(middle), w); product < least {
			least, lift, longest = product, w, length
		}
	}
	if longest == 0 { // all rows are the same
		longest = 1
	}
	return lift, middle, longest
}

// lifted is (scale·(x - mean), w), scaled to length one.
func lifted(name string, scale, mean []float64, lift float64) (*model.Graph, error) {
	width := len(mean)
	weights, bias := model.NewTensor(model.Shape{width + 1, width}), make([]float64, width+1)
	for j, m := range mean {
		weights.Data[j*width+j], bias[j] = scale[j], -scale[j]*m
	}
	bias[width] = lift
	return unit(model.New(name+" vector", model.Shape{width}).Dense(weights, bias))
}
