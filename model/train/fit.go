package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/ml/train/optimizer/cosineschedule"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// trainer holds a network while it is trained.
type trainer struct {
	Network
	Options
	// backend owns the memory of the values in store.
	backend compute.Backend
	store   *gomlx.Store
	outputs int
	// steps is the number of batches in an epoch.
	steps int
	// classes is true for classification, false for regression.
	classes bool
}

// networkScope holds the variables of the network, averageScope their moving averages.
const (
	networkScope = "network"
	averageScope = "average"
)

// Fit trains the network on a set and returns it as a model, with the scaling before it. Where the set has labels, it
// trains on cross-entropy and the model ends with a softmax; otherwise it trains on squared error.
func (n Network) Fit(set *dataset.Set, options Options) (*model.Graph, error) {
	t, err := newTrainer(n, options, set)
	if err != nil {
		return nil, err
	}
	defer t.backend.Finalize()
	if err := t.fit(set); err != nil {
		return nil, err
	}
	return t.graph()
}

// newTrainer checks that the network fits the set.
func newTrainer(n Network, options Options, set *dataset.Set) (*trainer, error) {
	t := &trainer{Network: n, Options: options, store: gomlx.NewStore(), classes: set.Labels != nil}
	if err := t.check(set); err != nil {
		return nil, err
	}
	if err := t.store.SetRNGStateFromSeed(options.Seed); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	backend, err := gobackend.New("")
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	t.backend = backend
	return t, nil
}

// fit leaves the trained values in the store.
func (t *trainer) fit(set *dataset.Set) error {
	step, err := gomlx.NewExec(t.backend, t.store, t.step)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	defer step.Finalize()
	feed := newFeed(set, t.Input, t.Scaling, t.outputs, t.Options)
	for epoch := range t.Epochs {
		var lossSum, correct float64
		feed.shuffle(epoch)
		for range t.steps {
			x, y := feed.next()
			stepLoss, hits, err := step.Call2(x, y)
			if err != nil {
				return fmt.Errorf("train: %w", err)
			}
			lossSum += float64(tensors.ToScalar[float32](stepLoss))
			correct += float64(tensors.ToScalar[float32](hits))
		}
		if math.IsNaN(lossSum) || math.IsInf(lossSum, 0) {
			return errors.New("train: the loss diverged: lower the learning rate or the scale of the inputs")
		}
		if t.Progress != nil {
			accuracy := math.NaN()
			if t.classes {
				accuracy = correct / float64(t.steps*t.Batch)
			}
			t.Progress(epoch+1, lossSum/float64(t.steps), accuracy)
		}
	}
	return t.takeAverage(t.steps * t.Epochs)
}

func (t *trainer) check(set *dataset.Set) error {
	if err := checkSamples(set); err != nil {
		return err
	}
	if err := t.Options.check(set.Len()); err != nil {
		return err
	}
	if err := t.Scaling.check(set.Width()); err != nil {
		return err
	}
	shapes, err := t.shapes()
	if err != nil {
		return err
	}
	if !slices.Equal(t.Input, set.Shape) {
		return fmt.Errorf("train: network takes samples of shape %v, the set has %v", t.Input, set.Shape)
	}
	t.steps = set.Len() / t.Batch
	t.outputs = max(1, len(set.Labels))
	if t.Augment != nil && len(t.Input) != 3 {
		return fmt.Errorf("train: augmentation wants images, the samples have shape %v", t.Input)
	}
	if out := shapes[len(shapes)-1]; !slices.Equal(out, []int{t.outputs}) {
		return fmt.Errorf("train: the last layer gives %v values, wanted %d", out, t.outputs)
	}
	return nil
}

// step is the graph of one training step: it updates all variables and returns the loss and the number of samples
// that were classified correctly.
func (t *trainer) step(scope *gomlx.Scope, x, y *graph.Node) (lossValue, correct *graph.Node) {
	g := x.Graph()
	t.store.SetTraining(g, true)
	out, y := graph.Transpose(t.forward(scope, x), 0, 1), graph.Transpose(y, 0, 1)
	if t.classes {
		lossValue = loss.CategoricalCrossEntropyLogits([]*graph.Node{y}, []*graph.Node{out})
	} else {
		lossValue = loss.MeanSquaredError([]*graph.Node{y}, []*graph.Node{out})
	}
	hits := graph.Equal(graph.ArgMax(out, -1), graph.ArgMax(y, -1))
	correct = graph.ReduceAllSum(graph.ConvertDType(hits, out.DType()))

	cosineschedule.New(scope, g, out.DType()).
		LearningRate(t.LearningRate).WarmUpSteps(t.steps).PeriodSteps(max(1, (t.Epochs-1)*t.steps)).Done()
	optimizer.Adam().LearningRate(t.LearningRate).WeightDecay(t.WeightDecay).Done().UpdateGraph(scope, g, lossValue)
	if t.Average > 0 {
		for v := range scope.At(networkScope).IterVariables() {
			average := averageOf(scope, v)
			kept := graph.MulScalar(average.NodeValue(g), t.Average)
			average.SetNodeValue(graph.Add(kept, graph.MulScalar(v.NodeValue(g), 1-t.Average)))
		}
	}
	return lossValue, correct
}

// forward builds the network in a graph.
func (t *trainer) forward(scope *gomlx.Scope, x *graph.Node) *graph.Node {
	for i, layer := range t.Layers {
		x = layer.forward(layerScope(scope, i), x)
	}
	return x
}

// layerScope holds the variables of a layer.
func layerScope(scope *gomlx.Scope, layer int) *gomlx.Scope {
	return scope.At(networkScope).At("%d", layer)
}

// graph writes the trained network as a model.
func (t *trainer) graph() (*model.Graph, error) {
	b := model.New("network", t.Input)
	t.Scaling.emit(b)
	for i, layer := range t.Layers {
		scope := layerScope(t.store.RootScope(), i)
		layer.emit(b, func(name string) []float64 {
			values := tensors.MustCopyFlatData[float32](scope.GetVariable(name).MustValue())
			wide := make([]float64, len(values))
			for i, v := range values {
				wide[i] = float64(v)
			}
			return wide
		})
	}
	if t.classes {
		b.Softmax()
	}
	graph, err := b.Graph()
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return graph, nil
}

// averageOf returns the variable that holds the moving average of v.
func averageOf(scope *gomlx.Scope, v *gomlx.Variable) *gomlx.Variable {
	path := averageScope + v.Path()
	return scope.Store().VariableWithShape(path, v.Shape(), initializer.Zero).SetTrainable(false)
}

// takeAverage puts the averages in the place of the variables. They started at zero, so they are short of the factor
// 1 - Average^steps.
func (t *trainer) takeAverage(steps int) error {
	if t.Average == 0 {
		return nil
	}
	scope := t.store.RootScope()
	for v := range scope.At(networkScope).IterVariables() {
		average, err := averageOf(scope, v).Value()
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		values := tensors.MustCopyFlatData[float32](average)
		for i := range values {
			values[i] = float32(float64(values[i]) / (1 - math.Pow(t.Average, float64(steps))))
		}
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}
