package pipeline

import (
	"reflect"
	"strings"
	"testing"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

func example(t *testing.T) *Pipeline {
	t.Helper()
	prefix, err := model.New("prefix", model.Shape{3}).Scale([]float64{2, 2, 2}, []float64{0, 0, 1}).Graph()
	if err != nil {
		t.Fatal(err)
	}
	suffix, err := model.New("suffix", model.Shape{2}).ArgMax().Graph()
	if err != nil {
		t.Fatal(err)
	}
	return &Pipeline{
		Prefix: prefix, Suffix: suffix, Classes: []string{"a", "b"},
		Inputs:  []Gather{{Elements: []int32{2, -1, 0, 1}}},
		Outputs: []Answer{{Shape: model.Shape{2}, Positions: []int32{3, 1}, Factor: 0.5}},
	}
}

func TestEncodeScalesAndGathers(t *testing.T) {
	got, err := example(t).Encode([]float64{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]float64{{7, 0, 2, 4}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := example(t).Encode([]float64{1, 2}); err == nil || !strings.Contains(err.Error(), "want 3") {
		t.Errorf("short row: %v", err)
	}
}

func TestDecodePicksAndScales(t *testing.T) {
	scores, answer, err := example(t).Decode([][]float64{{9, 8, 9, 4}})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(scores, []float64{2, 4}) || !reflect.DeepEqual(answer, []float64{1}) {
		t.Errorf("scores %v, answer %v", scores, answer)
	}
	for _, out := range [][][]float64{nil, {{1}}} {
		if _, _, err := example(t).Decode(out); err == nil {
			t.Errorf("decoded %v", out)
		}
	}
}

func TestLabel(t *testing.T) {
	for _, test := range []struct {
		answer []float64
		want   int
	}{{[]float64{0.4}, 0}, {[]float64{0.6}, 1}, {[]float64{-3, -1, -2}, 1}} {
		if got := Label(test.answer); got != test.want {
			t.Errorf("%v: class %d, want %d", test.answer, got, test.want)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	inputs, outputs := []circuit.Input{{}}, []circuit.Output{{Period: 4}}
	if err := example(t).Validate(8, inputs, outputs); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Pipeline){
		"no prefix":          func(p *Pipeline) { p.Prefix = nil },
		"no output":          func(p *Pipeline) { p.Outputs = nil },
		"foreign element":    func(p *Pipeline) { p.Inputs[0].Elements[0] = 3 },
		"odd period":         func(p *Pipeline) { p.Inputs[0].Elements = make([]int32, 3) },
		"unknown output":     func(p *Pipeline) { p.Inputs[0].Output = 1 },
		"position too large": func(p *Pipeline) { p.Outputs[0].Positions[0] = 4 },
		"too few positions":  func(p *Pipeline) { p.Outputs[0].Positions = p.Outputs[0].Positions[:1] },
	} {
		p := example(t)
		spoil(p)
		if err := p.Validate(8, inputs, outputs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
