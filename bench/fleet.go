package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"cipherpoint/bench/fleet"
	"cipherpoint/internal/plot"
	"cipherpoint/internal/progress"
)

// runFleet runs several endpoints on one Redis behind a plain proxy.
func runFleet(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("fleet", stderr)
	o := fleet.ReplicasOptions{}
	flags.StringVar(&o.Model, "model", "compiled_model", "folder of the compiled model to serve")
	flags.IntVar(&o.Replicas, "replicas", 3, "endpoints")
	flags.IntVar(&o.Clients, "clients", 64, "clients, each with keys of its own")
	flags.DurationVar(&o.Duration, "duration", 10*time.Minute, "time")
	flags.DurationVar(&o.Every, "kill-every", time.Minute, "time between two kills of a replica")
	flags.DurationVar(&o.Away, "away", 5*time.Second, "time until it is started again")
	flags.IntVar(&o.MemoryMB, "memory-mb", 256, "bound on the memory of a replica; a quarter of it is for expanded keys")
	flags.Uint64Var(&o.Seed, "seed", 1, "of what clients do")
	out := flags.String("out", "", "write a plot of latencies and memory over time to this SVG file")
	if err := parse(flags, args); err != nil {
		return err
	}
	if o.Replicas < 2 || o.Clients < 1 || o.Duration <= 0 || o.Every <= 0 || o.Away <= 0 || o.MemoryMB < 64 {
		return errors.New("at least two replicas, one client, 64 MB, and times above zero")
	}
	var err error
	if o.Binary, err = binary(); err != nil {
		return err
	}
	show := progress.Steps(stderr)
	o.Progress = func(passed time.Duration) {
		show.Step("seconds under load", int(passed.Seconds()), int(o.Duration.Seconds()))
	}
	f, err := fleet.Replicas(ctx, o)
	show.Done()
	if err != nil {
		return err
	}
	if *out != "" {
		if err := os.WriteFile(*out, fleetPlot(f).Document(), 0o644); err != nil {
			return err
		}
	}
	return writeFleet(stdout, f)
}

// writeFleet prints the figures, and returns an error if a request failed or a replica took more memory than it may.
func writeFleet(w io.Writer, f *fleet.ReplicasFigures) error {
	o := f.Options
	at := func(list []time.Duration, percent int) float64 {
		if len(list) == 0 {
			return 0
		}
		return inMS(list[min(len(list)-1, len(list)*percent/100)])
	}
	fmt.Fprintf(w, "%d endpoints on one Redis behind a round-robin proxy, %d clients with keys of their own, %v, %d kills\n\n",
		o.Replicas, o.Clients, o.Duration, f.Kills)
	fmt.Fprintf(w, "inferences    %d (%.0f a second): %.1f ms median, %.0f ms p99, %.0f ms slowest, repeats and client's work included\n",
		len(f.Inferences), float64(len(f.Inferences))/o.Duration.Seconds(), at(f.Inferences, 50), at(f.Inferences, 99), at(f.Inferences, 100))
	fmt.Fprintf(w, "key uploads   %d: %.0f ms median, %.0f ms p99, %.0f ms slowest\n", len(f.Uploads), at(f.Uploads, 50), at(f.Uploads, 99), at(f.Uploads, 100))
	fmt.Fprintf(w, "repeats       %d, by the client itself\n", f.Repeats)
	fmt.Fprintf(w, "failures      %d\n", len(f.Failures))
	fmt.Fprintf(w, "peak memory  ")
	var failed error
	for _, mb := range f.PeakMB {
		fmt.Fprintf(w, " %.0f MB", mb)
		if mb > float64(o.MemoryMB)*1.048576 {
			failed = errors.Join(failed, fmt.Errorf("a replica took %.0f MB, more than %d MiB", mb, o.MemoryMB))
		}
	}
	fmt.Fprintf(w, "; bound %d MiB, of which %d for expanded keys\n", o.MemoryMB, o.MemoryMB/4)
	for i, failure := range f.Failures {
		if i == 10 {
			failed = errors.Join(failed, fmt.Errorf("and %d more", len(f.Failures)-i))
			break
		}
		failed = errors.Join(failed, errors.New(failure))
	}
	return failed
}

// fleetPlot draws latencies and memory over time.
func fleetPlot(f *fleet.ReplicasFigures) plot.Figure {
	latency, slowest := plot.Series{Name: "median, ms"}, plot.Series{Name: "slowest, ms"}
	memory := make([]plot.Series, f.Options.Replicas)
	for i := range memory {
		memory[i].Name = fmt.Sprintf("memory of replica %d, MB", i+1)
	}
	for _, s := range f.Samples {
		x := s.At.Seconds()
		latency.Points = append(latency.Points, plot.Point{X: x, Y: inMS(s.Latency)})
		slowest.Points = append(slowest.Points, plot.Point{X: x, Y: inMS(s.Slowest)})
		for i, mb := range s.MemoryMB {
			if mb > 0 { // it is there
				memory[i].Points = append(memory[i].Points, plot.Point{X: x, Y: mb})
			}
		}
	}
	return plot.Curves(plot.CurveChart{
		Title:  "A fleet of which one endpoint is killed every so often",
		X:      plot.Axis{Label: "seconds"},
		Y:      plot.Axis{Label: "latency in ms, memory in MB", Log: true},
		Series: append([]plot.Series{latency, slowest}, memory...),
	})
}
