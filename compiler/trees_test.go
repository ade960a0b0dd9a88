package compiler

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cipherpoint/model"
)

// randomEnsemble grows trees of thresholds and sets of intervals over few integer values.
func randomEnsemble(r *rand.Rand, trees, features, depth, outputs int) *model.TreeEnsemble {
	e := &model.TreeEnsemble{Features: features, Comparison: model.Less, Aggregate: model.AggregateSum, Base: make([]float64, outputs)}
	var grow func(depth int) int
	grow = func(depth int) int {
		if depth == 0 || r.IntN(5) == 0 {
			e.Values = append(e.Values, randomTensor(r, 1, outputs).Data)
			return ^(len(e.Values) - 1)
		}
		region := model.Region{Below: true, Bounds: []float64{float64(r.IntN(5))}, Missing: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			region = model.Region{Bounds: [][]float64{{2, 3}, {-1, 1, 3}, {0, 1, 3, 4}}[r.IntN(3)], Missing: r.IntN(2) == 0}
		}
		n := len(e.Feature)
		e.AddNode(r.IntN(features), region, 0, 0)
		left := grow(depth - 1)
		right := grow(depth - 1)
		e.Left[n], e.Right[n] = left, right
		return n
	}
	for range trees {
		e.Roots = append(e.Roots, grow(depth))
	}
	return e
}

func integerRows(r *rand.Rand, n, features int) [][]float64 {
	rows := make([][]float64, n)
	for i := range rows {
		for range features {
			v := float64(r.IntN(7) - 1)
			if v == 5 {
				v = math.NaN()
			}
			rows[i] = append(rows[i], v)
		}
	}
	return rows
}

// run computes a program's outputs.
func (p *program) run(in ...[]float64) [][]float64 {
	values := slices.Clone(in)
	for _, o := range p.ops {
		y := slices.Clone(o.bias)
		if o.maps == nil {
			y = make([]float64, o.shape.Size())
		}
		for i := range y {
			y[i] += o.constant
			for k, f := range o.factors {
				y[i] += f * values[o.in[k]][i]
			}
			for k, m := range o.maps {
				columns, factors := m.Row(i)
				for j, c := range columns {
					y[i] += factors[j] * values[o.in[k]][c]
				}
			}
			if o.product {
				y[i] = values[o.in[0]][i] * values[o.in[1]][i]
			}
		}
		values = append(values, y)
	}
	var out [][]float64
	for _, v := range p.outputs {
		out = append(out, values[v])
	}
	return out
}

// TestTreesAreLoweredExactly lowers trees of every kind of split and any depth, with edges of their own and with a grid.
func TestTreesAreLoweredExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	grid := slices.Repeat([][]float64{{-1, 0, 1, 2, 2.5, 3, 4, 5}}, 20)
	for _, depth := range []int{1, 2, 3, 5, 8, 14} {
		for _, grid := range [][][]float64{nil, grid} {
			e := randomEnsemble(r, 6, 20, depth, 3)
			g, err := model.New("trees", model.Shape{20}).TreeEnsemble(e).Graph()
			if err != nil {
				t.Fatal(err)
			}
			s, err := lower(g, grid)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range integerRows(r, 40, 20) {
				want, err := g.Run(model.Vector(row...))
				if err != nil {
					t.Fatal(err)
				}
				bits, err := s.prefix.Run(model.Vector(row...))
				if err != nil {
					t.Fatal(err)
				}
				got := s.encrypted.run(bits[0].Data)[0]
				for k, w := range want[0].Data {
					if math.Abs(got[k]-w) > 1e-9 {
						t.Fatalf("depth %d, row %v: got %v, want %v", depth, row, got, want[0].Data)
					}
				}
			}
		}
	}
}

func TestMissingValues(t *testing.T) {
	split := func(bound float64, missingLeft bool) func(e *model.TreeEnsemble) {
		return func(e *model.TreeEnsemble) {
			leaf := len(e.Values)
			e.Values = append(e.Values, []float64{1}, []float64{2})
			e.Roots = append(e.Roots, len(e.Feature))
			e.AddNode(0, model.Region{Below: true, Bounds: []float64{bound}, Missing: missingLeft}, ^leaf, ^(leaf + 1))
		}
	}
	for name, test := range map[string]struct {
		nodes   []func(e *model.TreeEnsemble)
		grid    [][]float64
		missing []bool
		replace []float64
	}{
		"always left":           {[]func(*model.TreeEnsemble){split(1, true), split(2, true)}, nil, nil, nil},
		"as zero":               {[]func(*model.TreeEnsemble){split(-1, false), split(2, true)}, nil, nil, []float64{0, -math.MaxFloat64}},
		"as some value":         {[]func(*model.TreeEnsemble){split(1, false), split(2, true)}, nil, nil, []float64{1, -math.MaxFloat64}},
		"as no value":           {[]func(*model.TreeEnsemble){split(1, true), split(2, false)}, nil, []bool{true, false}, []float64{0, -math.MaxFloat64}},
		"with a grid, left":     {[]func(*model.TreeEnsemble){split(1, true), split(2, true)}, [][]float64{{1, 2}, {0}}, nil, nil},
		"with a grid, as zero":  {[]func(*model.TreeEnsemble){split(-1, false), split(2, true)}, [][]float64{{-1, 2}, {0}}, nil, []float64{0, 0}},
		"with a grid, as value": {[]func(*model.TreeEnsemble){split(1, false), split(2, true)}, [][]float64{{1, 2}, {0}}, []bool{true, true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := &model.TreeEnsemble{Features: 2, Comparison: model.Less, Aggregate: model.AggregateSum}
			for _, add := range test.nodes {
				add(e)
			}
			got := newTreeBits(e, test.grid).thermometer
			if !slices.Equal(got.Missing, test.missing) || !slices.Equal(got.Replace, test.replace) {
				t.Errorf("bits %v, replaced by %v; want %v, %v", got.Missing, got.Replace, test.missing, test.replace)
			}
		})
	}
}

func TestThresholdsAreNeverToldByMistake(t *testing.T) {
	notShort(t)
	g, rows := models(t)["trees"], treeRows()
	_, err := Compile(g, rows, Options{Grid: [][]float64{{0}, {0}, {0}, {0}}})
	if err == nil || !strings.Contains(err.Error(), "public grid") {
		t.Errorf("a grid without the thresholds: got %v", err)
	}
	own, err := Compile(g, rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for want, result := range map[string]*Result{"12 edges of a public grid": compiledTrees(t), "learn the 8 thresholds": own} {
		if got := result.Thresholds(); !strings.Contains(got, want) {
			t.Errorf("got %q, want something about %q", got, want)
		}
	}
}
