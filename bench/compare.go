package main

import (
	"runtime"
	"slices"
	"time"

	"cipherpoint/bench/primitive"
)

// rounds is in how many turns two sides are measured: enough for a median that a few disturbed ones do not move.
const rounds = 9

// comparison is what was measured of an operation. Lattigo and Ratio are 0 for what Lattigo has no counterpart of.
type comparison struct {
	Ours, Lattigo time.Duration // medians
	Ratio         float64       // Lattigo / ours: the median of the turns' ratios
}

// compare runs both sides in turns, for about so long in all.
func compare(o primitive.Operation, budget time.Duration) (comparison, error) {
	sides := []primitive.Run{o.Ours}
	if o.Lattigo != nil {
		sides = append(sides, o.Lattigo)
	}
	times := make([][]time.Duration, len(sides))
	var repeats []int // a turn
	for _, run := range sides {
		elapsed := time.Duration(0)
		for range 2 { // the first fills caches
			var err error
			if elapsed, err = run(); err != nil {
				return comparison{}, err
			}
		}
		share := budget / time.Duration(rounds*len(sides))
		repeats = append(repeats, int(max(1, share/max(elapsed, 1))))
	}
	for range rounds {
		for side, run := range sides {
			total := time.Duration(0)
			for range repeats[side] {
				elapsed, err := run()
				if err != nil {
					return comparison{}, err
				}
				total += elapsed
			}
			times[side] = append(times[side], total/time.Duration(repeats[side]))
		}
	}
	c := comparison{Ours: median(times[0])}
	if o.Lattigo != nil {
		var ratios []float64
		for i, ours := range times[0] {
			ratios = append(ratios, float64(times[1][i])/float64(max(ours, 1)))
		}
		c.Lattigo, c.Ratio = median(times[1]), median(ratios)
	}
	return c, nil
}

// median returns the middle of a list.
func median[T time.Duration | float64](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// onOneCore runs f with everything in this process on one core.
func onOneCore(f func() error) error {
	unpin, err := pin()
	if err != nil {
		return err
	}
	defer unpin()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return f()
}
