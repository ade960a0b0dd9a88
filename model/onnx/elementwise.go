package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cipherpoint/model"
)

// handler imports one node: its results in the order of the node's outputs.
type handler func(im *importer, n *node) ([]value, error)

// unary makes a handler of an operator on each element.
func unary(op func(n *node) (model.Op, error)) handler {
	return func(im *importer, n *node) ([]value, error) {
		if err := n.need(1); err != nil {
			return nil, err
		}
		o, err := op(n)
		if err != nil {
			return nil, err
		}
		v, err := im.pointwise(o, n.in[0])
		return []value{v}, err
	}
}

func activation(f model.Function) handler {
	return unary(func(*node) (model.Op, error) { return &model.Activation{Function: f}, nil })
}

// withAlpha is an activation with the attribute alpha.
func withAlpha(f model.Function, otherwise float64) handler {
	return unary(func(n *node) (model.Op, error) {
		return &model.Activation{Function: f, Alpha: n.float("alpha", otherwise)}, nil
	})
}

func gelu(n *node) (model.Op, error) {
	switch form := n.text("approximate", "none"); form {
	case "none":
		return &model.Activation{Function: model.GELU}, nil
	case "tanh":
		return &model.Activation{Function: model.GELUTanh}, nil
	default:
		return nil, fmt.Errorf("unknown approximation %q", clean(form))
	}
}

func clip(n *node) (model.Op, error) {
	low, err := n.number(1, "min", -math.MaxFloat64)
	if err != nil {
		return nil, err
	}
	high, err := n.number(2, "max", math.MaxFloat64)
	if err != nil {
		return nil, err
	}
	// A bound at the largest single-precision number is none.
	if low <= -math.MaxFloat32 {
		low = -math.MaxFloat64
	}
	if high >= math.MaxFloat32 {
		high = math.MaxFloat64
	}
	return &model.Clip{Min: low, Max: high}, nil
}

// pRelu takes one slope, one for each channel, or one for each element.
func pRelu(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	slope, err := n.in[1].numbers()
	if err != nil {
		return nil, fmt.Errorf("slope %w", err)
	}
	x, dims := n.in[0], n.in[1].dims
	if len(slope) == 1 {
		v, err := im.pointwise(&model.Activation{Function: model.LeakyReLU, Alpha: slope[0]}, x)
		return []value{v}, err
	}
	// Before operator set 7 a vector of slopes belongs to the channels.
	if im.opset < 7 && len(dims) == 1 && x.rank() > 2 {
		dims = append([]int{len(slope)}, slices.Repeat([]int{1}, x.rank()-2)...)
	}
	if x.rank() > 1 && x.dims[0] == 1 && x.dims[1] == len(slope) && model.Shape(dims[max(0, len(dims)-x.rank()+1):]).Size() == len(slope) &&
		len(dims) >= x.rank()-1 && dims[len(dims)-x.rank()+1] == len(slope) {
		if x, err = im.narrow(x); err != nil {
			return nil, err
		}
		v, err := im.pointwise(&model.PReLU{Slope: slope}, x)
		return []value{v}, err
	}
	// x = relu(x) − relu(−x), so y = relu(x) − slope·relu(−x).
	positive, err := im.pointwise(&model.Activation{Function: model.ReLU}, x)
	if err != nil {
		return nil, err
	}
	negative, err := im.affine(x, -1, 0)
	if err != nil {
		return nil, err
	}
	if negative, err = im.pointwise(&model.Activation{Function: model.ReLU}, negative); err != nil {
		return nil, err
	}
	if negative, err = im.multiply(negative, constant(x.kind, dims, slope)); err != nil {
		return nil, err
	}
	v, err := im.subtract(positive, negative)
	return []value{v}, err
}

// aligned applies the attributes broadcast and axis of operator sets before 7: the second operand's dimensions start at
// an axis of the first.
func (im *importer) aligned(n *node) (a, b value, err error) {
	if err := n.need(2); err != nil {
		return a, b, err
	}
	a, b = n.in[0], n.in[1]
	if im.opset < 7 && n.int("broadcast", 0) != 0 && n.attribute("axis") != nil {
		axis, err := axisOf(n.int("axis", 0), a.rank())
		if err != nil {
			return a, b, err
		}
		if trailing := a.rank() - axis - b.rank(); trailing > 0 {
			b.dims = append(slices.Clone(b.dims), slices.Repeat([]int{1}, trailing)...)
			b.shape = model.Shape(b.dims)
			if !b.known {
				return a, b, errors.New("attribute axis is served for constants only: export with operator set 7 or later")
			}
		}
	}
	return a, b, nil
}

// pairwise makes a handler of an operator on two tensors that broadcast.
func pairwise(f func(im *importer, a, b value) (value, error)) handler {
	return func(im *importer, n *node) ([]value, error) {
		a, b, err := im.aligned(n)
		if err != nil {
			return nil, err
		}
		v, err := f(im, a, b)
		return []value{v}, err
	}
}

// folded makes a handler of an operator on one or more tensors.
func folded(f func(im *importer, a, b value) (value, error)) handler {
	return func(im *importer, n *node) ([]value, error) {
		if err := n.need(max(1, len(n.in))); err != nil {
			return nil, err
		}
		v := n.in[0]
		var err error
		for _, next := range n.in[1:] {
			if v, err = f(im, v, next); err != nil {
				return nil, err
			}
		}
		return []value{v}, nil
	}
}

// elementwise applies a function to two known tensors, or an operator of the model to two others.
func (im *importer) elementwise(a, b value, at func(x, y float64) float64, op model.Op) (value, error) {
	dims, err := broadcastDims(a.dims, b.dims)
	if err != nil {
		return value{}, err
	}
	if a.known && b.known {
		if a.kind == stringType || b.kind == stringType {
			return value{}, errors.New("takes text, which only encoders do")
		}
		if err := im.spend(model.Shape(dims).Size()); err != nil {
			return value{}, err
		}
		ia, ib := stretched(a.dims, dims), stretched(b.dims, dims)
		data := make([]float64, len(ia))
		for i := range data {
			data[i] = at(a.data[ia[i]], b.data[ib[i]])
		}
		return constant(a.kind, dims, data), nil
	}
	if op == nil {
		return value{}, errors.New("is served for constants only")
	}
	if a, err = im.narrow(a); err != nil {
		return value{}, err
	}
	if b, err = im.narrow(b); err != nil {
		return value{}, err
	}
	v, err := im.apply(op, a, b)
	return v.with(a.kind, dims), err
}

// scale is factor·x + offset with one of them given, the other 1 or 0.
func (im *importer) scale(x, c value, factor, offset func(c float64) float64) (value, error) {
	c, err := im.sample(c, x)
	if err != nil {
		return value{}, err
	}
	data, err := c.numbers()
	if err != nil {
		return value{}, err
	}
	dims, err := broadcastDims(x.dims, c.dims)
	if err != nil {
		return value{}, err
	}
	op := &model.Scale{Factor: model.Tensor{Shape: c.shape, Data: make([]float64, len(data))}, Offset: model.Tensor{Shape: c.shape, Data: make([]float64, len(data))}}
	for i, v := range data {
		op.Factor.Data[i], op.Offset.Data[i] = factor(v), offset(v)
		if math.IsInf(op.Factor.Data[i], 0) || math.IsNaN(op.Factor.Data[i]) {
			return value{}, errors.New("divides by zero")
		}
	}
	op.Factor, op.Offset = uniform(op.Factor), uniform(op.Offset)
	if x, err = im.narrow(x); err != nil {
		return value{}, err
	}
	v, err := im.apply(op, x)
	if len(op.Factor.Shape) == 0 && len(op.Offset.Shape) == 0 && v.shape.Size() != model.Shape(dims).Size() {
		// The constant only stretches.
		if v, err = im.pick(v.with(x.kind, x.dims), stretched(x.dims, dims), dims); err != nil {
			return value{}, err
		}
	}
	return v.with(x.kind, dims), err
}

// uniform writes a tensor of equal numbers as a scalar.
func uniform(t model.Tensor) model.Tensor {
	for _, v := range t.Data {
		if v != t.Data[0] {
			return t
		}
	}
	if len(t.Data) == 0 {
		return t
	}
	return model.Scalar(t.Data[0])
}

func one(float64) float64        { return 1 }
func zero(float64) float64       { return 0 }
func itself(c float64) float64   { return c }
func minusOne(float64) float64   { return -1 }
func negative(c float64) float64 { return -c }
func inverse(c float64) float64  { return 1 / c }

func (im *importer) add(a, b value) (value, error) {
	if a.known && !b.known {
		a, b = b, a
	}
	if b.known && !a.known {
		v, err := im.scale(a, b, one, itself)
		return v, err
	}
	return im.elementwise(a, b, func(x, y float64) float64 { return x + y }, new(model.Add))
}

func (im *importer) subtract(a, b value) (value, error) {
	switch {
	case b.known && !a.known:
		return im.scale(a, b, one, negative)
	case a.known && !b.known:
		v, err := im.scale(b, a, minusOne, itself)
		return v.with(a.kind, v.dims), err
	}
	return im.elementwise(a, b, func(x, y float64) float64 { return x - y }, new(model.Sub))
}

func (im *importer) multiply(a, b value) (value, error) {
	if a.known && !b.known {
		a, b = b, a
	}
	if b.known && !a.known {
		return im.scale(a, b, itself, zero)
	}
	return im.elementwise(a, b, func(x, y float64) float64 { return x * y }, new(model.Multiply))
}

func (im *importer) divide(a, b value) (value, error) {
	whole := isInteger(a.kind)
	quotient := func(x, y float64) float64 {
		if whole {
			return math.Trunc(x / y)
		}
		return x / y
	}
	var v value
	var err error
	switch {
	case a.known && b.known:
		if whole && slices.Contains(b.data, 0) {
			return value{}, errors.New("divides an integer by zero")
		}
		return im.elementwise(a, b, quotient, nil)
	case b.known:
		v, err = im.scale(a, b, inverse, zero)
	default:
		if b, err = im.pointwise(&model.Activation{Function: model.Reciprocal}, b); err == nil {
			v, err = im.multiply(a, b)
		}
	}
	if err == nil && whole {
		v, err = im.pointwise(&model.Activation{Function: model.Truncate}, v)
	}
	return v.with(a.kind, v.dims), err
}

// power is x^c for a constant c; integer powers of less than 17 are polynomials.
func (im *importer) power(a, b value) (value, error) {
	if a.known && b.known {
		return im.elementwise(a, b, math.Pow, nil)
	}
	if base, err := a.scalar(); err == nil && base > 0 && !b.known {
		v, err := im.affine(b, math.Log(base), 0)
		if err != nil {
			return value{}, err
		}
		return im.pointwise(&model.Activation{Function: model.Exp}, v)
	}
	if !b.known {
		return value{}, errors.New("the exponent depends on an input: only constant ones are served")
	}
	exponents, err := b.numbers()
	if err != nil {
		return value{}, err
	}
	dims, err := broadcastDims(a.dims, b.dims)
	if err != nil {
		return value{}, err
	}
	if len(exponents) == 0 || !slices.Equal(dims, a.dims) {
		return value{}, errors.New("stretches its input by the exponents, which is not served")
	}
	if len(uniform(b.tensor()).Shape) != 0 {
		return im.powers(a, exponents, stretched(b.dims, dims))
	}
	c := exponents[0]
	switch {
	case c == 0.5:
		return im.pointwise(&model.Activation{Function: model.Sqrt}, a)
	case c == -1:
		return im.pointwise(&model.Activation{Function: model.Reciprocal}, a)
	case c == math.Trunc(c) && c >= 0 && c <= 16:
		return im.pointwise(monomial(int(c)), a)
	default:
		return im.pointwise(&model.Activation{Function: model.Power, Alpha: c}, a)
	}
}

// maxPowers bounds the elements of a tensor with an exponent for each.
const maxPowers = 1024

// powers raises each element to a power of its own.
func (im *importer) powers(a value, exponents []float64, of []int) (value, error) {
	if a.size() > maxPowers {
		return value{}, fmt.Errorf("%d elements with exponents of their own: at most %d are served", a.size(), maxPowers)
	}
	parts := make([]value, a.size())
	for i := range parts {
		x, err := im.pick(a, []int{i}, []int{1})
		if err != nil {
			return value{}, err
		}
		if parts[i], err = im.power(x, constant(a.kind, []int{1}, exponents[of[i]:of[i]+1])); err != nil {
			return value{}, err
		}
	}
	v, err := im.concat(0, parts)
	if err != nil {
		return value{}, err
	}
	return im.moved(v, a.dims)
}

// monomial is x^degree.
func monomial(degree int) *model.Polynomial {
	c := make([]float64, degree+1)
	c[degree] = 1
	return &model.Polynomial{Coefficients: c}
}

// largest is max(a, b) = a + relu(b − a), or a bound where one of them is constant.
func (im *importer) largest(a, b value) (value, error) {
	if a.known && b.known {
		return im.elementwise(a, b, math.Max, nil)
	}
	if a.known {
		a, b = b, a
	}
	if b.known && len(b.data) > 0 && b.size() <= a.size() {
		if bound := uniform(b.tensor()); len(bound.Shape) == 0 {
			v, err := im.pointwise(&model.Clip{Min: bound.Data[0], Max: math.MaxFloat64}, a)
			return v, err
		}
	}
	difference, err := im.subtract(b, a)
	if err != nil {
		return value{}, err
	}
	if difference, err = im.pointwise(&model.Activation{Function: model.ReLU}, difference); err != nil {
		return value{}, err
	}
	v, err := im.add(difference, a)
	return v.with(a.kind, v.dims), err
}

func (im *importer) smallest(a, b value) (value, error) {
	a, err := im.affine(a, -1, 0)
	if err != nil {
		return value{}, err
	}
	if b, err = im.affine(b, -1, 0); err != nil {
		return value{}, err
	}
	v, err := im.largest(a, b)
	if err != nil {
		return value{}, err
	}
	return im.affine(v, -1, 0)
}

func mean(im *importer, n *node) ([]value, error) {
	out, err := folded((*importer).add)(im, n)
	if err != nil {
		return nil, err
	}
	v, err := im.affine(out[0], 1/float64(len(n.in)), 0)
	return []value{v}, err
}

// modulo is served for constants: exporters compute shapes with it.
func modulo(im *importer, n *node) ([]value, error) {
	if err := n.need(2); err != nil {
		return nil, err
	}
	c := func(x, y float64) float64 { return math.Mod(x, y) }
	if n.int("fmod", 0) == 0 {
		c = func(x, y float64) float64 {
			if r := math.Mod(x, y); r != 0 && (r < 0) != (y < 0) {
				return r + y
			} else {
				return r
			}
		}
	}
	v, err := im.elementwise(n.in[0], n.in[1], c, nil)
	return []value{v}, err
}

// cast changes the type of elements: what is a fraction or a truth value becomes one.
func cast(im *importer, n *node) ([]value, error) {
	if err := n.need(1); err != nil {
		return nil, err
	}
	to := int64(n.int("to", 0))
	if n.kind == "CastLike" {
		if err := n.need(2); err != nil {
			return nil, err
		}
		to = n.in[1].kind
	}
	if a := n.attribute("to"); to == 0 && a != nil { // operator set 1 names the type
		for kind, name := range typeNames {
			if strings.EqualFold(string(a.s), name) {
				to = kind
			}
		}
	}
	x := n.in[0]
	switch {
	case to == x.kind:
		return []value{x}, nil
	case to == stringType || x.kind == stringType:
		return im.castText(x, to)
	case widths[to] == 0:
		return nil, fmt.Errorf("casts to %s, which is not served", typeName(to))
	case x.known && len(x.data) == 0:
		return []value{x.with(to, x.dims)}, nil
	case x.decisions != nil && x.kind == boolType:
		return []value{x.with(to, x.dims)}, nil
	}
	var err error
	switch {
	case to == boolType:
		x, err = im.pointwise(&model.Compare{Operator: "!=", Value: 0}, x)
	case isInteger(to) && isFloat(x.kind):
		x, err = im.pointwise(&model.Activation{Function: model.Truncate}, x)
	}
	return []value{x.with(to, x.dims)}, err
}

// castText makes numbers of labels that spell numbers.
func (im *importer) castText(x value, to int64) ([]value, error) {
	if to == stringType {
		return nil, errors.New("casts numbers to text: end the model before it")
	}
	numbers := make([]float64, len(x.labels))
	for i, label := range x.labels {
		var err error
		if numbers[i], err = strconv.ParseFloat(label, 64); err != nil {
			return nil, fmt.Errorf("casts text to numbers, but label %d is none", i)
		}
	}
	v, err := im.lookup(x, numbers)
	return []value{v.with(to, x.dims)}, err
}

// lookup replaces every element, an index, by the number at that place of a list.
func (im *importer) lookup(x value, list []float64) (value, error) {
	op := &model.Map{Keys: make([]float64, len(list)), Values: list}
	for i := range list {
		op.Keys[i] = float64(i)
	}
	x.kind, x.labels = int64Type, nil
	return im.pointwise(op, x)
}

// sample takes one of the equal samples of a constant that a file with a fixed batch repeats for each.
func (im *importer) sample(c, beside value) (value, error) {
	if im.batch == 1 || !c.known || beside.known || c.rank() == 0 || c.rank() != beside.rank() || c.dims[0] != im.batch || beside.dims[0] != 1 {
		return c, nil
	}
	each := len(c.data) / im.batch
	for i, v := range c.data {
		if v != c.data[i%each] {
			return value{}, errors.New("a constant differs from sample to sample of the batch: export with a batch of 1")
		}
	}
	dims := slices.Clone(c.dims)
	dims[0] = 1
	return constant(c.kind, dims, c.data[:each]), nil
}
