package publish

import (
	"context"
	"math"
	"slices"
	"testing"

	"cipherpoint/internal/race"
)

// What hides the weights is how much wider the noise added is than the circuit's own, so the ratio is measured.
func TestFloodingDrownsTheCircuitsOwnNoise(t *testing.T) {
	if race.Enabled {
		t.Skip("the training library's pointer arithmetic stops under the race detector")
	}
	const bits = 8
	ctx := context.Background()
	m, err := Build(ctx, find(t, "qnn-iris"), Options{Flood: bits})
	if err != nil {
		t.Fatal(err)
	}
	deviation := func() float64 {
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		squares, count := 0.0, 0.0
		for range 6 { // keys, whose errors differ
			e, err := m.Try(ctx, dir, m.Test.Len(), func(int, int) {})
			if err != nil {
				t.Fatal(err)
			}
			for i, scores := range e.Scores {
				for k, s := range scores {
					squares += (s - m.Simulated[i].Scores[k]) * (s - m.Simulated[i].Scores[k])
					count++
				}
			}
		}
		return math.Sqrt(squares / count)
	}
	flooded := deviation()
	// The same circuit without flooding, its replies in their ring and rounded to no more than the last prime asks for.
	c := *m.Compiled.Circuit
	c.RingSwitch = nil
	c.Outputs = slices.Clone(c.Outputs)
	for o := range c.Outputs {
		c.Outputs[o].Flood = 0
		c.Outputs[o].ModulusBits = int(c.Parameters.LogQ(0))
	}
	m.Compiled.Circuit = &c
	own := deviation()
	if ratio := flooded / own / (1 << bits); ratio < 0.5 || ratio > 2 {
		t.Errorf("errors are %.3g with flooding and %.3g without: want 2^%d times as large, within a factor of two", flooded, own, bits)
	}
	if advantage := m.Compiled.Advantage(1000); advantage <= 0 || advantage > 0.2 {
		t.Errorf("advantage of 1,000 replies %g", advantage)
	}
}
