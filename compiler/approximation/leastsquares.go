package approximation

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// floor is the weight, beside all samples together, of the whole interval: between samples and beyond them, where other
// rows may fall, the polynomial still follows the function.
const floor = 0.01

// maxSamples bounds what one fit looks at.
const maxSamples = 1 << 15

// thin takes every k-th element so that at most maxSamples are left.
func thin(n int) (step int) { return max(1, (n+maxSamples-1)/maxSamples) }

// fit returns the series in the Chebyshev polynomials with the given indices that is nearest to the samples (x, y) in
// the mean square, and to f over the whole interval with the weight of the floor.
func fit(x, y []float64, f func(float64) float64, low, high float64, indices []int) (*Series, error) {
	s := &Series{Low: low, High: high, Coefficients: make([]float64, indices[len(indices)-1]+1)}
	factor, offset := s.Unit()
	n := len(indices)
	e := newEquations(n, 1)
	all, row := make([]float64, len(s.Coefficients)), make([]float64, n)
	add := func(t, target, weight float64) {
		basis(all, t)
		for k, index := range indices {
			row[k] = all[index]
		}
		e.add(row, []float64{target}, weight)
	}
	step := thin(len(x))
	for i := 0; i < len(x); i += step {
		add(factor*x[i]+offset, y[i], float64(step)/float64(len(x)))
	}
	nodes := 8 * len(s.Coefficients)
	for i := range nodes {
		t := math.Cos(math.Pi * (float64(i) + 0.5) / float64(nodes))
		add(t, f((low+high)/2+(high-low)/2*t), floor/float64(nodes))
	}
	solution, err := e.solve(1e-12, nil)
	if err != nil {
		return nil, err
	}
	for k, index := range indices {
		s.Coefficients[index] = solution[0][k]
	}
	s.clean()
	return s, nil
}

// equations are the normal equations of a linear least squares problem with several right sides.
type equations struct {
	gram  *mat.SymDense
	right []*mat.VecDense
}

func newEquations(unknowns, rights int) *equations {
	e := &equations{gram: mat.NewSymDense(unknowns, nil)}
	for range rights {
		e.right = append(e.right, mat.NewVecDense(unknowns, nil))
	}
	return e
}

func (e *equations) add(row, targets []float64, weight float64) {
	v := mat.NewVecDense(len(row), row)
	e.gram.SymRankOne(e.gram, weight, v)
	for i, target := range targets {
		e.right[i].AddScaledVec(e.right[i], weight*target, v)
	}
}

var errSingular = errors.New("least squares: the samples do not determine the weights")

// solve returns for each right side the solution that is nearest to prior (nil for zero) in the measure of the ridge,
// relative to each unknown's own weight in the equations.
func (e *equations) solve(ridge float64, prior [][]float64) ([][]float64, error) {
	n := e.gram.SymmetricDim()
	damped := mat.NewSymDense(n, nil)
	damped.CopySym(e.gram)
	weight := make([]float64, n)
	trace := 0.0
	for k := range n {
		trace += e.gram.At(k, k)
	}
	for k := range n {
		weight[k] = ridge*e.gram.At(k, k) + 1e-14*trace + 1e-300
		damped.SetSym(k, k, e.gram.At(k, k)+weight[k])
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(damped) {
		return nil, errSingular
	}
	solutions := make([][]float64, len(e.right))
	for i, right := range e.right {
		b := mat.VecDenseCopyOf(right)
		if prior != nil {
			for k := range n {
				b.SetVec(k, b.AtVec(k)+weight[k]*prior[i][k])
			}
		}
		var x mat.VecDense
		if err := cholesky.SolveVecTo(&x, b); err != nil && !nearlySingular(err) {
			return nil, err
		}
		solutions[i] = x.RawVector().Data
		for _, v := range solutions[i] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, errSingular
			}
		}
	}
	return solutions, nil
}
