package model

import (
	"errors"
	"math"
)

// AveragePool is the mean over a window, [channels, spatial...] to [channels, spatial...]. Padding counts as zeros
// with CountIncludePad and not at all without.
type AveragePool struct {
	Kernel          []int `json:"kernel"`
	CountIncludePad bool  `json:"count_include_pad,omitempty"`
	Window
}

func (*AveragePool) Kind() string { return "AveragePool" }

func (p *AveragePool) Infer(in []Shape) (Shape, error) {
	_, shape, err := poolGeometry(in, p.Kernel, p.Window)
	return shape, err
}

func (p *AveragePool) Eval(in []Tensor) (Tensor, error) {
	return evalPool(p, in, p.Kernel, p.Window, func(values []float64) float64 {
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		return sum / float64(p.count(len(values)))
	})
}

// count is the divisor for a window with the given number of elements inside the input.
func (p *AveragePool) count(inside int) int {
	if p.CountIncludePad {
		return Shape(p.Kernel).Size()
	}
	return inside
}

func (p *AveragePool) Lower(in Shape) (*AffineMap, error) {
	spans, shape, err := poolGeometry([]Shape{in}, p.Kernel, p.Window)
	if err != nil {
		return nil, err
	}
	b := newSparseBuilder(shape.Size(), in.Size(), 0)
	eachWindow(shape[0], spans, func(indices []int) {
		weight := 1 / float64(p.count(len(indices)))
		for _, i := range indices {
			b.add(i, weight)
		}
		b.endRow()
	})
	return &AffineMap{Matrix: b.matrix(), Bias: make([]float64, shape.Size())}, nil
}

// MaxPool is the maximum over a window, [channels, spatial...] to [channels, spatial...]; padding is ignored.
type MaxPool struct {
	Kernel []int `json:"kernel"`
	Window
}

func (*MaxPool) Kind() string { return "MaxPool" }

func (p *MaxPool) Infer(in []Shape) (Shape, error) {
	_, shape, err := poolGeometry(in, p.Kernel, p.Window)
	return shape, err
}

func (p *MaxPool) Eval(in []Tensor) (Tensor, error) {
	return evalPool(p, in, p.Kernel, p.Window, func(values []float64) float64 {
		best := math.Inf(-1)
		for _, v := range values {
			best = max(best, v)
		}
		return best
	})
}

// poolGeometry applies the window and refuses one that sees nothing but padding, where there is no mean or maximum.
func poolGeometry(in []Shape, kernel []int, w Window) (spans [2]span, shape Shape, err error) {
	x, err := one(in)
	if err != nil {
		return spans, nil, err
	}
	spans, shape, err = w.spans(x, kernel)
	if err != nil {
		return spans, nil, err
	}
	for _, s := range spans {
		for o := range s.out {
			if from, to := s.taps(o); from >= to {
				return spans, nil, errors.New("a window lies wholly in the padding")
			}
		}
	}
	return spans, shape, nil
}

// eachWindow calls f for every output position in order with the input's elements that its window sees.
func eachWindow(channels int, spans [2]span, f func(indices []int)) {
	h, w := spans[0], spans[1]
	var indices []int
	for ch := range channels {
		for oy := range h.out {
			fromY, toY := h.taps(oy)
			for ox := range w.out {
				fromX, toX := w.taps(ox)
				indices = indices[:0]
				for ky := fromY; ky < toY; ky++ {
					line := (ch*h.in + oy*h.stride + ky*h.dilation - h.begin) * w.in
					for kx := fromX; kx < toX; kx++ {
						indices = append(indices, line+ox*w.stride+kx*w.dilation-w.begin)
					}
				}
				f(indices)
			}
		}
	}
}

func evalPool(op Op, in []Tensor, kernel []int, w Window, reduce func([]float64) float64) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	spans, _, err := w.spans(in[0].Shape, kernel)
	if err != nil {
		return Tensor{}, err
	}
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	var values []float64
	eachWindow(shape[0], spans, func(indices []int) {
		values = values[:0]
		for _, i := range indices {
			values = append(values, in[0].Data[i])
		}
		y.Data = append(y.Data, reduce(values))
	})
	return y, nil
}
