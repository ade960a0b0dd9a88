package approximation

import (
	"fmt"
	"math"

	"cipherpoint/model"
)

// Series is the polynomial y = Σ_k Coefficients[k]·T_k(t) in the Chebyshev polynomials T_k, where t runs over [-1, 1] as
// x runs over [Low, High]. Its coefficients stay small where those of powers of x grow exponentially with the degree
// (Trefethen, Approximation Theory and Approximation Practice, chapter 3).
type Series struct {
	Low, High    float64
	Coefficients []float64
}

func init() { model.Register(func() model.Op { return new(Series) }) }

func (*Series) Kind() string { return "ChebyshevSeries" }

func (s *Series) Infer(in []model.Shape) (model.Shape, error) {
	if len(in) != 1 || len(s.Coefficients) == 0 || !(s.Low < s.High) {
		return nil, fmt.Errorf("a series takes one input, has coefficients and an interval: got %d inputs, %d coefficients, [%g, %g]",
			len(in), len(s.Coefficients), s.Low, s.High)
	}
	return in[0], nil
}

func (s *Series) Eval(in []model.Tensor) (model.Tensor, error) {
	y := model.NewTensor(in[0].Shape)
	for i, x := range in[0].Data {
		y.Data[i] = s.At(x)
	}
	return y, nil
}

// Polynomial is not offered: powers of x lose the series' precision.
func (*Series) Polynomial() ([]float64, bool) { return nil, false }

// Unit returns factor and offset of t = factor·x + offset.
func (s *Series) Unit() (factor, offset float64) {
	return 2 / (s.High - s.Low), -(s.High + s.Low) / (s.High - s.Low)
}

// At evaluates by Clenshaw's recurrence.
func (s *Series) At(x float64) float64 {
	factor, offset := s.Unit()
	return clenshaw(s.Coefficients, factor*x+offset)
}

func clenshaw(c []float64, t float64) float64 {
	b1, b2 := 0.0, 0.0
	for k := len(c) - 1; k > 0; k-- {
		b1, b2 = 2*t*b1-b2+c[k], b1
	}
	return t*b1 - b2 + c[0]
}

// interpolate returns the series that meets f at the Chebyshev nodes of the interval: near the best one (Trefethen,
// theorem 16.1). Coefficients that are rounding errors, as every second one of an even or odd function, are zero.
func interpolate(f func(float64) float64, low, high float64, degree int) *Series {
	n := degree + 1
	s := &Series{Low: low, High: high, Coefficients: make([]float64, n)}
	values := make([]float64, n)
	for i := range values {
		t := math.Cos(math.Pi * (float64(i) + 0.5) / float64(n))
		values[i] = f((low+high)/2 + (high-low)/2*t)
	}
	for k := range s.Coefficients {
		for i, v := range values {
			s.Coefficients[k] += 2 / float64(n) * v * math.Cos(float64(k)*math.Pi*(float64(i)+0.5)/float64(n))
		}
	}
	s.Coefficients[0] /= 2
	s.clean()
	return s
}

// clean sets coefficients to zero that are no more than rounding errors.
func (s *Series) clean() {
	largest := 0.0
	for _, c := range s.Coefficients {
		largest = max(largest, math.Abs(c))
	}
	for k, c := range s.Coefficients {
		if math.Abs(c) < 1e-13*largest {
			s.Coefficients[k] = 0
		}
	}
}

func (s *Series) finite() bool {
	for _, c := range s.Coefficients {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return false
		}
	}
	return true
}

// basis writes T_0(t) … T_n(t).
func basis(row []float64, t float64) {
	for k := range row {
		switch k {
		case 0:
			row[k] = 1
		case 1:
			row[k] = t
		default:
			row[k] = 2*t*row[k-1] - row[k-2]
		}
	}
}
