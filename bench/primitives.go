package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/fhe/kernel"
	"cipherpoint/internal/progress"
)

// mark is a ratio to Lattigo that we want of an operation, and the one that libraries with Intel HEXL reach.
type mark struct {
	aim, hexl float64
	library   string
}

// marks are by operation. The ratios of libraries were measured for this project against Lattigo v5 on one core of an AMD
// EPYC (Zen 5, AVX-512 IFMA): OpenFHE and SEAL with HEXL, the better of both, at N = 2^13 with 4+1 limbs.
var marks = map[string]mark{
	"NTT of a limb":                       {8, 8.9, "either"},
	"inverse NTT of a limb":               {8, 8.9, "either"},
	"rotation":                            {8, 4.9, "OpenFHE"},
	"hoisted rotation":                    {5, 2.3, "OpenFHE"},
	"square and relinearise":              {6, 5.2, "SEAL"},
	"rescale":                             {5, 5.4, "OpenFHE"},
	"encode":                              {0, 5.5, "SEAL"},
	"encryption, ours with wire format":   {0, 2.7, "SEAL"},
	"rotation key, ours with wire format": {0, 2.8, "SEAL"},
	denseMap:                              {6, 1.8, "SEAL"},
	denseFull:                             {6, 1.8, "SEAL"},
}

const (
	denseSize = 1024
	denseMap  = "dense 1024×1024 map"
	denseFull = "the same, full diagonals"

	fullSpeed   = "avx512ifma" // as kernel.Features calls it
	plainMapAim = 1.3          // what linear maps have to gain without, by how they are done
)

// runPrimitives measures single operations. Built with the tag purego, it measures them in plain Go.
func runPrimitives(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("primitives", stderr)
	budget := flags.Duration("time", time.Second, "time for an operation")
	if err := parse(flags, args); err != nil {
		return err
	}
	fmt.Fprintln(stdout, describeMachine())
	return printPrimitives(ctx, *budget, stdout, stderr)
}

// printPrimitives measures the operations of all shapes, for about so long each.
func printPrimitives(ctx context.Context, budget time.Duration, stdout io.Writer, stderr *os.File) error {
	shapes, err := primitive.Shapes()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nOperations on one core beside Lattigo v5, in turns, medians of %d. HEXL: the best library with Intel HEXL, as a\n"+
		"ratio to Lattigo too, measured on an AMD EPYC (Zen 5) with 4+1 limbs of 2^13.\n", rounds)
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, shape := range shapes {
		fmt.Fprintf(t, "\n%s\tours, µs\tLattigo, µs\tratio\taim\tHEXL, library\t\n", shape.Name)
		operations, err := primitive.Operations(ctx, shape.Parameters)
		if err != nil {
			return err
		}
		show := progress.Start(stderr, shape.Name, int64(len(operations)+2), "operations")
		for _, o := range operations {
			if err := printPrimitive(ctx, t, o, budget); err != nil {
				return err
			}
			show.Add(1)
		}
		// Full diagonals of the larger shape take 2.5 GB on both sides.
		maps := []string{denseMap, denseFull}
		if shape.Parameters.LogN > 13 {
			maps = maps[:1]
		}
		for _, name := range maps {
			dense, err := primitive.NewCircuit(ctx, name, primitive.Dense(shape.Parameters, denseSize, name == denseFull), nil, 1)
			if err != nil {
				return err
			}
			if err := printPrimitive(ctx, t, dense.Operation, 3*budget); err != nil {
				return err
			}
			show.Add(1)
		}
		show.Done()
	}
	return t.Flush()
}

func printPrimitive(ctx context.Context, w io.Writer, o primitive.Operation, budget time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c comparison
	err := onOneCore(func() (err error) {
		c, err = compare(o, budget)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	fmt.Fprintf(w, "%s\t%.1f\t", o.Name, microseconds(c.Ours))
	if o.Lattigo == nil {
		fmt.Fprintln(w, "\t\t\t\t")
		return nil
	}
	fmt.Fprintf(w, "%.1f\t%.1f\t", microseconds(c.Lattigo), c.Ratio)
	m := marks[o.Name]
	if kernel.Features() != fullSpeed {
		m.aim = 0
		if o.Name == denseMap || o.Name == denseFull {
			m.aim = plainMapAim
		}
	}
	if m.aim > 0 {
		fmt.Fprintf(w, "%.1f", m.aim)
	}
	fmt.Fprint(w, "\t")
	if m.hexl > 0 {
		fmt.Fprintf(w, "%.1f %s", m.hexl, m.library)
	}
	fmt.Fprintln(w, "\t")
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
