package lightgbm

import (
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

// TestPublishedModels compares with what LightGBM itself answered.
func TestPublishedModels(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx")
	for _, file := range treetest.Files {
		if !strings.HasPrefix(file.Name, "lightgbm/") || file.Answers == nil {
			continue
		}
		t.Run(file.Name, func(t *testing.T) {
			g := read(t, filepath.Join(dir, file.Name)).Graph
			if worst := file.Difference(t, dir, g, file.Rows(t, dir, g)); !(worst <= 1e-12) {
				t.Errorf("answers differ by %.3g, relatively", worst)
			}
		})
	}
}

// TestPublishedDump compares the two forms of one model; the dump names no objective.
func TestPublishedDump(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx", "lightgbm")
	rows := treetest.Rows(t, filepath.Join(dir, "breast_cancer_test.tsv"), 30, false, 0)
	want, err := treetest.Raw(read(t, filepath.Join(dir, "lg_dart_breast_cancer.model")).Graph).RunRows(rows)
	if err != nil {
		t.Fatal(err)
	}
	dump := read(t, filepath.Join(dir, "lg_dart_breast_cancer.json"))
	treetest.Compare(t, dump.Graph, rows, want, 1e-12)
	if len(dump.Notes) != 1 {
		t.Errorf("notes %q, want one about the objective", dump.Notes)
	}
}

// TestPublishedLeaves checks which leaf of every tree the rows reach.
func TestPublishedLeaves(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx", "lightgbm")
	g := read(t, filepath.Join(dir, "lg_breast_cancer.txt")).Graph
	ensemble := g.Nodes[0].Op.(*model.TreeEnsemble)
	rows := treetest.Rows(t, filepath.Join(dir, "lg_breast_cancer_data.txt"), 30, false, 0)
	want := treetest.Table(t, filepath.Join(dir, "lg_breast_cancer_data_pred_leaves.txt"))
	first := map[int]int{}
	leaves := ensemble.Leaves()
	for _, leaf := range leaves {
		if at, known := first[leaf.Tree]; !known || leaf.Index < at {
			first[leaf.Tree] = leaf.Index
		}
	}
	for i, row := range rows {
		for _, leaf := range leaves {
			reached := true
			for _, r := range leaf.Regions {
				reached = reached && r.Holds(row[r.Feature])
			}
			if number := float64(leaf.Index - first[leaf.Tree]); reached != (want[i][leaf.Tree] == number) {
				t.Fatalf("row %d, tree %d: leaf %g is reached: %t, LightGBM reaches %g", i, leaf.Tree, number, reached, want[i][leaf.Tree])
			}
		}
	}
}

func TestPublishedFragments(t *testing.T) {
	dir := filepath.Join(testdata.Dir(t), "onnx", "lightgbm")
	for name, want := range map[string]string{"model_simple.txt": "", "lg_1tree.json": "",
		"tree_1leaf.txt": "max_feature_idx", "tree_2leaves.txt": "max_feature_idx", "tree_3leaves.txt": "max_feature_idx"} {
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

// header starts a model of two features with one tree of two leaves; the split follows.
const header = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\n\nTree=0\nnum_leaves=2\n" +
	"leaf_value=1 2\nleft_child=-1\nright_child=-2\n"

func TestSplits(t *testing.T) {
	nan := math.NaN()
	for name, test := range map[string]struct {
		split string
		left  []float64
		right []float64
	}{
		"threshold":             {"split_feature=1\nthreshold=1.5\ndecision_type=0", []float64{1.5, -9, nan, math.Inf(-1)}, []float64{math.Nextafter(1.5, 2), math.Inf(1)}},
		"missing counts as 0":   {"split_feature=1\nthreshold=-1\ndecision_type=2", []float64{-1, -2}, []float64{0, nan}},
		"missing right":         {"split_feature=1\nthreshold=1.5\ndecision_type=8", []float64{0, 1.5}, []float64{2, nan}},
		"missing left":          {"split_feature=1\nthreshold=1.5\ndecision_type=10", []float64{0, 1.5, nan}, []float64{2}},
		"zero is missing":       {"split_feature=1\nthreshold=1.5\ndecision_type=4", []float64{1.5, 1e-34, -1e-34, -5}, []float64{0, 1e-35, -1e-35, nan, 2}},
		"zero is missing, left": {"split_feature=1\nthreshold=-1.5\ndecision_type=6", []float64{-1.5, 0, 1e-35, -1e-36, nan}, []float64{1, 1e-34, -1e-34, -1}},
		"zero's own bin":        {"split_feature=1\nthreshold=1.0000000180025095e-35\ndecision_type=4", []float64{-1, -2e-35}, []float64{0, nan, 1e-35, 1}},
		"categories":            {"split_feature=1\nthreshold=0\ndecision_type=1\nnum_cat=1\ncat_boundaries=0 2\ncat_threshold=13 1", []float64{0, 0.5, -0.5, 2, 3.99, 32}, []float64{1, 1.99, 4, -1, -7, 33, 31, 1e9, nan}},
		"endless threshold":     {"split_feature=1\nthreshold=inf\ndecision_type=0", []float64{0, 1e300, nan}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			imported, err := Read([]byte(header + test.split + "\n\nend of trees\n"))
			if err != nil {
				t.Fatal(err)
			}
			for want, list := range map[float64][]float64{1: test.left, 2: test.right} {
				for _, x := range list {
					y, err := imported.Graph.Run(model.Vector(0, x))
					if err != nil {
						t.Fatal(err)
					}
					if y[0].Data[0] != want {
						t.Errorf("%g: got leaf %g, want %g", x, y[0].Data[0], want)
					}
				}
			}
		})
	}
}

func TestLinks(t *testing.T) {
	split := "split_feature=1\nthreshold=0\ndecision_type=0\n\nend of trees\n"
	for objective, want := range map[string]float64{
		"regression": 2, "regression sqrt": 4, "regression_l1": 2, "huber": 2, "fair": 2, "quantile": 2, "mape": 2,
		"poisson": math.Exp(2), "gamma": math.Exp(2), "tweedie tweedie_variance_power:1.5": math.Exp(2),
		"binary sigmoid:1": 1 / (1 + math.Exp(-2)), "binary sigmoid:0.5": 1 / (1 + math.Exp(-1)),
		"cross_entropy": 1 / (1 + math.Exp(-2)), "cross_entropy_lambda": math.Log1p(math.Exp(2)), "lambdarank": 2, "rank_xendcg": 2, "custom": 2, "": 2,
	} {
		imported, err := Read([]byte(strings.Replace(header, "objective=regression", "objective="+objective, 1) + split))
		if err != nil {
			t.Fatalf("%q: %v", objective, err)
		}
		y, err := imported.Graph.Run(model.Vector(0, 1))
		if err != nil || math.Abs(y[0].Data[0]/want-1) > 1e-15 {
			t.Errorf("%q: got %v, %v, want %g", objective, y, err, want)
		}
	}
}

var hostile = []string{
	"", "tree\n", "tree\nTree=0\n", "tree\nmax_feature_idx=1\nnum_class=1\nTree=0\nnum_leaves=2147483647\n",
	"tree\nmax_feature_idx=2147483647\nnum_class=1\nTree=0\nnum_leaves=1\nleaf_value=1\n",
	"tree\nmax_feature_idx=1\nnum_class=2147483647\nTree=0\nnum_leaves=1\nleaf_value=1\n",
	header + "split_feature=0\nthreshold=nan\ndecision_type=0\n", header + "split_feature=2\nthreshold=1\ndecision_type=0\n",
	header + "split_feature=0\nthreshold=1\ndecision_type=12\n", header + "split_feature=0\nthreshold=1\ndecision_type=1\n",
	header + "split_feature=0\nthreshold=0\ndecision_type=1\nnum_cat=1\ncat_boundaries=5 2\ncat_threshold=1 2\n",
	header + "split_feature=0\nthreshold=1\ndecision_type=0\nleft_child=0\n", header + "split_feature=0\nthreshold=1\ndecision_type=0\nleft_child=-3\n",
	header + "split_feature=0\nthreshold=1\ndecision_type=0\nleft_child=-2\n", header + "is_linear=1\n",
	header + "split_feature=0\nthreshold=1\ndecision_type=0\nleaf_value=nan inf\n",
	strings.Replace(header, "regression", "unheard-of", 1) + "split_feature=0\nthreshold=1\ndecision_type=0\n",
	`{"num_tree_per_iteration":1}`, `{"num_tree_per_iteration":1,"max_feature_idx":0,"tree_info":[{}]}`,
	`{"num_tree_per_iteration":1,"max_feature_idx":0,"tree_info":[{"tree_structure":{"split_feature":0}}]}`,
	`{"num_tree_per_iteration":1,"max_feature_idx":0,"tree_info":[{"tree_structure":{"leaf_value":1,"leaf_const":1}}]}`,
}

func TestRefuses(t *testing.T) {
	for _, text := range hostile {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range hostile {
		f.Add([]byte(text))
	}
	f.Add([]byte(header + "split_feature=0\nthreshold=1\ndecision_type=0\n"))
	f.Add([]byte(header + "split_feature=1\nthreshold=0\ndecision_type=1\nnum_cat=1\ncat_boundaries=0 2\ncat_threshold=13 1\n"))
	f.Add([]byte(`{"num_tree_per_iteration":1,"max_feature_idx":0,"tree_info":[{"tree_structure":{"split_feature":0,"threshold":"1||3","decision_type":"==",` +
		`"left_child":{"leaf_value":1},"right_child":{"leaf_value":2}}}]}`))
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
