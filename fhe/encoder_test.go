package fhe

import (
	"math"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
)

// TestEncoderMatchesDefinition compares with the evaluation of the polynomial at the slots' roots.
func TestEncoderMatchesDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for logN := 4; logN <= 7; logN++ {
		n := 1 << logN
		e := newEncoder(logN, circuit.ConjugateInvariant)
		for period := 1; period <= n; period *= 2 {
			values := make([]float64, period)
			for j := range values {
				values[j] = rng.NormFloat64()
			}
			c := make([]float64, period)
			e.toCoefficients(c, values, make([]complex128, n/2))
			exponent := 1
			for slot, want := range values {
				got := c[0]
				for i := 1; i < period; i++ {
					got += 2 * c[i] * math.Cos(math.Pi*float64(exponent*i%(4*period))/float64(2*period))
				}
				if math.Abs(got-want) > 1e-12 {
					t.Fatalf("degree %d, period %d, slot %d: %g is encoded as %g", n, period, slot, want, got)
				}
				exponent = exponent * 5 % (4 * period)
			}
			back := make([]float64, period)
			e.ToSlots(back, c)
			for slot, want := range values {
				if math.Abs(back[slot]-want) > 1e-12 {
					t.Fatalf("degree %d, period %d, slot %d: %g comes back as %g", n, period, slot, want, back[slot])
				}
			}
		}
	}
}
