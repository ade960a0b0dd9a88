package publish

import (
	"context"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/internal/race"
	"cipherpoint/internal/testdata"
	"cipherpoint/internal/treetest"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/lightgbm"
	"cipherpoint/model/xgboost"
	"cipherpoint/pipeline"
)

var everyTree = flag.Bool("every-tree", false, "compile the published tree models that take minutes, too, and encrypt more rows")

// TestPublishedTreesAnswerAlikeEncrypted serves models of LightGBM and XGBoost as their files have them: on 99.9 % of the
// rows the label is that of the original, and scores are within 1 % of their range. All rows are simulated, some are
// encrypted.
func TestPublishedTreesAnswerAlikeEncrypted(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("compiles for a minute")
	}
	dir := filepath.Join(testdata.Dir(t), "onnx")
	for _, test := range []struct {
		file, rows string
		label      bool
		read       func([]byte) (*model.Imported, error)
		slow       bool
	}{
		{"lightgbm/lg_rf_iris.model", "lightgbm/iris_test.libsvm", false, lightgbm.Read, false},
		{"lightgbm/lg_dart_breast_cancer.model", "lightgbm/breast_cancer_test.tsv", false, lightgbm.Read, true},
		{"lightgbm/lg_breast_cancer.txt", "lightgbm/breast_cancer_test.tsv", false, lightgbm.Read, true},
		{"lightgbm/lg_kddcup99.model", "lightgbm/kddcup99_test.tsv", false, lightgbm.Read, true},
		{"lightgbm/lgmulticlass.model", "lightgbm/multiclass_test.tsv", true, lightgbm.Read, true},
		{"xgboost/binary/xgagaricus.json", "xgboost/binary/agaricus_test.libsvm", false, xgboost.Read, false},
		{"xgboost/binary/xgblin_agaricus.json", "xgboost/binary/agaricus_test.libsvm", false, xgboost.Read, false},
		{"xgboost/binary/xg_dart_agaricus.json", "xgboost/binary/agaricus_test.libsvm", false, xgboost.Read, true},
		{"xgboost/binary/xgdermatology.json", "xgboost/binary/dermatology_test.libsvm", false, xgboost.Read, false},
		{"xgboost/json/mortgage_xgb.json", "xgboost/json/mortgage_data.csv", false, xgboost.Read, true},
	} {
		if test.slow && !*everyTree {
			continue
		}
		t.Run(filepath.Base(test.file), func(t *testing.T) {
			ctx, artifact := context.Background(), t.TempDir()
			data, err := os.ReadFile(filepath.Join(dir, test.file))
			if err != nil {
				t.Fatal(err)
			}
			imported, err := test.read(data)
			if err != nil {
				t.Fatal(err)
			}
			unlisted := 0.0
			if test.file[0] == 'x' {
				unlisted = math.NaN()
			}
			x := treetest.Rows(t, filepath.Join(dir, test.rows), imported.Graph.Inputs[0].Shape[0], test.label, unlisted)
			set := &dataset.Set{X: x, Labels: imported.Classes}
			answers, err := imported.Graph.RunRows(x)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				set.Y = append(set.Y, float64(pipeline.Label(a)))
			}
			m, err := Build(ctx, recipes.Recipe{
				Name: "trees", Kind: imported.Format,
				Load: func(context.Context, dataset.Source) (known, test *dataset.Set, err error) { return set, set, nil },
				Train: func(context.Context, *dataset.Set, func(done, of int)) (*model.Graph, [][]float64, error) {
					return imported.Graph, nil, nil
				},
			}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			low, high, simulated := math.Inf(1), math.Inf(-1), 0.0
			for _, s := range m.Simulated {
				for k, v := range s.Scores {
					low, high = min(low, v), max(high, v)
					simulated = max(simulated, math.Abs(s.NoisyScores[k]-v))
				}
			}
			if agreement := m.simulatedAgreement(); agreement.Share() < check.MinAgreement {
				t.Errorf("simulated labels are the original's on %d of %d rows", agreement.Hits, agreement.Of)
			}
			if err := m.Save(artifact); err != nil {
				t.Fatal(err)
			}
			samples := 8
			if *everyTree {
				samples = 200
			}
			e, err := m.Try(ctx, artifact, samples, func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			worst, labels := 0.0, 0
			for i, scores := range e.Scores {
				for k, v := range scores {
					worst = max(worst, math.Abs(v-m.Simulated[i].Scores[k]))
				}
				if pipeline.Label(e.Answers[i]) == pipeline.Label(answers[i]) {
					labels++
				}
			}
			if limit := 0.01 * (high - low); simulated > limit || worst > limit {
				t.Errorf("scores differ by %.3g simulated, %.3g encrypted: more than 1 %% of %.3g", simulated, worst, high-low)
			}
			if float64(labels) < check.MinAgreement*float64(len(e.Answers)) {
				t.Errorf("encrypted labels are the original's on %d of %d rows", labels, len(e.Answers))
			}
			agreement := m.simulatedAgreement()
			t.Logf("labels: simulated %d of %d, encrypted %d of %d; scores within %.2g %% of their range; %v; %d kB keys, %d kB request; 2^%d; %s",
				agreement.Hits, agreement.Of, labels, len(e.Answers), 100*max(simulated, worst)/(high-low), Median(e.All), len(e.UserKeys)/1000,
				len(e.Request)/1000, m.Compiled.Circuit.Parameters.LogN, m.Compiled.Candidates[0].Packing)
		})
	}
}
