package matching

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

func TestStoredScoresAreInnerProducts(t *testing.T) {
	for _, size := range []struct {
		dimensions int
		files      []int // templates
		alike      bool  // all the query itself: the largest sums
	}{
		{1, []int{1}, false}, {3, []int{5}, false}, {16, []int{300}, false}, {50, []int{100, 1, 2000}, false}, {128, []int{4097, 33}, false},
		{128, []int{4096, 1000}, true}, {1024, []int{40}, false},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		g, err := CompileStored("gallery", size.dimensions)
		u := newUser(t, g, err)
		matcher, err := fhe.NewMatcher(g.Circuit, u.pool)
		if err != nil {
			t.Fatal(err)
		}
		query := RandomUnit(r, size.dimensions)
		s, set := matcher.Signature(), fhe.ID{5}
		stored := circuit.Stored(s.Inputs)
		var templates [][][]float64
		var ready []*fhe.Templates
		var blocks []int
		for _, count := range size.files {
			list := make([][]float64, count)
			for i := range list {
				v := RandomUnit(r, size.dimensions)
				if size.alike {
					v = query
				}
				list[i] = append(append([]float64(nil), v...), make([]float64, stored.Dimensions-size.dimensions)...)
			}
			file, err := u.key.EncryptTemplates(s, set, list, u.pool)
			if err != nil {
				t.Fatal(err)
			}
			if err := fhe.CheckTemplatesSize(s.Parameters, stored.Dimensions, int64(len(file))); err != nil {
				t.Fatal(err)
			}
			back, err := u.key.DecryptTemplates(s, set, file)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range back {
				for k, x := range v {
					want := 0.0
					if i < len(list) {
						want = list[i][k]
					}
					if math.Abs(x-want) > 0.01 {
						t.Fatalf("value %d of template %d comes back as %.4f, want %.4f", k, i, x, want)
					}
				}
			}
			read, err := fhe.ReadTemplates(bytes.NewReader(file), u.params, stored.Dimensions, set, u.pool)
			if err != nil {
				t.Fatal(err)
			}
			sizes, err := fhe.TemplateBlocks(s.Parameters, stored.Dimensions, fhe.TemplateCiphertexts(s.Parameters, stored.Dimensions, count))
			if err != nil {
				t.Fatal(err)
			}
			templates, ready, blocks = append(templates, list), append(ready, read), append(blocks, sizes...)
		}
		request, _ := u.encrypt(query)
		reply, err := matcher.Run(t.Context(), u.keys, fhe.ID{}, request, ready)
		if err != nil {
			t.Fatal(err)
		}
		scores, err := u.key.DecryptScores(s, fhe.ID{}, blocks, reply)
		if err != nil {
			t.Fatal(err)
		}
		at, squares, count, worst := 0, 0.0, 0, 0.0
		for _, list := range templates {
			for i := 0; i < len(list); at++ {
				for place, score := range scores[at] {
					want := 0.0
					if i < len(list) {
						for k, x := range query {
							want += x * list[i][k]
						}
					}
					wrong := score - want
					squares, count, worst = squares+wrong*wrong, count+1, max(worst, math.Abs(wrong))
					if math.Abs(wrong) > MaxError {
						t.Fatalf("%v: block %d: score %d is %.4f, want %.4f", size, at, place, score, want)
					}
					i++
				}
			}
		}
		t.Logf("%v: error of deviation %.5f, largest %.5f", size, math.Sqrt(squares/float64(count)), worst)
	}
}
