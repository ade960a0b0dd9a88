package matching

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

func unitVector(r *rand.Rand, dimensions int) []float64 {
	v, sum := make([]float64, dimensions), 0.0
	for i := range v {
		v[i] = r.NormFloat64()
		sum += v[i] * v[i]
	}
	for i := range v {
		v[i] /= math.Sqrt(sum)
	}
	return v
}

func TestScoresAreInnerProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range []struct{ templates, dimensions int }{{1, 1}, {5, 3}, {300, 16}, {5000, 50}, {4097, 128}} {
		templates := make([][]float64, size.templates)
		for i := range templates {
			templates[i] = unitVector(r, size.dimensions)
		}
		g, err := Compile("gallery", templates)
		if err != nil {
			t.Fatal(err)
		}
		params, err := fhe.NewParameters(g.Circuit.Parameters)
		if err != nil {
			t.Fatal(err)
		}
		key, err := secret.GenerateKey(params)
		if err != nil {
			t.Fatal(err)
		}
		pool := fhe.NewPool(1)
		var file bytes.Buffer
		if err := key.WriteEvaluationKeys(t.Context(), &file, g.Circuit.Keys(), fhe.ID{}, pool, nil); err != nil {
			t.Fatal(err)
		}
		keys, err := fhe.ReadKeys(&file, params, g.Circuit.Keys(), fhe.ID{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		program, err := fhe.NewProgram(t.Context(), g.Circuit, pool)
		if err != nil {
			t.Fatal(err)
		}
		// Of any length: the client's side scales it.
		query := unitVector(r, size.dimensions)
		long := make([]float64, len(query))
		for i := range long {
			long[i] = 30 * query[i]
		}
		vectors, err := g.Pipeline.Encode(long)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range vectors {
			full := make([]float64, params.N())
			for j := range full {
				full[j] = v[j%len(v)]
			}
			vectors[i] = full
		}
		s := program.Signature()
		request, err := key.Encrypt(s, fhe.ID{}, vectors)
		if err != nil {
			t.Fatal(err)
		}
		inputs, err := fhe.ParseInputs(params, s, fhe.ID{}, request)
		if err != nil {
			t.Fatal(err)
		}
		replies, err := program.Run(t.Context(), keys, inputs)
		if err != nil {
			t.Fatal(err)
		}
		out, err := key.Decrypt(s, fhe.ID{}, fhe.MarshalReplies(s, fhe.ID{}, replies))
		if err != nil {
			t.Fatal(err)
		}
		_, scores, err := g.Pipeline.Decode(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(scores) != size.templates {
			t.Fatalf("%d scores for %d templates", len(scores), size.templates)
		}
		for i, template := range templates {
			want := 0.0
			for k := range template {
				want += template[k] * query[k]
			}
			if math.Abs(scores[i]-want) > MaxError {
				t.Fatalf("%d templates of %d dimensions: score %d is %.4f, want %.4f", size.templates, size.dimensions, i, scores[i], want)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, templates := range map[string][][]float64{
		"none":       nil,
		"empty":      {{}},
		"ragged":     {{1, 0}, {1}},
		"too long":   {{1, 1}},
		"not finite": {{math.NaN()}},
		"too wide":   {make([]float64, MaxDimensions+1)},
	} {
		if _, err := Compile("gallery", templates); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBestAndVote(t *testing.T) {
	best := Best([]float64{0.1, 0.9, 0.5, 0.9, 0.6}, 4)
	for i, want := range []int{1, 3, 4, 2} {
		if best[i].Template != want {
			t.Errorf("place %d: template %d, want %d", i, best[i].Template, want)
		}
	}
	labels := []int{7, 1, 2, 3, 2}
	for k, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2} {
		if got := Vote(best[:k], labels); got != want {
			t.Errorf("%d neighbours vote for %d, want %d", k, got, want)
		}
	}
	if len(Best([]float64{1}, 5)) != 1 {
		t.Error("more matches than templates")
	}
}
