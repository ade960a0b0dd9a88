// Command bench prints what the documentation claims, on the machine that it runs on.
//
//	go run ./bench [--recipes a,b] [--samples N] [--data DIR] [--json FILE|-]   models, operations, load
//	go run ./bench COMMAND [flags]                                              one part: see go run ./bench --help
//
// Models are trained in the run. Machines are shared and noisy: compare figures of one run with each other, and trust
// ratios more than times.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// command is a part of the figures that can be asked for alone.
type command struct {
	name, shows string
	run         func(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error
}

// commands lists the parts, in the order of the whole.
func commands() []command {
	return []command{
		{"primitives", "operations beside Lattigo and libraries with HEXL", runPrimitives},
		{"models", "every recipe: accuracy, sizes, times", runModels},
		{"imported", "models that others trained and published: accuracy, sizes, times", runImported},
		{"tables", "models fitted to public tables: clear and encrypted metrics beside scikit-learn and XGBoost", runTables},
		{"costs", "single nodes beside the estimates of the compiler, and the costs that fit this machine", runCosts},
		{"batch", "a recipe compiled for batches: samples a second, bytes a sample", runBatch},
		{"load", "an endpoint under load: requests a second, latencies", runLoad},
		{"match", "one encrypted template against galleries of up to a hundred thousand", runMatch},
		{"fleet", "endpoints on one Redis, of which one is killed every minute: latencies, memory", runFleet},
		{"chaos", "kills of the endpoint and trouble with its key store: what clients see", runChaos},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				return c.run(ctx, args[1:], stdout, stderr)
			}
		}
	}
	return runAll(ctx, args, stdout, stderr)
}

// runAll measures everything that takes minutes. Where JSON goes to standard output, that is models alone.
func runAll(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("", stderr)
	m := newModels(flags)
	out := flags.String("out", "", "write a plot of latency against load to this SVG file")
	if err := m.parse(flags, args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rows, err := m.measure(ctx, dir, stderr)
	if err != nil {
		return err
	}
	if m.json == "-" {
		return writeJSON(stdout, rows)
	}
	fmt.Fprintln(stdout, describeMachine())
	if err := m.write(ctx, rows, stdout, stderr); err != nil {
		return err
	}
	if err := printPrimitives(ctx, time.Second, stdout, stderr); err != nil {
		return err
	}
	for _, row := range rows {
		if row.Recipe == loadRecipe || len(rows) == 1 {
			return printLoad(ctx, filepath.Join(dir, row.Recipe), 10*time.Second, *out, stdout, stderr)
		}
	}
	return nil
}

// newFlags returns the flags of a command, which Parse prints with what the command shows.
func newFlags(name string, stderr io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("bench "+name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		for _, c := range commands() {
			if c.name == name || name == "" {
				fmt.Fprintf(stderr, "bench %-12s %s\n", c.name, c.shows)
			}
		}
		flags.PrintDefaults()
	}
	return flags
}

// parse reads the flags of a command without further arguments.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	return nil
}
