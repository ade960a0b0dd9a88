package model

import (
	"fmt"
	"math"
	"slices"
)

// Imputer replaces missing values: NaN, or those equal to Missing where it is given. Values holds one value for each
// index of the last axis, or one for all.
type Imputer struct {
	Missing *float64  `json:"missing,omitempty"`
	Values  []float64 `json:"values"`
}

func (*Imputer) Kind() string { return "Imputer" }

func (p *Imputer) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if len(p.Values) != 1 && (len(x) == 0 || len(p.Values) != x[len(x)-1]) {
		return nil, fmt.Errorf("%d values for shape %v", len(p.Values), []int(x))
	}
	return x, nil
}

func (p *Imputer) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(p, in)
	if err != nil {
		return Tensor{}, err
	}
	y := Tensor{Shape: shape, Data: slices.Clone(in[0].Data)}
	for i, v := range y.Data {
		if p.Missing == nil && math.IsNaN(v) || p.Missing != nil && v == *p.Missing {
			y.Data[i] = p.Values[i%len(p.Values)]
		}
	}
	return y, nil
}

// OneHot writes a feature with k categories as k bits, of which the one that equals the feature is 1; a value that is
// no category gives only zeros. [features] to [Σ categories], one feature after the other.
type OneHot struct {
	Categories [][]float64 `json:"categories"` // of each feature
}

func (*OneHot) Kind() string { return "OneHot" }

func (o *OneHot) Infer(in []Shape) (Shape, error) { return inferFeatures(in, o.Categories, 0) }

func (o *OneHot) Eval(in []Tensor) (Tensor, error) {
	return evalFeatures(o, in, o.Categories, func(x, category float64) bool { return x == category })
}

// Thermometer compares each feature with its edges: bit (f, t) is 1 where x_f ≥ Edges[f][t].
// [features] to [Σ edges + bits of missing values], one feature after the other. A missing value (NaN) gives only zeros,
// but for its own bit, or what the value in its place gives.
type Thermometer struct {
	Edges [][]float64 `json:"edges"` // of each feature, ascending; equal ones may repeat
	// Missing says for each feature, or for none, whether after its other bits there is one that is 1 where it is missing.
	Missing []bool `json:"missing,omitempty"`
	// Replace holds for each feature, or for none, the value in whose place a missing one stands if it has no such bit.
	Replace []float64 `json:"replace,omitempty"`
}

func (*Thermometer) Kind() string { return "Thermometer" }

func (t *Thermometer) Infer(in []Shape) (Shape, error) {
	missing := 0
	for _, bit := range t.Missing {
		if bit {
			missing++
		}
	}
	shape, err := inferFeatures(in, t.Edges, missing)
	if err != nil {
		return nil, err
	}
	for f, edges := range t.Edges {
		if !slices.IsSorted(edges) {
			return nil, fmt.Errorf("edges of feature %d do not ascend", f)
		}
	}
	if len(t.Replace) != 0 && len(t.Replace) != len(t.Edges) || len(t.Missing) != 0 && len(t.Missing) != len(t.Edges) {
		return nil, fmt.Errorf("%d replacements and %d bits of missing values for %d features", len(t.Replace), len(t.Missing), len(t.Edges))
	}
	return shape, nil
}

func (t *Thermometer) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(t, in)
	if err != nil {
		return Tensor{}, err
	}
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	bit := func(set bool) {
		v := 0.0
		if set {
			v = 1
		}
		y.Data = append(y.Data, v)
	}
	for f, edges := range t.Edges {
		x := in[0].Data[f]
		marked := len(t.Missing) != 0 && t.Missing[f]
		if math.IsNaN(x) && !marked && len(t.Replace) != 0 {
			x = t.Replace[f]
		}
		for _, edge := range edges {
			bit(x >= edge)
		}
		if marked {
			bit(math.IsNaN(x))
		}
	}
	return y, nil
}

// inferFeatures returns the shape of a vector of one element for each value of each feature's list, and some more.
func inferFeatures(in []Shape, lists [][]float64, total int) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if len(x) != 1 || x[0] != len(lists) {
		return nil, fmt.Errorf("input has shape %v, want [%d]", []int(x), len(lists))
	}
	for _, list := range lists {
		total += len(list)
	}
	return Shape{total}.checked()
}

// evalFeatures writes one bit for each value of each feature's list.
func evalFeatures(op Op, in []Tensor, lists [][]float64, holds func(x, value float64) bool) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	for f, list := range lists {
		for _, value := range list {
			bit := 0.0
			if holds(in[0].Data[f], value) {
				bit = 1
			}
			y.Data = append(y.Data, bit)
		}
	}
	return y, nil
}

// Embedding looks up rows of a table by integer elements: any shape to [shape..., width].
type Embedding struct {
	Table Tensor `json:"table"` // [rows, width]
}

func (*Embedding) Kind() string { return "Embedding" }

func (e *Embedding) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if err := e.Table.check(); err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if len(e.Table.Shape) != 2 {
		return nil, fmt.Errorf("table has shape %v, want [rows, width]", []int(e.Table.Shape))
	}
	shape := append(slices.Clone(x), e.Table.Shape[1])
	return shape.checked()
}

func (e *Embedding) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(e, in)
	if err != nil {
		return Tensor{}, err
	}
	rows, width := e.Table.Shape[0], e.Table.Shape[1]
	y := Tensor{Shape: shape, Data: make([]float64, 0, shape.Size())}
	for i, v := range in[0].Data {
		if !(v >= 0 && v < float64(rows)) || v != math.Trunc(v) {
			return Tensor{}, fmt.Errorf("element %d is not an index below %d", i, rows)
		}
		y.Data = append(y.Data, e.Table.Data[int(v)*width:(int(v)+1)*width]...)
	}
	return y, nil
}
