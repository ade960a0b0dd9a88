package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Builder writes a graph node by node. Each method applies an operator to the current value and makes the result the
// current value; Value and From branch. The first error stops it and is returned by Graph.
type Builder struct {
	graph   Graph
	shapes  map[string]Shape
	kinds   map[string]int // nodes of each kind so far, for names
	current string
	err     error
}

// New starts a graph with one input, named "input", as the current value.
func New(name string, input Shape) *Builder {
	b := &Builder{graph: Graph{Name: name}, shapes: make(map[string]Shape), kinds: make(map[string]int)}
	return b.Input("input", input)
}

// Input adds an input and makes it the current value.
func (b *Builder) Input(name string, shape Shape) *Builder {
	if b.err != nil {
		return b
	}
	if _, taken := b.shapes[name]; taken {
		b.err = fmt.Errorf("value %q is defined twice", name)
		return b
	}
	if b.err = shape.check(); b.err != nil {
		return b
	}
	b.graph.Inputs = append(b.graph.Inputs, Port{Name: name, Shape: shape})
	b.shapes[name] = shape
	b.current = name
	return b
}

// Value is the name of the current value, to come back to with From or to combine with Add, Concat and the like.
func (b *Builder) Value() string { return b.current }

// Shape is the shape of the current value.
func (b *Builder) Shape() Shape { return slices.Clone(b.shapes[b.current]) }

// Err is the first error so far.
func (b *Builder) Err() error { return b.err }

// From makes an earlier value the current one.
func (b *Builder) From(value string) *Builder {
	if _, ok := b.shapes[value]; !ok && b.err == nil {
		b.err = fmt.Errorf("there is no value %q", value)
	}
	if b.err == nil {
		b.current = value
	}
	return b
}

// Named renames the last node and its output, which must be the current value.
func (b *Builder) Named(name string) *Builder {
	if b.err != nil {
		return b
	}
	if len(b.graph.Nodes) == 0 || b.graph.Nodes[len(b.graph.Nodes)-1].Output != b.current {
		b.err = fmt.Errorf("name %q does not follow a node", name)
		return b
	}
	if _, taken := b.shapes[name]; taken {
		b.err = fmt.Errorf("value %q is defined twice", name)
		return b
	}
	node := &b.graph.Nodes[len(b.graph.Nodes)-1]
	b.shapes[name] = b.shapes[b.current]
	delete(b.shapes, b.current)
	node.Name, node.Output, b.current = name, name, name
	return b
}

// Apply adds any operator on the given values, or on the current value if none is given.
func (b *Builder) Apply(op Op, values ...string) *Builder {
	if b.err != nil {
		return b
	}
	if len(values) == 0 {
		values = []string{b.current}
	}
	kind := strings.ToLower(op.Kind())
	b.kinds[kind]++
	name := fmt.Sprintf("%s%d", kind, b.kinds[kind])
	in := make([]Shape, len(values))
	for i, v := range values {
		shape, ok := b.shapes[v]
		if !ok {
			b.err = fmt.Errorf("node %q: there is no value %q", name, v)
			return b
		}
		in[i] = shape
	}
	shape, err := op.Infer(in)
	if err == nil && b.shapes[name] != nil {
		err = errors.New("name is taken")
	}
	if err != nil {
		b.err = fmt.Errorf("node %q: %w", name, err)
		return b
	}
	b.graph.Nodes = append(b.graph.Nodes, Node{Name: name, Op: op, Inputs: slices.Clone(values), Output: name})
	b.shapes[name] = shape
	b.current = name
	return b
}

// Graph returns the finished graph with the given values as outputs, or with the current value if none is given.
func (b *Builder) Graph(outputs ...string) (*Graph, error) {
	if b.err != nil {
		return nil, fmt.Errorf("model %q: %w", b.graph.Name, b.err)
	}
	if len(outputs) == 0 {
		outputs = []string{b.current}
	}
	g := &Graph{Name: b.graph.Name, Inputs: slices.Clone(b.graph.Inputs), Nodes: slices.Clone(b.graph.Nodes), Outputs: outputs}
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("model %q: %w", g.Name, err)
	}
	return g, nil
}

// Dense adds Weight·x + bias with weights [out, in]; bias may be nil.
func (b *Builder) Dense(weight Tensor, bias []float64) *Builder {
	return b.Apply(&Dense{Weight: weight, Bias: bias})
}

// MatMul multiplies the last dimension by a constant matrix [in, out], as ONNX's MatMul does: a Dense with the
// transposed weights.
func (b *Builder) MatMul(weight Tensor) *Builder {
	if b.err == nil && len(weight.Shape) != 2 {
		b.err = fmt.Errorf("matrix has shape %v, want [in, out]", []int(weight.Shape))
	}
	if b.err != nil {
		return b
	}
	transposed, err := (&Transpose{Perm: []int{1, 0}}).Eval([]Tensor{weight})
	if err != nil {
		b.err = err
		return b
	}
	return b.Apply(&Dense{Weight: transposed})
}

// Conv adds a convolution with weights [out, in, kernel...]; bias may be nil. See Apply for groups.
func (b *Builder) Conv(weight Tensor, bias []float64, window Window) *Builder {
	return b.Apply(&Conv{Weight: weight, Bias: bias, Window: window})
}

func (b *Builder) AveragePool(kernel []int, window Window) *Builder {
	return b.Apply(&AveragePool{Kernel: kernel, Window: window})
}

func (b *Builder) MaxPool(kernel []int, window Window) *Builder {
	return b.Apply(&MaxPool{Kernel: kernel, Window: window})
}

// GlobalAveragePool is the mean over all spatial dimensions, [channels, spatial...] to [channels, 1...].
func (b *Builder) GlobalAveragePool() *Builder {
	rank := len(b.shapes[b.current])
	if b.err == nil && rank < 2 {
		b.err = fmt.Errorf("global average pool of shape %v, want [channels, spatial...]", []int(b.shapes[b.current]))
	}
	if b.err != nil {
		return b
	}
	return b.Apply(&ReduceMean{Axes: steps(rank, 1)[1:], KeepDims: true})
}

// Scale adds factor·x + offset, where each list has one value for all elements or one for each index of axis 0:
// features of a vector, channels of an image.
func (b *Builder) Scale(factor, offset []float64) *Builder {
	return b.Apply(&Scale{Factor: b.perChannel(factor), Offset: b.perChannel(offset)})
}

// perChannel shapes a list so that it broadcasts along axis 0.
func (b *Builder) perChannel(list []float64) Tensor {
	if len(list) == 1 {
		return Scalar(list[0])
	}
	shape := slices.Repeat(Shape{1}, max(1, len(b.shapes[b.current])))
	shape[0] = len(list)
	return Tensor{Shape: shape, Data: list}
}

func (b *Builder) BatchNorm(gamma, beta, mean, variance []float64, epsilon float64) *Builder {
	return b.Apply(&BatchNorm{Gamma: gamma, Beta: beta, Mean: mean, Variance: variance, Epsilon: epsilon})
}

func (b *Builder) Flatten() *Builder { return b.Apply(&Flatten{}) }

func (b *Builder) Reshape(shape Shape) *Builder { return b.Apply(&Reshape{Shape: shape}) }

func (b *Builder) Transpose(perm ...int) *Builder { return b.Apply(&Transpose{Perm: perm}) }

// Pad adds elements of the given value before and after each dimension.
func (b *Builder) Pad(begin, end []int, value float64) *Builder {
	return b.Apply(&Pad{Begin: begin, End: end, Mode: PadConstant, Value: value})
}

// Slice keeps the elements from..to-1 of an axis.
func (b *Builder) Slice(axis, from, to int) *Builder {
	x := b.shapes[b.current]
	if b.err == nil {
		b.err = x.checkAxis(axis)
	}
	if b.err != nil {
		return b
	}
	s := &Slice{Start: make([]int, len(x)), Size: slices.Clone(x), Step: slices.Repeat([]int{1}, len(x))}
	s.Start[axis], s.Size[axis] = from, to-from
	return b.Apply(s)
}

// Split cuts the current value along an axis into parts of the given sizes and returns their names. The last part is
// the current value then.
func (b *Builder) Split(axis int, sizes ...int) []string {
	whole := b.current
	var parts []string
	from := 0
	for _, size := range sizes {
		parts = append(parts, b.From(whole).Slice(axis, from, from+size).Value())
		from += size
	}
	if b.err == nil && (len(sizes) == 0 || from != b.shapes[whole][axis]) {
		b.err = fmt.Errorf("parts %v do not add up to axis %d of shape %v", sizes, axis, []int(b.shapes[whole]))
	}
	return parts
}

func (b *Builder) Gather(axis int, indices ...int) *Builder {
	return b.Apply(&Gather{Axis: axis, Indices: indices})
}

// Concat joins the current value and others along an axis.
func (b *Builder) Concat(axis int, others ...string) *Builder {
	return b.Apply(&Concat{Axis: axis}, append([]string{b.current}, others...)...)
}

// Add, Sub and Multiply combine the current value with another.
func (b *Builder) Add(other string) *Builder      { return b.Apply(&Add{}, b.current, other) }
func (b *Builder) Sub(other string) *Builder      { return b.Apply(&Sub{}, b.current, other) }
func (b *Builder) Multiply(other string) *Builder { return b.Apply(&Multiply{}, b.current, other) }

func (b *Builder) ReduceSum(axes ...int) *Builder  { return b.Apply(&ReduceSum{Axes: axes}) }
func (b *Builder) ReduceMean(axes ...int) *Builder { return b.Apply(&ReduceMean{Axes: axes}) }

// Polynomial applies Σ_k coefficients[k]·x^k to every element.
func (b *Builder) Polynomial(coefficients ...float64) *Builder {
	return b.Apply(&Polynomial{Coefficients: coefficients})
}

// Square applies x².
func (b *Builder) Square() *Builder { return b.Polynomial(0, 0, 1) }

// Activation applies a function that takes no parameters.
func (b *Builder) Activation(f Function) *Builder { return b.Apply(&Activation{Function: f}) }

func (b *Builder) ReLU() *Builder    { return b.Activation(ReLU) }
func (b *Builder) Sigmoid() *Builder { return b.Activation(Sigmoid) }
func (b *Builder) Tanh() *Builder    { return b.Activation(Tanh) }

func (b *Builder) LeakyReLU(slope float64) *Builder {
	return b.Apply(&Activation{Function: LeakyReLU, Alpha: slope})
}

// Clip bounds every element; an infinite bound leaves that side open.
func (b *Builder) Clip(low, high float64) *Builder {
	return b.Apply(&Clip{Min: max(low, -math.MaxFloat64), Max: min(high, math.MaxFloat64)})
}

// Compare is 1 where "x operator value" holds, else 0; the operator is one of < <= > >= == !=.
func (b *Builder) Compare(operator string, value float64) *Builder {
	return b.Apply(&Compare{Operator: operator, Value: value})
}

// Softmax, LogSoftmax and ArgMax work along the last axis.
func (b *Builder) Softmax() *Builder    { return b.Apply(&Softmax{Axis: b.lastAxis()}) }
func (b *Builder) LogSoftmax() *Builder { return b.Apply(&LogSoftmax{Axis: b.lastAxis()}) }
func (b *Builder) ArgMax() *Builder     { return b.Apply(&ArgMax{Axis: b.lastAxis()}) }

// Normalizer divides by a norm along the last axis.
func (b *Builder) Normalizer(norm string) *Builder {
	return b.Apply(&Normalizer{Norm: norm, Axis: b.lastAxis()})
}

func (b *Builder) lastAxis() int { return len(b.shapes[b.current]) - 1 }

// Imputer replaces NaN by the value of its feature.
func (b *Builder) Imputer(values []float64) *Builder { return b.Apply(&Imputer{Values: values}) }

func (b *Builder) OneHot(categories [][]float64) *Builder {
	return b.Apply(&OneHot{Categories: categories})
}

func (b *Builder) Thermometer(edges [][]float64) *Builder {
	return b.Apply(&Thermometer{Edges: edges})
}

// TreeEnsemble adds a tree, forest or boosted ensemble.
func (b *Builder) TreeEnsemble(trees *TreeEnsemble) *Builder { return b.Apply(trees) }
