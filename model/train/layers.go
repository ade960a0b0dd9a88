package train

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/norm"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"cipherpoint/model"
)

// Layer is one of Conv, Dense, AveragePool, BatchNorm and Square.
//
// While training, the batch is the last axis, (channels, height, width, batch): every linear layer is then a plain
// product of its weights (outputs, inputs) and a matrix of samples, with no transposition in either direction.
type Layer interface {
	// outputShape returns the shape of one sample after the layer, given that before it.
	outputShape(in []int) ([]int, error)
	// forward adds the layer to a training or evaluation graph.
	forward(scope *gomlx.Scope, x *graph.Node) *graph.Node
	// emit adds the trained layer to a model.
	emit(b *model.Builder, trained parameters)
}

// parameters returns the values of a layer's variable.
type parameters func(name string) []float64

// Conv is a two-dimensional convolution with bias.
type Conv struct {
	Filters int
	// Kernel is the side of the square window.
	Kernel int
	// Stride is the step of the window, 1 if zero.
	Stride int
	// Pad is the number of zeros added on every side.
	Pad int
}

func (c Conv) window() window { return window{size: c.Kernel, stride: max(1, c.Stride), pad: c.Pad} }

func (c Conv) outputShape(in []int) ([]int, error) {
	out, err := c.window().outputShape(in)
	if err != nil || c.Filters < 1 {
		return nil, fmt.Errorf("convolution %+v over %v: wants an image, at least one filter and a window inside it", c, in)
	}
	out[0] = c.Filters
	return out, nil
}

// The library's own convolution runs on one core and takes ten times as long as this product of unfolded images.
func (c Conv) forward(scope *gomlx.Scope, x *graph.Node) *graph.Node {
	unfolded := graph.Concatenate(c.window().views(x), 0)
	dims := unfolded.Shape().Dimensions
	y := affine(scope, graph.Reshape(unfolded, dims[0], -1), c.Filters)
	return graph.Reshape(y, c.Filters, dims[1], dims[2], dims[3])
}

func (c Conv) emit(b *model.Builder, trained parameters) {
	// The unfolded image has its taps in front of its channels, the model the other way round.
	channels, taps := b.Shape()[0], c.Kernel*c.Kernel
	unfolded := trained("weights")
	weights := make([]float64, 0, len(unfolded))
	for f := range c.Filters {
		for ch := range channels {
			for tap := range taps {
				weights = append(weights, unfolded[(f*taps+tap)*channels+ch])
			}
		}
	}
	shape := model.Shape{c.Filters, channels, c.Kernel, c.Kernel}
	b.Conv(model.Tensor{Shape: shape, Data: weights}, trained("biases"), c.window().model())
}

// Dense is a fully connected layer with bias. It flattens its input.
type Dense struct {
	Units int
}

func (d Dense) outputShape(in []int) ([]int, error) {
	if d.Units < 1 {
		return nil, fmt.Errorf("dense layer with %d units", d.Units)
	}
	return []int{d.Units}, nil
}

func (d Dense) forward(scope *gomlx.Scope, x *graph.Node) *graph.Node {
	return affine(scope, graph.Reshape(x, -1, x.Shape().Dim(-1)), d.Units)
}

func (d Dense) emit(b *model.Builder, trained parameters) {
	emitDense(b, trained("weights"), trained("biases"))
}

// emitDense flattens the current value and adds a linear map with weights (outputs, inputs).
func emitDense(b *model.Builder, weights, bias []float64) {
	if len(b.Shape()) > 1 {
		b.Flatten()
	}
	shape := model.Shape{len(bias), len(weights) / len(bias)}
	b.Dense(model.Tensor{Shape: shape, Data: weights}, bias)
}

// affine returns W·x + b for x of (inputs, samples), with variables "weights" (outputs, inputs) and "biases" (outputs, 1).
func affine(scope *gomlx.Scope, x *graph.Node, outputs int) *graph.Node {
	weights := variable(scope, x, "weights", initializer.GlorotUniformFn(scope), outputs, x.Shape().Dim(0))
	biases := variable(scope, x, "biases", initializer.Zero, outputs, 1)
	return graph.Add(graph.MatMul(weights, x), biases)
}

// AveragePool averages over square windows.
type AveragePool struct {
	Size int
	// Stride is the step of the window, Size if zero.
	Stride int
}

func (p AveragePool) window() window {
	if p.Stride == 0 {
		return window{size: p.Size, stride: p.Size}
	}
	return window{size: p.Size, stride: p.Stride}
}

func (p AveragePool) outputShape(in []int) ([]int, error) {
	out, err := p.window().outputShape(in)
	if err != nil {
		return nil, fmt.Errorf("average pool %+v over %v: wants an image and a window inside it", p, in)
	}
	return out, nil
}

func (p AveragePool) forward(_ *gomlx.Scope, x *graph.Node) *graph.Node {
	views := p.window().views(x)
	sum := views[0]
	for _, view := range views[1:] {
		sum = graph.Add(sum, view)
	}
	return graph.DivScalar(sum, len(views))
}

func (p AveragePool) emit(b *model.Builder, _ parameters) {
	b.AveragePool([]int{p.Size, p.Size}, p.window().model())
}

// BatchNorm normalises every channel (of images) or feature over the batch while training, and by the running averages
// afterwards, where it merges into the linear layer before it.
type BatchNorm struct{}

// batchNormEpsilon is added to variances.
const batchNormEpsilon = 1e-3

func (BatchNorm) outputShape(in []int) ([]int, error) { return in, nil }

func (BatchNorm) forward(scope *gomlx.Scope, x *graph.Node) *graph.Node {
	return norm.BatchNorm(scope, x, 0).CurrentScope().Momentum(0.99).Epsilon(batchNormEpsilon).UseBackendInference(false).Done()
}

func (BatchNorm) emit(b *model.Builder, trained parameters) {
	b.BatchNorm(trained("scale"), trained("offset"), trained("mean"), trained("variance"), batchNormEpsilon)
}

// Square is the activation x². With the bias of the layer before it and that of the layer after it, it spans every
// polynomial of degree two, by completing the square.
type Square struct{}

func (Square) outputShape(in []int) ([]int, error) { return in, nil }

func (Square) forward(_ *gomlx.Scope, x *graph.Node) *graph.Node { return graph.Square(x) }

func (Square) emit(b *model.Builder, _ parameters) { b.Square() }

// variable returns the value of a trained variable of the type of x.
func variable(scope *gomlx.Scope, x *graph.Node, name string, init gomlx.VariableInitializer, dims ...int) *graph.Node {
	return scope.WithInitializer(init).VariableWithShape(name, shapes.Make(x.DType(), dims...)).NodeValue(x.Graph())
}

// window is a square window that slides over the two spatial axes of an image.
type window struct{ size, stride, pad int }

// outputShape returns the shape of an image (channels, height, width) after the window has slid over it.
func (w window) outputShape(in []int) ([]int, error) {
	if len(in) != 3 || w.size < 1 || w.stride < 1 || w.pad < 0 || w.size > w.pad+min(in[1], in[2]) {
		return nil, fmt.Errorf("window %+v over %v", w, in)
	}
	return []int{in[0], w.positions(in[1]), w.positions(in[2])}, nil
}

func (w window) positions(length int) int { return (length+2*w.pad-w.size)/w.stride + 1 }

func (w window) model() model.Window {
	return model.Window{Stride: []int{w.stride, w.stride}, Pads: []int{w.pad, w.pad, w.pad, w.pad}}
}

// views returns, for each place (row by row) in the window, the image as seen through that place alone: views[0] holds
// the upper left value of every window position.
func (w window) views(x *graph.Node) []*graph.Node {
	rows, columns := w.positions(x.Shape().Dim(1)), w.positions(x.Shape().Dim(2))
	x = zeroPad(zeroPad(x, 1, w.pad), 2, w.pad)
	from := func(offset, count int) graph.SliceAxisSpec {
		return graph.AxisRange(offset, offset+(count-1)*w.stride+1).Stride(w.stride)
	}
	var views []*graph.Node
	for i := range w.size {
		for j := range w.size {
			views = append(views, graph.Slice(x, graph.AxisRange(), from(i, rows), from(j, columns), graph.AxisRange()))
		}
	}
	return views
}

// zeroPad adds zeros before and after an axis. (The library's Pad has no gradient.)
func zeroPad(x *graph.Node, axis, count int) *graph.Node {
	if count == 0 {
		return x
	}
	shape := x.Shape().Clone()
	shape.Dimensions[axis] = count
	zeros := graph.Zeros(x.Graph(), shape)
	return graph.Concatenate([]*graph.Node{zeros, x, zeros}, axis)
}
