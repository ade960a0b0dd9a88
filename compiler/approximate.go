package compiler

import (
	"fmt"
	"math"
	"slices"

	"cipherpoint/model"
)

// rangeMargin widens the calibrated range of an activation's inputs: other rows go further than the sample's.
const rangeMargin = 1.25

// degrees are the degrees of approximation that are tried, each the most that its multiplicative depth allows or the
// odd one below, which suits odd functions as well.
var degrees = []int{3, 5, 7, 11, 15, 23, 31}

// approximate replaces encrypted activations that are no polynomials by such ones over the range of their inputs on the
// calibration rows, widened by rangeMargin: first the lowest common degree at which the model's answers stay within
// tolerance, then each activation's lowest.
func approximate(g *model.Graph, rows, want [][]float64, tolerance float64) (*model.Graph, error) {
	sides := assign(g)
	radius := map[int]float64{}
	degree := map[int]int{}
	for i, node := range g.Nodes {
		op, pointwise := node.Op.(model.Pointwise)
		if sides[i] != onServer || !pointwise {
			continue
		}
		if _, exact := op.Polynomial(); exact {
			continue
		}
		r, err := inputRadius(g, node, rows)
		if err != nil {
			return nil, err
		}
		radius[i] = r
	}
	if len(radius) == 0 {
		return g, nil
	}
	attempt := func() (*model.Graph, float64, error) {
		out, err := replaceActivations(g, radius, degree)
		if err != nil {
			return nil, 0, err
		}
		got, err := out.RunRows(rows)
		if err != nil {
			return nil, 0, err
		}
		return out, largestDifference(got, want), nil
	}
	best := math.Inf(1)
	for _, d := range degrees {
		for i := range radius {
			degree[i] = d
		}
		_, difference, err := attempt()
		if err != nil {
			return nil, err
		}
		best = min(best, difference)
		if difference > tolerance {
			continue
		}
		for i := range g.Nodes {
			if radius[i] == 0 {
				continue
			}
			for _, lower := range degrees {
				if lower >= degree[i] {
					break
				}
				had := degree[i]
				degree[i] = lower
				if _, difference, err = attempt(); err != nil {
					return nil, err
				}
				if difference <= tolerance {
					break
				}
				degree[i] = had
			}
		}
		out, _, err := attempt()
		return out, err
	}
	return nil, fmt.Errorf("polynomials up to degree %d in the place of the activations change the answers by %.3g, more than %.3g: "+
		"train with polynomial activations, or allow a larger error", degrees[len(degrees)-1], best, tolerance)
}

// inputRadius is the largest magnitude that reaches a node, widened.
func inputRadius(g *model.Graph, node model.Node, rows [][]float64) (float64, error) {
	probe := &model.Graph{Name: g.Name, Inputs: g.Inputs, Nodes: g.Nodes, Outputs: node.Inputs}
	values, err := probe.RunRows(rows)
	if err != nil {
		return 0, err
	}
	radius := 1e-6
	for _, row := range values {
		for _, v := range row {
			radius = max(radius, math.Abs(v)*rangeMargin)
		}
	}
	return radius, nil
}

// replaceActivations puts x/radius and a polynomial on [-1, 1] in the place of each activation.
func replaceActivations(g *model.Graph, radius map[int]float64, degree map[int]int) (*model.Graph, error) {
	out := &model.Graph{Name: g.Name, Inputs: g.Inputs, Outputs: g.Outputs}
	for i, node := range g.Nodes {
		r, replace := radius[i]
		if !replace {
			out.Nodes = append(out.Nodes, node)
			continue
		}
		op := node.Op.(model.Pointwise)
		c := interpolate(func(t float64) float64 { return op.At(t * r) }, degree[i])
		if slices.ContainsFunc(c, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return nil, fmt.Errorf("node %q (%s): not finite on [%.3g, %.3g], which the calibration rows reach", node.Name, op.Kind(), -r, r)
		}
		unit := node.Name + " range"
		out.Nodes = append(out.Nodes,
			model.Node{Name: unit, Inputs: node.Inputs, Output: unit, Op: &model.Scale{
				Factor: model.Tensor{Shape: model.Shape{}, Data: []float64{1 / r}},
				Offset: model.Tensor{Shape: model.Shape{}, Data: []float64{0}},
			}},
			model.Node{Name: node.Name, Inputs: []string{unit}, Output: node.Output, Op: &model.Polynomial{Coefficients: c}})
	}
	return out, out.Validate()
}

func largestDifference(a, b [][]float64) float64 {
	largest := 0.0
	for i := range a {
		for j := range a[i] {
			largest = max(largest, math.Abs(a[i][j]-b[i][j]))
		}
	}
	return largest
}

// interpolate returns the monomial coefficients of the polynomial that meets f at the Chebyshev nodes of [-1, 1]; it is
// near the best one (Trefethen, Approximation Theory and Approximation Practice, theorem 16.1). Coefficients that are
// rounding errors, as every second one of an even or odd function, are zero.
func interpolate(f func(float64) float64, degree int) []float64 {
	n := degree + 1
	chebyshev := make([]float64, n)
	largest := 0.0
	for k := range chebyshev {
		for i := range n {
			theta := math.Pi * (float64(i) + 0.5) / float64(n)
			chebyshev[k] += 2 / float64(n) * f(math.Cos(theta)) * math.Cos(float64(k)*theta)
		}
		largest = max(largest, math.Abs(chebyshev[k]))
	}
	chebyshev[0] /= 2
	// T_0 = 1, T_1 = t, T_{k+1} = 2·t·T_k − T_{k−1}
	sum := make([]float64, n)
	basis, next := make([]float64, n+1), make([]float64, n+1)
	basis[0], next[1] = 1, 1
	for k := range n {
		if math.Abs(chebyshev[k]) > 1e-13*largest {
			for j := range sum {
				sum[j] += chebyshev[k] * basis[j]
			}
		}
		after := make([]float64, n+1)
		for j := range n {
			after[j+1] = 2 * next[j]
		}
		for j := range after {
			after[j] -= basis[j]
		}
		basis, next = next, after
	}
	return sum
}
