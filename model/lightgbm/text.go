package lightgbm

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"cipherpoint/model"
)

// section is a run of lines key=value.
type section map[string]string

// readText reads the form of save_model: a header, a section for each tree, and what is of no use here.
func readText(data []byte) (*file, error) {
	lines := bytes.Lines(data)
	header := section{}
	var current section // the tree's, or nil in the header
	f := &file{}
	finish := func() error {
		if current == nil {
			return nil
		}
		t, err := f.readTree(current)
		if err != nil {
			return fmt.Errorf("tree %d: %w", len(f.trees), err)
		}
		f.trees = append(f.trees, t)
		return nil
	}
	ended := false
	for raw := range lines {
		line := strings.TrimSpace(string(raw))
		if ended {
			if list, ok := strings.CutPrefix(line, "pandas_categorical:"); ok && list != "[]" && list != "null" {
				f.notes = append(f.notes, "categories of text were replaced by their numbers when the model was trained, in this order: "+short(list))
			}
			continue
		}
		switch key, value, assigned := strings.Cut(line, "="); {
		case line == "end of trees":
			ended = true
		case line == "average_output":
			f.average = true
		case key == "Tree" && assigned:
			if current == nil {
				if err := f.readHeader(header); err != nil {
					return nil, err
				}
			} else if err := finish(); err != nil {
				return nil, err
			}
			current = section{}
		case !assigned:
		case current == nil:
			header[key] = value
		default:
			current[key] = value
		}
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if current == nil {
		return nil, errors.New("the file has no trees")
	}
	return f, nil
}

func (f *file) readHeader(h section) error {
	version := h["version"]
	f.form = strings.TrimSpace("text " + short(version))
	f.old = version == "" || version == "v2"
	f.objective = h["objective"]
	last, err := whole(h["max_feature_idx"])
	if err != nil {
		return fmt.Errorf("max_feature_idx: %w", err)
	}
	f.features = last + 1
	perRound := h["num_tree_per_iteration"]
	if perRound == "" {
		perRound = h["num_class"]
	}
	if f.perRound, err = whole(perRound); err != nil {
		return fmt.Errorf("num_tree_per_iteration: %w", err)
	}
	return nil
}

func (f *file) readTree(s section) (tree, error) {
	if s["is_linear"] == "1" {
		return tree{}, errLinear
	}
	var t tree
	leaves, err := whole(s["num_leaves"])
	if err != nil || leaves < 1 {
		return t, errors.New("num_leaves is not a positive number")
	}
	if t.leaves, err = list(s, "leaf_value", leaves, number); err != nil || leaves == 1 {
		return t, err
	}
	count := leaves - 1
	features, err := list(s, "split_feature", count, whole)
	if err != nil {
		return t, err
	}
	thresholds, err := list(s, "threshold", count, number)
	if err != nil {
		return t, err
	}
	left, err := list(s, "left_child", count, whole)
	if err != nil {
		return t, err
	}
	right, err := list(s, "right_child", count, whole)
	if err != nil {
		return t, err
	}
	decisions := make([]int, count) // before there were missing values
	if s["decision_type"] != "" {
		if decisions, err = list(s, "decision_type", count, whole); err != nil {
			return t, err
		}
	}
	sets, err := f.readSets(s)
	if err != nil {
		return t, err
	}
	for i := range count {
		n := node{feature: features[i], left: left[i], right: right[i]}
		if n.feature < 0 || n.feature >= f.features {
			return t, fmt.Errorf("node %d uses feature %d of %d", i, n.feature, f.features)
		}
		const categorical, defaultLeft, missingShift, missingMask = 1, 2, 2, 3
		switch d := decisions[i]; {
		case d < 0 || d>>missingShift > missingNaN:
			return t, fmt.Errorf("node %d: decision type %d is not known", i, d)
		case d&categorical != 0:
			set := thresholds[i]
			if !(set >= 0 && set < float64(len(sets))) {
				return t, fmt.Errorf("node %d has no set of categories", i)
			}
			n.region = sets[int(set)]
		default:
			if n.region, err = numerical(thresholds[i], d>>missingShift&missingMask, d&defaultLeft != 0); err != nil {
				return t, fmt.Errorf("node %d %w", i, err)
			}
		}
		t.nodes = append(t.nodes, n)
	}
	return t, nil
}

var errLinear = errors.New("its leaves are linear functions of the features (linear_tree): train with linear_tree=false")

// readSets reads the sets of categories that splits refer to by number: bits, 32 in a word.
func (f *file) readSets(s section) ([]model.Region, error) {
	if s["num_cat"] == "" || s["num_cat"] == "0" {
		return nil, nil
	}
	count, err := whole(s["num_cat"])
	if err != nil || count < 0 || count > len(s["cat_boundaries"]) {
		return nil, errors.New("num_cat does not fit cat_boundaries")
	}
	boundaries, err := list(s, "cat_boundaries", count+1, whole)
	if err != nil {
		return nil, err
	}
	words, err := list(s, "cat_threshold", boundaries[count], func(text string) (uint32, error) {
		word, err := strconv.ParseUint(text, 10, 32)
		return uint32(word), err
	})
	if err != nil {
		return nil, err
	}
	sets := make([]model.Region, count)
	for i := range sets {
		from, to := boundaries[i], boundaries[i+1]
		if from < 0 || from > to || to > len(words) {
			return nil, errors.New("cat_boundaries do not ascend")
		}
		var categories []int
		for w, word := range words[from:to] {
			for ; word != 0; word &= word - 1 {
				categories = append(categories, 32*w+bits.TrailingZeros32(word))
			}
		}
		if sets[i], err = f.categorical(categories); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// list reads a known number of values, each of at least one byte.
func list[T any](s section, key string, count int, parse func(string) (T, error)) ([]T, error) {
	text := s[key]
	if count < 0 || count > len(text) {
		return nil, fmt.Errorf("%s has not the %d values wanted", key, count)
	}
	values := make([]T, 0, count)
	for word := range strings.FieldsSeq(text) {
		if len(values) == count {
			return nil, fmt.Errorf("%s has more than the %d values wanted", key, count)
		}
		v, err := parse(word)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a number of the kind wanted", key, short(word))
		}
		values = append(values, v)
	}
	if len(values) != count {
		return nil, fmt.Errorf("%s has %d values, want %d", key, len(values), count)
	}
	return values, nil
}

func number(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func whole(text string) (int, error) {
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", short(text))
	}
	return int(v), nil
}
