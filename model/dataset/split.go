package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Each use of a seed draws from its own PCG stream, so that equal seeds do not couple, say, a split and a generator.
const (
	streamShuffle = iota + 1
	streamGenerate
)

// Permutation returns the indices 0..n-1 in the order given by the seed.
func Permutation(n int, seed uint64) []int {
	return rand.New(rand.NewPCG(seed, streamShuffle)).Perm(n)
}

// Shuffle returns the samples in the order given by the seed.
func (s *Set) Shuffle(seed uint64) *Set {
	return s.Subset(Permutation(s.Len(), seed))
}

// Split shuffles by the seed and cuts off ceil(fraction * Len) samples for testing. 0 <= fraction <= 1.
func (s *Set) Split(fraction float64, seed uint64) (train, test *Set) {
	order := Permutation(s.Len(), seed)
	n := testSize(s.Len(), fraction)
	return s.Subset(order[n:]), s.Subset(order[:n])
}

// StratifiedSplit is a Split in which every class is divided in the same proportion, to within one sample.
func (s *Set) StratifiedSplit(fraction float64, seed uint64) (train, test *Set) {
	byClass := make([][]int, len(s.Labels))
	for _, i := range Permutation(s.Len(), seed) {
		c := s.Class(i)
		byClass[c] = append(byClass[c], i)
	}
	// Largest remainder method: floors first, then one more for the classes that lost most.
	quota := make([]int, len(byClass))
	order := make([]int, len(byClass))
	remainder := make([]float64, len(byClass))
	missing := testSize(s.Len(), fraction)
	for c, members := range byClass {
		exact := fraction * float64(len(members))
		quota[c] = int(exact)
		remainder[c] = exact - float64(quota[c])
		order[c] = c
		missing -= quota[c]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case remainder[a] > remainder[b]:
			return -1
		case remainder[a] < remainder[b]:
			return 1
		}
		return 0
	})
	for _, c := range order {
		if missing > 0 && quota[c] < len(byClass[c]) {
			quota[c]++
			missing--
		}
	}
	var trainIndices, testIndices []int
	for c, members := range byClass {
		testIndices = append(testIndices, members[:quota[c]]...)
		trainIndices = append(trainIndices, members[quota[c]:]...)
	}
	return s.Subset(trainIndices).Shuffle(seed), s.Subset(testIndices).Shuffle(seed)
}

func testSize(n int, fraction float64) int {
	if !(fraction >= 0 && fraction <= 1) {
		panic(fmt.Sprintf("dataset: test fraction %v outside 0..1", fraction))
	}
	return int(math.Ceil(fraction * float64(n)))
}

// Fold is one division of a cross-validation.
type Fold struct{ Train, Test *Set }

// Folds shuffles by the seed and divides into k parts, each of which is the test part of one fold, and has its share of
// every class to within one sample. 2 <= k <= Len.
func (s *Set) Folds(k int, seed uint64) []Fold {
	if k < 2 || k > s.Len() {
		panic(fmt.Sprintf("dataset: %d folds of %d samples", k, s.Len()))
	}
	order := Permutation(s.Len(), seed)
	dealt := order
	if s.Labels != nil {
		dealt = slices.Clone(order)
		slices.SortStableFunc(dealt, func(a, b int) int { return s.Class(a) - s.Class(b) })
	}
	part := make([]int, s.Len())
	for at, i := range dealt {
		part[i] = at % k
	}
	folds := make([]Fold, k)
	for f := range folds {
		var known, unseen []int
		for _, i := range order {
			if part[i] == f {
				unseen = append(unseen, i)
			} else {
				known = append(known, i)
			}
		}
		folds[f] = Fold{Train: s.Subset(known), Test: s.Subset(unseen)}
	}
	return folds
}
