package publish

import (
	"testing"

	"cipherpoint/compiler"
)

// TestAnswersThatStrayAreCounted counts answers far from those without noise, by their range.
func TestAnswersThatStrayAreCounted(t *testing.T) {
	m := new(Model)
	for _, pair := range [][2]float64{{0, 0.01}, {1, 1}, {0.5, 0.6}, {0.25, 0.2}} {
		m.Simulated = append(m.Simulated, compiler.Simulation{Answer: []float64{pair[0]}, NoisyAnswer: []float64{pair[1]}})
	}
	if got := m.strayed(); got != 2 {
		t.Errorf("%v of 4 stray, want 2", got)
	}
}
