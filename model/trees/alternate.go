package trees

// maxSweeps bounds the sweeps of alternating optimisation, of which a handful is enough in practice.
const maxSweeps = 30

// alternate improves the splits of a grown tree one after the other, from the root down, each given all the others
// (M. A. Carreira-Perpiñán, P. Tavallali, Alternating Optimization of Decision Trees, NeurIPS 2018): a sample matters to
// a split if only one of the two subtrees would give it its class, and the split that sends most of these the right way
// is taken. Leaves then take the classes of their samples anew. The weight of wrong labels in training never grows.
func (g *grower) alternate(t *Tree, rows []int32, classOf func(row int32) int) Tree {
	for range maxSweeps {
		if !g.sweep(t, 0, rows, classOf) {
			break
		}
	}
	var kept Tree
	g.compact(t, 0, rows, &kept)
	return kept
}

// sweep visits a node with its samples, then the nodes below, and reports whether a split has changed.
func (g *grower) sweep(t *Tree, node int, rows []int32, classOf func(row int32) int) bool {
	n := &t.Nodes[node]
	if n.Values != nil {
		if len(rows) > 0 {
			n.Values = g.leaf(g.sum(rows))
		}
		return false
	}
	changed := g.improve(t, n, rows, classOf)
	left, right := g.partition(rows, split{feature: n.Feature, edge: n.Edge})
	leftChanged := g.sweep(t, n.Left, left, classOf)
	rightChanged := g.sweep(t, n.Right, right, classOf)
	return changed || leftChanged || rightChanged
}

// improve replaces the split of a node by the best one, if that is better.
func (g *grower) improve(t *Tree, n *Node, rows []int32, classOf func(row int32) int) bool {
	// What is gained if a sample goes left: its weight, if only the left subtree labels it rightly.
	gains := make([]float64, len(rows))
	var current float64
	for i, row := range rows {
		class := classOf(row)
		weight := g.stats[int(row)*g.width+class]
		if decide(t.binnedLeaf(n.Left, g.bins, int(row)).Values, Probability) == class {
			gains[i] += weight
		}
		if decide(t.binnedLeaf(n.Right, g.bins, int(row)).Values, Probability) == class {
			gains[i] -= weight
		}
		if int(g.bins[n.Feature][row]) <= n.Edge {
			current += gains[i]
		}
	}
	least := max(1, g.MinSamples)
	const rounding = 1e-9
	best, changed := current+rounding, false
	for feature, column := range g.bins {
		var sums [MaxBins]float64
		var counts [MaxBins]int
		for i, row := range rows {
			sums[column[row]] += gains[i]
			counts[column[row]]++
		}
		var sum float64
		var count int
		for edge, threshold := range g.grid.Edges[feature] {
			sum += sums[edge]
			count += counts[edge]
			if sum > best && count >= least && len(rows)-count >= least {
				best, changed = sum+rounding, true
				n.Feature, n.Edge, n.Threshold = feature, edge, threshold
			}
		}
	}
	return changed
}

// compact copies the part of a tree that matters: without sides that fewer than MinSamples samples reach, and without
// splits between leaves of one class. It returns the index of the copy.
func (g *grower) compact(t *Tree, node int, rows []int32, kept *Tree) int {
	n := t.Nodes[node]
	at := len(kept.Nodes)
	if n.Values != nil {
		kept.Nodes = append(kept.Nodes, Node{Values: g.leaf(g.sum(rows))})
		return at
	}
	left, right := g.partition(rows, split{feature: n.Feature, edge: n.Edge})
	least := max(1, g.MinSamples)
	switch {
	case len(left) < least:
		return g.compact(t, n.Right, rows, kept)
	case len(right) < least:
		return g.compact(t, n.Left, rows, kept)
	}
	kept.Nodes = append(kept.Nodes, n)
	l := g.compact(t, n.Left, left, kept)
	r := g.compact(t, n.Right, right, kept)
	if a, b := kept.Nodes[l].Values, kept.Nodes[r].Values; a != nil && b != nil && decide(a, Probability) == decide(b, Probability) {
		kept.Nodes = append(kept.Nodes[:at], Node{Values: g.leaf(g.sum(rows))})
		return at
	}
	kept.Nodes[at].Left, kept.Nodes[at].Right = l, r
	return at
}
