package compiler

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/internal/race"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

func randomTensor(r *rand.Rand, std float64, shape ...int) model.Tensor {
	t := model.NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = std * r.NormFloat64()
	}
	return t
}

func randomRows(r *rand.Rand, n, size int) [][]float64 {
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = randomTensor(r, 1, size).Data
	}
	return rows
}

// compiled is a model compiled once for all tests, which leave it as it is.
func compiled(graph func() (*model.Graph, [][]float64, error), o Options) func(t *testing.T) *Result {
	compile := sync.OnceValues(func() (*Result, error) {
		g, rows, err := graph()
		if err != nil {
			return nil, err
		}
		return Compile(g, rows, o)
	})
	return func(t *testing.T) *Result {
		t.Helper()
		result, err := compile()
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
}

// compiledTrees are 20 stumps on a public grid.
var compiledTrees = compiled(func() (*model.Graph, [][]float64, error) {
	g, err := model.New("trees", model.Shape{4}).Apply(stumps(20)).Sigmoid().Graph()
	return g, treeRows(), err
}, Options{Grid: grid})

func treeRows() [][]float64 { return randomRows(rand.New(rand.NewPCG(5, 5)), 32, 4) }

// stumps is an ensemble of full trees of depth 2 on the edges 0 and 1 of four features.
func stumps(trees int) *model.TreeEnsemble {
	r := rand.New(rand.NewPCG(7, 7))
	t := &model.TreeEnsemble{Features: 4, Comparison: model.Less, Aggregate: model.AggregateSum, Base: []float64{0.25}}
	for range trees {
		node, leaf := len(t.Feature), len(t.Values)
		t.Roots = append(t.Roots, node)
		t.Left = append(t.Left, node+1, ^leaf, ^(leaf + 2))
		t.Right = append(t.Right, node+2, ^(leaf + 1), ^(leaf + 3))
		for range 3 {
			t.Feature = append(t.Feature, r.IntN(4))
			t.Threshold = append(t.Threshold, float64(r.IntN(2)))
		}
		for range 4 {
			t.Values = append(t.Values, []float64{r.NormFloat64()})
		}
	}
	return t
}

var grid = [][]float64{{-1, 0, 1}, {-1, 0, 1}, {-1, 0, 1}, {-1, 0, 1}}

func models(t *testing.T) map[string]*model.Graph {
	r := rand.New(rand.NewPCG(1, 1))
	list := map[string]*model.Builder{
		"linear": model.New("linear", model.Shape{30}).Dense(randomTensor(r, 1, 1, 30), []float64{0.5}).Sigmoid(),
		"rows":   model.New("rows", model.Shape{16}).Dense(randomTensor(r, 1, 40, 16), nil).Softmax(),
		"mlp": model.New("mlp", model.Shape{4}).Scale([]float64{2, 1, 1, 1}, []float64{0, 1, 0, 0}).
			Dense(randomTensor(r, 0.5, 12, 4), make([]float64, 12)).Polynomial(0.3, -0.5, 0.25).
			Dense(randomTensor(r, 0.3, 3, 12), []float64{1, 2, 3}).ArgMax(),
		"cnn": model.New("cnn", model.Shape{1, 8, 8}).
			Conv(randomTensor(r, 0.3, 4, 1, 3, 3), []float64{1, 0, 0, -1}, model.Window{Stride: []int{2, 2}, Pads: []int{0, 0, 1, 1}}).
			BatchNorm([]float64{1, 2, 1, 1}, []float64{0, 0.5, 0, 0}, make([]float64, 4), []float64{1, 2, 3, 4}, 1e-5).
			Square().AveragePool([]int{2, 2}, model.Window{Stride: []int{2, 2}}).Flatten().
			Dense(randomTensor(r, 0.3, 10, 16), make([]float64, 10)),
		"cubic":   model.New("cubic", model.Shape{8}).Dense(randomTensor(r, 0.2, 8, 8), nil).Polynomial(0.1, 0.5, 0.2, -0.3).Dense(randomTensor(r, 0.5, 2, 8), nil),
		"quintic": model.New("quintic", model.Shape{8}).Dense(randomTensor(r, 0.2, 8, 8), nil).Polynomial(0.1, 0.5, 0.2, -0.3, 0.1, 0.05).Dense(randomTensor(r, 0.5, 2, 8), nil),
		"tanh":    model.New("tanh", model.Shape{8}).Dense(randomTensor(r, 0.2, 8, 8), nil).Tanh().Dense(randomTensor(r, 0.5, 2, 8), nil),
		"trees":   model.New("trees", model.Shape{4}).Apply(stumps(20)).Sigmoid(),
		"average": model.New("average", model.Shape{2, 6, 6}).AveragePool([]int{2, 2}, model.Window{Stride: []int{2, 2}}),
		"pools": model.New("pools", model.Shape{1, 8, 8}).Conv(randomTensor(rand.New(rand.NewPCG(4, 4)), 0.3, 3, 1, 3, 3), []float64{1, 0, -1}, model.Window{Pads: []int{1, 1, 1, 1}}).
			Square().AveragePool([]int{2, 2}, model.Window{Stride: []int{2, 2}}).
			Conv(randomTensor(rand.New(rand.NewPCG(5, 5)), 0.3, 2, 3, 3, 3), nil, model.Window{Pads: []int{1, 1, 1, 1}}).
			Square().AveragePool([]int{2, 2}, model.Window{Stride: []int{2, 2}}),
	}
	residual := model.New("residual", model.Shape{8}).Dense(randomTensor(r, 0.3, 8, 8), nil)
	branch := residual.Value()
	list["residual"] = residual.Square().Dense(randomTensor(r, 0.2, 8, 8), nil).Add(branch).Square().Dense(randomTensor(r, 0.2, 2, 8), nil)
	graphs := map[string]*model.Graph{}
	for name, b := range list {
		g, err := b.Graph()
		if err != nil {
			t.Fatal(err)
		}
		graphs[name] = g
	}
	// One answer takes two products, the other none.
	heads := model.New("heads", model.Shape{8}).Dense(randomTensor(r, 0.3, 8, 8), nil).Square().Dense(randomTensor(r, 0.2, 8, 8), nil).Square().Dense(randomTensor(r, 0.2, 2, 8), nil)
	deep := heads.Value()
	shallow := heads.From("input").Dense(randomTensor(r, 0.3, 3, 8), nil).Value()
	g, err := heads.Graph(deep, shallow)
	if err != nil {
		t.Fatal(err)
	}
	graphs["heads"] = g
	return graphs
}

// TestCompiledModelsKeepTheirBound compiles every kind of layer and compares the circuit, in float and with simulated
// noise, with the model, on rows that the compiler did not see.
func TestCompiledModelsKeepTheirBound(t *testing.T) {
	for name, g := range models(t) {
		t.Run(name, func(t *testing.T) {
			if race.Enabled && !slices.Contains([]string{"linear", "average", "trees", "cnn"}, name) {
				t.Skip("searches for minutes")
			}
			t.Parallel()
			r := rand.New(rand.NewPCG(2, 2))
			size := g.Inputs[0].Shape.Size()
			result, err := Compile(g, randomRows(r, 64, size), Options{Grid: grid, MaxScoreError: 0.05})
			if err != nil {
				t.Fatal(err)
			}
			rows := randomRows(r, 20, size)
			want, err := g.RunRows(rows)
			if err != nil {
				t.Fatal(err)
			}
			simulated, err := result.Simulate(rows)
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 1e-9
			if name == "tanh" {
				tolerance = 0.05
			}
			for i, s := range simulated {
				for k := range want[i] {
					if d := math.Abs(s.Answer[k] - want[i][k]); d > tolerance*(1+math.Abs(want[i][k])) {
						t.Errorf("row %d: the circuit answers %g, the model %g", i, s.Answer[k], want[i][k])
					}
				}
				for k := range s.Scores {
					if d := math.Abs(s.NoisyScores[k] - s.Scores[k]); d > result.MaxScoreError {
						t.Errorf("row %d: noise changes a score by %g, more than %g", i, d, result.MaxScoreError)
					}
				}
			}
			if chosen := result.Candidates[0]; chosen.LogN != result.Circuit.Parameters.LogN || !strings.HasPrefix(chosen.Reason, "chosen") {
				t.Errorf("first candidate is not the chosen one: %+v", chosen)
			}
		})
	}
}

// notShort leaves out what searches for seconds, and under the race detector for minutes, with no concurrency that others do
// not have.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() || race.Enabled {
		t.Skip("searches for long")
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	notShort(t)
	g := models(t)["cnn"]
	rows := randomRows(rand.New(rand.NewPCG(3, 3)), 32, 64)
	var first [2][]byte
	for i := range 2 {
		result, err := Compile(g, rows, Options{})
		if err != nil {
			t.Fatal(err)
		}
		structure, weights, err := result.Circuit.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = [2][]byte{structure, weights}
		} else if !slices.Equal(first[0], structure) || !slices.Equal(first[1], weights) {
			t.Error("two compilations of one model differ")
		}
	}
}

func TestLinearModelsNeedNoKeys(t *testing.T) {
	notShort(t)
	for _, name := range []string{"linear", "rows"} {
		g := models(t)[name]
		size := g.Inputs[0].Shape.Size()
		result, err := Compile(g, randomRows(rand.New(rand.NewPCG(4, 4)), 32, size), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := result.Circuit.Keys().Count(); n != 0 {
			t.Errorf("%s: %d keys", name, n)
		}
	}
}

func TestClientsOfTreesLearnTheGridOnly(t *testing.T) {
	result := compiledTrees(t)
	nodes := result.Pipeline.Prefix.Nodes
	thermometer, ok := nodes[len(nodes)-1].Op.(*model.Thermometer)
	if !ok || !slices.EqualFunc(thermometer.Edges, grid, slices.Equal[[]float64]) {
		t.Errorf("the client's thermometer is not the public grid: %+v", nodes)
	}
}

func TestPreferKeysTakesFewerBytes(t *testing.T) {
	notShort(t)
	g, rows, err := mlp()
	if err != nil {
		t.Fatal(err)
	}
	small, err := Compile(g, rows, Options{Prefer: PreferKeys})
	if err != nil {
		t.Fatal(err)
	}
	if keys, of := small.Candidates[0].KeyBytes, fastMLP(t).Candidates[0].KeyBytes; keys >= of {
		t.Errorf("keys of %.0f bytes where keys were preferred, %.0f where latency was", keys, of)
	}
}

func TestCompileRefuses(t *testing.T) {
	notShort(t)
	r := rand.New(rand.NewPCG(8, 8))
	dense := func() *model.Builder { return model.New("m", model.Shape{4}).Dense(randomTensor(r, 1, 4, 4), nil) }
	for _, test := range []struct {
		want    string
		builder *model.Builder
		rows    int
		options Options
	}{
		{"calibration rows", dense(), 0, Options{}},
		{"unknown preference", dense(), 4, Options{Prefer: "speed"}},
		{`node "softmax1" (Softmax`, dense().Softmax().Dense(randomTensor(r, 1, 2, 4), nil), 4, Options{}},
		{"polynomials up to degree", dense().Activation(model.Sign).Dense(randomTensor(r, 1, 2, 4), nil), 32, Options{MaxScoreError: 1e-14}},
		{"takes 131072 elements side by side", model.New("m", model.Shape{1, 2, 65536}).MaxPool([]int{2, 1}, model.Window{}).Flatten().Dense(randomTensor(r, 1, 2, 65536), nil), 4, Options{}},
		{"no parameters up to", dense().Square().Dense(randomTensor(r, 1, 2, 4), nil), 32, Options{MaxScoreError: 1e-30}},
	} {
		g, err := test.builder.Graph()
		if err != nil {
			t.Fatal(err)
		}
		_, err = Compile(g, randomRows(r, test.rows, g.Inputs[0].Shape.Size()), test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("want an error about %q, got %v", test.want, err)
		}
	}
}

func TestPolynomialsKeepTheirValues(t *testing.T) {
	for _, c := range [][]float64{{1, 2}, {1, 2, 3}, {0, 0, 1}, {1, 2, 3, 4}, {5, 0, 1, 0, 2}, {1, -2, 3, -4, 5}, {1, 0, -2, 0, 1, 0, 0.5},
		{0, 1, 0, -2, 0, 0.3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 0, 0, 0, 0, 1}} {
		p := &program{inputs: []vector{{shape: model.Shape{1}}}}
		r := p.polynomial("p", 0, slices.Clone(c))
		depth := make([]int, 1+len(p.ops))
		for i, o := range p.ops {
			for _, v := range o.in {
				depth[i+1] = max(depth[i+1], depth[v])
			}
			if o.product {
				depth[i+1]++
			}
		}
		if most := bits.Len(uint(len(c) - 1)); len(c) > 2 && depth[r.value] > most {
			t.Errorf("%v takes %d levels, want %d", c, depth[r.value], most)
		}
		for _, x := range []float64{-1.5, 0, 0.7, 2} {
			values := []float64{x}
			for _, o := range p.ops {
				v := o.constant
				if o.product {
					v = values[o.in[0]] * values[o.in[1]]
				}
				for k, f := range o.factors {
					v += f * values[o.in[k]]
				}
				values = append(values, v)
			}
			got := r.factor*values[r.value] + r.constant
			want := (&model.Polynomial{Coefficients: c}).At(x)
			if math.Abs(got-want) > 1e-9*(1+math.Abs(want)) {
				t.Errorf("%v at %g: %g, want %g", c, x, got, want)
			}
		}
	}
}

func TestLeafIndicator(t *testing.T) {
	for degree := 1; degree <= maxConditions; degree++ {
		if degree > 2 && degree%2 == 1 {
			continue // never asked for
		}
		centre := 0.0
		if degree > 1 {
			centre = float64(degree+1) / 2
		}
		p := &model.Polynomial{Coefficients: leafIndicator(degree, centre, 1)}
		for s := 0; s <= degree; s++ {
			want := 0.0
			if s == 0 {
				want = 1
			}
			if got := p.At(float64(s) - centre); math.Abs(got-want) > 1e-9 {
				t.Errorf("degree %d: indicator of %d violated conditions is %g", degree, s, got)
			}
		}
	}
}

func TestCircuitsAnswerThroughThePipeline(t *testing.T) {
	g := models(t)["mlp"]
	rows := randomRows(rand.New(rand.NewPCG(9, 9)), 32, 4)
	result, err := Compile(g, rows, Options{Classes: []string{"a", "b", "c"}})
	if err != nil {
		t.Fatal(err)
	}
	vectors, err := result.Pipeline.Encode(rows[0])
	if err != nil {
		t.Fatal(err)
	}
	out, err := result.Circuit.Run(circuit.Vector{Period: len(vectors[0]), Values: vectors[0]}.Full(result.Circuit.Parameters.Slots()))
	if err != nil {
		t.Fatal(err)
	}
	scores, answer, err := result.Pipeline.Decode(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(scores) != 3 || len(answer) != 1 || int(answer[0]) != pipeline.Label(scores) {
		t.Errorf("scores %v give answer %v", scores, answer)
	}
}
