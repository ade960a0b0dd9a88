package xgboost

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/internal/testdata"
	"cipherpoint/internal/treetest"
	"cipherpoint/model"
)

func read(t *testing.T, path string) *model.Imported {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !Is(data) {
		t.Errorf("%s is not recognised", path)
	}
	imported, err := Read(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return imported
}

// TestPublishedModels compares with what XGBoost itself answered.
func TestPublishedModels(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx")
	for _, file := range treetest.Files {
		if !strings.HasPrefix(file.Name, "xgboost/") || file.Answers == nil {
			continue
		}
		t.Run(file.Name, func(t *testing.T) {
			g := read(t, filepath.Join(dir, file.Name)).Graph
			if worst := file.Difference(t, dir, g, file.Rows(t, dir, g)); !(worst <= 2e-5) {
				t.Errorf("answers differ by %.3g, relatively", worst)
			}
		})
	}
}

func TestPublishedModelsWithoutData(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx", "xgboost")
	g := read(t, filepath.Join(dir, "json", "toy.json")).Graph
	for want, row := range map[float64][]float64{
		0.4343974: {25, 2, 226802, 1, 7, 4, 6, 3, 2, 1, 0, 0, 40, 38},
		0.4692223: {38, 2, 89814, 11, 9, 2, 4, 0, 4, 1, 0, 0, 50, 38},
	} {
		treetest.Compare(t, g, [][]float64{row}, [][]float64{{want}}, 1e-6)
	}
	for name, want := range map[string]string{"json/regression.json": "", "json/toysoftmax.json": "",
		"dump/breast_cancer_xgboost_dump.json": "save_model", "dump/iris_xgboost_dump.json": "save_model"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Read(data)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, want)
		}
	}
}

// source is a model of two features and two trees: a split, and a leaf of 0.25.
func source(objective, param, split, rest string) string {
	return fmt.Sprintf(`{"learner":{"attributes":{},"gradient_booster":{"name":"gbtree","model":{"gbtree_model_param":{"num_parallel_tree":"1"},"tree_info":[0,0],`+
		`"trees":[{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[1,0,0],%s,"tree_param":{"size_leaf_vector":"0"}},`+
		`{"left_children":[-1],"right_children":[-1],"split_indices":[0],"split_conditions":[0.25],"default_left":[0]}]%s}},`+
		`"learner_model_param":{%s,"num_feature":"2"},"objective":{"name":%q}},"version":[1,7,6]}`, split, rest, param, objective)
}

const (
	threshold = `"split_conditions":[1.5,1,2],"default_left":[1,0,0]`
	half      = `"base_score":"5E-1","num_class":"0"`
)

func TestSplits(t *testing.T) {
	nan := math.NaN()
	for name, test := range map[string]struct {
		split string
		left  []float64
		right []float64
	}{
		"threshold":         {threshold, []float64{nan, 1.4999, -9, math.Inf(-1)}, []float64{1.5, 2, math.Inf(1), 1.5 - 1e-9}},
		"missing right":     {`"split_conditions":[1.5,1,2],"default_left":[false,false,false]`, []float64{1}, []float64{nan, 2}},
		"single precision":  {`"split_conditions":[0.1,1,2],"default_left":[1,0,0]`, []float64{0.0999}, []float64{0.1}},
		"categories":        {`"split_conditions":[0,1,2],"default_left":[0,0,0],"split_type":[1,0,0],"categories":[4,1,2],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[3]`, []float64{0, 0.5, 3, 5, -1, -0.5, 1e9}, []float64{1, 1.5, 2.99, 4, nan}},
		"endless threshold": {`"split_conditions":[Infinity,1,2],"default_left":[1,0,0],"loss_changes":[NaN,0,0]`, []float64{0, 1e30, nan}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			imported, err := Read([]byte(source("reg:squarederror", half, test.split, "")))
			if err != nil {
				t.Fatal(err)
			}
			for want, list := range map[float64][]float64{1.75: test.left, 2.75: test.right} {
				for _, x := range list {
					y, err := imported.Graph.Run(model.Vector(0, x))
					if err != nil {
						t.Fatal(err)
					}
					if y[0].Data[0] != want {
						t.Errorf("%g: got %g, want %g", x, y[0].Data[0], want)
					}
				}
			}
		})
	}
}

func TestLinks(t *testing.T) {
	const score = 2.25
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for objective, want := range map[string]float64{
		"reg:squarederror": score + 0.3, "reg:linear": score + 0.3, "reg:squaredlogerror": score + 0.3, "reg:pseudohubererror": score + 0.3,
		"reg:absoluteerror": score + 0.3, "reg:quantileerror": score + 0.3, "reg:expectileerror": score + 0.3, "rank:pairwise": score + 0.3, "rank:ndcg": score + 0.3, "rank:map": score + 0.3,
		"reg:logistic": sigmoid(score + logit(0.3)), "binary:logistic": sigmoid(score + logit(0.3)), "binary:hinge": 1, "binary:logitraw": score + 0.3,
		"count:poisson": 0.3 * math.Exp(score), "reg:gamma": 0.3 * math.Exp(score), "reg:tweedie": 0.3 * math.Exp(score),
		"survival:cox": 0.3 * math.Exp(score), "survival:aft": 0.3 * math.Exp(score),
	} {
		for _, base := range []string{"3E-1", "[3E-1]"} {
			imported, err := Read([]byte(source(objective, fmt.Sprintf(`"base_score":%q,"num_class":"0"`, base), threshold, "")))
			if err != nil {
				t.Fatalf("%s: %v", objective, err)
			}
			y, err := imported.Graph.Run(model.Vector(0, 2))
			if err != nil || math.Abs(y[0].Data[0]/want-1) > 1e-7 {
				t.Errorf("%s: got %v, %v, want %g", objective, y, err, want)
			}
		}
	}
}

func TestOldBaseScores(t *testing.T) {
	for version, want := range map[string]float64{"[1,2,1]": 2.25 + logit(0.3), "[1,3,0]": 2.55} {
		text := strings.Replace(source("binary:logitraw", `"base_score":"3E-1"`, threshold, ""), "[1,7,6]", version, 1)
		imported, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		y, err := imported.Graph.Run(model.Vector(0, 2))
		if err != nil || math.Abs(y[0].Data[0]-want) > 1e-7 {
			t.Errorf("version %s: got %v, %v, want %g", version, y, err, want)
		}
	}
}

var hostile = []string{
	"", "{", "[", "{}", `{"learner":{}}`, `[{"nodeid":0}]`,
	source("unheard:of", half, threshold, ""), source("count:poisson", `"base_score":"-1"`, threshold, ""), source("multi:softmax", half, threshold, ""),
	source("reg:squarederror", `"base_score":"x"`, threshold, ""), source("reg:squarederror", `"base_score":"[1,2,3]","num_class":"2"`, threshold, ""),
	source("reg:squarederror", `"base_score":"1","num_class":"2147483647"`, threshold, ""),
	source("reg:squarederror", half, `"split_conditions":[NaN,1,2],"default_left":[1,0,0]`, ""),
	source("reg:squarederror", half, `"split_conditions":[1,NaN,2],"default_left":[1,0,0]`, ""),
	source("reg:squarederror", half, `"split_conditions":[1,2],"default_left":[1,0,0]`, ""),
	source("reg:squarederror", half, threshold+`,"left_children":[0,-1,-1]`, ""), source("reg:squarederror", half, threshold+`,"left_children":[2,-1,-1]`, ""),
	source("reg:squarederror", half, threshold+`,"left_children":[7,-1,-1]`, ""), source("reg:squarederror", half, threshold+`,"split_indices":[2,0,0]`, ""),
	source("reg:squarederror", half, threshold+`,"split_type":[1,0,0]`, ""),
	source("reg:squarederror", half, threshold+`,"split_type":[1,0,0],"categories":[1],"categories_nodes":[0],"categories_segments":[0],"categories_sizes":[2147483647]`, ""),
	source("reg:squarederror", half, threshold+`,"split_type":[1,0,0],"categories":[1],"categories_nodes":[0],"categories_segments":[-1],"categories_sizes":[1]`, ""),
	source("reg:squarederror", half, threshold, `,"tree_info":[0,1]`), source("reg:squarederror", half, threshold, `,"tree_info":[0]`), source("reg:squarederror", half, threshold, `,"trees":[],"tree_info":[]`),
	"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L\x7f\xff\xff\xff\xff\xff\xff\xff", "{i\x01a[$Z#L\x00\x00\x00\x00\x00\x10\x00\x00}", "{i\x01a[$U#i\x7f", strings.Repeat("{i\x01a", 100),
}

func TestRefuses(t *testing.T) {
	for _, text := range hostile {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestUBJSON(t *testing.T) {
	for source, want := range map[string]string{
		"{i\x01aU\xffi\x01bi\xff}":                          `{"a":255,"b":-1}`,
		"{L\x00\x00\x00\x00\x00\x00\x00\x01a[TFZ]}":         `{"a":[true,false,null]}`,
		"{i\x01a[#i\x02d\x3f\xc0\x00\x00CxN}":               `{"a":[1.5,"x"]}`,
		"{i\x01a[$d#i\x02\x3f\xc0\x00\x00\x7f\xc0\x00\x00}": `{"a":[1.5,"NaN"]}`,
		"{#i\x02i\x01aSi\x02\"\ni\x01bI\xff\xfe":            `{"a":"\"\n","b":-2}`,
		"{$l#i\x01i\x01a\x00\x00\x01\x00":                   `{"a":256}`,
		"{i\x01aD\x7f\xf0\x00\x00\x00\x00\x00\x00i\x01b{}}": `{"a":"+Inf","b":{}}`,
		"{i\x01a[$[#i\x02]T]}":                              `{"a":[[],[true]]}`,
	} {
		got, err := ubjsonToJSON([]byte(source))
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s, %v, want %s", source, got, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range hostile {
		f.Add([]byte(text))
	}
	f.Add([]byte(source("binary:logistic", half, threshold, "")))
	f.Add([]byte("{i\x07learner{i\x10gradient_booster{i\x04nameSi\x08gblineari\x05model{i\x07weights[$d#i\x02\x3f\xc0\x00\x00\x3f\xc0\x00\x00}}" +
		"i\x13learner_model_param{i\x0abase_scoreSi\x010i\x0bnum_featurei\x01}i\x09objective{i\x04nameSi\x10reg:squarederror}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		imported, err := Read(data)
		if err != nil {
			return
		}
		if _, err := imported.Graph.Run(model.NewTensor(imported.Graph.Inputs[0].Shape)); err != nil {
			t.Error(err)
		}
	})
}
