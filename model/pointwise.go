package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Polynomial is y = Σ_k Coefficients[k]·x^k for every element.
type Polynomial struct {
	Coefficients []float64 `json:"coefficients"`
}

func (*Polynomial) Kind() string { return "Polynomial" }

func (p *Polynomial) Infer(in []Shape) (Shape, error) {
	if len(p.Coefficients) == 0 {
		return nil, errors.New("has no coefficients")
	}
	return one(in)
}

func (p *Polynomial) Eval(in []Tensor) (Tensor, error) { return evalPointwise(p, in, p.At) }

// At evaluates by Horner's rule.
func (p *Polynomial) At(x float64) float64 {
	y := 0.0
	for _, c := range slices.Backward(p.Coefficients) {
		y = y*x + c
	}
	return y
}

func (p *Polynomial) Polynomial() ([]float64, bool) { return slices.Clone(p.Coefficients), true }

// ChannelPolynomial is y[c,…] = Σ_k Coefficients[c][k]·x[c,…]^k over the channels of axis 0.
type ChannelPolynomial struct {
	Coefficients [][]float64 `json:"coefficients"`
}

func (*ChannelPolynomial) Kind() string { return "ChannelPolynomial" }

func (p *ChannelPolynomial) Infer(in []Shape) (Shape, error) {
	for c, list := range p.Coefficients {
		if len(list) == 0 {
			return nil, fmt.Errorf("channel %d has no coefficients", c)
		}
	}
	return inferChannels(in, p.Channels())
}

func (p *ChannelPolynomial) Eval(in []Tensor) (Tensor, error) { return evalChannels(p, in) }
func (p *ChannelPolynomial) Channels() int                    { return len(p.Coefficients) }
func (p *ChannelPolynomial) Channel(i int) Pointwise {
	return &Polynomial{Coefficients: p.Coefficients[i]}
}

// PReLU is y[c,…] = x[c,…] where that is positive and Slope[c]·x[c,…] elsewhere, over the channels of axis 0.
type PReLU struct {
	Slope []float64 `json:"slope"`
}

func (*PReLU) Kind() string { return "PReLU" }

func (p *PReLU) Infer(in []Shape) (Shape, error)  { return inferChannels(in, p.Channels()) }
func (p *PReLU) Eval(in []Tensor) (Tensor, error) { return evalChannels(p, in) }
func (p *PReLU) Channels() int                    { return len(p.Slope) }
func (p *PReLU) Channel(i int) Pointwise {
	return &Activation{Function: LeakyReLU, Alpha: p.Slope[i]}
}

func inferChannels(in []Shape, channels int) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if len(x) == 0 || x[0] != channels {
		return nil, fmt.Errorf("input has shape %v, want %d channels", []int(x), channels)
	}
	return x, nil
}

func evalChannels(op ChannelPointwise, in []Tensor) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	each := len(y.Data) / op.Channels()
	for c := range op.Channels() {
		f := op.Channel(c)
		for i := c * each; i < (c+1)*each; i++ {
			y.Data[i] = f.At(in[0].Data[i])
		}
	}
	return y, nil
}

func evalPointwise(op Op, in []Tensor, f func(float64) float64) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	for i, v := range in[0].Data {
		y.Data[i] = f(v)
	}
	return y, nil
}

// Clip is y = min(max(x, Min), Max). A bound of ∓math.MaxFloat64 leaves that side open, as in ONNX.
type Clip struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

func (*Clip) Kind() string { return "Clip" }

func (c *Clip) Infer(in []Shape) (Shape, error) {
	if !(c.Min <= c.Max) {
		return nil, fmt.Errorf("minimum %v is above maximum %v", c.Min, c.Max)
	}
	return one(in)
}

func (c *Clip) Eval(in []Tensor) (Tensor, error) { return evalPointwise(c, in, c.At) }
func (c *Clip) At(x float64) float64             { return min(max(x, c.Min), c.Max) }
func (*Clip) Polynomial() ([]float64, bool)      { return nil, false }

// Compare is 1 where "x Operator Value" holds and 0 elsewhere. A missing value (NaN) only holds for "!=".
type Compare struct {
	Operator string  `json:"operator"` // one of < <= > >= == !=
	Value    float64 `json:"value"`
}

func (*Compare) Kind() string { return "Compare" }

func (c *Compare) Infer(in []Shape) (Shape, error) {
	if !slices.Contains([]string{"<", "<=", ">", ">=", "==", "!="}, c.Operator) {
		return nil, fmt.Errorf("unknown operator %q", c.Operator)
	}
	return one(in)
}

func (c *Compare) Eval(in []Tensor) (Tensor, error) { return evalPointwise(c, in, c.At) }
func (*Compare) Polynomial() ([]float64, bool)      { return nil, false }

func (c *Compare) At(x float64) float64 {
	holds := false
	switch c.Operator {
	case "<":
		holds = x < c.Value
	case "<=":
		holds = x <= c.Value
	case ">":
		holds = x > c.Value
	case ">=":
		holds = x >= c.Value
	case "==":
		holds = x == c.Value
	case "!=":
		holds = x != c.Value
	}
	if holds {
		return 1
	}
	return 0
}

// Map replaces every element that equals Keys[i] by Values[i], and any other by Default: label encoders, sets of
// categories (values 1, default 0).
type Map struct {
	Keys    []float64 `json:"keys"` // ascending
	Values  []float64 `json:"values"`
	Default float64   `json:"default"`
}

func (*Map) Kind() string { return "Map" }

func (m *Map) Infer(in []Shape) (Shape, error) {
	if len(m.Keys) == 0 || len(m.Keys) != len(m.Values) {
		return nil, fmt.Errorf("%d keys and %d values", len(m.Keys), len(m.Values))
	}
	for i := 1; i < len(m.Keys); i++ {
		if !(m.Keys[i] > m.Keys[i-1]) {
			return nil, fmt.Errorf("key %d is not above the one before it", i)
		}
	}
	return one(in)
}

func (m *Map) Eval(in []Tensor) (Tensor, error) { return evalPointwise(m, in, m.At) }
func (*Map) Polynomial() ([]float64, bool)      { return nil, false }

func (m *Map) At(x float64) float64 {
	if i, found := slices.BinarySearch(m.Keys, x); found && !math.IsNaN(x) {
		return m.Values[i]
	}
	return m.Default
}
