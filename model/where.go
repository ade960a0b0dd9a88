package model

import "fmt"

// Where takes of two values, element by element, the first where a condition is not 0 and the second where it is; all three
// broadcast against each other. What is not taken may be anything, even not a number.
type Where struct{}

func (*Where) Kind() string { return "Where" }

func (*Where) Infer(in []Shape) (Shape, error) {
	if len(in) != 3 {
		return nil, fmt.Errorf("takes a condition and 2 values, got %d", len(in))
	}
	values, err := broadcast(in[1], in[2])
	if err != nil {
		return nil, err
	}
	return broadcast(in[0], values)
}

func (w *Where) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(w, in)
	if err != nil {
		return Tensor{}, err
	}
	z := NewTensor(shape)
	condition, x, y := stretch(in[0], shape), stretch(in[1], shape), stretch(in[2], shape)
	for i, c := range condition {
		if z.Data[i] = y[i]; c != 0 {
			z.Data[i] = x[i]
		}
	}
	return z, nil
}
