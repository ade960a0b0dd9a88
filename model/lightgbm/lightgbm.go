// Package lightgbm reads models of LightGBM: the text that Booster.save_model writes (versions 2 to 4) and the JSON of
// Booster.dump_model.
//
//	imported, err := lightgbm.Read(data)
//
// Values are compared as LightGBM compares them: in double precision, x ≤ threshold, missing values as the file says for
// each split, categories by the integer part. The graph ends in what Booster.predict answers: probabilities, means, or
// scores where the objective has no link.
//
// Any bytes are safe to read: the time and memory that are taken are in proportion to their number, and trees that are no
// trees are refused.
package lightgbm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"

	"cipherpoint/model"
)

// Bounds of what is read. Values is the number of leaves times that of outputs, bounds that of the intervals of all
// splits.
const (
	maxBytes    = 256 << 20
	maxFeatures = 1 << 20
	maxValues   = 1 << 25
	maxBounds   = 1 << 24
)

// zero is what LightGBM takes for no more than 0: the single-precision number nearest to 1e-35.
const zero = float64(float32(1e-35))

// Is reports whether a file looks like one for this package.
func Is(data []byte) bool {
	data = bytes.TrimLeft(data[:min(len(data), 4096)], " \t\r\n")
	for _, start := range []string{"tree\n", "tree\r\n", "Tree="} { // the last one is of a fragment, which Read refuses
		if bytes.HasPrefix(data, []byte(start)) {
			return true
		}
	}
	return bytes.HasPrefix(data, []byte("{")) && bytes.Contains(data, []byte(`"num_tree_per_iteration"`))
}

// Read reads a model.
func Read(data []byte) (*model.Imported, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("file of %d bytes: at most %d are read", len(data), maxBytes)
	}
	var f *file
	var err error
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); bytes.HasPrefix(trimmed, []byte("{")) {
		f, err = readJSON(trimmed)
	} else {
		f, err = readText(data)
	}
	if err != nil {
		return nil, err
	}
	return f.imported()
}

// file is what both forms say.
type file struct {
	form        string // and version
	perRound    int    // trees of a round, one for each output
	features    int
	objective   string // with its parameters
	average     bool
	old         bool // before version 3
	trees       []tree
	notes       []string
	boundsSoFar int
}

type tree struct {
	nodes  []node
	leaves []float64
}

// node is a split; its children are nodes by their number in the tree, or leaves as ^number.
type node struct {
	feature     int
	left, right int
	region      model.Region // that goes left
}

// How a split treats missing values.
const (
	missingNone = iota // NaN counts as 0
	missingZero        // 0 and NaN are missing
	missingNaN
)

// numerical is the region that x ≤ threshold sends left.
func numerical(threshold float64, missing int, defaultLeft bool) (model.Region, error) {
	if math.IsNaN(threshold) {
		return model.Region{}, errors.New("has no threshold")
	}
	r := model.Region{Below: true}
	if bound := math.Nextafter(max(threshold, -math.MaxFloat64), math.Inf(1)); !math.IsInf(bound, 1) {
		r.Bounds = []float64{bound}
	}
	switch missing {
	case missingZero:
		zeros := model.Region{Bounds: []float64{-zero, math.Nextafter(zero, 1)}, Missing: true}
		if r.Missing = true; defaultLeft { // r ∪ zeros
			return r.Complement().Intersect(zeros.Complement()).Complement(), nil
		}
		return r.Intersect(zeros.Complement()), nil
	case missingNaN:
		r.Missing = defaultLeft
	default:
		r.Missing = r.Holds(0)
	}
	return r, nil
}

// categorical is the region of ascending categories. A value is in the category of its integer part; missing ones are in
// none.
func (f *file) categorical(categories []int) (model.Region, error) {
	var r model.Region
	for _, c := range categories {
		low, high := float64(c), float64(c)+1
		if c == 0 {
			low = math.Nextafter(-1, 0)
		}
		if n := len(r.Bounds); n > 0 && r.Bounds[n-1] == low {
			r.Bounds[n-1] = high
			continue
		}
		if f.boundsSoFar += 2; f.boundsSoFar > maxBounds {
			return r, fmt.Errorf("splits have more than %d intervals of categories", maxBounds/2)
		}
		r.Bounds = append(r.Bounds, low, high)
	}
	return r, nil
}

func (f *file) imported() (*model.Imported, error) {
	if f.features < 1 || f.features > maxFeatures {
		return nil, fmt.Errorf("%d features: want 1 to %d", f.features, maxFeatures)
	}
	if f.perRound < 1 || len(f.trees) == 0 || len(f.trees)%f.perRound != 0 {
		return nil, fmt.Errorf("%d trees do not make rounds of %d", len(f.trees), f.perRound)
	}
	ensemble, err := f.ensemble()
	if err != nil {
		return nil, err
	}
	b := model.New("lightgbm", model.Shape{f.features}).TreeEnsemble(ensemble).Named("scores")
	classes, err := f.link(b)
	if err != nil {
		return nil, err
	}
	graph, err := b.Graph()
	if err != nil {
		return nil, err
	}
	return &model.Imported{Format: "LightGBM " + f.form, Graph: graph, Classes: classes, Notes: f.notes}, nil
}

func (f *file) ensemble() (*model.TreeEnsemble, error) {
	e := &model.TreeEnsemble{Features: f.features, Comparison: model.Less, Aggregate: model.AggregateSum}
	leaves := 0
	for _, t := range f.trees {
		leaves += len(t.leaves)
	}
	if leaves > maxValues/f.perRound {
		return nil, fmt.Errorf("%d leaves of %d values: at most %d values are read", leaves, f.perRound, maxValues)
	}
	weight := 1.0
	if f.average {
		weight = float64(f.perRound) / float64(len(f.trees))
	}
	for i, t := range f.trees {
		firstNode, firstLeaf := len(e.Feature), len(e.Values)
		reference := func(child int) int {
			if child < 0 {
				return child - firstLeaf // ^(firstLeaf + ^child)
			}
			return child + firstNode
		}
		for k, n := range t.nodes {
			if n.left >= len(t.nodes) || n.right >= len(t.nodes) || ^n.left >= len(t.leaves) || ^n.right >= len(t.leaves) {
				return nil, fmt.Errorf("tree %d: node %d has a child that is not there", i, k)
			}
			e.AddNode(n.feature, n.region, reference(n.left), reference(n.right))
		}
		root := -1
		if len(t.nodes) > 0 {
			root = 0
		}
		e.Roots = append(e.Roots, reference(root))
		for _, v := range t.leaves {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("tree %d: a leaf is not a number", i)
			}
			values := make([]float64, f.perRound)
			values[i%f.perRound] = weight * v
			e.Values = append(e.Values, values)
		}
	}
	return e, nil
}

// link appends what turns scores into answers, and names the classes.
func (f *file) link(b *model.Builder) (classes []string, err error) {
	words := strings.Fields(f.objective)
	if len(words) == 0 {
		f.notes = append(f.notes, "the file names no objective: the answers are raw scores")
		return nil, nil
	}
	parameter := func(name string, otherwise float64) (float64, error) {
		for _, w := range words[1:] {
			if text, ok := strings.CutPrefix(w, name+":"); ok {
				return number(text)
			}
		}
		return otherwise, nil
	}
	outputs := f.perRound
	single := func() error {
		if outputs != 1 {
			return fmt.Errorf("objective %q with %d trees in a round", words[0], outputs)
		}
		return nil
	}
	sigmoid := func() error {
		k, err := parameter("sigmoid", 1)
		if err != nil || !(k > 0) {
			return fmt.Errorf("objective %q has no valid slope", words[0])
		}
		if k != 1 {
			b.Scale([]float64{k}, []float64{0})
		}
		b.Sigmoid()
		return nil
	}
	switch words[0] {
	case "regression", "regression_l2", "mean_squared_error", "mse", "l2":
		for _, w := range words[1:] {
			if w == "sqrt" {
				b.Activation(model.SignedSquare)
			}
		}
		return nil, single()
	case "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg":
		return nil, single()
	case "poisson", "gamma", "tweedie":
		b.Activation(model.Exp)
		return nil, single()
	case "cross_entropy", "xentropy":
		b.Sigmoid()
		return nil, single()
	case "cross_entropy_lambda", "xentlambda":
		b.Activation(model.Softplus)
		return nil, single()
	case "binary":
		if f.averagesProbabilities() {
			f.notes = append(f.notes, "a random forest whose leaves are probabilities already, as LightGBM wrote before version 3: no sigmoid follows")
			return []string{"0", "1"}, single()
		}
		if err := single(); err != nil {
			return nil, err
		}
		return []string{"0", "1"}, sigmoid()
	case "multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr":
		if outputs < 2 {
			return nil, fmt.Errorf("objective %q with one tree in a round", words[0])
		}
		for k := range outputs {
			classes = append(classes, fmt.Sprint(k))
		}
		if words[0] != "multiclass" && words[0] != "softmax" {
			return classes, sigmoid()
		}
		if !f.averagesProbabilities() {
			b.Softmax()
		}
		return classes, nil
	case "custom", "none", "null", "na":
		f.notes = append(f.notes, "trained with an objective of its own: the answers are raw scores")
		return nil, nil
	}
	return nil, fmt.Errorf("objective %q is not known: link functions of regression, binary, multiclass, cross-entropy and ranking objectives are served", short(words[0]))
}

// averagesProbabilities holds for the random forests of version 2, whose leaves went through the link in training.
func (f *file) averagesProbabilities() bool {
	if !f.average || !f.old {
		return false
	}
	for _, t := range f.trees {
		for _, v := range t.leaves {
			if v < 0 || v > 1 {
				return false
			}
		}
	}
	return true
}

// short makes a word of the file fit for a message.
func short(word string) string {
	if len(word) > 40 {
		word = word[:40]
	}
	return strings.ToValidUTF8(word, "?")
}
