package train

import (
	"fmt"
	"slices"
)

// Network is a feed-forward network to be trained: its layers in order. It is friendly to encryption by construction:
// every layer is either linear or a polynomial of degree two.
type Network struct {
	// Input is the shape of one sample, channels first: (1, 28, 28) for an image, (n) for n features.
	Input []int
	// Scaling maps the raw features to the values that the first layer sees; the client applies it before encryption.
	Scaling Scaling
	// Layers end with a Dense layer of one unit per class, or of one unit for regression.
	Layers []Layer
}

// Options says how a Network is trained: Adam with decoupled weight decay on minibatches, the learning rate rising
// linearly over the first epoch and falling to zero along a half cosine.
type Options struct {
	Epochs int
	// Batch is the number of samples of one step. What is left of an epoch after whole batches waits for another epoch.
	Batch        int
	LearningRate float64
	// WeightDecay shrinks all trained values by this share of the learning rate per step.
	WeightDecay float64
	// LabelSmoothing takes this share of the probability from the true class and spreads it over all: logits stay small.
	LabelSmoothing float64
	// Average is the decay per step of the moving average of the weights that is taken as the result; 0 takes the last
	// weights. The average covers about 1/(1-Average) steps.
	Average float64
	// Augment varies the training samples; nil leaves them as they are.
	Augment Augmentation
	// Seed determines initial weights, order of samples and augmentation: equal seeds give equal bits, whatever the
	// number of cores.
	Seed int64
	// Progress is called after each epoch with the mean loss over its steps and the share of its samples that were
	// classified correctly at the time (NaN for regression); nil for silence.
	Progress func(epoch int, loss, accuracy float64)
}

func (o Options) check(samples int) error {
	switch {
	case o.Epochs < 1 || o.Batch < 1 || !(o.LearningRate > 0):
		return fmt.Errorf("train: epochs %d, batch %d, learning rate %v: all must be positive", o.Epochs, o.Batch, o.LearningRate)
	case o.Batch > samples:
		return fmt.Errorf("train: batch of %d with %d samples", o.Batch, samples)
	case !(o.Average >= 0 && o.Average < 1) || !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1) || !(o.WeightDecay >= 0):
		return fmt.Errorf("train: average %v, label smoothing %v must be in [0, 1), weight decay %v not negative",
			o.Average, o.LabelSmoothing, o.WeightDecay)
	}
	return nil
}

// shapes returns the shape of a sample before each layer, and after the last one.
func (n Network) shapes() ([][]int, error) {
	shapes := [][]int{n.Input}
	for i, layer := range n.Layers {
		out, err := layer.outputShape(slices.Clone(shapes[i]))
		if err != nil {
			return nil, fmt.Errorf("train: layer %d: %w", i+1, err)
		}
		shapes = append(shapes, out)
	}
	return shapes, nil
}
