package train

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/floats"

	"cipherpoint/model/dataset"
)

// Each use of the seed draws from its own PCG stream.
const (
	streamOrder = iota + 1
	streamAugment
)

// feed makes the batches of the epochs. Only one batch at a time is held beside the set.
type feed struct {
	set     *dataset.Set
	shape   []int
	scaling Scaling
	outputs int
	Options
	order []int
	// below sums up the samples' weights, by which they are drawn; nil where all have their turn in each epoch.
	below []float64
	at    int
	draw  *rand.Rand
	row   []float64
}

func newFeed(set *dataset.Set, shape []int, scaling Scaling, outputs int, options Options) *feed {
	f := &feed{set: set, shape: shape, scaling: scaling, outputs: outputs, Options: options}
	f.order = make([]int, set.Len())
	for i := range f.order {
		f.order[i] = i
	}
	if set.Weights != nil {
		f.below = floats.CumSum(make([]float64, set.Len()), set.Weights)
	}
	f.row = make([]float64, set.Width())
	return f
}

// shuffle starts an epoch.
func (f *feed) shuffle(epoch int) {
	order := rand.New(rand.NewPCG(uint64(f.Seed)+uint64(epoch)<<32, streamOrder))
	if f.below == nil {
		order.Shuffle(len(f.order), func(i, j int) { f.order[i], f.order[j] = f.order[j], f.order[i] })
	} else {
		for at := range f.order {
			f.order[at] = min(sort.SearchFloat64s(f.below, order.Float64()*f.below[len(f.below)-1]), len(f.order)-1)
		}
	}
	f.draw = rand.New(rand.NewPCG(uint64(f.Seed)+uint64(epoch)<<32, streamAugment))
	f.at = 0
}

// next returns the next batch, with the batch as the last axis: samples and targets, one-hot for classes.
func (f *feed) next() (x, y *tensors.Tensor) {
	samples := make([]float32, f.set.Width()*f.Batch)
	targets := make([]float32, f.outputs*f.Batch)
	for b := range f.Batch {
		i := f.order[f.at]
		f.at++
		row := f.set.X[i]
		if f.Augment != nil {
			f.Augment.apply(f.draw, f.row, row, f.shape)
			row = f.row
		}
		for j, v := range f.scaling.apply(row) {
			samples[j*f.Batch+b] = float32(v)
		}
		if f.set.Labels == nil {
			targets[b] = float32(f.set.Y[i])
			continue
		}
		for c := range f.outputs {
			targets[c*f.Batch+b] = float32(f.LabelSmoothing / float64(f.outputs))
		}
		targets[f.set.Class(i)*f.Batch+b] += float32(1 - f.LabelSmoothing)
	}
	x = tensors.FromFlatDataAndDimensions(samples, append(slices.Clone(f.shape), f.Batch)...)
	return x, tensors.FromFlatDataAndDimensions(targets, f.outputs, f.Batch)
}
