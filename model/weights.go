package model

import (
	"fmt"
	"slices"
)

// Weighted is an affine operator whose map is one small matrix for each group of channels, applied at many places of
// the input: what has to be known to fit the matrix anew to given inputs and results.
type Weighted interface {
	Affine
	Patches(in Shape) (*Patches, error)
	// Weights returns the matrices of all groups, one after the other, and the bias of their rows.
	Weights() (matrices []float64, bias []float64)
	// WithWeights returns the operator with other matrices and bias.
	WithWeights(matrices, bias []float64) Weighted
}

// Patches says which elements a Weighted operator's matrices see and make. Row r of group g, applied at place p, makes
// element (g·Rows + r)·RowStride + p·PlaceStride of the result.
type Patches struct {
	Groups, Rows, Columns, Places int
	RowStride, PlaceStride        int
	read                          func(patch []float64, x []float64, group, place int)
}

// Read writes what the group's matrix sees at a place of x to patch, which holds Columns values.
func (p *Patches) Read(patch, x []float64, group, place int) { p.read(patch, x, group, place) }

func (d *Dense) Patches(in Shape) (*Patches, error) {
	shape, err := d.Infer([]Shape{in})
	if err != nil {
		return nil, err
	}
	out, width := d.Weight.Shape[0], d.Weight.Shape[1]
	return &Patches{
		Groups: 1, Rows: out, Columns: width, Places: shape.Size() / out, RowStride: 1, PlaceStride: out,
		read: func(patch, x []float64, _, place int) { copy(patch, x[place*width:(place+1)*width]) },
	}, nil
}

func (d *Dense) Weights() (matrices, bias []float64) {
	return slices.Clone(d.Weight.Data), biasOf(d.Bias, d.Weight.Shape[0])
}

func (d *Dense) WithWeights(matrices, bias []float64) Weighted {
	return &Dense{Weight: Tensor{Shape: d.Weight.Shape, Data: matrices}, Bias: bias}
}

func (c *Conv) Patches(in Shape) (*Patches, error) {
	spans, groups, shape, err := c.geometry([]Shape{in})
	if err != nil {
		return nil, err
	}
	h, w := spans[0], spans[1]
	area, places := h.in*w.in, h.out*w.out
	channels := c.Weight.Shape[1]
	return &Patches{
		Groups: groups, Rows: shape[0] / groups, Columns: len(c.Weight.Data) / shape[0], Places: places, RowStride: places, PlaceStride: 1,
		read: func(patch, x []float64, group, place int) {
			unfold(patch, x[group*channels*area:(group+1)*channels*area], spans, place, place+1)
		},
	}, nil
}

func (c *Conv) Weights() (matrices, bias []float64) {
	return slices.Clone(c.Weight.Data), biasOf(c.Bias, c.Weight.Shape[0])
}

func (c *Conv) WithWeights(matrices, bias []float64) Weighted {
	return &Conv{Weight: Tensor{Shape: c.Weight.Shape, Data: matrices}, Bias: bias, Groups: c.Groups, Window: c.Window}
}

func biasOf(bias []float64, rows int) []float64 {
	if len(bias) == 0 {
		return make([]float64, rows)
	}
	return slices.Clone(bias)
}

// Windows returns for each element of the result the input's elements that its window sees.
func (p *MaxPool) Windows(in Shape) ([][]int, error) {
	spans, shape, err := poolGeometry([]Shape{in}, p.Kernel, p.Window)
	if err != nil {
		return nil, err
	}
	if total := shape.Size() * Shape(p.Kernel).Size(); total > MaxTotalElements {
		return nil, fmt.Errorf("windows see %d elements in all, more than %d", total, MaxTotalElements)
	}
	windows := make([][]int, 0, shape.Size())
	eachWindow(shape[0], spans, func(indices []int) { windows = append(windows, slices.Clone(indices)) })
	return windows, nil
}
