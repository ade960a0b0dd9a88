package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cipherpoint/bench/fleet"
	"cipherpoint/internal/progress"
)

// runChaos kills an endpoint again and again on each kind of key store.
func runChaos(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("chaos", stderr)
	stores := flags.String("stores", strings.Join(fleet.Stores, ","), "kinds of key stores, separated by commas")
	model := flags.String("model", "compiled_model", "folder of the compiled model to serve")
	kills := flags.Int("kills", 100, "kills on each store")
	clients := flags.Int("clients", 6, "clients, each with keys of its own")
	seed := flags.Uint64("seed", 1, "of the moments and the kinds of trouble")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *kills < 1 || *clients < 1 {
		return errors.New("at least one kill and one client")
	}
	path, err := binary()
	if err != nil {
		return err
	}
	var all []*fleet.ChaosFigures
	for _, name := range strings.Split(*stores, ",") {
		show := progress.Steps(stderr)
		f, err := fleet.Chaos(ctx, fleet.ChaosOptions{
			Binary: path, Model: *model, Store: name, Kills: *kills, Clients: *clients, Seed: *seed,
			Progress: func(done int) { show.Step("kills of the endpoint on the store "+name, done, *kills) },
		})
		show.Done()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, f)
	}
	return writeChaos(stdout, all)
}

// writeChaos prints the figures, and returns an error if anything happened that must not.
func writeChaos(w io.Writer, all []*fleet.ChaosFigures) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, value func(*fleet.ChaosFigures) string) {
		fmt.Fprint(t, name)
		for _, f := range all {
			fmt.Fprintf(t, "\t%s", value(f))
		}
		fmt.Fprintln(t)
	}
	number := func(n int) string { return fmt.Sprint(n) }
	row("key store", func(f *fleet.ChaosFigures) string { return f.Store })
	row("kills of the endpoint", func(f *fleet.ChaosFigures) string { return number(f.Kills) })
	for _, phase := range fleet.Phases {
		row("  with a client at "+phase, func(f *fleet.ChaosFigures) string { return number(f.During[phase]) })
	}
	row("troubles of the store", func(f *fleet.ChaosFigures) string { return counts(f.Troubles) })
	row("keys sealed", func(f *fleet.ChaosFigures) string { return number(f.Keys) })
	row("uploads broken off by clients", func(f *fleet.ChaosFigures) string { return number(f.Cut) })
	row("uploads resumed", func(f *fleet.ChaosFigures) string { return number(f.Resumed) })
	row("refusals of unsealed keys", func(f *fleet.ChaosFigures) string { return number(f.Early) })
	row("sealed keys found after restarts", func(f *fleet.ChaosFigures) string { return number(f.Checked) })
	row("right answers", func(f *fleet.ChaosFigures) string { return number(f.Right) })
	row("  of all keys, after the last kill", func(f *fleet.ChaosFigures) string { return number(f.Last) })
	row("clear errors", func(f *fleet.ChaosFigures) string { return counts(f.Refused) })
	for _, kind := range fleet.Kinds {
		row(kind, func(f *fleet.ChaosFigures) string {
			n := 0
			for _, v := range f.Violations {
				if v.Kind == kind {
					n++
				}
			}
			return number(n)
		})
	}
	row("took", func(f *fleet.ChaosFigures) string { return f.Took.Round(time.Second).String() })
	if err := t.Flush(); err != nil {
		return err
	}
	var failed error
	for _, f := range all {
		for _, v := range f.Violations {
			failed = errors.Join(failed, fmt.Errorf("%s: %s: %s", f.Store, v.Kind, v.Detail))
		}
	}
	return failed
}

// counts lists what occurred how often.
func counts(m map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[name], name))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
