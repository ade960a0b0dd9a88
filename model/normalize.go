package model

import (
	"fmt"
	"math"
	"slices"
)

// Softmax is e^x / Σ e^x along an axis.
type Softmax struct {
	Axis int `json:"axis"`
}

func (*Softmax) Kind() string                      { return "Softmax" }
func (s *Softmax) Infer(in []Shape) (Shape, error) { return inferAxis(in, s.Axis) }

func (s *Softmax) Eval(in []Tensor) (Tensor, error) {
	return evalLines(s, in, s.Axis, func(line []float64) {
		top := slices.Max(line) // subtracted, so that no exponential overflows
		sum := 0.0
		for i, v := range line {
			line[i] = math.Exp(v - top)
			sum += line[i]
		}
		for i := range line {
			line[i] /= sum
		}
	})
}

// LogSoftmax is x − log Σ e^x along an axis.
type LogSoftmax struct {
	Axis int `json:"axis"`
}

func (*LogSoftmax) Kind() string                      { return "LogSoftmax" }
func (s *LogSoftmax) Infer(in []Shape) (Shape, error) { return inferAxis(in, s.Axis) }

func (s *LogSoftmax) Eval(in []Tensor) (Tensor, error) {
	return evalLines(s, in, s.Axis, func(line []float64) {
		top := slices.Max(line)
		sum := 0.0
		for _, v := range line {
			sum += math.Exp(v - top)
		}
		log := math.Log(sum)
		for i := range line {
			line[i] = line[i] - top - log
		}
	})
}

// Norms of a Normalizer.
const (
	NormL1     = "l1"      // Σ|x|
	NormL2     = "l2"      // √Σx²
	NormMax    = "max"     // the largest x, as in ONNX
	NormMaxAbs = "max_abs" // the largest |x|, as in scikit-learn
)

// Normalizer divides by the norm along an axis; where the norm is 0, values stay as they are.
type Normalizer struct {
	Norm string `json:"norm"`
	Axis int    `json:"axis"`
}

func (*Normalizer) Kind() string { return "Normalizer" }

func (n *Normalizer) Infer(in []Shape) (Shape, error) {
	if !slices.Contains([]string{NormL1, NormL2, NormMax, NormMaxAbs}, n.Norm) {
		return nil, fmt.Errorf("unknown norm %q", n.Norm)
	}
	return inferAxis(in, n.Axis)
}

func (n *Normalizer) Eval(in []Tensor) (Tensor, error) {
	return evalLines(n, in, n.Axis, func(line []float64) {
		norm := n.of(line)
		if norm == 0 {
			return
		}
		for i := range line {
			line[i] /= norm
		}
	})
}

func (n *Normalizer) of(line []float64) float64 {
	norm := 0.0
	switch n.Norm {
	case NormL1:
		for _, v := range line {
			norm += math.Abs(v)
		}
	case NormL2:
		for _, v := range line {
			norm += v * v
		}
		norm = math.Sqrt(norm)
	case NormMax:
		norm = slices.Max(line)
	case NormMaxAbs:
		for _, v := range line {
			norm = max(norm, math.Abs(v))
		}
	}
	return norm
}

// ArgMax is the index of the largest element along an axis, which is removed from the shape. The first of equals wins;
// NaN never does, unless it comes first.
type ArgMax struct {
	Axis int `json:"axis"`
}

func (*ArgMax) Kind() string { return "ArgMax" }

func (a *ArgMax) Infer(in []Shape) (Shape, error) {
	x, err := inferAxis(in, a.Axis)
	if err != nil {
		return nil, err
	}
	return slices.Delete(slices.Clone(x), a.Axis, a.Axis+1), nil
}

func (a *ArgMax) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(a, in)
	if err != nil {
		return Tensor{}, err
	}
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	eachLine(in[0], a.Axis, func(line []float64) {
		best := 0
		for i, v := range line {
			if v > line[best] {
				best = i
			}
		}
		y.Data = append(y.Data, float64(best))
	})
	return y, nil
}

func inferAxis(in []Shape, axis int) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if err := x.checkAxis(axis); err != nil {
		return nil, err
	}
	return x, nil
}

// eachLine calls f with a copy of the elements along the axis for every position of the other axes, in row-major
// order.
func eachLine(x Tensor, axis int, f func(line []float64)) {
	outer, size, inner := x.Shape.around(axis)
	line := make([]float64, size)
	for o := range outer {
		for i := range inner {
			for k := range line {
				line[k] = x.Data[(o*size+k)*inner+i]
			}
			f(line)
		}
	}
}

// evalLines replaces the elements along the axis by what f makes of them.
func evalLines(op Op, in []Tensor, axis int, f func(line []float64)) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	_, size, inner := shape.around(axis)
	at := 0
	eachLine(in[0], axis, func(line []float64) {
		f(line)
		base := at/inner*size*inner + at%inner
		for k, v := range line {
			y.Data[base+k*inner] = v
		}
		at++
	})
	return y, nil
}
