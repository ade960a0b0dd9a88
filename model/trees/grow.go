package trees

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// Growth bounds the shape of each tree. Zero means no bound.
type Growth struct {
	// MaxDepth bounds the splits above a leaf.
	MaxDepth int
	// MaxConditions bounds the different features above a leaf, see Size.Conditions.
	MaxConditions int
	// MaxLeaves bounds the leaves of a tree; the split with the largest gain is made first.
	MaxLeaves int
	// MinSamples is the least number of samples in a leaf.
	MinSamples int
	// MinGain is the least gain of a split, in units of the criterion.
	MinGain float64
	// Features is the number of features, drawn at random, that each split chooses from.
	Features int
	// NewSplit is the fraction, 0 to 1, taken off the gain of a pair of feature and threshold that the ensemble does
	// not use yet. Trees are then grown one after the other.
	NewSplit float64
}

func (g Growth) check() error {
	if g.MaxDepth < 0 || g.MaxConditions < 0 || g.MaxLeaves < 0 || g.MinSamples < 0 || g.Features < 0 || !(g.MinGain >= 0) {
		return errors.New("trees: a bound on growth is negative")
	}
	if !(g.NewSplit >= 0 && g.NewSplit <= 1) {
		return errors.New("trees: NewSplit is a fraction between 0 and 1")
	}
	return nil
}

// grower grows trees on one table. What is maximised is a score of the sums of the samples' statistics on either side:
// class weights for impurities, gradients and curvatures for boosting.
type grower struct {
	Growth
	grid    Grid
	bins    columns
	width   int       // statistics per sample
	stats   []float64 // sample by sample
	score   func(sums []float64) float64
	leaf    func(sums []float64) []float64
	workers int
	// enough holds if the sums of a leaf are those of one; nil for any.
	enough func(sums []float64) bool
	// offered are the features that the tree may use, nil for all.
	offered []int
	// used marks the splits of the whole ensemble, feature by feature; nil where NewSplit is 0.
	used [][]bool
}

// featureSet holds the features above a node, few and in order of appearance.
type featureSet []int

func (s featureSet) with(feature int) featureSet {
	if slices.Contains(s, feature) {
		return s
	}
	return append(slices.Clip(s), feature)
}

type split struct {
	feature, edge int
	gain          float64 // 0 where there is no split
	weighted      float64 // the gain after NewSplit, by which splits are compared
}

// branch is a leaf that may still be split.
type branch struct {
	node  int
	depth int
	path  featureSet
	rows  []int32
	sums  []float64
	best  split
}

// grow grows one tree on the given samples, which may repeat. rng draws features and may be nil where none are drawn.
func (g *grower) grow(rows []int32, rng *rand.Rand) Tree {
	var t Tree
	root := g.newBranch(0, 0, nil, rows, rng)
	t.Nodes = append(t.Nodes, Node{Values: g.leaf(root.sums)})
	open := []*branch{root}
	for leaves := 1; g.MaxLeaves == 0 || leaves < g.MaxLeaves; leaves++ {
		best := 0
		for i, b := range open {
			if b.best.weighted > open[best].best.weighted {
				best = i
			}
		}
		b := open[best]
		if b.best.gain == 0 {
			break
		}
		left, right := g.partition(b.rows, b.best)
		path := b.path.with(b.best.feature)
		n := len(t.Nodes)
		l := g.newBranch(n, b.depth+1, path, left, rng)
		r := g.newBranch(n+1, b.depth+1, path, right, rng)
		t.Nodes[b.node] = Node{
			Feature:   b.best.feature,
			Edge:      b.best.edge,
			Threshold: g.grid.Edges[b.best.feature][b.best.edge],
			Left:      n,
			Right:     n + 1,
		}
		t.Nodes = append(t.Nodes, Node{Values: g.leaf(l.sums)}, Node{Values: g.leaf(r.sums)})
		if g.used != nil {
			g.used[b.best.feature][b.best.edge] = true
		}
		open[best] = l
		open = append(open, r)
	}
	return t
}

func (g *grower) newBranch(node, depth int, path featureSet, rows []int32, rng *rand.Rand) *branch {
	b := &branch{node: node, depth: depth, path: path, rows: rows, sums: g.sum(rows)}
	if (g.MaxDepth == 0 || depth < g.MaxDepth) && len(rows) >= 2*max(1, g.MinSamples) {
		b.best = g.search(b, g.candidates(path, rng))
	}
	return b
}

// sum adds up the statistics of samples.
func (g *grower) sum(rows []int32) []float64 {
	sums := make([]float64, g.width)
	for _, row := range rows {
		for k := range sums {
			sums[k] += g.stats[int(row)*g.width+k]
		}
	}
	return sums
}

// candidates returns the features that a branch may be split by.
func (g *grower) candidates(path featureSet, rng *rand.Rand) []int {
	var features []int
	if g.MaxConditions > 0 && len(path) >= g.MaxConditions {
		features = slices.Clone(path)
	} else if g.offered != nil {
		features = slices.Clone(g.offered)
	} else {
		features = make([]int, len(g.bins))
		for f := range features {
			features[f] = f
		}
	}
	if g.Features > 0 && g.Features < len(features) {
		rng.Shuffle(len(features), func(i, j int) { features[i], features[j] = features[j], features[i] })
		features = features[:g.Features]
	}
	slices.Sort(features) // so that ties do not depend on the draw
	return features
}

// parallelWork is the number of table cells from which a search is divided among goroutines.
const parallelWork = 1 << 15

// search returns the best split of a branch: the largest weighted gain, and of equals the first.
func (g *grower) search(b *branch, features []int) split {
	found := make([]split, len(features))
	parts := 1
	if len(b.rows)*len(features) >= parallelWork {
		parts = min(g.workers, len(features))
	}
	parallel(parts, len(features), func(i int, buffer *histogram) {
		found[i] = g.searchFeature(b, features[i], buffer)
	})
	var best split
	for _, s := range found {
		if s.weighted > best.weighted {
			best = s
		}
	}
	return best
}

// histogram is the working memory of a search.
type histogram struct {
	sums        []float64 // bin by bin
	counts      [MaxBins]int
	left, right []float64
}

func (g *grower) searchFeature(b *branch, feature int, h *histogram) split {
	edges := len(g.grid.Edges[feature])
	if len(h.left) != g.width {
		h.sums, h.left, h.right = make([]float64, MaxBins*g.width), make([]float64, g.width), make([]float64, g.width)
	}
	clear(h.sums[:(edges+1)*g.width])
	clear(h.counts[:edges+1])
	clear(h.left)
	column := g.bins[feature]
	if g.width == 2 { // boosting and two classes: most of the time of training is here
		for _, row := range b.rows {
			bin := int(column[row])
			h.counts[bin]++
			sums, stats := h.sums[2*bin:2*bin+2], g.stats[2*row:2*row+2]
			sums[0] += stats[0]
			sums[1] += stats[1]
		}
	} else {
		for _, row := range b.rows {
			bin := int(column[row])
			h.counts[bin]++
			sums, stats := h.sums[bin*g.width:(bin+1)*g.width], g.stats[int(row)*g.width:]
			for k := range sums {
				sums[k] += stats[k]
			}
		}
	}
	whole := g.score(b.sums)
	least := max(1, g.MinSamples)
	best := split{feature: feature}
	var count int
	for edge := range edges { // to the left: the bins up to edge
		count += h.counts[edge]
		for k := range h.left {
			h.left[k] += h.sums[edge*g.width+k]
			h.right[k] = b.sums[k] - h.left[k]
		}
		if count < least {
			continue
		}
		if len(b.rows)-count < least {
			break
		}
		if g.enough != nil && !(g.enough(h.left) && g.enough(h.right)) {
			continue
		}
		gain := g.score(h.left) + g.score(h.right) - whole
		if gain <= g.MinGain || gain <= 1e-12*math.Abs(whole) { // nothing but rounding
			continue
		}
		weighted := gain
		if g.used != nil && !g.used[feature][edge] {
			weighted *= 1 - g.NewSplit
		}
		if weighted > best.weighted {
			best = split{feature, edge, gain, weighted}
		}
	}
	return best
}

// partition keeps the order of the rows: sums then do not depend on how a tree was grown.
func (g *grower) partition(rows []int32, s split) (left, right []int32) {
	column := g.bins[s.feature]
	for _, row := range rows {
		if int(column[row]) > s.edge {
			right = append(right, row)
		} else {
			left = append(left, row)
		}
	}
	return left, right
}

func newUsed(g Grid) [][]bool {
	used := make([][]bool, len(g.Edges))
	for f, edges := range g.Edges {
		used[f] = make([]bool, len(edges))
	}
	return used
}

// parallel calls do for 0..n-1 from several goroutines. Each has working memory of its own.
func parallel[T any](workers, n int, do func(i int, memory *T)) {
	if workers <= 1 {
		var memory T
		for i := range n {
			do(i, &memory)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			var memory T
			for i := w; i < n; i += workers {
				do(i, &memory)
			}
		})
	}
	wg.Wait()
}
