package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAffine(t *testing.T) {
	shape := []int{2, 4, 5}
	in := make([]float64, 40)
	for i := range in {
		in[i] = float64(i + 1)
	}
	out := make([]float64, 40)
	draw := rand.New(rand.NewPCG(1, 1))
	for _, still := range []Affine{{}, {Shift: 3, Rotate: 90, Zoom: 0.5, Shear: 1, Keep: 1}} {
		still.apply(draw, out, in, shape)
		for i := range in {
			if math.Abs(out[i]-in[i]) > 1e-12 {
				t.Fatalf("%+v: pixel %d is %v, was %v", still, i, out[i], in[i])
			}
		}
	}
	Affine{Shift: 1.5, Rotate: 20, Zoom: 0.1}.apply(draw, out, in, shape)
	if slices.Equal(in, out) {
		t.Error("nothing moved")
	}
	if low, high := slices.Min(out), slices.Max(out); low < 0 || high > 40 {
		t.Errorf("values from %v to %v, were from 1 to 40", low, high)
	}
}

func TestBilinear(t *testing.T) {
	image := []float64{1, 2, 3, 4} // 2 x 2
	for _, c := range []struct{ y, x, want float64 }{
		{0, 0, 1}, {1, 1, 4}, {0.5, 0.5, 2.5}, {0, 0.25, 1.25}, {-0.5, 0, 0.5}, {-1, 0, 0}, {5, 5, 0}, {1.5, 1, 2},
	} {
		if got := bilinear(image, 2, 2, c.y, c.x); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("at (%v, %v): %v, want %v", c.y, c.x, got, c.want)
		}
	}
}
