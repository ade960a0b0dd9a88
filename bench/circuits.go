package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/circuit"
)

// circuitFigures are what was measured of a circuit alone, without what goes over the wire, and what bounds it.
type circuitFigures struct {
	name              string
	oneCore, allCores comparison
	errors            [2]float64 // of our answer and of Lattigo's, as shares of the largest value
	work              work
	logN              int
	units             units
	shares            map[part]float64 // of the time on one core
	nodes             []nodeFigures    // on one core
	replies           *replyFigures    // nil where they stay in the ring
}

// circuitTime is how long a circuit is measured on one core, on all, and under the profiler.
const circuitTime = 2 * time.Second

// sameAnswer is how far an answer may be off, as a share of its largest value, to be noise and not another answer.
const sameAnswer = 0.05

// measureCircuit runs a circuit here and on Lattigo, on one core and on all, with inputs that it was made for.
func measureCircuit(ctx context.Context, name string, c *circuit.Circuit, inputs [][]float64, budget time.Duration) (*circuitFigures, error) {
	f := &circuitFigures{name: name, logN: c.Parameters.LogN}
	single, err := primitive.NewCircuit(ctx, name, c, inputs, 1)
	if err != nil {
		return nil, err
	}
	if f.errors[0], f.errors[1], err = single.Errors(ctx); err != nil {
		return nil, err
	}
	if worst := max(f.errors[0], f.errors[1]); worst > sameAnswer {
		return nil, fmt.Errorf("an answer is off by %.2g of its largest value", worst)
	}
	f.work = workOf(single.Program)
	if f.replies, err = measureReplies(ctx, single, budget); err != nil {
		return nil, err
	}
	err = onOneCore(func() (err error) {
		if f.oneCore, err = compare(single.Operation, budget); err != nil {
			return err
		}
		if f.units, err = measureUnits(c.Parameters); err != nil {
			return err
		}
		if f.nodes, err = measureNodes(ctx, single, budget/4); err != nil {
			return err
		}
		f.shares, err = profileOf(func() error { _, err := single.Ours(); return err }, budget)
		return err
	})
	if err != nil {
		return nil, err
	}
	all, err := primitive.NewCircuit(ctx, name, c, inputs, runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	f.allCores, err = compare(all.Operation, budget)
	return f, err
}

// arithmetic is the time of the circuit's work on one core that never waits for memory.
func (f *circuitFigures) arithmetic() time.Duration { return f.units.of(f.work) }

// bound is the time that a circuit cannot be faster than, where it comes from memory.
func (f *circuitFigures) bound(bytesPerSecond float64, cores int) time.Duration {
	return max(time.Duration(float64(f.work.bytes())/bytesPerSecond*1e9), f.arithmetic()/time.Duration(cores))
}

// distance says how far a circuit is from its bound on one core, what of it takes the longest, and what would make that
// faster.
func (f *circuitFigures) distance(bytesPerSecond float64, cores int) string {
	bound, by := f.bound(bytesPerSecond, 1), "arithmetic"
	if bound > f.arithmetic() {
		by = "memory"
	}
	largest := transforms
	for _, p := range parts {
		if f.shares[p] > f.shares[largest] {
			largest = p
		}
	}
	text := fmt.Sprintf("%.2f ms on one core, %.1f times what %s takes (%.2f ms). %.0f %% are %s", inMS(f.oneCore.Ours),
		float64(f.oneCore.Ours)/float64(max(bound, 1)), by, inMS(bound), 100*f.shares[largest], largest)
	if len(f.nodes) > 0 {
		node, total := f.nodes[0], 0.0
		for _, k := range f.nodes {
			total += k.measured
			if k.measured > node.measured {
				node = k
			}
		}
		text += fmt.Sprintf("; by operation, %.0f %% one of level %d: %s", 100*node.measured/total, node.level, node.name)
	}
	text += ". Next: " + map[part]string{
		transforms: "fewer limbs, digits or rotations, or faster transforms",
		products:   "fewer or shorter diagonals, keys of fewer digits",
		extensions: "fewer primes on either side of a base conversion",
		moves:      "fusing sums and automorphisms with the passes beside them",
		others:     "less around the kernels: sharing out, buffers",
	}[largest]
	if speedUp := float64(f.oneCore.Ours) / float64(f.allCores.Ours); speedUp < float64(cores)/2 {
		text += fmt.Sprintf("; on all cores (%.1f times one) longer parallel sections", speedUp)
	}
	return text + "."
}

// writeCircuits prints circuits beside Lattigo and beside their bounds.
func writeCircuits(w io.Writer, list []*circuitFigures, b bandwidth) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	cores := runtime.GOMAXPROCS(0)
	writeBesideLattigo(t, list, cores)
	writeBounds(t, list, b, cores)
	writeShares(t, list)
	writeReplies(t, list)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe operations of each on one core, beside the compiler's estimates:\n\n")
	var nodes []nodeFigures
	for _, f := range list {
		nodes = append(nodes, f.nodes...)
	}
	if err := writeNodes(w, nodes); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nHow far from the limit each is, and what would be next:\n")
	for _, f := range list {
		fmt.Fprintf(w, "  %-18s %s\n", f.name, f.distance(b.oneCore, cores))
	}
	return nil
}

func writeBesideLattigo(t *tabwriter.Writer, list []*circuitFigures, cores int) {
	fmt.Fprintf(t, "\nThe same circuits on Lattigo v5's evaluator, in turns. It works on one thread; on all cores the baby and giant steps of its\n"+
		"linear maps are shared out. Errors are the decrypted answers' largest differences from those in float, in %% of the largest.\n\n")
	fmt.Fprintf(t, "circuit, ms\tone core\tLattigo\tratio\t%d cores\tLattigo\tratio\terror, %%\tLattigo\t\n", cores)
	for _, f := range list {
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.1f\t%.2f\t%.2f\t%.1f\t%.3f\t%.3f\t\n", f.name, inMS(f.oneCore.Ours), inMS(f.oneCore.Lattigo), f.oneCore.Ratio,
			inMS(f.allCores.Ours), inMS(f.allCores.Lattigo), f.allCores.Ratio, 100*f.errors[0], 100*f.errors[1])
	}
}

func writeBounds(t *tabwriter.Writer, list []*circuitFigures, b bandwidth, cores int) {
	fmt.Fprintf(t, "\nWhat bounds them: in this run memory is read at %.1f GB/s by one core and %.1f GB/s by all (%d MB, best of 7); arithmetic is the\n"+
		"circuit's transforms, products, base conversions and sums at the speed that each has in cache. A circuit that streams less than a\n"+
		"cache holds can be faster than memory.\n\n", b.oneCore/1e9, b.allCores/1e9, b.read>>20)
	fmt.Fprintln(t, "µs in cache\tNTT\tinverse\tproduct\tlift\tconversion\tsum\t")
	seen := map[int]bool{}
	for _, f := range list {
		if !seen[f.logN] {
			seen[f.logN] = true
			fmt.Fprintf(t, "N = 2^%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", f.logN, microseconds(f.units.forward), microseconds(f.units.inverse),
				microseconds(f.units.product), microseconds(f.units.lift), microseconds(f.units.conversion), microseconds(f.units.move))
		}
	}
	fmt.Fprintf(t, "\ncircuit\tweights, MB\tkeys\tvalues\tNTTs\tproducts\tone core, ms\tmemory\tarithmetic\ttimes the bound\t"+
		"%d cores, ms\tmemory\tarithmetic\ttimes the bound\t\n", cores)
	for _, f := range list {
		k := f.work
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%d\t%d\t", f.name, inMB(k.plaintexts), inMB(k.keys), inMB(k.values), k.Forward+k.Inverse, k.products())
		for _, on := range []struct {
			measured time.Duration
			rate     float64
			cores    int
		}{{f.oneCore.Ours, b.oneCore, 1}, {f.allCores.Ours, b.allCores, cores}} {
			fmt.Fprintf(t, "%.2f\t%.2f\t%.2f\t%.1f\t", inMS(on.measured), float64(k.bytes())/on.rate*1e3,
				inMS(f.arithmetic())/float64(on.cores), float64(on.measured)/float64(max(f.bound(on.rate, on.cores), 1)))
		}
		fmt.Fprintln(t)
	}
}

func writeShares(t *tabwriter.Writer, list []*circuitFigures) {
	fmt.Fprintf(t, "\nWhere the time on one core goes, the reply included, by a sampling profiler (some %d looks each, so by a few %% of chance):\n\n", int(circuitTime.Seconds()*100))
	fmt.Fprint(t, "circuit, %\t")
	for _, p := range parts {
		fmt.Fprintf(t, "%s\t", p)
	}
	fmt.Fprintln(t)
	for _, f := range list {
		fmt.Fprintf(t, "%s\t", f.name)
		for _, p := range parts {
			fmt.Fprintf(t, "%.0f\t", 100*f.shares[p])
		}
		fmt.Fprintln(t)
	}
}

func inMS(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func inMB(bytes int64) float64 { return float64(bytes) / 1e6 }
