package approximation

import (
	"errors"
	"fmt"
	"math"

	"cipherpoint/model"
)

// method is a way to get a polynomial.
type method string

const (
	quadratic    method = "quadratic of each channel"
	leastSquares method = "least squares"
	bestUniform  method = "minimax"
	composite    method = "composed minimax"
)

// plan is one replacement of a unit; degrees has more than one entry for compositions.
type plan struct {
	method  method
	degrees []int
}

// margin widens the calibrated range on each side by this share of its width: other rows go further than the sample's.
const margin = 0.125

// replacer builds a unit's replacement from what reaches it and what it should make of that.
type replacer struct {
	*unit
	graph    *model.Graph
	in, want []model.Tensor
	nodes    []model.Node
	output   string // of the replacement
	series   []*Series
	fitted   bool // on the wanted results and not on the function alone
}

func newReplacer(g *model.Graph, u *unit, in, want []model.Tensor) *replacer {
	return &replacer{unit: u, graph: g, in: in, want: want, output: g.Nodes[u.last].Output}
}

// add appends a node; the last one of a replacement takes the unit's own output.
func (r *replacer) add(what string, op model.Op, in ...string) string {
	name := r.name + " " + what
	r.nodes = append(r.nodes, model.Node{Name: name, Op: op, Inputs: in, Output: name})
	return name
}

func (r *replacer) finish() []model.Node {
	r.nodes[len(r.nodes)-1].Output = r.output
	return r.nodes
}

// build returns the nodes of a plan.
func (r *replacer) build(p plan) ([]model.Node, error) {
	var err error
	switch {
	case p.method == quadratic:
		err = r.quadratics()
	case r.pool != nil:
		err = r.tree(p)
	default:
		_, err = r.pointwise(p, r.input, r.in, r.want)
	}
	if err != nil {
		return nil, fmt.Errorf("node %q: %w", r.name, err)
	}
	return r.finish(), nil
}

func scale(factor, offset float64) *model.Scale {
	return &model.Scale{Factor: model.Scalar(factor), Offset: model.Scalar(offset)}
}

// perChannel is a Scale by the channels of axis 0.
func perChannel(rank int, factor, offset []float64) *model.Scale {
	shape := make(model.Shape, rank)
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = len(factor)
	return &model.Scale{Factor: model.Tensor{Shape: shape, Data: factor}, Offset: model.Tensor{Shape: shape, Data: offset}}
}

var errNotFinite = errors.New("the function is not finite on the range that the calibration rows reach")

// span returns the range of the values, widened as far as f stays finite.
func span(tensors []model.Tensor, f func(float64) float64) (low, high float64, err error) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, t := range tensors {
		for _, v := range t.Data {
			low, high = min(low, v), max(high, v)
		}
	}
	if finite := func(x float64) bool { y := f(x); return !math.IsNaN(y) && !math.IsInf(y, 0) }; !finite(low) || !finite(high) {
		return 0, 0, errNotFinite
	} else {
		width := max(high-low, 1e-6)
		a, b := margin*width, margin*width
		for !finite(low - a) {
			a /= 2
		}
		for !finite(high + b) {
			b /= 2
		}
		// A function with a pole or a steep end is not taken closer to it than the rows go, by more than half.
		if low > 0 && !finite(0) {
			a = min(a, low/4)
		}
		low, high = low-a, high+b
	}
	// An even or odd function costs half about its centre.
	if low < 0 && high > 0 && min(-low, high) > 0.4*max(-low, high) {
		high = max(-low, high)
		low = -high
	}
	return low, high, nil
}

// gather copies the tensors' elements, thinned.
func gather(tensors []model.Tensor) []float64 {
	total := 0
	for _, t := range tensors {
		total += len(t.Data)
	}
	step := thin(total)
	list := make([]float64, 0, total/step+1)
	at := 0
	for _, t := range tensors {
		for ; at < len(t.Data); at += step {
			list = append(list, t.Data[at])
		}
		at -= len(t.Data)
	}
	return list
}

// pointwise appends the function itself on a value and returns the result.
func (r *replacer) pointwise(p plan, input string, in, want []model.Tensor) (string, error) {
	if r.channels != nil {
		return r.slopes(p, input, in)
	}
	if p.method == composite {
		k, ok := kinkOf(r.common)
		if !ok {
			return "", errors.New("not a function with one kink")
		}
		return r.kinked(p, input, in, k)
	}
	low, high, err := span(in, r.common.At)
	if err != nil {
		return "", err
	}
	s, err := r.approximate(p, in, want, r.common.At, low, high)
	if err != nil {
		return "", err
	}
	return r.add("polynomial", s, input), nil
}

// approximate returns the plan's series for f.
func (r *replacer) approximate(p plan, in, want []model.Tensor, f func(float64) float64, low, high float64) (*Series, error) {
	degree := p.degrees[0]
	var s *Series
	var err error
	if p.method == bestUniform {
		if s, _, err = minimax(f, low, high, degree); err != nil || !s.finite() {
			s = interpolate(f, low, high, degree)
		}
	} else {
		even, odd := parity(func(t float64) float64 { return f((low+high)/2 + (high-low)/2*t) })
		var indices []int
		for k := range degree + 1 {
			if even && k%2 == 1 || odd && k%2 == 0 {
				continue
			}
			indices = append(indices, k)
		}
		if s, err = fit(gather(in), gather(want), f, low, high, indices); err != nil {
			return nil, err
		}
	}
	if !s.finite() {
		return nil, errNotFinite
	}
	r.series = append(r.series, s)
	return s, nil
}

// slopes appends a function max(x, 0) + a_c·min(x, 0) of each channel: (1+a_c)/2·x + (1−a_c)/2·|x|, where the channels
// share the polynomial for |x|.
func (r *replacer) slopes(p plan, input string, in []model.Tensor) (string, error) {
	n := r.channels.Channels()
	linear, bend := make([]float64, n), make([]float64, n)
	for c := range n {
		k, ok := kinkOf(r.channels.Channel(c))
		if !ok || k.at != 0 || k.step != 0 || k.constant != 0 {
			return "", fmt.Errorf("the function of channel %d is not linear on both sides of 0", c)
		}
		linear[c], bend[c] = k.slope, k.bend
	}
	var magnitude string
	if p.method == composite {
		var err error
		if magnitude, err = r.kinked(p, input, in, kink{bend: 1}); err != nil {
			return "", err
		}
	} else {
		low, high, err := span(in, math.Abs)
		if err != nil {
			return "", err
		}
		high = max(high, -low)
		exact := make([]model.Tensor, len(in))
		for i, t := range in {
			exact[i] = mapped(t, math.Abs)
		}
		s, err := r.approximate(p, in, exact, math.Abs, -high, high)
		if err != nil {
			return "", err
		}
		magnitude = r.add("magnitude", s, input)
	}
	rank := len(in[0].Shape)
	zero := make([]float64, n)
	a := r.add("linear part", perChannel(rank, linear, zero), input)
	b := r.add("bent part", perChannel(rank, bend, zero), magnitude)
	return r.add("sum", &model.Add{}, a, b), nil
}

func mapped(t model.Tensor, f func(float64) float64) model.Tensor {
	y := model.NewTensor(t.Shape)
	for i, v := range t.Data {
		y.Data[i] = f(v)
	}
	return y
}

// kink describes constant + slope·x + (bend·(x − at) + step)·sign(x − at).
type kink struct{ at, constant, slope, bend, step float64 }

// kinkOf describes functions that are linear but for one place.
func kinkOf(op model.Pointwise) (kink, bool) {
	switch op := op.(type) {
	case *model.Compare:
		switch op.Operator {
		case ">", ">=":
			return kink{at: op.Value, constant: 0.5, step: 0.5}, true
		case "<", "<=":
			return kink{at: op.Value, constant: 0.5, step: -0.5}, true
		}
	case *model.Clip:
		switch {
		case op.Min > -math.MaxFloat64 && op.Max == math.MaxFloat64:
			return kink{at: op.Min, constant: op.Min / 2, slope: 0.5, bend: 0.5}, true
		case op.Min == -math.MaxFloat64 && op.Max < math.MaxFloat64:
			return kink{at: op.Max, constant: op.Max / 2, slope: 0.5, bend: -0.5}, true
		}
	case *model.Activation:
		switch op.Function {
		case model.ReLU:
			return kink{slope: 0.5, bend: 0.5}, true
		case model.LeakyReLU:
			return kink{slope: (1 + op.Alpha) / 2, bend: (1 - op.Alpha) / 2}, true
		case model.Abs:
			return kink{bend: 1}, true
		case model.Sign:
			return kink{step: 1}, true
		case model.ThresholdedReLU:
			return kink{at: op.Alpha, slope: 0.5, bend: 0.5, step: op.Alpha / 2}, true
		}
	}
	return kink{}, false
}

// kinked appends a function with a kink by a composition of polynomials for the sign.
func (r *replacer) kinked(p plan, input string, in []model.Tensor, k kink) (string, error) {
	low, high, err := span(in, func(x float64) float64 { return x })
	if err != nil {
		return "", err
	}
	radius := max(high-k.at, k.at-low, 1e-6)
	stages, err := balancedSign(p.degrees)
	if err != nil {
		return "", err
	}
	unit := r.add("unit", scale(1/radius, -k.at/radius), input)
	sign := unit
	for i, s := range stages {
		sign = r.add(fmt.Sprintf("sign %d", i+1), s, sign)
	}
	r.series = append(r.series, &Series{Low: k.at - radius, High: k.at + radius, Coefficients: stages[0].Coefficients})
	jump := r.add("jump", scale(k.step, 0), sign)
	if k.bend != 0 {
		factor := r.add("bend", scale(k.bend*radius, k.step), unit)
		jump = r.add("bent", &model.Multiply{}, factor, sign)
	}
	if k.slope == 0 {
		return r.add("level", scale(1, k.constant), jump), nil
	}
	line := r.add("line", scale(k.slope, k.constant), input)
	return r.add("sum", &model.Add{}, line, jump), nil
}

// balancedSign returns the composition whose gap is as wide as its error: neither dominates where values near the kink
// are as likely as others.
func balancedSign(degrees []int) ([]*Series, error) {
	low, high := math.Log(1e-6), math.Log(0.5)
	var best []*Series
	for range 24 {
		middle := (low + high) / 2
		stages, e, err := signStages(degrees, math.Exp(middle))
		if err != nil {
			return nil, err
		}
		best = stages
		if e > math.Exp(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return best, nil
}
