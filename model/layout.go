package model

import (
	"fmt"
	"slices"
)

// Flatten makes a vector: any shape to [size].
type Flatten struct{}

func (*Flatten) Kind() string { return "Flatten" }

func (*Flatten) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	return Shape{x.Size()}, nil
}

func (f *Flatten) Eval(in []Tensor) (Tensor, error)   { return evalReshape(f, in) }
func (f *Flatten) Lower(in Shape) (*AffineMap, error) { return lowerReshape(f, in) }

// Reshape keeps the flattened elements and gives them another shape of the same size.
type Reshape struct {
	Shape Shape `json:"shape"`
}

func (*Reshape) Kind() string { return "Reshape" }

func (r *Reshape) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if err := r.Shape.check(); err != nil {
		return nil, err
	}
	if x.Size() != r.Shape.Size() {
		return nil, fmt.Errorf("shape %v does not fit %v", []int(r.Shape), []int(x))
	}
	return r.Shape, nil
}

func (r *Reshape) Eval(in []Tensor) (Tensor, error)   { return evalReshape(r, in) }
func (r *Reshape) Lower(in Shape) (*AffineMap, error) { return lowerReshape(r, in) }

func evalReshape(op Op, in []Tensor) (Tensor, error) {
	shape, err := evalShape(op, in)
	if err != nil {
		return Tensor{}, err
	}
	return Tensor{Shape: shape, Data: in[0].Data}, nil
}

func lowerReshape(op Op, in Shape) (*AffineMap, error) {
	if _, err := op.Infer([]Shape{in}); err != nil {
		return nil, err
	}
	return Identity(in.Size()), nil
}

// Transpose permutes the dimensions: dimension i of the result is dimension Perm[i] of the input.
type Transpose struct {
	Perm []int `json:"perm"`
}

func (*Transpose) Kind() string { return "Transpose" }

func (t *Transpose) Infer(in []Shape) (Shape, error) {
	shape, _, err := t.offsets(in)
	return shape, err
}

func (t *Transpose) offsets(in []Shape) (Shape, func() [][]int, error) {
	x, err := one(in)
	if err != nil {
		return nil, nil, err
	}
	if len(t.Perm) != len(x) {
		return nil, nil, fmt.Errorf("permutation %v does not fit shape %v", t.Perm, []int(x))
	}
	shape := make(Shape, len(x))
	seen := make([]bool, len(x))
	for i, axis := range t.Perm {
		if axis < 0 || axis >= len(x) || seen[axis] {
			return nil, nil, fmt.Errorf("%v is not a permutation of %d dimensions", t.Perm, len(x))
		}
		seen[axis] = true
		shape[i] = x[axis]
	}
	return shape, func() [][]int {
		strides := x.strides()
		offsets := make([][]int, len(x))
		for i, axis := range t.Perm {
			offsets[i] = steps(x[axis], strides[axis])
		}
		return offsets
	}, nil
}

func (t *Transpose) Eval(in []Tensor) (Tensor, error)   { return evalSelector(t, in, 0) }
func (t *Transpose) Lower(in Shape) (*AffineMap, error) { return lowerSelector(t, in, 0) }

// Pad modes.
const (
	PadConstant = "constant" // Value
	PadEdge     = "edge"     // the nearest element
	PadReflect  = "reflect"  // mirrored at the edge, which is not repeated
	PadWrap     = "wrap"     // as if the input were repeated
)

// Pad adds elements before and after each dimension: out = Begin + in + End.
type Pad struct {
	Begin []int   `json:"begin"`
	End   []int   `json:"end"`
	Mode  string  `json:"mode"`
	Value float64 `json:"value,omitempty"` // of PadConstant
}

func (*Pad) Kind() string { return "Pad" }

func (p *Pad) Infer(in []Shape) (Shape, error) {
	shape, _, err := p.offsets(in)
	return shape, err
}

func (p *Pad) offsets(in []Shape) (Shape, func() [][]int, error) {
	x, err := one(in)
	if err != nil {
		return nil, nil, err
	}
	if len(p.Begin) != len(x) || len(p.End) != len(x) {
		return nil, nil, fmt.Errorf("pads %v and %v do not fit shape %v", p.Begin, p.End, []int(x))
	}
	if !slices.Contains([]string{PadConstant, PadEdge, PadReflect, PadWrap}, p.Mode) {
		return nil, nil, fmt.Errorf("unknown mode %q", p.Mode)
	}
	if p.Mode != PadConstant && p.Value != 0 {
		return nil, nil, fmt.Errorf("mode %q takes no value", p.Mode)
	}
	shape := make(Shape, len(x))
	for i, size := range x {
		widest := max(p.Begin[i], p.End[i])
		if min(p.Begin[i], p.End[i]) < 0 || widest > MaxElements {
			return nil, nil, fmt.Errorf("pads %v and %v must be in 0..%d", p.Begin, p.End, MaxElements)
		}
		if p.Mode == PadReflect && widest >= size {
			return nil, nil, fmt.Errorf("pads %v and %v must be smaller than shape %v to reflect it", p.Begin, p.End, []int(x))
		}
		shape[i] = p.Begin[i] + size + p.End[i]
	}
	if err := shape.check(); err != nil {
		return nil, nil, err
	}
	return shape, func() [][]int {
		strides := x.strides()
		offsets := make([][]int, len(x))
		for i, size := range x {
			offsets[i] = make([]int, shape[i])
			for o := range offsets[i] {
				offsets[i][o] = outside
				if k := p.source(o-p.Begin[i], size); k != outside {
					offsets[i][o] = k * strides[i]
				}
			}
		}
		return offsets
	}, nil
}

// source returns the element that stands at position i of a padded dimension, where 0..size-1 is the input itself.
func (p *Pad) source(i, size int) int {
	switch {
	case i >= 0 && i < size:
		return i
	case p.Mode == PadEdge:
		return max(0, min(i, size-1))
	case p.Mode == PadReflect && i < 0:
		return -i
	case p.Mode == PadReflect:
		return 2*(size-1) - i
	case p.Mode == PadWrap:
		return ((i % size) + size) % size
	default:
		return outside
	}
}

func (p *Pad) Eval(in []Tensor) (Tensor, error)   { return evalSelector(p, in, p.Value) }
func (p *Pad) Lower(in Shape) (*AffineMap, error) { return lowerSelector(p, in, p.Value) }

// Slice takes Size[d] elements of each dimension d: Start[d], Start[d]+Step[d], … A step may be negative, not 0.
type Slice struct {
	Start []int `json:"start"`
	Size  []int `json:"size"`
	Step  []int `json:"step"`
}

func (*Slice) Kind() string { return "Slice" }

func (s *Slice) Infer(in []Shape) (Shape, error) {
	shape, _, err := s.offsets(in)
	return shape, err
}

func (s *Slice) offsets(in []Shape) (Shape, func() [][]int, error) {
	x, err := one(in)
	if err != nil {
		return nil, nil, err
	}
	if len(s.Start) != len(x) || len(s.Size) != len(x) || len(s.Step) != len(x) {
		return nil, nil, fmt.Errorf("start %v, size %v and step %v do not fit shape %v", s.Start, s.Size, s.Step, []int(x))
	}
	if err := Shape(s.Size).check(); err != nil {
		return nil, nil, err
	}
	for i, size := range x {
		inside := s.Start[i] >= 0 && s.Start[i] < size && s.Step[i] != 0 && s.Step[i] >= -size && s.Step[i] <= size
		if inside {
			last := s.Start[i] + (s.Size[i]-1)*s.Step[i]
			inside = last >= 0 && last < size
		}
		if !inside {
			return nil, nil, fmt.Errorf("start %d, size %d and step %d leave dimension %d of shape %v",
				s.Start[i], s.Size[i], s.Step[i], i, []int(x))
		}
	}
	return slices.Clone(Shape(s.Size)), func() [][]int {
		strides := x.strides()
		offsets := make([][]int, len(x))
		for i := range x {
			offsets[i] = steps(s.Size[i], s.Step[i]*strides[i])
			for k := range offsets[i] {
				offsets[i][k] += s.Start[i] * strides[i]
			}
		}
		return offsets
	}, nil
}

func (s *Slice) Eval(in []Tensor) (Tensor, error)   { return evalSelector(s, in, 0) }
func (s *Slice) Lower(in Shape) (*AffineMap, error) { return lowerSelector(s, in, 0) }

// Gather takes the elements with the given constant indices along an axis, whose size becomes len(Indices).
type Gather struct {
	Axis    int   `json:"axis"`
	Indices []int `json:"indices"`
}

func (*Gather) Kind() string { return "Gather" }

func (g *Gather) Infer(in []Shape) (Shape, error) {
	shape, _, err := g.offsets(in)
	return shape, err
}

func (g *Gather) offsets(in []Shape) (Shape, func() [][]int, error) {
	x, err := one(in)
	if err != nil {
		return nil, nil, err
	}
	if err := x.checkAxis(g.Axis); err != nil {
		return nil, nil, err
	}
	for _, k := range g.Indices {
		if k < 0 || k >= x[g.Axis] {
			return nil, nil, fmt.Errorf("index %d is outside dimension %d of shape %v", k, g.Axis, []int(x))
		}
	}
	shape := slices.Clone(x)
	shape[g.Axis] = len(g.Indices)
	if err := shape.check(); err != nil {
		return nil, nil, err
	}
	return shape, func() [][]int {
		strides := x.strides()
		offsets := make([][]int, len(x))
		for i, size := range x {
			offsets[i] = steps(size, strides[i])
		}
		offsets[g.Axis] = make([]int, len(g.Indices))
		for i, k := range g.Indices {
			offsets[g.Axis][i] = k * strides[g.Axis]
		}
		return offsets
	}, nil
}

func (g *Gather) Eval(in []Tensor) (Tensor, error)   { return evalSelector(g, in, 0) }
func (g *Gather) Lower(in Shape) (*AffineMap, error) { return lowerSelector(g, in, 0) }

// selector is an operator whose every element is one element of the input, or a constant. offsets checks the
// parameters and returns the shape of the result and a function for the offsets that indices takes.
type selector interface {
	Op
	offsets(in []Shape) (Shape, func() [][]int, error)
}

func evalSelector(op selector, in []Tensor, fill float64) (Tensor, error) {
	if _, err := evalShape(op, in); err != nil {
		return Tensor{}, err
	}
	shape, offsets, err := op.offsets([]Shape{in[0].Shape})
	if err != nil {
		return Tensor{}, err
	}
	return Tensor{Shape: shape, Data: pick(in[0].Data, indices(offsets()), fill)}, nil
}

func lowerSelector(op selector, in Shape, fill float64) (*AffineMap, error) {
	_, offsets, err := op.offsets([]Shape{in})
	if err != nil {
		return nil, err
	}
	return selection(indices(offsets()), in.Size(), fill), nil
}
