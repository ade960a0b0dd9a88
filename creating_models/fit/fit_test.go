package fit

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cipherpoint/internal/race"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

func TestDevianceIsScikitLearns(t *testing.T) {
	// sklearn.metrics.mean_tweedie_deviance([y], [2.5], power=p), version 1.9.1.
	for _, c := range []struct{ y, power, want float64 }{
		{0, 1, 5}, {4, 1, 0.7600290339658855}, {0, 1.5, 6.324555320336759}, {4, 1.5, 0.44384383287557316},
		{1, 2, 0.63258146374831}, {4, 2, 0.2599927415085288},
	} {
		if got := deviance(2.5, c.y, c.power); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("of %g with power %g: %v, want %v", c.y, c.power, got, c.want)
		}
	}
}

func TestMeasuresAreScikitLearns(t *testing.T) {
	// sklearn.metrics of version 1.9.1: accuracy_score, roc_auc_score, f1_score; of three classes with multi_class="ovr" and
	// average="macro"; root_mean_squared_error, mean_absolute_error, r2_score.
	two := [][]float64{{0.1}, {0.8}, {0.35}, {0.6}, {0.35}}
	three := [][]float64{{0.6, 0.3, 0.1}, {0.2, 0.5, 0.3}, {0.3, 0.4, 0.3}, {0.1, 0.2, 0.7}, {0.5, 0.1, 0.4}}
	values := [][]float64{{1}, {2.5}, {4}, {4.5}, {3}}
	for _, c := range []struct {
		measure Measure
		labels  []string
		answers [][]float64
		y       []float64
		want    float64
	}{
		{Accuracy, []string{"a", "b"}, two, []float64{0, 1, 1, 0, 0}, 0.6},
		{AUC, []string{"a", "b"}, two, []float64{0, 1, 1, 0, 0}, 0.75},
		{F1, []string{"a", "b"}, two, []float64{0, 1, 1, 0, 0}, 0.5},
		{AUC, []string{"a", "b", "c"}, three, []float64{0, 1, 0, 2, 2}, 0.9444444444444445},
		{F1, []string{"a", "b", "c"}, three, []float64{0, 1, 0, 2, 2}, 0.611111111111111},
		{RMSE, nil, values, []float64{1, 2, 3, 4, 5}, 1.0488088481701516},
		{MAE, nil, values, []float64{1, 2, 3, 4, 5}, 0.8},
		{R2, nil, values, []float64{1, 2, 3, 4, 5}, 0.45},
	} {
		set := &dataset.Set{X: c.answers, Y: c.y, Labels: c.labels, Shape: []int{len(c.answers[0])}}
		m, err := Options{Measure: c.measure}.measure(set)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.score(c.answers, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s of %d classes: %v, want %v", c.measure, len(c.labels), got, c.want)
		}
	}
	classes, regression := &dataset.Set{Labels: []string{"a", "b"}}, &dataset.Set{}
	for message, c := range map[string]struct {
		measure Measure
		set     *dataset.Set
	}{"for values": {RMSE, classes}, "for classes": {AUC, regression}, `"gini"`: {"gini", classes}} {
		if _, err := (Options{Measure: c.measure}).measure(c.set); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", message, err)
		}
	}
	if m := areaUnderCurve(two, []float64{1, 1, 1, 1, 1}, 1); !math.IsNaN(m) {
		t.Errorf("AUC of one class is %v", m)
	}
}

func TestWeights(t *testing.T) {
	table, err := ParseCSV([]byte("x,w,c\n1,3,a\n2,1,b\n3,0,a\n4,,b\n5,2,b\n"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Options{Target: "c", Weight: "w"}.newPart(table, Classification, nil)
	if err != nil || p.dropped != 2 || len(p.table.Columns) != 1 || !slices.Equal(p.weights, []float64{1.5, 0.5, 1}) {
		t.Errorf("%+v, %v", p, err)
	}
	for message, o := range map[string]Options{
		"no column":        {Kind: Tree, Target: "c", Weight: "z"},
		`row 1 has "a"`:    {Kind: Tree, Target: "w", Weight: "c"},
		"takes no weights": {Kind: Centroid, Target: "c", Weight: "w", TestShare: 0.3},
		"are for classes":  {Kind: Ridge, Target: "x", Balanced: true},
	} {
		if _, err := Fit(t.Context(), table, o); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v", message, err)
		}
	}
}

func TestWordsAreWeighedAsByScikitLearn(t *testing.T) {
	// sklearn.feature_extraction.text.TfidfVectorizer of the three texts, version 1.9.1: bad, good, very.
	want := [][]float64{{0, 0.894427, 0.447214}, {0.707107, 0.707107, 0}, {0.894427, 0, 0.447214}}
	table := &Table{Columns: []Column{{Name: "note", Kind: pipeline.Text}}, Rows: [][]string{{"good very good"}, {"bad good"}, {"very bad bad"}}}
	got := prepared(t, table, Ridge)
	for i := range want {
		for k := range want[i] {
			if math.Abs(got[i][k]-want[i][k]) > 1e-6 {
				t.Fatalf("text %d: %v, want %v", i, got[i], want[i])
			}
		}
	}
}

func TestPreparation(t *testing.T) {
	table := &Table{
		Columns: []Column{{Name: "job", Kind: pipeline.Category}, {Name: "age", Kind: pipeline.Number}},
		Rows:    [][]string{{"clerk", "1"}, {"nurse", "?"}, {"clerk", "3"}, {"nurse", "8"}, {"diver", "3"}},
	}
	// The median 3 stands for what is missing; then the mean is 18/5, the variance 108/5 − (18/5)². Diver is rare.
	deviation := math.Sqrt(92.0/5 - 18.0*18/25)
	for i, row := range prepared(t, table, Ridge) {
		age := []float64{1, 3, 3, 8, 3}[i]
		want := []float64{(age - 3.6) / deviation, []float64{1, 0, 1, 0, 0}[i], []float64{0, 1, 0, 1, 0}[i]}
		for k := range want {
			if math.Abs(row[k]-want[k]) > 1e-12 {
				t.Errorf("row %d: %v, want %v", i, row, want)
			}
		}
	}
	table.Rows = append(table.Rows, slices.Repeat([][]string{{"nurse", "3"}}, 30)...)
	if row := prepared(t, table, MLP)[3]; row[0] != mostDeviations {
		t.Errorf("for networks: %v", row)
	}
	if row := prepared(t, table, Tree)[1]; !math.IsNaN(row[0]) || row[2] != 1 {
		t.Errorf("for trees: %v", row)
	}
	if _, err := columnsOf(&Table{Columns: []Column{{Name: "id", Kind: pipeline.Category}}, Rows: [][]string{{"a"}, {"b"}}}, 3); err == nil || !strings.Contains(err.Error(), `"id"`) {
		t.Errorf("a column of names: %v", err)
	}
}

// prepared returns the features of a table's rows.
func prepared(t *testing.T, table *Table, kind Kind) [][]float64 {
	t.Helper()
	columns, err := columnsOf(table, 3)
	if err != nil {
		t.Fatal(err)
	}
	set, err := (&part{table: table}).encode(columns)
	if err != nil {
		t.Fatal(err)
	}
	prepare, err := preparation(columns, set.X, kind)
	if err != nil {
		t.Fatal(err)
	}
	features, err := prepare.RunRows(set.X)
	if err != nil {
		t.Fatal(err)
	}
	return features
}

func TestChoices(t *testing.T) {
	list := []Candidate{
		{Label: "fast", Loss: 0.20, Latency: 2 * time.Millisecond, KeyBytes: 5},
		{Label: "well", Loss: 0.11, Latency: 3 * time.Millisecond, KeyBytes: 9},
		{Label: "beaten", Loss: 0.12, Latency: 4 * time.Millisecond, KeyBytes: 9},
		{Label: "best", Loss: 0.10, StandardError: 0.015, Latency: 9 * time.Millisecond, KeyBytes: 9},
		{Label: "refused", Loss: 0.01, Refused: "too deep"},
		{Label: "few keys", Loss: 0.30, Latency: 9 * time.Millisecond, KeyBytes: 1},
	}
	markFront(list)
	for _, c := range list {
		if want := c.Label != "beaten" && c.Label != "refused"; c.Front != want {
			t.Errorf("%s: on the front: %v", c.Label, c.Front)
		}
	}
	for choice, want := range map[Choice]string{ChooseWell: "well", ChooseBest: "best", ChooseFast: "fast"} {
		if i, err := choice.of(list); err != nil || list[i].Label != want {
			t.Errorf("%q: %d, %v; want %s", choice, i, err, want)
		}
	}
	// Below a millisecond the score decides.
	list = []Candidate{{Label: "a", Loss: 0.1, Latency: 5 * time.Microsecond}, {Label: "b", Loss: 0.09, StandardError: 0.1, Latency: 9 * time.Microsecond}}
	for _, choice := range []Choice{ChooseWell, ChooseFast} {
		if i, err := choice.of(list); err != nil || i != 1 {
			t.Errorf("%q: %d, %v", choice, i, err)
		}
	}
	if _, err := ChooseBest.of([]Candidate{{Refused: "too deep"}}); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Errorf("all refused: %v", err)
	}
}

// Sizes of several kinds are candidates side by side, numbered through.
func TestSeveralKinds(t *testing.T) {
	var b strings.Builder
	b.WriteString("x,z,c\n")
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		x, z := r.Float64(), r.Float64()
		fmt.Fprintf(&b, "%.3f,%.3f,%t\n", x, z, (x > 0.5) == (z > 0.5)) // no line parts the classes
	}
	table, err := ParseCSV([]byte(b.String()), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Kind: Logistic, Others: []Kind{Tree}, Target: "c", Folds: 3, Unpriced: true, Choose: ChooseBest}
	result, err := Fit(t.Context(), table, o)
	if err != nil {
		t.Fatal(err)
	}
	chosen := result.Candidates[result.Chosen]
	if result.Kind != Tree || chosen.Kind != Tree || result.Candidates[0].Kind != Logistic || chosen.Number != result.Chosen+1 || chosen.Score < 0.8 {
		t.Errorf("%+v of %s", chosen, result.Kind)
	}
	var text strings.Builder
	if err := result.WriteTable(&text); err != nil || !strings.Contains(text.String(), "tree, depth 2, 4 leaves") {
		t.Errorf("%v: %s", err, text.String())
	}
	o.Choose = Choice(fmt.Sprint(chosen.Number))
	only, err := Fit(t.Context(), table, o)
	if err != nil || len(only.Candidates) != 1 || only.Candidates[0].Label != chosen.Label || only.Candidates[0].Number != chosen.Number {
		t.Errorf("%+v, %v", only, err)
	}
	o.Choose = "99"
	if _, err := Fit(t.Context(), table, o); err == nil || !strings.Contains(err.Error(), "candidate 99") {
		t.Errorf("candidate 99: %v", err)
	}
	if _, err := Fit(t.Context(), table, Options{Kind: Boosting, Others: []Kind{Logistic}, Target: "x", Task: Regression}); err == nil || !strings.Contains(err.Error(), "none for") {
		t.Errorf("kinds of two tasks: %v", err)
	}
}

func TestNeighboursAreTheNearest(t *testing.T) {
	set := &dataset.Set{Shape: []int{2}, Labels: []string{"a", "b"}}
	for i := range 40 {
		x := float64(i)
		set.X, set.Y = append(set.X, []float64{x, -x}), append(set.Y, math.Floor(x/20))
	}
	g := Options{}.condense(set, 100)
	if len(g.centres) != 40 {
		t.Fatalf("%d centres of 40 rows", len(g.centres))
	}
	graph, err := g.neighbours(3)
	if err != nil {
		t.Fatal(err)
	}
	// The three nearest of 18.6 are 19, 18 and 20: two of a, one of b.
	answers, err := graph.RunRows([][]float64{{18.6, -18.6}})
	if err != nil || math.Abs(answers[0][0]-2.0/3) > 1e-12 || math.Abs(answers[0][1]-1.0/3) > 1e-12 {
		t.Errorf("%v, %v", answers, err)
	}
	condensed := Options{Seed: 1}.condense(set, 8)
	if n := len(condensed.centres); n < 6 || n > 8 {
		t.Errorf("%d centres, want 8 at most", n)
	}
	set.Labels = nil
	for _, answer := range (Options{Seed: 1}).condense(set, 4).answers {
		if len(answer) != 1 || answer[0] < 0 || answer[0] > 1+1e-9 {
			t.Errorf("value %v", answer)
		}
	}
	same := new(gallery)
	same.add([]float64{1}, []float64{0})
	same.add([]float64{1}, []float64{1})
	if len(same.centres) != 1 {
		t.Error("two centres at one place")
	}
}

func TestJoinKeepsTheAnswers(t *testing.T) {
	double, err := model.New("double", model.Shape{2}).Scale([]float64{2, 2}, []float64{0, 0}).Graph()
	if err != nil {
		t.Fatal(err)
	}
	joined, err := join(double, double)
	if err != nil {
		t.Fatal(err)
	}
	if answers, err := joined.RunRows([][]float64{{1, 2}}); err != nil || answers[0][0] != 4 || answers[0][1] != 8 {
		t.Errorf("%v, %v", answers, err)
	}
}

// TestImages fits the smallest network for images, from a set and from a table of pixels.
func TestImages(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("trains networks, which does not run under the race detector")
	}
	digits, err := dataset.Digits()
	if err != nil {
		t.Fatal(err)
	}
	known, test := digits.StratifiedSplit(0.8, 1)
	r, err := FitSet(context.Background(), known, test, Options{Kind: CNN, Choose: "1", Folds: 2, CrossRows: 200, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Candidates[0]; c.Score < 0.7 || c.KeyBytes == 0 || len(r.Graph.Inputs[0].Shape) != 3 {
		t.Errorf("%+v", c)
	}
	if _, err := FitSet(context.Background(), known, test, Options{Kind: CNN, Choose: "9"}); err == nil {
		t.Error("took a candidate that there is not")
	}
	flat := *known
	flat.Shape = []int{64}
	if _, err := FitSet(context.Background(), &flat, test, Options{Kind: CNN}); err == nil || !strings.Contains(err.Error(), "channels") {
		t.Errorf("flat images: %v", err)
	}
}
