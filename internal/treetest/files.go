package treetest

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/model"
)

// File is a model file of LightGBM or XGBoost in the shared collection.
type File struct {
	Name    string // below the collection's folder, as all paths here
	rows    string // features; none: rows are drawn about the thresholds
	label   bool   // in their first column
	Answers []Answers
}

// Answers are what the model's own library gives for the rows.
type Answers struct {
	path  string
	raw   bool // before the link
	trees int  // of the first ones alone; 0: of all
}

// Files are the models of the collection.
var Files = []File{
	{"lightgbm/lg_1tree.json", "", false, nil},
	{"lightgbm/lg_breast_cancer.txt", "lightgbm/breast_cancer_test.tsv", false, nil},
	{"lightgbm/lg_dart_breast_cancer.json", "lightgbm/breast_cancer_test.tsv", false, nil},
	{"lightgbm/lg_dart_breast_cancer.model", "lightgbm/breast_cancer_test.tsv", false, []Answers{{"lightgbm/lg_dart_breast_cancer_true_predictions.txt", false, 0}}},
	{"lightgbm/lg_kddcup99.model", "lightgbm/kddcup99_test.tsv", false, []Answers{{"lightgbm/lg_kddcup99_true_predictions.txt", true, 0}}},
	{"lightgbm/lg_rf_iris.model", "lightgbm/iris_test.libsvm", false, []Answers{{"lightgbm/lg_rf_iris_true_predictions.txt", false, 0}}},
	{"lightgbm/lgmulticlass.model", "lightgbm/multiclass_test.tsv", true, []Answers{
		{"lightgbm/lgmulticlass_true_raw_predictions.txt", true, 0}, {"lightgbm/lgmulticlass_true_predictions.txt", false, 0}}},
	{"lightgbm/model_simple.txt", "", false, nil},
	{"lightgbm/tree_1leaf.txt", "", false, nil},
	{"lightgbm/tree_2leaves.txt", "", false, nil},
	{"lightgbm/tree_3leaves.txt", "", false, nil},
	{"xgboost/binary/xg_dart_agaricus.json", "xgboost/binary/agaricus_test.libsvm", false, []Answers{{"xgboost/binary/xg_dart_agaricus_true_predictions.txt", true, 10}}},
	{"xgboost/binary/xg_dart_agaricus.model", "xgboost/binary/agaricus_test.libsvm", false, []Answers{{"xgboost/binary/xg_dart_agaricus_true_predictions.txt", true, 10}}},
	{"xgboost/binary/xgagaricus.json", "xgboost/binary/agaricus_test.libsvm", false, []Answers{{"xgboost/binary/xgagaricus_true_predictions.txt", false, 0}}},
	{"xgboost/binary/xgagaricus.model", "xgboost/binary/agaricus_test.libsvm", false, []Answers{{"xgboost/binary/xgagaricus_true_predictions.txt", false, 0}}},
	{"xgboost/binary/xgblin_agaricus.json", "xgboost/binary/agaricus_test.libsvm", false, gblinear},
	{"xgboost/binary/xgblin_agaricus.model", "xgboost/binary/agaricus_test.libsvm", false, gblinear},
	{"xgboost/binary/xgdermatology.json", "xgboost/binary/dermatology_test.libsvm", false, []Answers{{"xgboost/binary/xgdermatology_true_predictions.txt", true, 0}}},
	{"xgboost/binary/xgdermatology.model", "xgboost/binary/dermatology_test.libsvm", false, []Answers{{"xgboost/binary/xgdermatology_true_predictions.txt", true, 0}}},
	{"xgboost/dump/breast_cancer_xgboost_dump.json", "xgboost/dump/breast_cancer_test.libsvm", false, nil},
	{"xgboost/dump/iris_xgboost_dump.json", "xgboost/dump/iris_test.libsvm", false, nil},
	{"xgboost/json/mortgage_xgb.json", "xgboost/json/mortgage_data.csv", false, []Answers{{"xgboost/json/mortgage_predictions.txt", false, 0}}},
	{"xgboost/json/regression.json", "", false, nil},
	{"xgboost/json/toy.json", "", false, nil},
	{"xgboost/json/toysoftmax.json", "", false, nil},
}

var gblinear = []Answers{{"xgboost/binary/xgblin_agaricus_true_raw_predictions.txt", true, 0}, {"xgboost/binary/xgblin_agaricus_true_predictions.txt", false, 0}}

// Rows reads the features for a model. XGBoost takes what a libsvm file does not list as missing.
func (f File) Rows(t testing.TB, dir string, g *model.Graph) [][]float64 {
	t.Helper()
	if f.rows == "" {
		return drawn(g)
	}
	unlisted := 0.0
	if strings.HasPrefix(f.Name, "xgboost/") {
		unlisted = math.NaN()
	}
	return Rows(t, filepath.Join(dir, f.rows), g.Inputs[0].Shape.Size(), f.label, unlisted)
}

// drawn returns rows with each feature spread over its thresholds and beyond.
func drawn(g *model.Graph) [][]float64 {
	r := rand.New(rand.NewPCG(1, 2))
	n := g.Inputs[0].Shape.Size()
	low, high := make([]float64, n), make([]float64, n)
	for _, node := range g.Nodes {
		if e, ok := node.Op.(*model.TreeEnsemble); ok {
			for i, feature := range e.Feature {
				low[feature], high[feature] = min(low[feature], e.Threshold[i]), max(high[feature], e.Threshold[i])
			}
		}
	}
	rows := make([][]float64, 256)
	for i := range rows {
		for k := range n {
			rows[i] = append(rows[i], math.Floor(low[k]-1+(high[k]-low[k]+2)*r.Float64()))
		}
	}
	return rows
}

// Difference compares the model with all answers stored, and fails where a label differs.
func (f File) Difference(t testing.TB, dir string, g *model.Graph, rows [][]float64) float64 {
	t.Helper()
	worst := 0.0
	for _, a := range f.Answers {
		compared := g
		if a.raw {
			compared = Raw(g)
		}
		if a.trees > 0 {
			compared = firstTrees(compared, a.trees)
		}
		worst = max(worst, Difference(t, compared, rows, Table(t, filepath.Join(dir, a.path))))
	}
	return worst
}

// firstTrees is the graph without the effect of all trees but the first ones.
func firstTrees(g *model.Graph, n int) *model.Graph {
	first := *g
	first.Nodes = nil
	for _, node := range g.Nodes {
		if e, ok := node.Op.(*model.TreeEnsemble); ok {
			fewer := *e
			fewer.Values = make([][]float64, len(e.Values))
			copy(fewer.Values, e.Values)
			for _, leaf := range e.Leaves() {
				if leaf.Tree >= n {
					fewer.Values[leaf.Index] = make([]float64, e.Outputs())
				}
			}
			node.Op = &fewer
		}
		first.Nodes = append(first.Nodes, node)
	}
	return &first
}
