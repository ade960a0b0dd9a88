package matching

import (
	"math"
	"math/rand/v2"
)

// RandomUnit draws a vector of length one, uniform over directions: a template, or the noise that one is met with, to try a
// gallery on.
func RandomUnit(r *rand.Rand, dimensions int) []float64 {
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
