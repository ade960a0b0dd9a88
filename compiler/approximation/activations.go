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
		f, ok := bentOf(r.common)
		if !ok {
			return "", errors.New("not a function of straight pieces")
		}
		return r.kinked(p, input, in, f)
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
		f, ok := bentOf(r.channels.Channel(c))
		if !ok || len(f.kinks) != 1 || f.kinks[0].at != 0 || f.kinks[0].step != 0 || f.constant != 0 {
			return "", fmt.Errorf("the function of channel %d is not linear on both sides of 0", c)
		}
		linear[c], bend[c] = f.slope, f.kinks[0].bend
	}
	var magnitude string
	if p.method == composite {
		var err error
		if magnitude, err = r.kinked(p, input, in, bent{kinks: []kink{{bend: 1}}}); err != nil {
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

// bent is a function of straight pieces: constant + slope·x + Σ_k (bend_k·(x − at_k) + step_k)·sign(x − at_k).
type bent struct {
	constant, slope float64
	kinks           []kink
}

type kink struct{ at, bend, step float64 }

// bentOf describes functions of straight pieces.
func bentOf(op model.Pointwise) (bent, bool) {
	switch op := op.(type) {
	case *model.Compare:
		switch op.Operator {
		case ">", ">=":
			return bent{constant: 0.5, kinks: []kink{{at: op.Value, step: 0.5}}}, true
		case "<", "<=":
			return bent{constant: 0.5, kinks: []kink{{at: op.Value, step: -0.5}}}, true
		}
	case *model.Clip:
		return clipped(op.Min, op.Max)
	case *model.Activation:
		switch op.Function {
		case model.ReLU:
			return bent{slope: 0.5, kinks: []kink{{bend: 0.5}}}, true
		case model.LeakyReLU:
			return bent{slope: (1 + op.Alpha) / 2, kinks: []kink{{bend: (1 - op.Alpha) / 2}}}, true
		case model.Abs:
			return bent{kinks: []kink{{bend: 1}}}, true
		case model.Sign:
			return bent{kinks: []kink{{step: 1}}}, true
		case model.ThresholdedReLU:
			return bent{slope: 0.5, constant: 0, kinks: []kink{{at: op.Alpha, bend: 0.5, step: op.Alpha / 2}}}, true
		case model.HardSigmoid:
			if op.Alpha == 0 {
				return bent{}, false
			}
			f := bent{constant: 0.5}
			for i, at := range []float64{-op.Beta / op.Alpha, (1 - op.Beta) / op.Alpha} {
				f.kinks = append(f.kinks, kink{at: at, bend: math.Abs(op.Alpha) / 2 * float64(1-2*i) * math.Copysign(1, op.Alpha)})
			}
			return f, true
		}
	}
	return bent{}, false
}

// clipped is the function min(max(x, low), high).
func clipped(low, high float64) (bent, bool) {
	below, above := low > -math.MaxFloat64, high < math.MaxFloat64
	switch {
	case below && above:
		return bent{constant: (low + high) / 2, kinks: []kink{{at: low, bend: 0.5}, {at: high, bend: -0.5}}}, true
	case below:
		return bent{constant: low / 2, slope: 0.5, kinks: []kink{{at: low, bend: 0.5}}}, true
	case above:
		return bent{constant: high / 2, slope: 0.5, kinks: []kink{{at: high, bend: -0.5}}}, true
	}
	return bent{}, false
}

// kinked appends a function of straight pieces by compositions of polynomials for the sign, one for each kink that the
// rows come near.
func (r *replacer) kinked(p plan, input string, in []model.Tensor, f bent) (string, error) {
	low, high := rangeOf(in)
	low, high = low-margin*(high-low), high+margin*(high-low)
	stages, err := balancedSign(p.degrees)
	if err != nil {
		return "", err
	}
	var terms []string
	for i, k := range f.kinks {
		if k.at <= low || k.at >= high {
			side := math.Copysign(1, low-k.at)
			f.slope += side * k.bend
			f.constant += side * (k.step - k.bend*k.at)
			continue
		}
		of := ""
		if len(f.kinks) > 1 {
			of = fmt.Sprintf(" of piece %d", i+1)
		}
		radius := max(high-k.at, k.at-low, 1e-6)
		unit := r.add("unit"+of, scale(1/radius, -k.at/radius), input)
		sign := unit
		for i, s := range stages {
			sign = r.add(fmt.Sprintf("sign %d%s", i+1, of), s, sign)
		}
		r.series = append(r.series, &Series{Low: k.at - radius, High: k.at + radius, Coefficients: stages[0].Coefficients})
		if k.bend == 0 {
			terms = append(terms, r.add("jump"+of, scale(k.step, 0), sign))
			continue
		}
		factor := r.add("bend"+of, scale(k.bend*radius, k.step), unit)
		terms = append(terms, r.add("bent"+of, &model.Multiply{}, factor, sign))
	}
	if f.slope != 0 || len(terms) == 0 {
		terms = append(terms, r.add("line", scale(f.slope, f.constant), input))
	} else {
		terms[0] = r.add("level", scale(1, f.constant), terms[0])
	}
	sum := terms[0]
	for i, term := range terms[1:] {
		sum = r.add(fmt.Sprintf("sum %d", i+1), &model.Add{}, sum, term)
	}
	return sum, nil
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
