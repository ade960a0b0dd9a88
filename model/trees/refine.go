package trees

import (
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"

	"cipherpoint/model/dataset"
)

// The refinement ends when no leaf value changes by more than the tolerance, which is far below what shows in a score.
const (
	refineTolerance = 1e-6
	refineRounds    = 50
)

// refine turns a grown forest into one with the same trees whose leaf values w minimise
//
//	sum over samples of the loss of base + (sum of w over the sample's leaves) + Refine/2 |w|²
//
// by Newton's method, output after output: with A the 0/1 matrix of samples and leaves, g and H the loss's derivatives,
// (A'HA + Refine) step = -(A'g + Refine w).
func (f Forest) refine(forest *Ensemble, bins columns, s *dataset.Set) (*Ensemble, error) {
	loss := newLoss(s)
	e := &Ensemble{Trees: forest.Trees, Base: loss.base(), Meaning: loss.meaning, Features: forest.Features}
	leaves, paths := leafPaths(e.Trees, bins, s.Len())
	for _, leaf := range leaves {
		leaf.Values = make([]float64, len(e.Base))
	}
	stats := make([]float64, s.Len()*derivatives)
	for range refineRounds {
		var largest float64
		for output := range e.Base {
			for i, path := range paths {
				for k := range e.Base {
					loss.scores[i][k] = e.Base[k]
					for _, leaf := range path {
						loss.scores[i][k] += leaves[leaf].Values[k]
					}
				}
			}
			loss.derive(output, stats)
			step, err := newtonStep(leaves, paths, output, stats, f.Refine)
			if err != nil {
				return nil, err
			}
			for i, leaf := range leaves {
				leaf.Values[output] += step.AtVec(i)
				largest = max(largest, math.Abs(step.AtVec(i)))
			}
		}
		if largest < refineTolerance {
			return e, nil
		}
	}
	return nil, errors.New("trees: the refinement does not converge: raise Refine")
}

// leafPaths numbers the leaves and lists for every sample those it falls into, one of each tree, ascending.
func leafPaths(trees []Tree, bins columns, samples int) (leaves []*Node, paths [][]int) {
	number := map[*Node]int{}
	for _, t := range trees {
		for i := range t.Nodes {
			if node := &t.Nodes[i]; node.Values != nil {
				number[node] = len(leaves)
				leaves = append(leaves, node)
			}
		}
	}
	paths = make([][]int, samples)
	for i := range paths {
		paths[i] = make([]int, len(trees))
		for j := range trees {
			paths[i][j] = number[trees[j].binnedLeaf(0, bins, i)]
		}
	}
	return leaves, paths
}

func newtonStep(leaves []*Node, paths [][]int, output int, stats []float64, l2 float64) (*mat.VecDense, error) {
	hessian := mat.NewSymDense(len(leaves), nil)
	descent := mat.NewVecDense(len(leaves), nil)
	for i, leaf := range leaves {
		hessian.SetSym(i, i, l2)
		descent.SetVec(i, -l2*leaf.Values[output])
	}
	// The raw form: At and Set check bounds for each of the millions of updates.
	raw := hessian.RawSymmetric()
	for i, path := range paths {
		g, h := stats[i*derivatives+gradient], stats[i*derivatives+curvature]
		for j, a := range path {
			descent.SetVec(a, descent.AtVec(a)-g)
			row := raw.Data[a*raw.Stride:]
			for _, b := range path[j:] { // upper triangle
				row[b] += h
			}
		}
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(hessian) {
		return nil, errors.New("trees: the refinement is not stable: raise Refine")
	}
	var step mat.VecDense
	if err := cholesky.SolveVecTo(&step, descent); err != nil {
		return nil, errors.New("trees: the refinement is not stable: raise Refine")
	}
	return &step, nil
}
