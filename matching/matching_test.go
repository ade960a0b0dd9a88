package matching

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
)

// user is both ends of a gallery.
type user struct {
	*Gallery
	t      *testing.T
	params *fhe.Parameters
	key    *secret.Key
	keys   *fhe.EvaluationKeys
	pool   *fhe.Pool
}

func newUser(t *testing.T, g *Gallery, err error) *user {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	u := &user{Gallery: g, t: t, pool: fhe.NewPool(2)}
	if u.params, err = fhe.NewParameters(g.Circuit.Parameters); err != nil {
		t.Fatal(err)
	}
	if u.key, err = secret.GenerateKey(u.params); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := u.key.WriteEvaluationKeys(t.Context(), &file, g.Circuit.Keys(), fhe.ID{}, u.pool, nil); err != nil {
		t.Fatal(err)
	}
	if u.keys, err = fhe.ReadKeys(&file, u.params, g.Circuit.Keys(), fhe.ID{}, nil); err != nil {
		t.Fatal(err)
	}
	return u
}

// encrypt returns the request for a vector, and what the prefix makes of it.
func (u *user) encrypt(x []float64) (request []byte, encoded []float64) {
	u.t.Helper()
	vectors, err := u.Pipeline.Encode(x)
	if err != nil {
		u.t.Fatal(err)
	}
	full := circuit.Vector{Period: len(vectors[0]), Values: vectors[0]}.Full(u.params.N())
	request, err = u.key.Encrypt(fhe.SignatureOf(u.Circuit), fhe.ID{}, [][]float64{full})
	if err != nil {
		u.t.Fatal(err)
	}
	return request, vectors[0]
}

// ask returns the scores of a gallery in clear, and the answer.
func (u *user) ask(program *fhe.Program, request []byte) (scores, answer []float64) {
	u.t.Helper()
	s := program.Signature()
	inputs, err := fhe.ParseInputs(u.params, s, fhe.ID{}, request)
	if err != nil {
		u.t.Fatal(err)
	}
	replies, err := program.Run(u.t.Context(), u.keys, inputs)
	if err != nil {
		u.t.Fatal(err)
	}
	out, err := u.key.Decrypt(s, fhe.ID{}, fhe.MarshalReplies(s, fhe.ID{}, replies))
	if err != nil {
		u.t.Fatal(err)
	}
	scores, answer, err = u.Pipeline.Decode(out)
	if err != nil {
		u.t.Fatal(err)
	}
	return scores, answer
}

func TestScoresAreInnerProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, size := range []struct{ templates, dimensions int }{{1, 1}, {5, 3}, {300, 16}, {5000, 50}, {4097, 128}, {17 * 4096, 16}} {
		templates := make([][]float64, size.templates)
		for i := range templates {
			templates[i] = RandomUnit(r, size.dimensions)
		}
		g, err := Compile("gallery", templates)
		u := newUser(t, g, err)
		program, err := fhe.NewProgram(t.Context(), g.Circuit, u.pool)
		if err != nil {
			t.Fatal(err)
		}
		// Of any length: the client's side scales it.
		query := RandomUnit(r, size.dimensions)
		long := make([]float64, len(query))
		for i := range long {
			long[i] = 30 * query[i]
		}
		request, _ := u.encrypt(long)
		scores, _ := u.ask(program, request)
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
