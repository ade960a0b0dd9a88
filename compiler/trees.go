package compiler

import (
	"errors"
	"slices"
	"strings"

	"cipherpoint/model"
)

// Bounds of how leaves are lowered.
const (
	// maxConditions is the largest degree of an indicator, the number of conditions that can be violated at a time; the
	// intermediate values grow with its factorial. Leaves with more conditions take products of indicators of this many.
	maxConditions, groupConditions = 8, 4
	// groupUnit is the power of two at which indicators of groupConditions, up to a factor, come near ∏ (t − t_k), so that
	// their products stay about as large.
	groupUnit = 0.5
	// maxLeaves is how many leaves lie in one vector.
	maxLeaves = 1 << 14
	// maxEntries bounds the conditions of all leaves.
	maxEntries = 1 << 25
)

// leaf is one leaf with what it asks of the features that it depends on. As many conditions can be violated at a time.
type leaf struct {
	conditions []model.FeatureRegion
	values     []float64
}

// treeInput adds the comparisons to the client's side.
func (l *lowering) treeInput(node model.Node, t *model.TreeEnsemble, name string) {
	key := thermometerKey(node)
	if _, known := l.values[key]; known {
		return
	}
	bits := newTreeBits(t, l.grid)
	l.prefix.Nodes = append(l.prefix.Nodes, model.Node{Name: key, Op: bits.thermometer, Inputs: []string{name}, Output: key})
	l.input(key, key, model.Shape{bits.size}, true)
}

func thermometerKey(node model.Node) string { return node.Name + bitsSuffix }

const bitsSuffix = " bits"

func isThermometerKey(name string) bool { return strings.HasSuffix(name, bitsSuffix) }

// leaves lists what an ensemble adds up for its leaves, and what it adds in any case. Exactly one leaf of a tree is
// reached, so that the one with the most conditions can be left out: its values count for all, and the others' as
// differences. Leaves of different trees with the same conditions are one.
func leaves(t *model.TreeEnsemble) (list []leaf, constant []float64) {
	constant = make([]float64, t.Outputs())
	copy(constant, t.Base)
	weight := 1.0
	if t.Aggregate == model.AggregateAverage {
		weight = 1 / float64(len(t.Roots))
	}
	known := map[string]int{}
	all := t.Leaves()
	for start := 0; start < len(all); {
		end := start
		longest := start
		for ; end < len(all) && all[end].Tree == all[start].Tree; end++ {
			if len(all[end].Regions) > len(all[longest].Regions) {
				longest = end
			}
		}
		for o, v := range all[longest].Values {
			constant[o] += weight * v
		}
		for i := start; i < end; i++ {
			values := make([]float64, len(constant))
			for o, v := range all[i].Values {
				values[o] = weight * (v - all[longest].Values[o])
			}
			if !slices.ContainsFunc(values, func(v float64) bool { return v != 0 }) {
				continue
			}
			key := regionsKey(all[i].Regions)
			if at, repeated := known[key]; repeated {
				for o, v := range values {
					list[at].values[o] += v
				}
				continue
			}
			known[key] = len(list)
			list = append(list, leaf{all[i].Regions, values})
		}
		start = end
	}
	return list, constant
}

// trees appends an ensemble: for each leaf the number s of violated conditions, one linear map of the bits; the leaf's
// indicator P(s) = ∏_{k=1..d}(1 − s/k), which is 1 at s = 0 and 0 at s = 1 … d; and the leaves' values, one linear map.
// Where a leaf has too many conditions for one polynomial, all leaves have several counts, and indicators are multiplied.
func (l *lowering) trees(node model.Node, t *model.TreeEnsemble) (int, error) {
	bits := newTreeBits(t, l.grid)
	if l.grid != nil && !bits.public {
		return 0, errors.New("its thresholds are no edges of the public grid, and the client would learn them: move them there first")
	}
	list, constant := leaves(t)
	if len(list) == 0 {
		return 0, errors.New("all inputs have the same result")
	}
	entries := 0
	for _, leaf := range list {
		for _, c := range leaf.conditions {
			entries += len(c.Bounds) + 1
		}
	}
	if entries > maxEntries || len(list)*t.Outputs() > maxEntries {
		return 0, errors.New("the leaves have too many conditions or values: train fewer or shallower trees")
	}
	// Leaves of about as many conditions go together.
	slices.SortStableFunc(list, func(a, b leaf) int { return len(a.conditions) - len(b.conditions) })
	p := l.program
	var in []int
	var maps []*model.Sparse
	blocks := (len(list) + maxLeaves - 1) / maxLeaves
	for block := range slices.Chunk(list, (len(list)+blocks-1)/blocks) {
		indicator, err := l.leafIndicators(node.Name, bits, l.values[thermometerKey(node)], block)
		if err != nil {
			return 0, err
		}
		var values []model.Triplet
		for r, leaf := range block {
			for o, v := range leaf.values {
				constant[o] += v * indicator.constant
				if v != 0 {
					values = append(values, model.Triplet{Row: o, Col: r, Value: v * indicator.factor})
				}
			}
		}
		m, err := model.NewSparse(t.Outputs(), len(block), values)
		if err != nil {
			return 0, err
		}
		in, maps = append(in, indicator.value), append(maps, m)
	}
	return p.affine(node.Name+" values", model.Shape{t.Outputs()}, in, maps, constant), nil
}

// leafIndicators appends the indicators of a block of leaves, which is sorted by the number of conditions.
func (l *lowering) leafIndicators(name string, columns *treeBits, bits int, block []leaf) (scaledValue, error) {
	most := len(block[len(block)-1].conditions)
	if most <= maxConditions {
		return l.indicators(name, columns, bits, block, 0, most, 1)
	}
	var factors []scaledValue
	for from := 0; from < most; from += groupConditions {
		f, err := l.indicators(name, columns, bits, block, from, min(from+groupConditions, most), groupUnit)
		if err != nil {
			return scaledValue{}, err
		}
		factors = append(factors, f)
	}
	p := l.program
	for len(factors) > 1 {
		var products []scaledValue
		for pair := range slices.Chunk(factors, 2) {
			if len(pair) == 1 {
				products = append(products, pair[0])
				continue
			}
			// (f·x + c)·(g·y + d) = f·g·(x + c/f)·(y + d/g)
			x := p.combine(name+" leaves", []int{pair[0].value}, []float64{1}, pair[0].constant/pair[0].factor)
			y := p.combine(name+" leaves", []int{pair[1].value}, []float64{1}, pair[1].constant/pair[1].factor)
			products = append(products, scaledValue{p.multiply(name+" leaves", x, y), pair[0].factor * pair[1].factor, 0})
		}
		factors = products
	}
	return factors[0], nil
}

// indicators appends whether the conditions from … to−1 of each leaf all hold. The violated ones are counted in units.
func (l *lowering) indicators(name string, columns *treeBits, bits int, block []leaf, from, to int, unit float64) (scaledValue, error) {
	degree := to - from
	if degree > 2 {
		degree += degree % 2 // an even degree makes P even about its centre, which halves the products
	}
	centre := 0.0
	if degree > 1 {
		centre = float64(degree+1) / 2
	}
	var counts []model.Triplet
	shift := make([]float64, len(block))
	for r, leaf := range block {
		shift[r] = -centre * unit
		n := len(leaf.conditions)
		for _, c := range leaf.conditions[min(from, n):min(to, n)] {
			shift[r] += unit * columns.violated(c, func(column int, factor float64) {
				counts = append(counts, model.Triplet{Row: r, Col: column, Value: unit * factor})
			})
		}
	}
	count, err := model.NewSparse(len(block), columns.size, counts)
	if err != nil {
		return scaledValue{}, err
	}
	s := l.program.affine(name+" conditions", model.Shape{len(block)}, []int{bits}, []*model.Sparse{count}, shift)
	return l.program.polynomial(name+" leaves", s, leafIndicator(degree, centre, unit)), nil
}

// leafIndicator returns the coefficients of ∏_{k=1..d}(1 − s/k) in t = unit·(s − centre). About the centre (d+1)/2 of its
// roots 1 … d it is even for even d; the odd coefficients, which are zero then, are made exactly so.
func leafIndicator(degree int, centre, unit float64) []float64 {
	c := []float64{1}
	for k := 1; k <= degree; k++ {
		// times (1 − centre/k) − t/(k·unit)
		next := make([]float64, len(c)+1)
		for j, v := range c {
			next[j] += v * (1 - centre/float64(k))
			next[j+1] -= v / (float64(k) * unit)
		}
		c = next
	}
	if centre > 0 && degree%2 == 0 {
		for k := 1; k < len(c); k += 2 {
			c[k] = 0
		}
	}
	return c
}
