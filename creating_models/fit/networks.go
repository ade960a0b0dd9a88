package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

// How networks are trained: about as many steps whatever the number of samples, within bounds.
const (
	leastBatch, mostBatch    = 16, 64
	networkSteps, imageSteps = 3000, 10000
	leastEpochs              = 12
	networkMost, imageMost   = 150, 40 // epochs
)

// mlpSizes tries widths of one hidden layer of squares, which is of degree 2, and two such layers, of degree 4.
func (o Options) mlpSizes() []size {
	var sizes []size
	for _, widths := range [][]int{{4}, {8}, {16}, {32}, {64}, {128}, {256}, {16, 16}} {
		label := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(widths), "[]")), " + ")
		sizes = append(sizes, plain(fmt.Sprintf("%s units, degree %d", label, 1<<len(widths)), func(s *dataset.Set) (*model.Graph, error) {
			var layers []train.Layer
			for _, width := range widths {
				layers = append(layers, train.Dense{Units: width}, train.Square{})
			}
			return o.trainNetwork(s, layers, networkSteps, networkMost, train.Options{LearningRate: 0.005, WeightDecay: 0.1, LabelSmoothing: 0.1, Average: 0.999})
		}))
	}
	return sizes
}

// cnnSizes tries numbers of filters and sizes of windows, in one layer before one of squares. A window covers more pixels
// than usual: one layer of wide ones takes half of the levels of two layers.
func (o Options) cnnSizes(set *dataset.Set) ([]size, error) {
	if len(set.Shape) != 3 {
		return nil, fmt.Errorf("images have a shape of channels, height and width, not %v", set.Shape)
	}
	side := min(set.Shape[1], set.Shape[2])
	var sizes []size
	for _, c := range []struct {
		filters int
		part    float64 // of the side
	}{{8, 0.25}, {16, 0.25}, {16, 0.4}, {32, 0.4}} {
		kernel := max(2, int(math.Round(c.part*float64(side))))
		conv := train.Conv{Filters: c.filters, Kernel: kernel, Stride: max(1, (kernel+1)/3), Pad: 1}
		sizes = append(sizes, plain(fmt.Sprintf("%d filters of %d × %d, stride %d", conv.Filters, kernel, kernel, conv.Stride), func(s *dataset.Set) (*model.Graph, error) {
			return o.trainNetwork(s, []train.Layer{conv, train.Square{}}, imageSteps, imageMost, train.Options{LearningRate: 0.01, WeightDecay: 0.02, LabelSmoothing: 0.02, Average: 0.99})
		}))
	}
	return sizes, nil
}

// trainNetwork trains layers with one more for the answer. Targets of a regression are brought to mean 0 and deviation 1
// meanwhile.
func (o Options) trainNetwork(s *dataset.Set, layers []train.Layer, steps, most int, options train.Options) (*model.Graph, error) {
	options.Batch = min(max(leastBatch, s.Len()/32), mostBatch, s.Len())
	options.Epochs = min(most, max(leastEpochs, steps*options.Batch/s.Len()))
	options.Seed = int64(o.Seed)
	network := train.Network{Input: s.Shape, Scaling: train.Scale(1), Layers: append(slices.Clone(layers), train.Dense{Units: max(1, len(s.Labels))})}
	if len(s.Shape) == 3 {
		network.Scaling = train.Scale(1 / largest(s))
		options.Augment = train.Affine{Shift: float64(s.Shape[1]) / 28, Rotate: 6, Zoom: 0.05, Keep: 0.3}
	}
	if s.Labels != nil {
		return network.Fit(s, options)
	}
	options.LabelSmoothing = 0
	mean, deviation := spread(s.Y)
	scaled := *s
	scaled.Y = make([]float64, len(s.Y))
	for i, y := range s.Y {
		scaled.Y[i] = (y - mean) / deviation
	}
	graph, err := network.Fit(&scaled, options)
	if err != nil {
		return nil, err
	}
	back := model.New("targets", model.Shape{1}).Scale([]float64{deviation}, []float64{mean})
	restore, err := back.Graph()
	if err != nil {
		return nil, err
	}
	return join(graph, restore)
}

// largest returns the largest size of a value, or 1 if all are 0.
func largest(s *dataset.Set) float64 {
	most := 0.0
	for _, row := range s.X {
		for _, v := range row {
			most = max(most, math.Abs(v))
		}
	}
	if most == 0 {
		return 1
	}
	return most
}

// spread returns mean and deviation; a constant has deviation 1.
func spread(y []float64) (mean, deviation float64) {
	for _, v := range y {
		mean += v / float64(len(y))
	}
	for _, v := range y {
		deviation += (v - mean) * (v - mean) / float64(len(y))
	}
	if deviation == 0 {
		return mean, 1
	}
	return mean, math.Sqrt(deviation)
}
