package approximation

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// minimax returns the polynomial of least largest error on [low, high] and that error. A function that is even or odd
// about the interval's centre gets a series of its parity.
func minimax(f func(float64) float64, low, high float64, degree int) (*Series, float64, error) {
	unit := func(t float64) float64 { return f((low+high)/2 + (high-low)/2*t) }
	var indices []int
	from := -1.0
	even, odd := parity(unit)
	for k := range degree + 1 {
		if even && k%2 == 1 || odd && k%2 == 0 {
			continue
		}
		indices = append(indices, k)
	}
	if even || odd {
		from = 0
	}
	c, largest, err := remez(unit, indices, from, 1)
	return &Series{Low: low, High: high, Coefficients: c}, largest, err
}

// parity tells whether f is even or odd on [-1, 1], as far as some hundred points show.
func parity(f func(float64) float64) (even, odd bool) {
	const points = 128
	sum, difference, size := 0.0, 0.0, 0.0
	for i := range points {
		t := (float64(i) + 0.5) / points
		a, b := f(t), f(-t)
		sum, difference = max(sum, math.Abs(a+b)), max(difference, math.Abs(a-b))
		size = max(size, math.Abs(a), math.Abs(b))
	}
	return difference <= 1e-12*size, sum <= 1e-12*size
}

const (
	exchanges  = 60   // of the reference, before Remez's algorithm gives up
	evenness   = 1e-5 // of the error's extrema, relative, at which it ends
	gridPoints = 24   // between two extrema
)

// remez finds the best approximation to f on [from, to], a part of [-1, 1], by Chebyshev polynomials with the given
// indices (Remez 1934; Trefethen, chapter 10). The coefficients returned are those of all indices from 0.
func remez(f func(float64) float64, indices []int, from, to float64) (c []float64, largest float64, err error) {
	n := len(indices)
	last := indices[n-1]
	reference := make([]float64, n+1)
	for i := range reference {
		reference[i] = (from+to)/2 - (to-from)/2*math.Cos(math.Pi*(float64(i)+0.5)/float64(n+1))
	}
	grid := make([]float64, gridPoints*(n+1)+1)
	for i := range grid {
		grid[i] = (from+to)/2 - (to-from)/2*math.Cos(math.Pi*float64(i)/float64(len(grid)-1))
	}
	row := make([]float64, last+1)
	matrix, right := mat.NewDense(n+1, n+1, nil), mat.NewVecDense(n+1, nil)
	for range exchanges {
		for i, t := range reference {
			basis(row, t)
			for k, index := range indices {
				matrix.Set(i, k, row[index])
			}
			matrix.Set(i, n, float64(1-2*(i%2)))
			right.SetVec(i, f(t))
		}
		var solution mat.VecDense
		if err := solution.SolveVec(matrix, right); err != nil && !nearlySingular(err) {
			return nil, 0, fmt.Errorf("best polynomial of degree %d: %w", last, err)
		}
		c = make([]float64, last+1)
		for k, index := range indices {
			c[index] = solution.AtVec(k)
		}
		levelled := math.Abs(solution.AtVec(n))
		difference := func(t float64) float64 { return f(t) - clenshaw(c, t) }
		extrema := alternating(difference, grid, n+1)
		largest = 0
		for _, t := range extrema {
			largest = max(largest, math.Abs(difference(t)))
		}
		if math.IsNaN(largest) || math.IsInf(largest, 0) {
			return nil, 0, fmt.Errorf("best polynomial of degree %d: the function is not finite on the range", last)
		}
		if len(extrema) < n+1 || largest-levelled <= evenness*largest || largest < 1e-14 {
			return c, largest, nil
		}
		reference = extrema
	}
	return c, largest, nil
}

func nearlySingular(err error) bool {
	_, condition := err.(mat.Condition)
	return condition
}

// alternating returns places where the error takes its largest values with alternating signs, want of them or fewer.
func alternating(difference func(float64) float64, grid []float64, want int) []float64 {
	var places, values []float64
	for i, t := range grid {
		v := difference(t)
		if i > 0 && (v > 0) == (values[len(values)-1] > 0) {
			if math.Abs(v) > math.Abs(values[len(values)-1]) {
				places[len(places)-1], values[len(values)-1] = t, v
			}
			continue
		}
		places, values = append(places, t), append(values, v)
	}
	for i := range places {
		at, _ := slices.BinarySearch(grid, places[i])
		low, high := grid[max(at-1, 0)], grid[min(at+1, len(grid)-1)]
		places[i] = sharpen(difference, low, high, values[i] > 0)
		values[i] = difference(places[i])
	}
	// Too many: the smallest goes, with the smaller of its neighbours unless it stands at an end.
	for len(places) > want {
		least := 0
		for i, v := range values {
			if math.Abs(v) < math.Abs(values[least]) {
				least = i
			}
		}
		from, to := least, least+1
		if least > 0 && least < len(places)-1 {
			if len(places) == want+1 {
				// One too many inside: the smaller end goes instead.
				from, to = 0, 1
				if math.Abs(values[len(values)-1]) < math.Abs(values[0]) {
					from, to = len(places)-1, len(places)
				}
			} else if math.Abs(values[least-1]) < math.Abs(values[least+1]) {
				from = least - 1
			} else {
				to = least + 2
			}
		}
		places, values = slices.Delete(places, from, to), slices.Delete(values, from, to)
	}
	return places
}

// sharpen narrows in on the largest (or, if not up, smallest) value between two points by golden sections.
func sharpen(f func(float64) float64, low, high float64, up bool) float64 {
	const golden = 0.6180339887498949
	g := f
	if !up {
		g = func(t float64) float64 { return -f(t) }
	}
	a, b := high-golden*(high-low), low+golden*(high-low)
	fa, fb := g(a), g(b)
	for range 30 {
		if fa > fb {
			high, b, fb = b, a, fa
			a = high - golden*(high-low)
			fa = g(a)
		} else {
			low, a, fa = a, b, fb
			b = low + golden*(high-low)
			fb = g(b)
		}
	}
	best := (low + high) / 2
	for _, end := range []float64{low, high} {
		if g(end) > g(best) {
			best = end
		}
	}
	return best
}

// signStages returns odd polynomials of the given degrees that take [gap, 1], one after the other, closer to 1, and how
// far from 1 the last one may still be (composition of minimax polynomials: Lee et al., ePrint 2020/834). Every stage
// but the last is scaled to stay within [-1, 1].
func signStages(degrees []int, gap float64) (stages []*Series, largest float64, err error) {
	low := gap
	for i, degree := range degrees {
		var indices []int
		for k := 1; k <= degree; k += 2 {
			indices = append(indices, k)
		}
		c, e, err := remez(func(float64) float64 { return 1 }, indices, low, 1)
		if err != nil {
			return nil, 0, err
		}
		if i < len(degrees)-1 {
			for k := range c {
				c[k] /= 1 + e
			}
		}
		stages = append(stages, &Series{Low: -1, High: 1, Coefficients: c})
		low, largest = (1-e)/(1+e), e
	}
	return stages, largest, nil
}
