package model

import (
	"math"
	"slices"
	"testing"
)

var nan = math.NaN()

func tensor(shape Shape, data ...float64) Tensor { return Tensor{Shape: shape, Data: data} }

// stump sends x0 ≤ 1 left, then x1 ≤ 2 left or right, and a second tree is a lone leaf.
func stump() *TreeEnsemble {
	return &TreeEnsemble{
		Features: 2, Comparison: LessOrEqual, Aggregate: AggregateSum, Base: []float64{100, 0},
		Roots: []int{0, ^3}, Feature: []int{0, 1}, Threshold: []float64{1, 2}, MissingLeft: []bool{false, true},
		Left: []int{1, ^0}, Right: []int{^2, ^1}, Values: [][]float64{{1, 10}, {2, 20}, {3, 30}, {0.5, 5}},
	}
}

// averaged is an ensemble with strict comparison and an average.
func averaged() *TreeEnsemble {
	e := stump()
	e.Comparison, e.Aggregate, e.Base, e.MissingLeft = Less, AggregateAverage, nil, nil
	return e
}

type operatorCase struct {
	name string
	op   Op
	in   []Tensor
	want Tensor
}

// operatorCases give every operator inputs and the result worked out by hand from its formula.
var operatorCases = []operatorCase{
	{"dense", &Dense{Weight: tensor(Shape{2, 3}, 1, 2, 3, 0, -1, 0.5), Bias: []float64{10, 20}},
		[]Tensor{Vector(1, 2, 4)}, Vector(27, 20)},
	{"dense on the last axis", &Dense{Weight: tensor(Shape{1, 2}, 1, -1)},
		[]Tensor{tensor(Shape{3, 2}, 5, 3, 1, 1, 0, 4)}, tensor(Shape{3, 1}, 2, 0, -4)},
	{"matmul", &MatMul{},
		[]Tensor{tensor(Shape{2, 2}, 1, 2, 3, 4), tensor(Shape{2, 3}, 1, 0, 2, 0, 1, 3)},
		tensor(Shape{2, 3}, 1, 2, 8, 3, 4, 18)},
	{"matmul broadcast", &MatMul{},
		[]Tensor{tensor(Shape{2, 1, 2}, 1, 2, 3, 4), tensor(Shape{2, 1}, 1, 10)}, tensor(Shape{2, 1, 1}, 21, 43)},
	{"conv 1-D", &Conv{Weight: tensor(Shape{1, 1, 3}, 1, 0, -1), Bias: []float64{0.5}},
		[]Tensor{tensor(Shape{1, 5}, 1, 2, 4, 8, 16)}, tensor(Shape{1, 3}, -2.5, -5.5, -11.5)},
	{"conv 2-D", &Conv{Weight: tensor(Shape{1, 1, 2, 2}, 1, 10, 100, 1000),
		Window: Window{Stride: []int{2, 1}, Pads: []int{1, 0, 0, 1}}},
		[]Tensor{tensor(Shape{1, 3, 2}, 1, 2, 3, 4, 5, 6)}, tensor(Shape{1, 2, 2}, 2100, 200, 6543, 604)},
	{"conv groups", &Conv{Weight: tensor(Shape{2, 1, 1}, 2, 3), Groups: 2},
		[]Tensor{tensor(Shape{2, 2}, 1, 2, 3, 4)}, tensor(Shape{2, 2}, 2, 4, 9, 12)},
	{"conv dilation", &Conv{Weight: tensor(Shape{1, 1, 2}, 1, 10), Window: Window{Dilation: []int{3}}},
		[]Tensor{tensor(Shape{1, 5}, 1, 2, 3, 4, 5)}, tensor(Shape{1, 2}, 41, 52)},
	{"average pool", &AveragePool{Kernel: []int{2, 2}, Window: Window{Stride: []int{2, 2}, Pads: []int{0, 0, 0, 1}}},
		[]Tensor{tensor(Shape{1, 2, 3}, 1, 2, 3, 5, 6, 7)}, tensor(Shape{1, 1, 2}, 3.5, 5)},
	{"average pool with padding", &AveragePool{Kernel: []int{2, 2}, CountIncludePad: true,
		Window: Window{Stride: []int{2, 2}, Pads: []int{0, 0, 0, 1}}},
		[]Tensor{tensor(Shape{1, 2, 3}, 1, 2, 3, 5, 6, 7)}, tensor(Shape{1, 1, 2}, 3.5, 2.5)},
	{"max pool", &MaxPool{Kernel: []int{2}, Window: Window{Pads: []int{1, 0}}},
		[]Tensor{tensor(Shape{2, 3}, -1, -2, 3, 4, 5, -6)}, tensor(Shape{2, 3}, -1, -1, 3, 4, 5, 5)},
	{"batch norm", &BatchNorm{Gamma: []float64{2, 1}, Beta: []float64{1, 0}, Mean: []float64{3, -1}, Variance: []float64{3.75, 0.75},
		Epsilon: 0.25}, []Tensor{tensor(Shape{2, 2}, 3, 5, -1, 1)}, tensor(Shape{2, 2}, 1, 3, 0, 2)},
	{"scale", &Scale{Factor: tensor(Shape{2, 1}, 2, 3), Offset: Scalar(1)},
		[]Tensor{tensor(Shape{2, 2}, 1, 2, 3, 4)}, tensor(Shape{2, 2}, 3, 5, 10, 13)},
	{"scale that stretches", &Scale{Factor: Vector(1, 2, 0), Offset: tensor(Shape{2, 1}, 0, 10)},
		[]Tensor{tensor(Shape{1, 1}, 5)}, tensor(Shape{2, 3}, 5, 10, 0, 15, 20, 10)},
	{"flatten", &Flatten{}, []Tensor{tensor(Shape{2, 1, 2}, 1, 2, 3, 4)}, Vector(1, 2, 3, 4)},
	{"flatten scalar", &Flatten{}, []Tensor{Scalar(7)}, Vector(7)},
	{"reshape", &Reshape{Shape: Shape{2, 2}}, []Tensor{Vector(1, 2, 3, 4)}, tensor(Shape{2, 2}, 1, 2, 3, 4)},
	{"transpose", &Transpose{Perm: []int{1, 0}},
		[]Tensor{tensor(Shape{2, 3}, 1, 2, 3, 4, 5, 6)}, tensor(Shape{3, 2}, 1, 4, 2, 5, 3, 6)},
	{"transpose 3-D", &Transpose{Perm: []int{2, 0, 1}},
		[]Tensor{tensor(Shape{2, 1, 3}, 1, 2, 3, 4, 5, 6)}, tensor(Shape{3, 2, 1}, 1, 4, 2, 5, 3, 6)},
	{"pad", &Pad{Begin: []int{1, 0}, End: []int{0, 2}, Mode: PadConstant, Value: 9},
		[]Tensor{tensor(Shape{1, 2}, 1, 2)}, tensor(Shape{2, 4}, 9, 9, 9, 9, 1, 2, 9, 9)},
	{"pad edge", &Pad{Begin: []int{2}, End: []int{1}, Mode: PadEdge}, []Tensor{Vector(1, 2, 3)}, Vector(1, 1, 1, 2, 3, 3)},
	{"pad reflect", &Pad{Begin: []int{2}, End: []int{2}, Mode: PadReflect}, []Tensor{Vector(1, 2, 3)}, Vector(3, 2, 1, 2, 3, 2, 1)},
	{"pad wrap", &Pad{Begin: []int{4}, End: []int{1}, Mode: PadWrap}, []Tensor{Vector(1, 2, 3)}, Vector(3, 1, 2, 3, 1, 2, 3, 1)},
	{"slice", &Slice{Start: []int{1, 2}, Size: []int{1, 2}, Step: []int{1, -2}},
		[]Tensor{tensor(Shape{2, 3}, 1, 2, 3, 4, 5, 6)}, tensor(Shape{1, 2}, 6, 4)},
	{"gather", &Gather{Axis: 1, Indices: []int{2, 0, 2}},
		[]Tensor{tensor(Shape{2, 3}, 1, 2, 3, 4, 5, 6)}, tensor(Shape{2, 3}, 3, 1, 3, 6, 4, 6)},
	{"concat", &Concat{Axis: 1},
		[]Tensor{tensor(Shape{2, 1}, 1, 2), tensor(Shape{2, 2}, 3, 4, 5, 6)}, tensor(Shape{2, 3}, 1, 3, 4, 2, 5, 6)},
	{"add", &Add{}, []Tensor{tensor(Shape{2, 2}, 1, 2, 3, 4), Vector(10, 20)}, tensor(Shape{2, 2}, 11, 22, 13, 24)},
	{"add both stretched", &Add{}, []Tensor{tensor(Shape{2, 1}, 1, 2), tensor(Shape{1, 2}, 10, 20)}, tensor(Shape{2, 2}, 11, 21, 12, 22)},
	{"sub", &Sub{}, []Tensor{Scalar(10), Vector(1, 2)}, Vector(9, 8)},
	{"multiply", &Multiply{}, []Tensor{Vector(1, 2, 3), Vector(4, 5, 6)}, Vector(4, 10, 18)},
	{"where", &Where{}, []Tensor{tensor(Shape{2, 1}, 1, 0), Vector(nan, 2), Scalar(7)}, tensor(Shape{2, 2}, nan, 2, 7, 7)},
	{"reduce sum", &ReduceSum{Axes: []int{1}}, []Tensor{tensor(Shape{2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8)}, tensor(Shape{2, 2}, 4, 6, 12, 14)},
	{"reduce sum of all", &ReduceSum{}, []Tensor{tensor(Shape{2, 2}, 1, 2, 3, 4)}, Scalar(10)},
	{"reduce mean", &ReduceMean{Axes: []int{2, 0}, KeepDims: true},
		[]Tensor{tensor(Shape{2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8)}, tensor(Shape{1, 2, 1}, 3.5, 5.5)},
	{"polynomial", &Polynomial{Coefficients: []float64{1, -2, 0, 3}}, []Tensor{Vector(0, 1, -2)}, Vector(1, 2, -19)},
	{"channel polynomial", &ChannelPolynomial{Coefficients: [][]float64{{0, 0, 1}, {5}}},
		[]Tensor{tensor(Shape{2, 2}, 3, -4, 6, 7)}, tensor(Shape{2, 2}, 9, 16, 5, 5)},
	{"prelu", &PReLU{Slope: []float64{0.5, -1}}, []Tensor{tensor(Shape{2, 2}, 2, -4, 3, -5)}, tensor(Shape{2, 2}, 2, -2, 3, 5)},
	{"activation", &Activation{Function: Abs}, []Tensor{Vector(-2, 3)}, Vector(2, 3)},
	{"clip", &Clip{Min: -1, Max: 2}, []Tensor{Vector(-5, 0.5, 5, nan)}, Vector(-1, 0.5, 2, nan)},
	{"compare", &Compare{Operator: ">=", Value: 2}, []Tensor{Vector(1, 2, 3, nan)}, Vector(0, 1, 1, 0)},
	{"map", &Map{Keys: []float64{1, 3}, Values: []float64{10, 30}, Default: -1}, []Tensor{Vector(3, 2, 1, nan)}, Vector(30, -1, 10, -1)},
	{"softmax", &Softmax{Axis: 0}, []Tensor{tensor(Shape{2, 2}, 1000, 0, 1000, math.Log(3))}, tensor(Shape{2, 2}, 0.5, 0.25, 0.5, 0.75)},
	{"log softmax", &LogSoftmax{Axis: 0}, []Tensor{Vector(1000, 1000)}, Vector(-math.Ln2, -math.Ln2)},
	{"reduce max", &ReduceMax{Axes: []int{1}}, []Tensor{tensor(Shape{2, 3}, 1, 5, 5, -9, -7, -8)}, Vector(5, -7)},
	{"top k", &TopK{Axis: 0, K: 2}, []Tensor{tensor(Shape{3, 2}, 1, 5, nan, 5, 2, 9)}, tensor(Shape{2, 2}, 2, 9, 1, 5)},
	{"top k indices", &TopK{Axis: 1, K: 3, Indices: true}, []Tensor{tensor(Shape{1, 4}, 1, 5, 5, 9)}, tensor(Shape{1, 3}, 3, 1, 2)},
	{"coupling of classes alike", &Coupling{Classes: 4}, []Tensor{Vector(0.5, 0.5, 0.5, 0.5, 0.5, 0.5)}, Vector(0.25, 0.25, 0.25, 0.25)},
	{"argmax", &ArgMax{Axis: 1}, []Tensor{tensor(Shape{2, 3}, 1, 5, 5, 9, nan, 2)}, Vector(1, 0)},
	{"argmax of a vector", &ArgMax{Axis: 0}, []Tensor{Vector(1, 5, 9)}, Scalar(2)},
	{"normalizer l1", &Normalizer{Norm: NormL1, Axis: 1}, []Tensor{tensor(Shape{2, 2}, 1, -3, 0, 0)}, tensor(Shape{2, 2}, 0.25, -0.75, 0, 0)},
	{"normalizer l2", &Normalizer{Norm: NormL2, Axis: 0}, []Tensor{Vector(3, -4)}, Vector(0.6, -0.8)},
	{"normalizer max", &Normalizer{Norm: NormMax, Axis: 0}, []Tensor{Vector(2, -4)}, Vector(1, -2)},
	{"normalizer max abs", &Normalizer{Norm: NormMaxAbs, Axis: 0}, []Tensor{Vector(2, -4)}, Vector(0.5, -1)},
	{"imputer", &Imputer{Values: []float64{7, 8}}, []Tensor{tensor(Shape{2, 2}, nan, 1, 2, nan)}, tensor(Shape{2, 2}, 7, 1, 2, 8)},
	{"imputer of a value", &Imputer{Missing: new(float64), Values: []float64{7}}, []Tensor{Vector(0, 1, 0)}, Vector(7, 1, 7)},
	{"one hot", &OneHot{Categories: [][]float64{{1, 2, 3}, {0, 5}}}, []Tensor{Vector(2, 4)}, Vector(0, 1, 0, 0, 0)},
	{"thermometer", &Thermometer{Edges: [][]float64{{1, 2, 3}, {0, 5}, {0}}}, []Tensor{Vector(2, 4, nan)}, Vector(1, 1, 0, 1, 0, 0)},
	{"thermometer, missing", &Thermometer{Edges: [][]float64{{1}, {0}, {0}}, Missing: []bool{true, false, true}}, []Tensor{Vector(2, 4, nan)}, Vector(1, 0, 1, 0, 1)},
	{"thermometer, replaced", &Thermometer{Edges: [][]float64{{1}, {0}, {0}}, Missing: []bool{false, false, true}, Replace: []float64{1, -1, 2}},
		[]Tensor{Vector(nan, nan, nan)}, Vector(1, 0, 0, 1)},
	{"embedding", &Embedding{Table: tensor(Shape{3, 2}, 1, 2, 3, 4, 5, 6)}, []Tensor{Vector(2, 0)}, tensor(Shape{2, 2}, 5, 6, 1, 2)},
	{"trees, left left", stump(), []Tensor{Vector(1, 2)}, Vector(101.5, 15)},
	{"trees, left right", stump(), []Tensor{Vector(1, 2.5)}, Vector(102.5, 25)},
	{"trees, missing left", stump(), []Tensor{Vector(0, nan)}, Vector(101.5, 15)},
	{"trees, missing right", stump(), []Tensor{Vector(nan, 0)}, Vector(103.5, 35)},
	{"trees, strict average", averaged(), []Tensor{Vector(0, 2)}, Vector(1.25, 12.5)},
}

func TestOperators(t *testing.T) {
	missing := Kinds()
	for _, c := range operatorCases {
		missing = slices.DeleteFunc(missing, func(kind string) bool { return kind == c.op.Kind() })
		t.Run(c.name, func(t *testing.T) {
			before := make([][]float64, len(c.in))
			shapes := make([]Shape, len(c.in))
			for i, x := range c.in {
				before[i], shapes[i] = slices.Clone(x.Data), x.Shape
			}
			got, err := c.op.Eval(c.in)
			if err != nil {
				t.Fatal(err)
			}
			shape, err := c.op.Infer(shapes)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Shape.Equal(c.want.Shape) || !shape.Equal(c.want.Shape) {
				t.Fatalf("shape: evaluated %v, inferred %v, want %v", got.Shape, shape, c.want.Shape)
			}
			for i, want := range c.want.Data {
				if !same(got.Data[i], want, 1e-15) {
					t.Errorf("element %d: got %v, want %v", i, got.Data[i], want)
				}
			}
			for i, x := range c.in {
				if !slices.EqualFunc(x.Data, before[i], func(a, b float64) bool { return same(a, b, 0) }) {
					t.Errorf("input %d was changed", i)
				}
			}
		})
	}
	if len(missing) > 0 {
		t.Errorf("no case for %v", missing)
	}
}

// same compares with a relative tolerance; NaN equals NaN.
func same(got, want, tolerance float64) bool {
	return got == want || math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= tolerance*math.Abs(want)
}

func TestOperatorErrors(t *testing.T) {
	cases := []struct {
		name string
		op   Op
		in   []Shape
	}{
		{"no input", &Flatten{}, nil},
		{"two inputs", &Flatten{}, []Shape{{1}, {1}}},
		{"one input", &Add{}, []Shape{{1}}},
		{"dense width", &Dense{Weight: tensor(Shape{1, 2}, 1, 2)}, []Shape{{3}}},
		{"dense scalar", &Dense{Weight: tensor(Shape{1, 1}, 1)}, []Shape{{}}},
		{"dense rank", &Dense{Weight: Vector(1, 2)}, []Shape{{2}}},
		{"dense bias", &Dense{Weight: tensor(Shape{1, 2}, 1, 2), Bias: []float64{1, 2}}, []Shape{{2}}},
		{"dense data", &Dense{Weight: tensor(Shape{1, 2}, 1)}, []Shape{{2}}},
		{"dense overflow", &Dense{Weight: tensor(Shape{1 << 62, 4})}, []Shape{{4}}},
		{"matmul depth", &MatMul{}, []Shape{{2, 3}, {2, 3}}},
		{"matmul rank", &MatMul{}, []Shape{{3}, {3, 2}}},
		{"matmul lead", &MatMul{}, []Shape{{2, 1, 1}, {3, 1, 1}}},
		{"matmul size", &MatMul{}, []Shape{{1 << 20, 1}, {1, 1 << 20}}},
		{"conv rank", &Conv{Weight: tensor(Shape{1, 1, 1, 1, 1}, 1)}, []Shape{{1, 2, 2, 2}}},
		{"conv input rank", &Conv{Weight: tensor(Shape{1, 1, 1}, 1)}, []Shape{{1, 2, 2}}},
		{"conv channels", &Conv{Weight: tensor(Shape{1, 1, 1}, 1)}, []Shape{{2, 2}}},
		{"conv groups", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Groups: 2}, []Shape{{2, 2}}},
		{"conv negative groups", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Groups: -1}, []Shape{{1, 2}}},
		{"conv bias", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Bias: []float64{1, 2}}, []Shape{{1, 2}}},
		{"conv kernel too large", &Conv{Weight: tensor(Shape{1, 1, 3}, 1, 2, 3)}, []Shape{{1, 2}}},
		{"conv stride 0", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Window: Window{Stride: []int{0}}}, []Shape{{1, 2}}},
		{"conv negative pad", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Window: Window{Pads: []int{-1, 0}}}, []Shape{{1, 2}}},
		{"conv pads", &Conv{Weight: tensor(Shape{1, 1, 1}, 1), Window: Window{Pads: []int{1}}}, []Shape{{1, 2}}},
		{"conv dilation", &Conv{Weight: tensor(Shape{1, 1, 2}, 1, 2), Window: Window{Dilation: []int{math.MaxInt}}}, []Shape{{1, 2}}},
		{"pool only padding", &AveragePool{Kernel: []int{1}, Window: Window{Pads: []int{1, 0}}}, []Shape{{1, 2}}},
		{"pool kernel 0", &MaxPool{Kernel: []int{0}}, []Shape{{1, 2}}},
		{"pool kernel overflow", &MaxPool{Kernel: []int{math.MaxInt}}, []Shape{{1, 2}}},
		{"batch norm channels", &BatchNorm{Gamma: []float64{1}, Beta: []float64{1}, Mean: []float64{1}, Variance: []float64{1}}, []Shape{{2, 2}}},
		{"batch norm scalar", &BatchNorm{}, []Shape{{}}},
		{"batch norm variance", &BatchNorm{Gamma: []float64{1}, Beta: []float64{1}, Mean: []float64{1}, Variance: []float64{0}}, []Shape{{1}}},
		{"scale factor", &Scale{Factor: Tensor{}, Offset: Scalar(0)}, []Shape{{2}}},
		{"scale offset", &Scale{Factor: Scalar(0), Offset: tensor(Shape{0})}, []Shape{{2}}},
		{"scale broadcast", &Scale{Factor: Scalar(1), Offset: Vector(1, 2, 3)}, []Shape{{2}}},
		{"reshape size", &Reshape{Shape: Shape{3}}, []Shape{{2}}},
		{"reshape wildcard", &Reshape{Shape: Shape{-1}}, []Shape{{2}}},
		{"transpose rank", &Transpose{Perm: []int{0}}, []Shape{{2, 2}}},
		{"transpose twice", &Transpose{Perm: []int{0, 0}}, []Shape{{2, 2}}},
		{"pad rank", &Pad{Begin: []int{0}, End: []int{0}, Mode: PadConstant}, []Shape{{2, 2}}},
		{"pad negative", &Pad{Begin: []int{-1}, End: []int{0}, Mode: PadConstant}, []Shape{{2}}},
		{"pad size", &Pad{Begin: []int{MaxElements}, End: []int{0}, Mode: PadConstant}, []Shape{{2}}},
		{"pad mode", &Pad{Begin: []int{0}, End: []int{0}}, []Shape{{2}}},
		{"pad reflect", &Pad{Begin: []int{2}, End: []int{0}, Mode: PadReflect}, []Shape{{2}}},
		{"pad value", &Pad{Begin: []int{1}, End: []int{0}, Mode: PadEdge, Value: 1}, []Shape{{2}}},
		{"slice rank", &Slice{Start: []int{0}, Size: []int{1}, Step: []int{1}}, []Shape{{2, 2}}},
		{"slice end", &Slice{Start: []int{1}, Size: []int{2}, Step: []int{1}}, []Shape{{2}}},
		{"slice before", &Slice{Start: []int{1}, Size: []int{3}, Step: []int{-1}}, []Shape{{2}}},
		{"slice step", &Slice{Start: []int{0}, Size: []int{1}, Step: []int{0}}, []Shape{{2}}},
		{"slice empty", &Slice{Start: []int{0}, Size: []int{0}, Step: []int{1}}, []Shape{{2}}},
		{"slice overflow", &Slice{Start: []int{0}, Size: []int{1 << 24}, Step: []int{math.MaxInt}}, []Shape{{2}}},
		{"gather axis", &Gather{Axis: 1, Indices: []int{0}}, []Shape{{2}}},
		{"gather index", &Gather{Indices: []int{2}}, []Shape{{2}}},
		{"gather nothing", &Gather{}, []Shape{{2}}},
		{"concat nothing", &Concat{}, nil},
		{"concat rank", &Concat{}, []Shape{{2}, {2, 2}}},
		{"concat sides", &Concat{}, []Shape{{2, 3}, {2, 2}}},
		{"concat axis", &Concat{Axis: -1}, []Shape{{2}}},
		{"concat size", &Concat{}, []Shape{{MaxElements}, {MaxElements}}},
		{"add broadcast", &Add{}, []Shape{{2}, {3}}},
		{"add size", &Add{}, []Shape{{1 << 20, 1}, {1 << 20}}},
		{"reduce axis", &ReduceSum{Axes: []int{1}}, []Shape{{2}}},
		{"reduce twice", &ReduceMean{Axes: []int{0, 0}}, []Shape{{2}}},
		{"polynomial", &Polynomial{}, []Shape{{2}}},
		{"channel polynomial", &ChannelPolynomial{Coefficients: [][]float64{{1}, {}}}, []Shape{{2}}},
		{"channel polynomial channels", &ChannelPolynomial{Coefficients: [][]float64{{1}}}, []Shape{{2}}},
		{"prelu scalar", &PReLU{}, []Shape{{}}},
		{"activation", &Activation{Function: "nothing"}, []Shape{{2}}},
		{"activation parameter", &Activation{Function: ReLU, Alpha: 1}, []Shape{{2}}},
		{"activation second parameter", &Activation{Function: ELU, Alpha: 1, Beta: 1}, []Shape{{2}}},
		{"celu", &Activation{Function: CELU}, []Shape{{2}}},
		{"clip", &Clip{Min: 1, Max: 0}, []Shape{{2}}},
		{"compare", &Compare{Operator: "="}, []Shape{{2}}},
		{"map", &Map{Keys: []float64{1}}, []Shape{{2}}},
		{"map order", &Map{Keys: []float64{1, 1}, Values: []float64{1, 2}}, []Shape{{2}}},
		{"softmax scalar", &Softmax{}, []Shape{{}}},
		{"argmax axis", &ArgMax{Axis: 1}, []Shape{{2}}},
		{"top 4 of 3", &TopK{K: 4}, []Shape{{3}}},
		{"top 0", &TopK{}, []Shape{{3}}},
		{"coupling of 2 pairs", &Coupling{Classes: 3}, []Shape{{2}}},
		{"coupling of one class", &Coupling{Classes: 1}, []Shape{{0}}},
		{"normalizer", &Normalizer{Norm: "l3"}, []Shape{{2}}},
		{"imputer", &Imputer{Values: []float64{1, 2}}, []Shape{{2, 3}}},
		{"imputer scalar", &Imputer{}, []Shape{{}}},
		{"one hot", &OneHot{Categories: [][]float64{{1}}}, []Shape{{2}}},
		{"one hot empty", &OneHot{Categories: [][]float64{{}}}, []Shape{{1}}},
		{"thermometer order", &Thermometer{Edges: [][]float64{{2, 1}}}, []Shape{{1}}},
		{"thermometer missing", &Thermometer{Edges: [][]float64{{1}}, Missing: []bool{true, true}}, []Shape{{1}}},
		{"thermometer replaced", &Thermometer{Edges: [][]float64{{1}}, Replace: []float64{1, 2}}, []Shape{{1}}},
		{"thermometer rank", &Thermometer{Edges: [][]float64{{1}}}, []Shape{{1, 1}}},
		{"embedding table", &Embedding{Table: Vector(1)}, []Shape{{1}}},
		{"embedding size", &Embedding{Table: tensor(Shape{1, 2}, 1, 2)}, []Shape{{MaxElements}}},
		{"trees", &TreeEnsemble{}, []Shape{{0}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if shape, err := c.op.Infer(c.in); err == nil || shape != nil {
				t.Errorf("got shape %v, error %v", shape, err)
			}
			if affine, ok := c.op.(Affine); ok && len(c.in) == 1 {
				if _, err := affine.Lower(c.in[0]); err == nil {
					t.Error("lowered")
				}
			}
			if affine, ok := c.op.(MultiAffine); ok {
				if _, err := affine.LowerEach(c.in); err == nil {
					t.Error("lowered")
				}
			}
		})
	}
}

func TestEmbeddingIndices(t *testing.T) {
	op := &Embedding{Table: tensor(Shape{2, 1}, 1, 2)}
	for _, x := range []float64{-1, 2, 0.5, nan, math.Inf(1)} {
		if _, err := op.Eval([]Tensor{Vector(x)}); err == nil {
			t.Errorf("index %v was accepted", x)
		}
	}
}

func TestActivations(t *testing.T) {
	// Reference values to 15 digits, computed with Python's math module from the formulas in the list of functions.
	cases := []struct {
		function    Function
		alpha, beta float64
		x, want     float64
	}{
		{ReLU, 0, 0, 2, 2}, {ReLU, 0, 0, -2, 0}, {ReLU, 0, 0, math.Inf(-1), 0},
		{LeakyReLU, 0.1, 0, 2, 2}, {LeakyReLU, 0.1, 0, -2, -0.2},
		{ThresholdedReLU, 1, 0, 1, 0}, {ThresholdedReLU, 1, 0, 1.5, 1.5},
		{ELU, 2, 0, 1, 1}, {ELU, 2, 0, -1, 2 * (1/math.E - 1)},
		{SELU, 2, 3, 1, 3}, {SELU, 2, 3, -1, 6 * (1/math.E - 1)},
		{CELU, 2, 0, 1, 1}, {CELU, 2, 0, -2, 2 * (1/math.E - 1)},
		{GELU, 0, 0, 1, 0.841344746068543}, {GELU, 0, 0, -1, -0.158655253931457},
		{GELUTanh, 0, 0, 1, 0.841191990608277},
		{SiLU, 0, 0, 1, 0.731058578630005}, {Mish, 0, 0, 1, 0.865098388267305},
		{Sigmoid, 0, 0, 0, 0.5}, {Sigmoid, 0, 0, -1, 0.268941421369995}, {Sigmoid, 0, 0, 1000, 1}, {Sigmoid, 0, 0, -1000, 0},
		{HardSigmoid, 0.2, 0.5, 1, 0.7}, {HardSigmoid, 0.2, 0.5, 9, 1}, {HardSigmoid, 0.2, 0.5, -9, 0},
		{HardSwish, 0, 0, 3, 3}, {HardSwish, 0, 0, 1.5, 1.125}, {HardSwish, 0, 0, -4, 0},
		{Tanh, 0, 0, 1, 0.761594155955765}, {Softplus, 0, 0, 0, math.Ln2}, {Softplus, 0, 0, 1000, 1000},
		{Softsign, 0, 0, -3, -0.75}, {Exp, 0, 0, 1, math.E}, {Log, 0, 0, math.E, 1}, {Erf, 0, 0, 1, 0.842700792949715},
		{NormalCDF, 0, 0, 1, 0.841344746068543}, {Probit, 0, 0, 0.841344746068543, 1}, {CLogLog, 0, 0, 0, 1 - 1/math.E},
		{Abs, 0, 0, -2, 2}, {Sqrt, 0, 0, 9, 3}, {Power, 3, 0, -2, -8}, {Power, -0.5, 0, 4, 0.5},
		{SignedSquare, 0, 0, -3, -9}, {Reciprocal, 0, 0, 4, 0.25},
		{Sign, 0, 0, 5, 1}, {Sign, 0, 0, -5, -1}, {Sign, 0, 0, 0, 0},
		{Sin, 0, 0, math.Pi / 2, 1}, {Cos, 0, 0, 0, 1}, {Atan, 0, 0, 1, math.Pi / 4},
		{Floor, 0, 0, -1.5, -2}, {Ceil, 0, 0, -1.5, -1}, {Round, 0, 0, 2.5, 2}, {Truncate, 0, 0, -1.5, -1},
		{Float32, 0, 0, 0.1, 0.100000001490116}, {IsNaN, 0, 0, nan, 1}, {IsNaN, 0, 0, 1, 0},
	}
	untested := map[Function]bool{}
	for f := range functions {
		untested[f] = true
	}
	for _, c := range cases {
		delete(untested, c.function)
		op := &Activation{Function: c.function, Alpha: c.alpha, Beta: c.beta}
		if got := op.At(c.x); !same(got, c.want, 1e-14) {
			t.Errorf("%s(%v; %v, %v) = %v, want %v", c.function, c.x, c.alpha, c.beta, got, c.want)
		}
		if y, err := op.Eval([]Tensor{Vector(c.x)}); err != nil || !same(y.Data[0], c.want, 1e-14) {
			t.Errorf("%s evaluates to %v, %v", c.function, y.Data, err)
		}
		if c.function != IsNaN && !math.IsNaN(op.At(nan)) {
			t.Errorf("%s hides NaN", c.function)
		}
	}
	for f := range untested {
		t.Errorf("no case for %s", f)
	}
	unknown := &Activation{Function: "nothing"}
	if _, err := unknown.Eval([]Tensor{Vector(1)}); err == nil || !math.IsNaN(unknown.At(1)) {
		t.Error("an unknown function was evaluated")
	}
}

func TestCompare(t *testing.T) {
	for operator, want := range map[string][]float64{
		"<": {1, 0, 0, 0}, "<=": {1, 1, 0, 0}, ">": {0, 0, 1, 0}, ">=": {0, 1, 1, 0}, "==": {0, 1, 0, 0}, "!=": {1, 0, 1, 1},
	} {
		got, err := (&Compare{Operator: operator, Value: 2}).Eval([]Tensor{Vector(1, 2, 3, nan)})
		if err != nil || !slices.Equal(got.Data, want) {
			t.Errorf("%s: got %v, %v, want %v", operator, got.Data, err, want)
		}
	}
}

func TestCouplingFindsProbabilitiesThatExplainAllPairs(t *testing.T) {
	want := []float64{0.6, 0.3, 0.1}
	pairs := Vector(0.6/0.9, 0.6/0.7, 0.3/0.4)
	got, err := (&Coupling{Classes: 3}).Eval([]Tensor{pairs})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(got.Data[i]-want[i]) > 0.01 {
			t.Errorf("got %v, want nearly %v", got.Data, want)
		}
	}
}
