// Package xgboost reads models of XGBoost: the JSON and UBJSON that Booster.save_model writes (version 1.0 and later), and
// the binary form of earlier ones.
//
//	imported, err := xgboost.Read(data)
//
// Features are compared as XGBoost compares them: rounded to single precision, x < threshold, missing values (NaN) as the
// file says for each split, categories by the integer part. Sums are in double precision, which differs from XGBoost's
// single precision in the seventh digit. The graph ends in what Booster.predict answers, but multi:softmax in
// probabilities, as multi:softprob.
//
// Any bytes are safe to read: the time and memory that are taken are in proportion to their number, and trees that are no
// trees are refused.
package xgboost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cipherpoint/model"
)

// Bounds of what is read. Values is the number of leaves times that of outputs, bounds that of the intervals of all
// splits.
const (
	maxBytes    = 256 << 20
	maxFeatures = 1 << 20
	maxOutputs  = 1 << 14
	maxValues   = 1 << 25
	maxBounds   = 1 << 24
)

// Is reports whether a file looks like one for this package.
func Is(data []byte) bool {
	head := bytes.TrimLeft(data[:min(len(data), 4096)], " \t\r\n")
	switch {
	case isBinary(data) || isDump(head):
		return true
	case !bytes.HasPrefix(head, []byte("{")):
		return false
	}
	return bytes.Contains(head, []byte("learner")) || bytes.Contains(data[max(0, len(data)-4096):], []byte("learner_model_param"))
}

// isDump holds for what Booster.dump_model writes as JSON.
func isDump(head []byte) bool {
	return bytes.HasPrefix(head, []byte("[")) && bytes.Contains(head, []byte(`"nodeid"`))
}

// Read reads a model.
func Read(data []byte) (*model.Imported, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("file of %d bytes: at most %d are read", len(data), maxBytes)
	}
	head := bytes.TrimLeft(data[:min(len(data), 4096)], " \t\r\n")
	switch {
	case isBinary(data):
		f, err := readBinary(data)
		if err != nil {
			return nil, fmt.Errorf("binary file: %w", err)
		}
		return f.imported("binary")
	case isDump(head):
		return nil, errors.New("a dump of trees tells neither objective nor base score nor classes: write the model with save_model(\"model.json\")")
	}
	form := "JSON"
	if looksLikeUBJSON(head) {
		var err error
		if data, err = ubjsonToJSON(data); err != nil {
			return nil, fmt.Errorf("UBJSON: %w", err)
		}
		form = "UBJSON"
	} else {
		data = quoteNonNumbers(data)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a model of XGBoost: %w", err)
	}
	return f.imported(form)
}

// file is the form of save_model, as far as it is of use here.
type file struct {
	Learner struct {
		Attributes map[string]string `json:"attributes"`
		Booster    booster           `json:"gradient_booster"`
		Param      struct {
			Base     vector  `json:"base_score"`
			Classes  integer `json:"num_class"`
			Features integer `json:"num_feature"`
			Targets  integer `json:"num_target"`
		} `json:"learner_model_param"`
		Objective struct {
			Name string `json:"name"`
		} `json:"objective"`
	} `json:"learner"`
	Version []integer `json:"version"`

	baseIsMargin bool // it is a score, not in the answers' terms
}

type booster struct {
	Name  string  `json:"name"`
	Model gbModel `json:"model"`
	Tree  struct {
		Model gbModel `json:"model"`
	} `json:"gbtree"` // of dart
	WeightDrop []number `json:"weight_drop"`
}

type gbModel struct {
	Param struct {
		Parallel integer `json:"num_parallel_tree"`
	} `json:"gbtree_model_param"`
	Group      []integer `json:"tree_info"`
	Trees      []tree    `json:"trees"`
	Weights    []number  `json:"weights"` // of gblinear: a row for each feature, then the bias
	Categories struct {
		Encodings []json.RawMessage `json:"enc"`
	} `json:"cats"`
}

func (f *file) imported(form string) (*model.Imported, error) {
	features, outputs := int(f.Learner.Param.Features), max(int(f.Learner.Param.Classes), int(f.Learner.Param.Targets), 1)
	if features < 1 || features > maxFeatures || outputs > maxOutputs {
		return nil, fmt.Errorf("%d features and %d outputs: want 1 to %d and %d", features, outputs, maxFeatures, maxOutputs)
	}
	objective, ok := objectives[f.Learner.Objective.Name]
	if !ok {
		return nil, fmt.Errorf("objective %q is not known", short(f.Learner.Objective.Name))
	}
	if f.Learner.Objective.Name == "binary:logitraw" && len(f.Version) > 1 && f.Version[0] == 1 && f.Version[1] < 3 {
		objective.margin = logit // base scores were probabilities before version 1.3
	}
	base, err := f.base(outputs, objective)
	if err != nil {
		return nil, err
	}
	imported := &model.Imported{Format: strings.TrimSpace("XGBoost " + f.version() + " " + form)}
	b := model.New("xgboost", model.Shape{features})
	switch name := f.Learner.Booster.Name; name {
	case "gbtree", "dart":
		ensemble, notes, err := f.ensemble(features, outputs, base)
		if err != nil {
			return nil, err
		}
		imported.Notes = notes
		b.Activation(model.Float32).TreeEnsemble(ensemble)
	case "gblinear":
		weight, bias, err := f.linear(features, outputs, base)
		if err != nil {
			return nil, err
		}
		b.Imputer([]float64{0}).Dense(weight, bias)
	default:
		return nil, fmt.Errorf("booster %q is not known", short(name))
	}
	b.Named("scores")
	if objective.link != nil {
		objective.link(b)
	}
	switch {
	case objective.multi && outputs < 2:
		return nil, fmt.Errorf("objective %q with %d classes", f.Learner.Objective.Name, outputs)
	case objective.multi:
		for k := range outputs {
			imported.Classes = append(imported.Classes, strconv.Itoa(k))
		}
	case objective.binary && outputs == 1:
		imported.Classes = []string{"0", "1"}
	}
	imported.Graph, err = b.Graph()
	return imported, err
}

func (f *file) version() string {
	var parts []string
	for _, v := range f.Version[:min(len(f.Version), 3)] {
		parts = append(parts, strconv.Itoa(int(v)))
	}
	return strings.Join(parts, ".")
}

// base returns the scores before the first tree.
func (f *file) base(outputs int, o objective) ([]float64, error) {
	stated := f.Learner.Param.Base
	if len(stated) == 1 {
		stated = slices.Repeat(stated, outputs)
	}
	if len(stated) != outputs {
		return nil, fmt.Errorf("%d base scores for %d outputs", len(stated), outputs)
	}
	base := make([]float64, outputs)
	for i, v := range stated {
		if base[i] = v; o.margin != nil && !f.baseIsMargin {
			base[i] = o.margin(v)
		}
		if math.IsNaN(base[i]) || math.IsInf(base[i], 0) {
			return nil, fmt.Errorf("base score %g does not go with objective %q", v, f.Learner.Objective.Name)
		}
	}
	return base, nil
}

func (f *file) linear(features, outputs int, base []float64) (model.Tensor, []float64, error) {
	weights := f.Learner.Booster.Model.Weights
	if len(weights) != (features+1)*outputs {
		return model.Tensor{}, nil, fmt.Errorf("%d weights for %d features and %d outputs", len(weights), features, outputs)
	}
	for _, w := range weights {
		if math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) {
			return model.Tensor{}, nil, errors.New("a weight is not a number")
		}
	}
	matrix, bias := model.NewTensor(model.Shape{outputs, features}), make([]float64, outputs)
	for o := range outputs {
		for i := range features {
			matrix.Data[o*features+i] = float64(weights[i*outputs+o])
		}
		// The linear booster starts all outputs from the first one's base.
		bias[o] = base[0] + float64(weights[features*outputs+o])
	}
	return matrix, bias, nil
}

// objective says what a model's scores mean.
type objective struct {
	margin        func(base float64) float64 // the score of a base in the answers' terms; nil if that is the same
	link          func(b *model.Builder)     // nil if scores are the answers
	binary, multi bool
}

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

var (
	plain    = objective{}
	logistic = objective{margin: logit, link: func(b *model.Builder) { b.Sigmoid() }, binary: true}
	positive = objective{margin: math.Log, link: func(b *model.Builder) { b.Activation(model.Exp) }}
	softmax  = objective{link: func(b *model.Builder) { b.Softmax() }, multi: true}
)

var objectives = map[string]objective{
	"reg:squarederror": plain, "reg:linear": plain, "reg:squaredlogerror": plain, "reg:pseudohubererror": plain,
	"reg:absoluteerror": plain, "reg:quantileerror": plain, "reg:expectileerror": plain,
	"reg:logistic": logistic, "binary:logistic": logistic,
	"binary:logitraw": plain, // above zero is the second class
	"binary:hinge":    {link: func(b *model.Builder) { b.Compare(">", 0) }, binary: true},
	"count:poisson":   positive, "reg:gamma": positive, "reg:tweedie": positive, "survival:cox": positive, "survival:aft": positive,
	"multi:softmax": softmax, "multi:softprob": softmax,
	"rank:pairwise": plain, "rank:ndcg": plain, "rank:map": plain,
}

// short makes a word of the file fit for a message.
func short(word string) string {
	if len(word) > 40 {
		word = word[:40]
	}
	return strings.ToValidUTF8(word, "?")
}
