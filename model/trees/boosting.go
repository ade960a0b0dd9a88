package trees

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"cipherpoint/model/dataset"
)

// Boosting trains gradient boosted trees with second-order leaf values (T. Chen, C. Guestrin, XGBoost: A Scalable Tree
// Boosting System, KDD 2016, section 2). The loss follows from the set: logistic for two classes, softmax for more,
// squared error for a regression. Scores are log-odds, log-probabilities or values.
type Boosting struct {
	Growth
	// Rounds is the number of trees or, for more than two classes, of trees for each class.
	Rounds int
	// Shrinkage, in (0, 1], multiplies what each tree adds.
	Shrinkage float64
	// L2 is the penalty on squared leaf values.
	L2 float64
	// Subsample is the fraction, in (0, 1], of samples drawn for each round; 0 means all.
	Subsample float64
	// MinCurvature is the least sum of second derivatives in a leaf; of a regression it is one for each sample.
	MinCurvature float64
	// TreeFeatures is the fraction, in (0, 1], of features that each tree is grown on; 0 means all.
	TreeFeatures float64
	// Seed determines all that is drawn.
	Seed uint64
}

func (b Boosting) check(s *dataset.Set) error {
	switch {
	case b.Rounds < 1:
		return fmt.Errorf("trees: boosting in %d rounds", b.Rounds)
	case !(b.Shrinkage > 0 && b.Shrinkage <= 1):
		return fmt.Errorf("trees: shrinkage %v is not in (0, 1]", b.Shrinkage)
	case !(b.L2 >= 0) || math.IsInf(b.L2, 0):
		return fmt.Errorf("trees: L2 penalty %v is negative", b.L2)
	case !(b.Subsample >= 0 && b.Subsample <= 1):
		return fmt.Errorf("trees: subsample %v is not in (0, 1]", b.Subsample)
	case !(b.TreeFeatures >= 0 && b.TreeFeatures <= 1):
		return fmt.Errorf("trees: features of a tree %v are not a fraction in (0, 1]", b.TreeFeatures)
	case !(b.MinCurvature >= 0):
		return fmt.Errorf("trees: least curvature %v is negative", b.MinCurvature)
	}
	if err := checkClasses(s); err != nil {
		return err
	}
	return b.Growth.check()
}

// Statistics of a sample: the first and second derivative of its loss by its score.
const (
	gradient = iota
	curvature
	derivatives
)

// Train grows the trees; the result depends on the seed alone.
func (b Boosting) Train(s *dataset.Set, g Grid) (*Ensemble, error) {
	if err := b.check(s); err != nil {
		return nil, err
	}
	bins, err := g.columns(s)
	if err != nil {
		return nil, err
	}
	loss := newLoss(s)
	e := &Ensemble{Base: loss.base(), Meaning: loss.meaning, Features: len(g.Edges)}
	for i := range loss.scores {
		copy(loss.scores[i], e.Base)
	}
	var output int // that the tree now grown adds to
	grower := &grower{
		Growth:  b.Growth,
		grid:    g,
		bins:    bins,
		width:   derivatives,
		stats:   make([]float64, s.Len()*derivatives),
		score:   func(sums []float64) float64 { return b.optimum(sums) * -sums[gradient] },
		workers: runtime.GOMAXPROCS(0),
		leaf: func(sums []float64) []float64 {
			values := make([]float64, len(e.Base))
			values[output] = b.Shrinkage * b.optimum(sums)
			return values
		},
	}
	if b.NewSplit > 0 {
		grower.used = newUsed(g)
	}
	if b.MinCurvature > 0 {
		grower.enough = func(sums []float64) bool { return sums[curvature] >= b.MinCurvature }
	}
	for round := range b.Rounds {
		rng := rand.New(rand.NewPCG(b.Seed, uint64(round)))
		rows := b.sample(s.Len(), rng)
		grower.offered = b.features(len(g.Edges), rng)
		grown := make([]Tree, len(e.Base))
		for output = range grown {
			loss.derive(output, grower.stats)
			grown[output] = grower.grow(rows, rng)
		}
		// Only now: the trees of a round see the same scores.
		for _, t := range grown {
			for i, scores := range loss.scores {
				for k, v := range t.binnedLeaf(0, bins, i).Values {
					scores[k] += v
				}
			}
		}
		e.Trees = append(e.Trees, grown...)
	}
	return e, nil
}

// optimum is the leaf value that minimises the second-order loss: -G / (H + L2).
func (b Boosting) optimum(sums []float64) float64 {
	// Curvature vanishes where all samples of a leaf are certain; the gradient vanishes faster.
	const epsilon = 1e-12
	return -sums[gradient] / (sums[curvature] + b.L2 + epsilon)
}

func (b Boosting) sample(n int, rng *rand.Rand) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	if b.Subsample == 0 || b.Subsample == 1 {
		return rows
	}
	rng.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	rows = rows[:max(1, int(b.Subsample*float64(n)))]
	slices.Sort(rows)
	return rows
}

// features draws those that a round grows its trees on, ascending; nil for all.
func (b Boosting) features(n int, rng *rand.Rand) []int {
	if b.TreeFeatures == 0 || b.TreeFeatures == 1 {
		return nil
	}
	list := rng.Perm(n)[:max(1, int(math.Ceil(b.TreeFeatures*float64(n))))]
	slices.Sort(list)
	return list
}

// loss is what boosting minimises over the training set.
type loss struct {
	meaning Meaning
	classes int // 0 in a regression
	y       []float64
	weights []float64   // of each sample
	scores  [][]float64 // of each sample
}

func newLoss(s *dataset.Set) *loss {
	l := &loss{meaning: Value, classes: len(s.Labels), y: s.Y, weights: make([]float64, s.Len()), scores: make([][]float64, s.Len())}
	width := 1
	if l.classes > 0 {
		l.meaning = LogOdds
		width = scoreCount(l.classes)
	}
	for i := range l.scores {
		l.scores[i] = make([]float64, width)
		l.weights[i] = s.Weight(i)
	}
	return l
}

// base returns the scores that minimise the loss of a constant: the mean, or the logarithms of class frequencies, which
// count every class once more than it occurs, so that they are finite.
func (l *loss) base() []float64 {
	if l.meaning == Value {
		var sum, total float64
		for i, y := range l.y {
			sum += l.weights[i] * y
			total += l.weights[i]
		}
		return []float64{sum / total}
	}
	frequency := make([]float64, l.classes)
	for k := range frequency {
		frequency[k] = 1
	}
	for i, y := range l.y {
		frequency[int(y)] += l.weights[i]
	}
	if l.classes == 2 {
		return []float64{math.Log(frequency[1] / frequency[0])}
	}
	var total float64
	for _, f := range frequency {
		total += f
	}
	for k, f := range frequency {
		frequency[k] = math.Log(f / total)
	}
	return frequency
}

// derive sets the derivatives of every sample's loss by one of its scores.
func (l *loss) derive(output int, stats []float64) {
	for i, scores := range l.scores {
		first, second := scores[0]-l.y[i], 1.0
		switch {
		case l.classes == 2:
			p := 1 / (1 + math.Exp(-scores[0]))
			first, second = p-l.y[i], p*(1-p)
		case l.classes > 2:
			p := softmax(scores, output)
			first, second = p, p*(1-p)
			if int(l.y[i]) == output {
				first--
			}
		}
		stats[i*derivatives+gradient] = l.weights[i] * first
		stats[i*derivatives+curvature] = l.weights[i] * second
	}
}

func softmax(scores []float64, k int) float64 {
	var sum float64
	for _, v := range scores {
		sum += math.Exp(v - scores[k]) // +Inf where k is hopeless: the result is then 0
	}
	return 1 / sum
}
