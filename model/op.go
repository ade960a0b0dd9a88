package model

import (
	"fmt"
	"slices"
)

// Op is an operator: a function of one or more tensors with one result. Operators are plain data behind pointers and
// are not changed by Infer or Eval, which are safe for concurrent use.
type Op interface {
	// Kind is the operator's name in the JSON form.
	Kind() string
	// Infer checks the operator's parameters against the shapes of its inputs and returns the shape of its result.
	Infer(in []Shape) (Shape, error)
	// Eval computes the result; it fails where Infer fails. The result may share memory with an input.
	Eval(in []Tensor) (Tensor, error)
}

// Affine is an operator of one input with y = M·x + b on the flattened tensors.
type Affine interface {
	Op
	Lower(in Shape) (*AffineMap, error)
}

// MultiAffine is an operator of several inputs with y = Σ_k (M_k·x_k + b_k) on the flattened tensors.
type MultiAffine interface {
	Op
	LowerEach(in []Shape) ([]*AffineMap, error)
}

// Pointwise is an operator that applies the same function to every element of its one input.
type Pointwise interface {
	Op
	At(x float64) float64
	// Polynomial returns the exact monomial coefficients, lowest power first, if the function is a polynomial.
	Polynomial() ([]float64, bool)
}

// ChannelPointwise is an operator that applies to every element of its one input the function of the element's
// channel, the index along axis 0.
type ChannelPointwise interface {
	Op
	Channels() int
	Channel(i int) Pointwise
}

// PerFeature holds for operators that treat each feature, or channel, alone, or only put elements elsewhere: what a client
// can do to its features before it encrypts them.
func PerFeature(op Op) bool {
	switch op.(type) {
	case *Scale, *BatchNorm, *Compare, *Map, *Normalizer, *Imputer, *OneHot, *Thermometer, *Embedding, Pointwise, ChannelPointwise:
		return true
	}
	return MovesOnly(op)
}

// OfFeatures holds for operators that treat each feature alone, or combine some without parameters.
func OfFeatures(op Op) bool {
	switch op.(type) {
	case *Add, *Sub, *Multiply, *Where, *ArgMax:
		return true
	}
	return PerFeature(op)
}

// MovesOnly holds for operators that only put elements elsewhere.
func MovesOnly(op Op) bool {
	switch op.(type) {
	case *Flatten, *Reshape, *Transpose, *Pad, *Slice, *Gather, *Concat:
		return true
	}
	return false
}

// registry makes an empty operator for each kind, for decoding.
var registry = func() map[string]func() Op {
	constructors := []func() Op{
		func() Op { return new(Dense) },
		func() Op { return new(MatMul) },
		func() Op { return new(Conv) },
		func() Op { return new(AveragePool) },
		func() Op { return new(MaxPool) },
		func() Op { return new(BatchNorm) },
		func() Op { return new(Scale) },
		func() Op { return new(Flatten) },
		func() Op { return new(Reshape) },
		func() Op { return new(Transpose) },
		func() Op { return new(Pad) },
		func() Op { return new(Slice) },
		func() Op { return new(Gather) },
		func() Op { return new(Concat) },
		func() Op { return new(Add) },
		func() Op { return new(Sub) },
		func() Op { return new(Multiply) },
		func() Op { return new(Where) },
		func() Op { return new(ReduceSum) },
		func() Op { return new(ReduceMean) },
		func() Op { return new(ReduceMax) },
		func() Op { return new(Polynomial) },
		func() Op { return new(ChannelPolynomial) },
		func() Op { return new(Activation) },
		func() Op { return new(PReLU) },
		func() Op { return new(Clip) },
		func() Op { return new(Compare) },
		func() Op { return new(Map) },
		func() Op { return new(Softmax) },
		func() Op { return new(LogSoftmax) },
		func() Op { return new(ArgMax) },
		func() Op { return new(TopK) },
		func() Op { return new(Coupling) },
		func() Op { return new(Normalizer) },
		func() Op { return new(Imputer) },
		func() Op { return new(OneHot) },
		func() Op { return new(Thermometer) },
		func() Op { return new(Embedding) },
		func() Op { return new(TreeEnsemble) },
	}
	kinds := make(map[string]func() Op, len(constructors))
	for _, c := range constructors {
		kinds[c().Kind()] = c
	}
	return kinds
}()

// Register makes operators of another package readable in the JSON form, when that package is initialised.
func Register(construct func() Op) { registry[construct().Kind()] = construct }

// Kinds lists the kinds of all operators in alphabetical order.
func Kinds() []string {
	kinds := make([]string, 0, len(registry))
	for kind := range registry {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// one returns the shape of the only input.
func one(in []Shape) (Shape, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("takes 1 input, got %d", len(in))
	}
	return in[0], nil
}

// evalShape checks the tensors and infers the shape of the result: the start of every Eval.
func evalShape(op Op, in []Tensor) (Shape, error) {
	shapes := make([]Shape, len(in))
	for i, t := range in {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("input %d: %w", i, err)
		}
		shapes[i] = t.Shape
	}
	return op.Infer(shapes)
}
