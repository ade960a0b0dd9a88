package check

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/compiler/approximation"
	"cipherpoint/model"
)

// TestHybridsRunFromTheOriginalToThePolynomials follows every kind of replacement: squares before a mean in the place of a
// max pool, trees of maxima, polynomials and compositions for activations, and layers fitted anew.
func TestHybridsRunFromTheOriginalToThePolynomials(t *testing.T) {
	for name, test := range map[string]struct {
		limit        float64 // on the largest change of an answer
		refit, every bool
		method       string // of the first replacement
	}{
		"coarse":   {math.MaxFloat64, false, false, "quadratic of each channel"},
		"refitted": {0.3, true, false, ""},
		"every":    {0.2, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			b := model.New("pools", model.Shape{1, 6, 6}).Conv(random(r, 0.3, 2, 1, 3, 3), []float64{0.1, -0.1}, model.Window{}).ReLU().
				MaxPool([]int{2, 2}, model.Window{Stride: []int{2, 2}}).Flatten().Dense(random(r, 0.3, 5, 8), nil).Tanh().Dense(random(r, 0.5, 2, 5), nil)
			g, err := b.Graph()
			if err != nil {
				t.Fatal(err)
			}
			std := slices.Repeat([]float64{1}, 36)
			data := rows(r, 200, std...)
			encrypted := slices.Repeat([]bool{true}, len(g.Nodes))
			result, err := approximation.Replace(g, encrypted, data, approximation.Options{Loss: differ, Limit: test.limit, Refit: test.refit, EveryAnswer: test.every})
			if err != nil {
				t.Fatal(err)
			}
			record := &Record{Graph: g, Polynomial: result.Graph, Replacements: result.Replacements, Refitted: result.Refitted}
			l, comparable, err := newLayers(record, g.Outputs)
			if err != nil || !comparable || len(l.units) != 2 {
				t.Fatalf("%v; scores known: %v; %d units", err, comparable, len(l.units))
			}
			if by := l.units[0].By; test.method != "" && by != test.method {
				t.Errorf("replaced by %s", by)
			}
			if test.refit != (len(l.units[0].refitted)+len(l.units[1].refitted) > 0) {
				t.Errorf("refitted %v", result.Refitted)
			}
			run := func(g *model.Graph, rows [][]float64) [][]float64 {
				t.Helper()
				out, err := g.RunRows(rows)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			original, polynomial := run(g, data), run(result.Graph, data)
			if d := differ(run(l.upTo(-1, false), data), original); d != 0 {
				t.Errorf("nothing replaced: %g from the original", d)
			}
			if d := differ(run(l.upTo(1, false), data), polynomial); d > 1e-9 {
				t.Errorf("all replaced: %g from the polynomials", d)
			}
			outside := 0
			for _, row := range data[:40] {
				for k := range l.units {
					o, err := l.overflow(k, row)
					if err != nil {
						t.Fatal(err)
					}
					exact, approximated := run(l.upTo(k, true), [][]float64{row}), run(l.upTo(k, false), [][]float64{row})
					if d := differ(exact, approximated); o == nil && d > 1e-12 {
						t.Errorf("unit %d in range: %g apart", k, d)
					} else if o != nil {
						outside++
					}
				}
			}
			if outside > 8 {
				t.Errorf("%d of 80 are out of range on the rows that ranges are from", outside)
			}
			// Far outside, no element is approximated, so that the hybrid is the model up to the unit before.
			far := make([][]float64, 5)
			for i := range far {
				for _, v := range data[i] {
					far[i] = append(far[i], 1e4*v)
				}
			}
			for i := range far {
				if o, err := l.overflow(0, far[i]); err != nil || o == nil || !(o.Value < o.Low || o.Value > o.High) {
					t.Errorf("row %d: %+v, %v", i, o, err)
				}
			}
			before, within, after := run(g, far), run(l.upTo(0, true), far), run(l.upTo(0, false), far)
			if d, whole := differ(within, before), differ(after, before); !test.refit && !(d <= 1e-3*whole) {
				t.Errorf("exact out of range: %g from the original, polynomials %g", d, whole)
			}
		})
	}
}

func differ(got, want [][]float64) float64 {
	worst := 0.0
	for i := range got {
		worst = max(worst, largest(got[i], want[i]))
	}
	return worst
}
