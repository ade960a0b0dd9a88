package model

import (
	"fmt"
	"math"
	"slices"
)

// TopK is the K largest elements along an axis, the largest first, or their indices; of equals the first comes first.
type TopK struct {
	Axis    int  `json:"axis"`
	K       int  `json:"k"`
	Indices bool `json:"indices,omitempty"`
}

func (*TopK) Kind() string { return "TopK" }

func (t *TopK) Infer(in []Shape) (Shape, error) {
	x, err := inferAxis(in, t.Axis)
	if err != nil {
		return nil, err
	}
	if t.K < 1 || t.K > x[t.Axis] {
		return nil, fmt.Errorf("the %d largest of shape %v along axis %d", t.K, []int(x), t.Axis)
	}
	shape := slices.Clone(x)
	shape[t.Axis] = t.K
	return shape, nil
}

func (t *TopK) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(t, in)
	if err != nil {
		return Tensor{}, err
	}
	y := NewTensor(shape)
	_, _, inner := shape.around(t.Axis)
	at := 0
	eachLine(in[0], t.Axis, func(line []float64) {
		order := steps(len(line), 1)
		slices.SortStableFunc(order, func(a, b int) int {
			switch { // NaN comes last
			case line[a] > line[b] || !math.IsNaN(line[a]) && math.IsNaN(line[b]):
				return -1
			case line[a] < line[b] || math.IsNaN(line[a]) && !math.IsNaN(line[b]):
				return 1
			}
			return 0
		})
		base := at/inner*t.K*inner + at%inner
		for k, i := range order[:t.K] {
			if y.Data[base+k*inner] = line[i]; t.Indices {
				y.Data[base+k*inner] = float64(i)
			}
		}
		at++
	})
	return y, nil
}

// Coupling turns the probabilities r_ij that it is class i rather than class j, one for each pair i < j in the order
// (0,1), (0,2), …, into probabilities of the classes: [classes·(classes−1)/2] to [classes].
// Wu, Lin and Weng, Probability estimates for multi-class classification by pairwise coupling (2004), algorithm 2, with
// the accuracy at which LIBSVM stops.
type Coupling struct {
	Classes int `json:"classes"`
}

// maxCoupled keeps the square of the number of classes small.
const maxCoupled = 1024

func (*Coupling) Kind() string { return "Coupling" }

func (c *Coupling) Infer(in []Shape) (Shape, error) {
	x, err := one(in)
	if err != nil {
		return nil, err
	}
	if c.Classes < 2 || c.Classes > maxCoupled || len(x) != 1 || x[0] != c.Classes*(c.Classes-1)/2 {
		return nil, fmt.Errorf("input of shape %v does not fit the pairs of %d classes", []int(x), c.Classes)
	}
	return Shape{c.Classes}, nil
}

func (c *Coupling) Eval(in []Tensor) (Tensor, error) {
	shape, err := evalShape(c, in)
	if err != nil {
		return Tensor{}, err
	}
	k := c.Classes
	r := make([][]float64, k)
	for i := range r {
		r[i] = make([]float64, k)
	}
	at := 0
	for i := range k {
		for j := i + 1; j < k; j++ {
			r[i][j], r[j][i] = in[0].Data[at], 1-in[0].Data[at]
			at++
		}
	}
	q := make([][]float64, k)
	y := NewTensor(shape)
	p := y.Data
	for t := range q {
		q[t] = make([]float64, k)
		p[t] = 1 / float64(k)
		for j := range k {
			if j != t {
				q[t][t] += r[j][t] * r[j][t]
				q[t][j] = -r[j][t] * r[t][j]
			}
		}
	}
	qp := make([]float64, k)
	for range max(100, k) {
		form := 0.0 // pᵀQp
		for t := range k {
			qp[t] = dot(q[t], p)
			form += p[t] * qp[t]
		}
		worst := 0.0
		for t := range k {
			worst = max(worst, math.Abs(qp[t]-form))
		}
		if !(worst >= 0.005/float64(k)) {
			break
		}
		for t := range k {
			step := (form - qp[t]) / q[t][t]
			form = (form + step*(step*q[t][t]+2*qp[t])) / ((1 + step) * (1 + step))
			p[t] += step
			for j := range k {
				qp[j] = (qp[j] + step*q[t][j]) / (1 + step)
				p[j] /= 1 + step
			}
		}
	}
	return y, nil
}
