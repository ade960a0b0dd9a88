package xgboost

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cipherpoint/model"
)

// tree is one tree: lists with an entry for each node.
type tree struct {
	Left        []integer `json:"left_children"` // −1 of a leaf
	Right       []integer `json:"right_children"`
	Feature     []integer `json:"split_indices"`
	Condition   []number  `json:"split_conditions"` // the threshold, or a leaf's value
	DefaultLeft []integer `json:"default_left"`
	Kind        []integer `json:"split_type"` // 1 of a split by categories; none before version 1.3
	// Categories that go right of the nodes listed: Sizes[k] from Segments[k] on.
	Categories []integer `json:"categories"`
	Nodes      []integer `json:"categories_nodes"`
	Segments   []integer `json:"categories_segments"`
	Sizes      []integer `json:"categories_sizes"`
	// Vectors in leaves, one after the other: at the right child of a leaf, or of all nodes before version 3.1.
	LeafWeights []number `json:"leaf_weights"`
	BaseWeights []number `json:"base_weights"`
	Param       struct {
		LeafSize integer `json:"size_leaf_vector"`
	} `json:"tree_param"`
}

// ensemble turns the trees into one of the model.
func (f *file) ensemble(features, outputs int, base []float64) (*model.TreeEnsemble, []string, error) {
	m, drop := &f.Learner.Booster.Model, f.Learner.Booster.WeightDrop
	if f.Learner.Booster.Name == "dart" {
		m = &f.Learner.Booster.Tree.Model
	} else {
		drop = nil
	}
	if len(m.Group) != len(m.Trees) || drop != nil && len(drop) != len(m.Trees) {
		return nil, nil, errors.New("the lists of trees, their groups and their weights differ in length")
	}
	trees, notes := m.rounds(f, outputs)
	b := &builder{outputs: outputs, ensemble: &model.TreeEnsemble{Features: features, Comparison: model.Less, Aggregate: model.AggregateSum, Base: base}}
	for i := range trees {
		weight := 1.0
		if drop != nil {
			weight = float64(drop[i])
		}
		group := int(m.Group[i])
		if group < 0 || group >= outputs {
			return nil, nil, fmt.Errorf("tree %d adds to output %d of %d", i, group, outputs)
		}
		if err := b.add(&m.Trees[i], group, weight); err != nil {
			return nil, nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	if len(b.ensemble.Roots) == 0 {
		return nil, nil, errors.New("the model has no trees")
	}
	if len(m.Categories.Encodings) > 0 {
		notes = append(notes, "categories of text were replaced by their numbers when the model was trained: give the numbers")
	}
	return b.ensemble, notes, nil
}

// rounds returns how many trees count. After early stopping, the estimators of scikit-learn's kind answer with the best
// round's, while Booster.predict takes all.
func (m *gbModel) rounds(f *file, outputs int) (int, []string) {
	attributes := f.Learner.Attributes
	best, err := strconv.Atoi(attributes["best_iteration"])
	if err != nil || best < 0 {
		return len(m.Trees), nil
	}
	perRound := max(1, int(m.Param.Parallel))
	if len(m.Trees) > 0 && m.Trees[0].Param.LeafSize <= 1 {
		perRound *= outputs
	}
	if best >= len(m.Trees)/perRound {
		return len(m.Trees), nil
	}
	count := (best + 1) * perRound
	if _, estimator := attributes["scikit_learn"]; !estimator {
		if count < len(m.Trees) {
			return len(m.Trees), []string{fmt.Sprintf("all %d trees count; the best round of early stopping has the first %d", len(m.Trees), count)}
		}
		return len(m.Trees), nil
	}
	if count == len(m.Trees) {
		return count, nil
	}
	return count, []string{fmt.Sprintf("the first %d of %d trees count, those up to the best round, as in the estimator's own answers", count, len(m.Trees))}
}

type builder struct {
	outputs     int
	ensemble    *model.TreeEnsemble
	boundsSoFar int
}

// add appends the nodes of a tree that its root leads to.
func (b *builder) add(t *tree, group int, weight float64) error {
	nodes := len(t.Left)
	if nodes == 0 || len(t.Right) != nodes || len(t.Feature) != nodes || len(t.Condition) != nodes || len(t.DefaultLeft) != nodes ||
		len(t.Kind) != 0 && len(t.Kind) != nodes {
		return errors.New("the lists of nodes differ in length or are empty")
	}
	sets, err := b.sets(t)
	if err != nil {
		return err
	}
	// References are given in the order in which nodes are met; one that is met twice makes no tree.
	e := b.ensemble
	splits, leaves := len(e.Feature), len(e.Values)
	met := make([]bool, nodes)
	reference := func(i int) (int, error) {
		if i < 0 || i >= nodes || met[i] {
			return 0, fmt.Errorf("its nodes are no tree at node %d", i)
		}
		met[i] = true
		if t.Left[i] < 0 {
			leaves++
			return ^(leaves - 1), nil
		}
		splits++
		return splits - 1, nil
	}
	root, err := reference(0)
	if err != nil {
		return err
	}
	e.Roots = append(e.Roots, root)
	for queue := []int{0}; len(queue) > 0; {
		i := queue[0]
		queue = queue[1:]
		if t.Left[i] < 0 {
			values, err := b.leaf(t, i, group, weight)
			if err != nil {
				return fmt.Errorf("node %d: %w", i, err)
			}
			e.Values = append(e.Values, values)
			continue
		}
		left, err := reference(int(t.Left[i]))
		if err != nil {
			return err
		}
		right, err := reference(int(t.Right[i]))
		if err != nil {
			return err
		}
		feature := int(t.Feature[i])
		if feature < 0 || feature >= e.Features {
			return fmt.Errorf("node %d uses feature %d of %d", i, feature, e.Features)
		}
		region := model.Region{Below: true, Missing: t.DefaultLeft[i] != 0}
		if len(t.Kind) > 0 && t.Kind[i] == 1 {
			set, ok := sets[i]
			if !ok {
				return fmt.Errorf("node %d has no categories", i)
			}
			region.Bounds = set
		} else {
			threshold := float64(t.Condition[i])
			if math.IsNaN(threshold) {
				return fmt.Errorf("node %d has no threshold", i)
			}
			region.Bounds = []float64{max(-math.MaxFloat64, min(threshold, math.MaxFloat64))}
		}
		e.AddNode(feature, region, left, right)
		queue = append(queue, int(t.Left[i]), int(t.Right[i]))
	}
	return nil
}

func (b *builder) leaf(t *tree, i, group int, weight float64) ([]float64, error) {
	if len(b.ensemble.Values) >= maxValues/b.outputs {
		return nil, fmt.Errorf("leaves hold more than %d values", maxValues)
	}
	values := make([]float64, b.outputs)
	if t.Param.LeafSize <= 1 {
		values[group] = float64(t.Condition[i])
	} else {
		vectors, at := t.BaseWeights, i
		if len(t.LeafWeights) > 0 {
			vectors, at = t.LeafWeights, int(t.Right[i])
		}
		size := int(t.Param.LeafSize)
		if size != b.outputs || at < 0 || at >= len(vectors)/size {
			return nil, errors.New("its leaf has no vector of the outputs' size")
		}
		for o, v := range vectors[at*size : (at+1)*size] {
			values[o] = float64(v)
		}
	}
	for o, v := range values {
		if values[o] = weight * v; math.IsNaN(values[o]) || math.IsInf(values[o], 0) {
			return nil, errors.New("its value is not a number")
		}
	}
	return values, nil
}

// sets returns for each split by categories the bounds of those that go right. What is in no category goes left.
func (b *builder) sets(t *tree) (map[int][]float64, error) {
	if len(t.Segments) != len(t.Nodes) || len(t.Sizes) != len(t.Nodes) {
		return nil, errors.New("the lists of categories differ in length")
	}
	sets := make(map[int][]float64, len(t.Nodes))
	for k, node := range t.Nodes {
		from, size := int(t.Segments[k]), int(t.Sizes[k])
		if from < 0 || size < 0 || from > len(t.Categories) || size > len(t.Categories)-from {
			return nil, fmt.Errorf("categories %d … %d+%d are not there", from, from, size)
		}
		if b.boundsSoFar += 2 * size; b.boundsSoFar > maxBounds {
			return nil, fmt.Errorf("splits have more than %d categories", maxBounds/2)
		}
		categories := slices.Clone(t.Categories[from : from+size])
		slices.Sort(categories)
		var bounds []float64
		for _, c := range slices.Compact(categories) {
			if c < 0 {
				return nil, fmt.Errorf("category %d", c)
			}
			if n := len(bounds); n > 0 && bounds[n-1] == float64(c) {
				bounds[n-1]++
			} else {
				bounds = append(bounds, float64(c), float64(c)+1)
			}
		}
		sets[int(node)] = bounds
	}
	return sets, nil
}
