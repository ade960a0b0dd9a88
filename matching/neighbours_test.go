package matching

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/fhe"
	"cipherpoint/pipeline"
)

// blobs are rows about the centres of classes, of columns with different units.
func blobs(r *rand.Rand, count int) (rows, answers [][]float64) {
	units := []float64{1, 100, 0.01, 5, 1}
	for i := range count {
		class := i % 3
		row, answer := make([]float64, len(units)), make([]float64, 3)
		for j, u := range units {
			row[j] = u * (40 + float64((class*7+j*3)%5) + 1.5*r.NormFloat64())
		}
		answer[class] = 1
		rows, answers = append(rows, row), append(answers, answer)
	}
	return rows, answers
}

func TestNeighboursAreThoseInClear(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	rows, answers := blobs(r, 600)
	scale := []float64{1, 0.01, 100, 0.2, 1}
	const k = 5
	g, err := CompileNeighbours("blobs", rows, answers, scale, k)
	u := newUser(t, g, err)
	program, err := fhe.NewProgram(t.Context(), g.Circuit, u.pool)
	if err != nil {
		t.Fatal(err)
	}
	squares := make([]float64, len(rows))
	for c := range scale {
		mean := 0.0
		for _, row := range rows {
			mean += row[c] / float64(len(rows))
		}
		for j, row := range rows {
			squares[j] += math.Pow(scale[c]*(row[c]-mean), 2)
		}
	}
	lift, middle, longest := liftOf(squares)
	queries, _ := blobs(r, 60)
	same, right := 0, 0
	for i, x := range queries {
		request, encoded := u.encrypt(x)
		scores, got := u.ask(program, request)
		distances := make([]float64, len(rows))
		for j, row := range rows {
			for c := range row {
				distances[j] -= math.Pow(scale[c]*(x[c]-row[c]), 2)
			}
		}
		// The client's vector ends in lift over the length that it was divided by.
		length := lift / encoded[len(scale)]
		for j, d := range distances {
			if want := (length*length - lift*lift + middle + d) / (2 * length * longest); math.Abs(scores[j]-want) > MaxError {
				t.Fatalf("row %d: score %d is %.4f, want %.4f", i, j, scores[j], want)
			}
		}
		want := make([]float64, 3)
		for _, m := range Best(distances, k) {
			for c, share := range answers[m.Template] {
				want[c] += share / k
			}
		}
		if slices.Equal(got, want) {
			same++
		}
		if pipeline.Label(got) == pipeline.Label(want) {
			right++
		}
	}
	// Of neighbours that are about as near another may be taken.
	if same < len(queries)*3/4 || right < len(queries)-1 {
		t.Errorf("of %d rows %d have the same shares and %d the same class as in clear", len(queries), same, right)
	}
}

func TestCompileNeighboursRefuses(t *testing.T) {
	row, answer := []float64{1, 2}, []float64{1}
	for name, err := range map[string]error{
		"no rows":        second(CompileNeighbours("n", nil, nil, nil, 1)),
		"no neighbours":  second(CompileNeighbours("n", [][]float64{row}, [][]float64{answer}, nil, 0)),
		"too many":       second(CompileNeighbours("n", [][]float64{row}, [][]float64{answer}, nil, 2)),
		"ragged rows":    second(CompileNeighbours("n", [][]float64{row, {1}}, [][]float64{answer, answer}, nil, 1)),
		"ragged answers": second(CompileNeighbours("n", [][]float64{row, row}, [][]float64{answer, {1, 2}}, nil, 1)),
		"scales":         second(CompileNeighbours("n", [][]float64{row}, [][]float64{answer}, []float64{1}, 1)),
		"not finite":     second(CompileNeighbours("n", [][]float64{{math.Inf(1), 1}}, [][]float64{answer}, nil, 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := CompileNeighbours("n", [][]float64{row, row}, [][]float64{answer, answer}, nil, 2); err != nil {
		t.Errorf("rows that are the same: %v", err)
	}
}

func second(_ *Gallery, err error) error { return err }
