package random

import (
	"math"
	"testing"
)

func TestTernaryIsUniform(t *testing.T) {
	v := make([]int8, 300000)
	Keyed([32]byte{1}).Ternary(v)
	var counts [3]int
	for _, x := range v {
		counts[x+1]++
	}
	for value, count := range counts {
		if math.Abs(float64(count)-1e5) > 6*math.Sqrt(1e5*2/3) {
			t.Errorf("%d occurs %d times in 300000", value-1, count)
		}
	}
}

func TestGaussianDistribution(t *testing.T) {
	const draws = 1 << 20
	v := make([]int8, draws)
	Keyed([32]byte{2}).Gaussian(v)
	counts := map[int]float64{}
	for _, x := range v {
		counts[int(x)]++
	}
	total := 0.0
	for x := -Bound; x <= Bound; x++ {
		total += math.Exp(-float64(x*x) / (2 * Deviation * Deviation))
	}
	seen := 0.0
	for x := -Bound; x <= Bound; x++ {
		p := math.Exp(-float64(x*x)/(2*Deviation*Deviation)) / total
		if want := p * draws; math.Abs(counts[x]-want) > 6*math.Sqrt(want)+6 {
			t.Errorf("%d occurs %g times, want about %g", x, counts[x], want)
		}
		seen += counts[x]
	}
	if seen != draws {
		t.Errorf("%g of %d errors are beyond the bound", draws-seen, draws)
	}
}

func TestFreshStreamsDiffer(t *testing.T) {
	first, second := New(), New()
	if first.Uint64() == second.Uint64() {
		t.Fatal("two streams begin alike")
	}
}

func TestWideDistribution(t *testing.T) {
	const draws = 1 << 18
	for _, deviation := range []float64{64, 1 << 20, 1 << 39} {
		v := make([]int64, draws)
		Keyed([32]byte{3}).Wide(v, deviation)
		var sum, squares float64
		within := map[float64]float64{}
		for _, x := range v {
			z := float64(x) / deviation
			sum += z
			squares += z * z
			for _, bound := range []float64{0.5, 1, 2, 3} {
				if math.Abs(z) < bound {
					within[bound]++
				}
			}
		}
		if math.Abs(sum) > 5*math.Sqrt(draws) || math.Abs(squares/draws-1) > 5*math.Sqrt(2./draws) {
			t.Errorf("deviation %g: mean %g, mean square %g of the standardised", deviation, sum/draws, squares/draws)
		}
		for bound, count := range within {
			p := math.Erf(bound / math.Sqrt2)
			// Rounding to integers moves the edges of the interval by up to half an integer.
			if math.Abs(count-p*draws) > 5*math.Sqrt(draws*p*(1-p))+draws*0.8/deviation {
				t.Errorf("deviation %g: %g of %d within %g deviations, want %g", deviation, count, draws, bound, p*draws)
			}
		}
	}
}
