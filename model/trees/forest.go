package trees

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"cipherpoint/model/dataset"
)

// Forest trains a random forest (L. Breiman, Random Forests, Machine Learning 45, 2001), each tree on its own bootstrap
// sample. Scores are the averages of the leaves' class probabilities or, of a regression, of the means of their targets,
// whose variance the splits reduce.
type Forest struct {
	Growth
	Criterion Criterion
	// Trees is their number.
	Trees int
	// Whole trains every tree on all samples in place of a bootstrap sample.
	Whole bool
	// Refine, where it is positive, fits the values of all leaves together once the trees have grown, for classes as
	// log-odds (S. Ren et al., Global Refinement of Random Forest, CVPR 2015): it minimises the logistic or squared loss
	// plus Refine / 2 times the squared leaf values. Shallow trees gain most by it.
	Refine float64
	// Seed determines all that is drawn.
	Seed uint64
}

// Train grows the trees in parallel; the result depends on the seed alone.
func (f Forest) Train(s *dataset.Set, g Grid) (*Ensemble, error) {
	grower, err := f.grower(s, g)
	if err != nil {
		return nil, err
	}
	e := f.grow(grower, s)
	if f.Refine > 0 {
		return f.refine(e, grower.bins, s)
	}
	return e, nil
}

func (f Forest) grower(s *dataset.Set, g Grid) (*grower, error) {
	if err := f.check(s); err != nil {
		return nil, err
	}
	bins, err := g.columns(s)
	if err != nil {
		return nil, err
	}
	grower := &grower{Growth: f.Growth, grid: g, bins: bins, workers: 1}
	if f.NewSplit > 0 {
		grower.used = newUsed(g)
	}
	if s.Labels == nil {
		f.splitValues(grower, s)
	} else {
		f.splitClasses(grower, s)
	}
	return grower, nil
}

// splitClasses counts the classes of samples.
func (f Forest) splitClasses(g *grower, s *dataset.Set) {
	g.width, g.score = len(s.Labels), giniScore
	g.stats = make([]float64, s.Len()*g.width)
	g.leaf = func(sums []float64) []float64 { return probabilities(sums, f.Trees) }
	if f.Criterion == Entropy {
		g.score = entropyScore
	}
	for i := range s.Y {
		g.stats[i*g.width+s.Class(i)] = s.Weight(i)
	}
}

// splitValues adds up the weights of samples and their targets' distances from the mean: what varies around the mean of a leaf is
// Σd² − (Σd)²/n.
func (f Forest) splitValues(g *grower, s *dataset.Set) {
	g.width = 2
	g.stats = make([]float64, s.Len()*g.width)
	mean := newLoss(s).base()[0]
	for i, y := range s.Y {
		g.stats[i*g.width], g.stats[i*g.width+1] = s.Weight(i), s.Weight(i)*(y-mean)
	}
	g.score = func(sums []float64) float64 {
		if sums[0] == 0 {
			return 0
		}
		return sums[1] * sums[1] / sums[0]
	}
	g.leaf = func(sums []float64) []float64 { return []float64{sums[1] / sums[0] / float64(f.Trees)} }
}

func (f Forest) grow(g *grower, s *dataset.Set) *Ensemble {
	workers := min(runtime.GOMAXPROCS(0), f.Trees)
	if f.NewSplit > 0 || f.Trees == 1 {
		// Trees in sequence, because each depends on the splits of those before it.
		g.workers, workers = runtime.GOMAXPROCS(0), 1
	}
	e := &Ensemble{Trees: make([]Tree, f.Trees), Base: make([]float64, scoreCount(len(s.Labels))), Features: len(g.bins)}
	if s.Labels == nil {
		e.Base, e.Meaning = newLoss(s).base(), Value
	}
	parallel(workers, f.Trees, func(i int, _ *struct{}) {
		rng := rand.New(rand.NewPCG(f.Seed, uint64(i)))
		e.Trees[i] = g.grow(f.sample(s.Len(), rng), rng)
	})
	return e
}

func (f Forest) check(s *dataset.Set) error {
	if f.Trees < 1 {
		return fmt.Errorf("trees: a forest of %d trees", f.Trees)
	}
	if !(f.Refine >= 0) || math.IsInf(f.Refine, 0) {
		return errors.New("trees: Refine is negative")
	}
	if f.Criterion != Gini && f.Criterion != Entropy {
		return errors.New("trees: unknown criterion")
	}
	if err := checkClasses(s); err != nil {
		return err
	}
	return f.Growth.check()
}

func (f Forest) sample(n int, rng *rand.Rand) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
		if !f.Whole {
			rows[i] = rng.Int32N(int32(n))
		}
	}
	return rows
}

func checkClasses(s *dataset.Set) error {
	if s.Labels != nil && len(s.Labels) < 2 {
		return errors.New("trees: a classification needs two classes or more")
	}
	return nil
}

// scoreCount: two classes need one score.
func scoreCount(classes int) int {
	if classes == 2 {
		return 1
	}
	return classes
}
