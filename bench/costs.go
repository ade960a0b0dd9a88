package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/circuit"
	"cipherpoint/compiler"
	"cipherpoint/internal/progress"
)

// runCosts measures nodes of many shapes beside the compiler's estimates, and fits the costs of this machine to them.
func runCosts(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("costs", stderr)
	budget := flags.Duration("time", 50*time.Millisecond, "time for a node")
	if err := parse(flags, args); err != nil {
		return err
	}
	list, err := costCircuits()
	if err != nil {
		return err
	}
	show := progress.Start(stderr, "nodes", int64(len(list)), "nodes")
	defer show.Done()
	var nodes []nodeFigures
	for _, c := range list {
		single, err := primitive.NewAlone(ctx, c.Name, c, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		var measured []nodeFigures
		err = onOneCore(func() (err error) {
			measured, err = measureNodes(ctx, single, *budget)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		nodes = append(nodes, measured[0]) // what follows only brings the result down
		show.Add(1)
	}
	show.Done()
	fmt.Fprintln(stdout, describeMachine())
	return writeCosts(stdout, nodes)
}

// nodeFigures are what was measured and estimated of a node on one core.
type nodeFigures struct {
	circuit, name       string
	level, logN         int
	measured, estimated float64 // ms
	work                circuit.Work
}

// measureNodes times the nodes of a circuit, for about so long all of them. It must be called on one core.
func measureNodes(ctx context.Context, single *primitive.Circuit, budget time.Duration) ([]nodeFigures, error) {
	c := single.Program.Circuit()
	times := make([][]time.Duration, len(c.Nodes))
	observe := func(node int, elapsed time.Duration) { times[node] = append(times[node], elapsed) }
	for start := time.Now(); len(times[0]) < rounds || time.Since(start) < budget; {
		if err := single.Nodes(ctx, observe); err != nil {
			return nil, err
		}
	}
	list := make([]nodeFigures, len(c.Nodes))
	for i, ms := range compiler.Latencies(c) {
		node := c.Nodes[i]
		list[i] = nodeFigures{circuit: single.Name, name: describeNode(c, node), level: node.Level, logN: c.Parameters.LogN,
			measured: inMS(quartile(times[i])), estimated: ms}
	}
	circuit.NewPlan(c).Work(c, func(node int, w circuit.Work) { list[node].work = w })
	return list, nil
}

// quartile is the time that a quarter of a list stays below: what else the machine does only makes it longer.
func quartile(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/4]
}

// describeNode says what the time of a node depends on.
func describeNode(c *circuit.Circuit, node circuit.Node) string {
	text := node.Operation()
	switch l := node.Linear; {
	case l != nil:
		text = fmt.Sprintf("linear, %d babies, %d giants, %d diagonals", len(l.Babies), len(l.Giants), len(l.Diagonals))
		if slices.ContainsFunc(l.Diagonals, func(d circuit.Diagonal) bool { return c.Repeats(d.Values) > 1 }) {
			text += " that repeat"
		}
	case node.Fold != nil:
		text = fmt.Sprintf("fold, %d steps", len(node.Fold.Steps))
	}
	if node.Rescale > 0 {
		text += ", rescaled"
	}
	return text
}

// costCircuits returns circuits whose first node is one of each shape that is measured.
func costCircuits() ([]*circuit.Circuit, error) {
	var list []*circuit.Circuit
	for _, s := range []struct{ logN, limbs, special, bits int }{
		{12, 3, 1, 26}, {13, 2, 1, 40}, {13, 3, 1, 40}, {13, 3, 2, 34}, {13, 4, 2, 32}, {13, 5, 1, 34}, {14, 4, 1, 45}, {14, 6, 2, 45}, {14, 8, 2, 42},
	} {
		p, err := circuit.NewParameters(s.logN, circuit.ConjugateInvariant, slices.Repeat([]int{s.bits}, s.limbs), slices.Repeat([]int{s.bits}, s.special))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("2^%d, %d+%d limbs", s.logN, s.limbs, s.special)
		top := s.limbs - 1
		for _, node := range []circuit.Node{
			{Linear: grid(p, 1, 1, p.Slots())}, {Linear: grid(p, 4, 4, p.Slots())}, {Linear: grid(p, 16, 8, p.Slots())},
			{Linear: grid(p, 4, 4, 256)}, {Linear: grid(p, 16, 2, 256)}, {Linear: grid(p, 16, 8, 256)},
			{Linear: chained(grid(p, 4, 4, p.Slots()))},
			{Fold: &circuit.Fold{Steps: []int{1, 2, 4, 8}}}, {Multiply: &circuit.Multiply{}}, {Multiply: &circuit.Multiply{}, Rescale: 1},
			{Combine: &circuit.Combine{Factors: []float64{2}}, Rescale: 1},
		} {
			list = append(list, alone(name, p, top, node))
		}
	}
	shapes, err := primitive.Shapes()
	if err != nil {
		return nil, err
	}
	for _, s := range shapes {
		for _, full := range []bool{false, true} {
			if full && s.Parameters.LogN > 13 {
				continue // takes 2.5 GB
			}
			c := primitive.Dense(s.Parameters, denseSize, full)
			c.Name = s.Name
			list = append(list, c)
		}
	}
	return list, nil
}

// alone returns a circuit of a node at the top level, after which there is only what outputs need.
func alone(name string, p circuit.Parameters, top int, node circuit.Node) *circuit.Circuit {
	const scale = 1 << 24
	c := &circuit.Circuit{Name: name, Parameters: p, Packing: circuit.Slots, Inputs: []circuit.Input{{Level: top, Scale: scale}}}
	node.In, node.Level, node.Scale = []int{0}, top, scale
	if node.Linear != nil {
		node.Rescale = 1
	}
	if node.Multiply != nil {
		node.In = []int{0, 0}
		node.Scale = max(1, scale*scale/c.Divisor(node))
	}
	c.Nodes = []circuit.Node{node, {In: []int{1}, Level: 0, Scale: node.Scale, Combine: &circuit.Combine{Factors: []float64{1}}}}
	c.Outputs = []circuit.Output{{Value: 2, Period: 1, ModulusBits: 20}}
	return c
}

// grid is a map of so many baby and giant steps, the first of each being none, with all diagonals.
func grid(p circuit.Parameters, babies, giants, period int) *circuit.Linear {
	l := new(circuit.Linear)
	for b := 1; b < babies; b++ {
		l.Babies = append(l.Babies, circuit.Rotation{Shift: b})
	}
	for g := 1; g < giants; g++ {
		l.Giants = append(l.Giants, circuit.Rotation{Shift: g * babies})
	}
	for k := range babies * giants {
		values := make([]float64, period)
		for j := range values {
			values[j] = math.Sin(float64(j * (k + 1))) // anything that does not repeat
		}
		l.Diagonals = append(l.Diagonals, circuit.Diagonal{Baby: k % babies, Giant: k / babies * babies, Values: circuit.Vector{Period: period, Values: values}})
	}
	return l
}

// chained makes each rotation from the one before, by one key for all babies and one for all giants.
func chained(l *circuit.Linear) *circuit.Linear {
	for _, list := range [][]circuit.Rotation{l.Babies, l.Giants} {
		for i := range list[:len(list)-1] {
			list[i+1].From = list[i].Shift
		}
	}
	return l
}

// writeCosts prints nodes beside their estimates, and the costs that fit.
func writeCosts(w io.Writer, nodes []nodeFigures) error {
	fmt.Fprintf(w, "\nNodes on one core beside what the compiler estimates, lower quartiles. A machine that is slower by one factor for all is no matter:\n"+
		"the compiler compares estimates with each other, and with sizes.\n\n")
	if err := writeNodes(w, nodes); err != nil {
		return err
	}
	fitted := fitCosts(nodes)
	fmt.Fprintf(w, "\nns a coefficient:\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tNTT / log N\tinverse / log N\tconversion\tkey\tdiagonal\tthat repeats\tsum\t")
	for _, row := range []struct {
		name  string
		costs compiler.Costs
	}{{"compiler", compiler.IFMA}, {"fits here", fitted}} {
		k := row.costs
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", row.name, k.Forward, k.Inverse, k.Conversion, k.Key, k.Diagonal, k.Run, k.Move)
	}
	return t.Flush()
}

// writeNodes prints nodes beside their estimates, with sums for circuits of several.
func writeNodes(w io.Writer, nodes []nodeFigures) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "circuit\tlevel\tnode\tms\testimated\tratio\t")
	line := func(k nodeFigures, level string) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f\t%.3f\t%.2f\t\n", k.circuit, level, k.name, k.measured, k.estimated, k.estimated/k.measured)
	}
	for len(nodes) > 0 {
		n := 1
		for n < len(nodes) && nodes[n].circuit == nodes[0].circuit {
			n++
		}
		total := nodeFigures{circuit: nodes[0].circuit, name: "all"}
		for _, k := range nodes[:n] {
			line(k, fmt.Sprint(k.level))
			total.measured += k.measured
			total.estimated += k.estimated
		}
		if n > 1 {
			line(total, "")
		}
		nodes = nodes[n:]
	}
	return t.Flush()
}

// fitCosts returns the costs, none below zero, whose estimates are off by the smallest shares of what was measured, in the
// mean square: coordinate descent on the normal equations.
func fitCosts(nodes []nodeFigures) compiler.Costs {
	var gram [7][7]float64
	var target [7]float64
	for _, k := range nodes {
		row := unitsOf(k)
		for i := range row {
			row[i] /= k.measured
		}
		for i := range row {
			target[i] += row[i]
			for j := range row {
				gram[i][j] += row[i] * row[j]
			}
		}
	}
	var x [7]float64
	for range 10_000 {
		for i := range x {
			if gram[i][i] == 0 {
				continue
			}
			rest := target[i]
			for j := range x {
				if j != i {
					rest -= gram[i][j] * x[j]
				}
			}
			x[i] = max(0, rest/gram[i][i])
		}
	}
	return compiler.Costs{Forward: x[0], Inverse: x[1], Conversion: x[2], Key: x[3], Diagonal: x[4], Run: x[5], Move: x[6]}
}

// unitsOf returns what a node takes in milliseconds for each of Costs that is one nanosecond.
func unitsOf(k nodeFigures) (row [7]float64) {
	for i, c := range []compiler.Costs{{Forward: 1}, {Inverse: 1}, {Conversion: 1}, {Key: 1}, {Diagonal: 1}, {Run: 1}, {Move: 1}} {
		row[i] = c.Of(k.work, k.logN) * math.Exp2(float64(k.logN)) / 1e6
	}
	return row
}
