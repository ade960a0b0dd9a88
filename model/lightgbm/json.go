package lightgbm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cipherpoint/model"
)

// dump is the form of dump_model.
type dump struct {
	Version   string          `json:"version"`
	PerRound  int             `json:"num_tree_per_iteration"`
	Last      int             `json:"max_feature_idx"`
	Objective string          `json:"objective"`
	Average   bool            `json:"average_output"`
	Trees     []dumpTree      `json:"tree_info"`
	Pandas    json.RawMessage `json:"pandas_categorical"`
}

type dumpTree struct {
	Linear json.RawMessage `json:"is_linear"`
	Root   *dumpNode       `json:"tree_structure"`
}

type dumpNode struct {
	Feature     *int            `json:"split_feature"`
	Threshold   json.RawMessage `json:"threshold"` // a number, or categories joined by ||
	Decision    string          `json:"decision_type"`
	DefaultLeft bool            `json:"default_left"`
	Missing     string          `json:"missing_type"`
	Left        *dumpNode       `json:"left_child"`
	Right       *dumpNode       `json:"right_child"`
	Value       *float64        `json:"leaf_value"`
	Linear      json.RawMessage `json:"leaf_const"`
}

// readJSON reads a dump. The depth of its trees is bounded by what encoding/json accepts.
func readJSON(data []byte) (*file, error) {
	var d dump
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("the JSON is no dump of LightGBM: %w", err)
	}
	f := &file{form: "JSON " + short(d.Version), perRound: d.PerRound, objective: d.Objective, average: d.Average, old: d.Version == "v2"}
	if d.Last < 0 || d.Last >= maxFeatures {
		return nil, fmt.Errorf("max_feature_idx is %d", d.Last)
	}
	f.features = d.Last + 1
	for i, t := range d.Trees {
		if t.Root == nil {
			return nil, fmt.Errorf("tree %d is empty", i)
		}
		var read tree
		if _, err := f.place(&read, t.Root); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		f.trees = append(f.trees, read)
	}
	return f, nil
}

// place appends what is below a node and returns its reference.
func (f *file) place(t *tree, d *dumpNode) (int, error) {
	if d.Linear != nil {
		return 0, errLinear
	}
	if d.Feature == nil {
		if d.Value == nil {
			return 0, errors.New("a leaf has no value")
		}
		t.leaves = append(t.leaves, *d.Value)
		return ^(len(t.leaves) - 1), nil
	}
	if *d.Feature < 0 || *d.Feature >= f.features {
		return 0, fmt.Errorf("a split uses feature %d of %d", *d.Feature, f.features)
	}
	if d.Left == nil || d.Right == nil {
		return 0, errors.New("a split has no children")
	}
	region, err := f.region(d)
	if err != nil {
		return 0, err
	}
	at := len(t.nodes)
	t.nodes = append(t.nodes, node{feature: *d.Feature, region: region})
	left, err := f.place(t, d.Left)
	if err != nil {
		return 0, err
	}
	right, err := f.place(t, d.Right)
	t.nodes[at].left, t.nodes[at].right = left, right
	return at, err
}

func (f *file) region(d *dumpNode) (model.Region, error) {
	switch d.Decision {
	case "<=":
		var threshold float64
		if err := json.Unmarshal(d.Threshold, &threshold); err != nil {
			return model.Region{}, errors.New("a split has no threshold")
		}
		missing := slices.Index([]string{"None", "Zero", "NaN"}, d.Missing)
		return numerical(threshold, max(missing, missingNone), d.DefaultLeft)
	case "==":
		var text string
		if err := json.Unmarshal(d.Threshold, &text); err != nil {
			return model.Region{}, errors.New("a split has no categories")
		}
		var categories []int
		for word := range strings.SplitSeq(text, "||") {
			c, err := whole(word)
			if err != nil || c < 0 {
				return model.Region{}, errors.New("a category is not a number")
			}
			categories = append(categories, c)
		}
		slices.Sort(categories)
		return f.categorical(slices.Compact(categories))
	}
	return model.Region{}, fmt.Errorf("decision %q is not known", short(d.Decision))
}
