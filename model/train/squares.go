package train

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// ElasticNet fits a linear regression that is driven to weights of zero: it minimises half the mean squared error +
// L1·Σ|w| + L2/2·Σw², where w weighs the scaled features. With L2 = 0 it is the lasso.
// (scikit-learn's ElasticNet has alpha·l1_ratio for L1 and alpha·(1−l1_ratio) for L2.)
type ElasticNet struct {
	Scaling Scaling
	L1, L2  float64
}

// Fit fits the model by coordinate descent (J. Friedman, T. Hastie, R. Tibshirani, Regularization Paths for Generalized
// Linear Models via Coordinate Descent, Journal of Statistical Software 33, 2010, section 2.2).
func (e ElasticNet) Fit(set *dataset.Set) (*model.Graph, error) {
	l := Linear{Scaling: e.Scaling, L2: e.L2}
	if err := l.checkRegression(set); err != nil {
		return nil, err
	}
	if !(e.L1 >= 0) {
		return nil, fmt.Errorf("train: penalty %v is negative", e.L1)
	}
	n := l.normalEquations(set)
	weights, err := n.descend(e.L1, e.L2)
	if err != nil {
		return nil, err
	}
	return l.graph("regression", set, weights, []float64{n.bias(weights)}, func(*model.Builder) {})
}

// MaxL1 is the least L1 with which all weights are zero.
func (e ElasticNet) MaxL1(set *dataset.Set) (float64, error) {
	l := Linear{Scaling: e.Scaling}
	if err := l.checkRegression(set); err != nil {
		return 0, err
	}
	return floats.Norm(l.normalEquations(set).moment, math.Inf(1)), nil
}

// normal is what least squares need of a set: covariances of the scaled features, and of these with the target.
type normal struct {
	covariance *mat.SymDense
	moment     []float64
	mean       []float64 // of the scaled features
	target     float64   // mean
}

func (l Linear) normalEquations(set *dataset.Set) *normal {
	samples, width := set.Len(), set.Width()
	shares := shares(set)
	n := &normal{covariance: mat.NewSymDense(width, nil), moment: make([]float64, width), mean: make([]float64, width),
		target: floats.Dot(shares, set.Y)}
	x := mat.NewDense(samples, width, nil)
	for i, row := range set.X {
		x.SetRow(i, l.Scaling.apply(row))
		floats.AddScaled(n.mean, shares[i], x.RawRowView(i))
	}
	for i := range samples {
		row := x.RawRowView(i)
		floats.Sub(row, n.mean)
		floats.AddScaled(n.moment, shares[i]*(set.Y[i]-n.target), row)
		floats.Scale(math.Sqrt(shares[i]), row)
	}
	n.covariance.SymOuterK(1, x.T())
	return n
}

func (n *normal) bias(weights []float64) float64 { return n.target - floats.Dot(weights, n.mean) }

// leastSquares returns the weights on the scaled features, and the bias; of several optima the one of least weights.
func (l Linear) leastSquares(set *dataset.Set) (weights []float64, bias float64, err error) {
	n := l.normalEquations(set)
	for j := range n.moment {
		n.covariance.SetSym(j, j, n.covariance.At(j, j)+l.L2)
	}
	// Features that depend on each other, such as all bits of a category, leave the equations singular.
	const singular = 1e12
	solution := mat.NewVecDense(len(n.moment), nil)
	var factor mat.Cholesky
	if factor.Factorize(n.covariance) && factor.Cond() < singular {
		err = factor.SolveVecTo(solution, mat.NewVecDense(len(n.moment), n.moment))
	} else {
		err = n.pseudoSolve(solution, singular)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("train: least squares: %w", err)
	}
	weights = solution.RawVector().Data
	return weights, n.bias(weights), nil
}

// pseudoSolve solves the equations in the space of those eigenvectors whose values are not 0 up to rounding.
func (n *normal) pseudoSolve(solution *mat.VecDense, singular float64) error {
	var eigen mat.EigenSym
	if !eigen.Factorize(n.covariance, true) {
		return errors.New("the covariances have no decomposition")
	}
	values := eigen.Values(nil)
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	var turned mat.VecDense
	turned.MulVec(vectors.T(), mat.NewVecDense(len(n.moment), n.moment))
	for j, v := range values {
		if v > values[len(values)-1]/singular {
			turned.SetVec(j, turned.AtVec(j)/v)
		} else {
			turned.SetVec(j, 0)
		}
	}
	solution.MulVec(&vectors, &turned)
	return nil
}

// descend minimises along one weight after the other until none moves.
func (n *normal) descend(l1, l2 float64) ([]float64, error) {
	const passes, still = 100_000, 1e-9
	weights := make([]float64, len(n.moment))
	gradient := append([]float64(nil), n.moment...) // moment − covariance·weights
	for range passes {
		moved, largest := 0.0, 0.0
		for j, w := range weights {
			variance := n.covariance.At(j, j)
			if variance == 0 {
				continue
			}
			toward := gradient[j] + variance*w
			next := math.Copysign(max(0, math.Abs(toward)-l1), toward) / (variance + l2)
			if next != w {
				for k := range gradient {
					gradient[k] -= (next - w) * n.covariance.At(j, k)
				}
				weights[j] = next
			}
			scale := math.Sqrt(variance)
			moved, largest = max(moved, math.Abs(next-w)*scale), max(largest, math.Abs(next)*scale)
		}
		if moved <= still*largest {
			return weights, nil
		}
	}
	return nil, errors.New("train: no optimum found: a larger penalty helps")
}
