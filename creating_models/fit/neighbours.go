package fit

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/floats"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// neighbourSizes tries sizes of the gallery and numbers of neighbours. The gallery is condensed: centres of clusters, of each
// class by itself, with the class or the mean value of their rows. Small clusters are nearly the rows themselves.
func (o Options) neighbourSizes(set *dataset.Set) []size {
	var sizes []size
	for _, templates := range []int{64, 256, 1024} {
		for _, k := range []int{1, 5, 15} {
			if templates > set.Len() && templates > 64 {
				continue
			}
			sizes = append(sizes, plain(fmt.Sprintf("%d nearest of %d", k, templates), func(s *dataset.Set) (*model.Graph, error) {
				g := o.condense(s, templates)
				return g.neighbours(min(k, len(g.centres)))
			}))
		}
	}
	return sizes
}

// centroids is the nearest of the classes' means.
func (o Options) centroids(s *dataset.Set) (*model.Graph, error) {
	if s.Labels == nil {
		return nil, errors.New("centroids are of classes")
	}
	g := new(gallery)
	for class, rows := range byClass(s) {
		if len(rows) == 0 {
			return nil, fmt.Errorf("class %q has no rows", s.Labels[class])
		}
		g.centres = append(g.centres, meanOf(s, rows))
	}
	return g.closeness("centroids").Graph()
}

// gallery is what a row is compared with.
type gallery struct {
	centres [][]float64
	answers [][]float64 // of each centre: shares of classes, or a value
}

// closeness is one weighted sum a centre: |x|² − 2·closeness is the squared distance, so that the largest is the nearest.
func (g *gallery) closeness(name string) *model.Builder {
	width := len(g.centres[0])
	weights := model.NewTensor(model.Shape{len(g.centres), width})
	bias := make([]float64, len(g.centres))
	for i, c := range g.centres {
		copy(weights.Data[i*width:], c)
		bias[i] = -floats.Dot(c, c) / 2
	}
	return model.New(name, model.Shape{width}).Dense(weights, bias)
}

// neighbours is the mean answer of the k nearest, found by the client.
func (g *gallery) neighbours(k int) (*model.Graph, error) {
	table := model.NewTensor(model.Shape{len(g.centres), len(g.answers[0])})
	for i, answer := range g.answers {
		copy(table.Data[i*len(answer):], answer)
	}
	b := g.closeness("neighbours")
	b.Apply(&model.TopK{K: k, Indices: true}).Apply(&model.Embedding{Table: table})
	return b.ReduceMean(0).Graph()
}

// condense makes a gallery of so many centres: of classes by their shares of the rows.
func (o Options) condense(s *dataset.Set, centres int) *gallery {
	random := rand.New(rand.NewPCG(o.Seed, 1))
	g := new(gallery)
	for class, rows := range byClass(s) {
		if len(rows) == 0 {
			continue
		}
		part := max(1, centres*len(rows)/s.Len())
		for _, cluster := range clusters(s, rows, part, random) {
			centre := meanOf(s, cluster)
			answer := make([]float64, max(1, len(s.Labels)))
			if s.Labels != nil {
				answer[class] = 1
			} else {
				for _, i := range cluster {
					answer[0] += s.Y[i] / float64(len(cluster))
				}
			}
			g.add(centre, answer)
		}
	}
	return g
}

// add takes in a centre unless there is one at its place already: which of two is nearer would hang on the noise.
func (g *gallery) add(centre, answer []float64) {
	if !slices.ContainsFunc(g.centres, func(c []float64) bool { return slices.Equal(c, centre) }) {
		g.centres, g.answers = append(g.centres, centre), append(g.answers, answer)
	}
}

// byClass lists the rows of each class; of values, all together.
func byClass(s *dataset.Set) [][]int {
	lists := make([][]int, max(1, len(s.Labels)))
	for i := range s.X {
		class := 0
		if s.Labels != nil {
			class = s.Class(i)
		}
		lists[class] = append(lists[class], i)
	}
	return lists
}

func meanOf(s *dataset.Set, rows []int) []float64 {
	mean := make([]float64, s.Width())
	for _, i := range rows {
		floats.AddScaled(mean, 1/float64(len(rows)), s.X[i])
	}
	return mean
}

// clusters divides rows among up to n centres by Lloyd's algorithm from rows drawn by k-means++ (D. Arthur, S.
// Vassilvitskii, k-means++: The Advantages of Careful Seeding, SODA 2007).
func clusters(s *dataset.Set, rows []int, n int, random *rand.Rand) [][]int {
	if n >= len(rows) {
		each := make([][]int, len(rows))
		for i, row := range rows {
			each[i] = []int{row}
		}
		return each
	}
	const rounds = 10
	centres := [][]float64{s.X[rows[random.IntN(len(rows))]]}
	nearest := make([]float64, len(rows)) // squared distance to the nearest centre
	for i := range nearest {
		nearest[i] = math.Inf(1)
	}
	for len(centres) < n {
		total := 0.0
		for i, row := range rows {
			d := floats.Distance(s.X[row], centres[len(centres)-1], 2)
			nearest[i] = min(nearest[i], d*d)
			total += nearest[i]
		}
		if total == 0 {
			break // fewer distinct rows
		}
		at, draw := 0, total*random.Float64()
		for ; at < len(rows)-1 && draw >= nearest[at]; at++ {
			draw -= nearest[at]
		}
		centres = append(centres, s.X[rows[at]])
	}
	var parts [][]int
	for range rounds {
		parts = make([][]int, len(centres))
		for _, row := range rows {
			best, least := 0, math.Inf(1)
			for k, c := range centres {
				// |x|² is the same for all.
				if d := floats.Dot(c, c) - 2*floats.Dot(c, s.X[row]); d < least {
					best, least = k, d
				}
			}
			parts[best] = append(parts[best], row)
		}
		kept, means := parts[:0], centres[:0:0]
		for _, part := range parts {
			if len(part) > 0 {
				kept, means = append(kept, part), append(means, meanOf(s, part))
			}
		}
		parts, centres = kept, means
	}
	return parts
}
