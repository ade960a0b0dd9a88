package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"cipherpoint/circuit"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/internal/format"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
)

// runModels measures recipes.
func runModels(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := newFlags("models", stderr)
	m := newModels(flags)
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
	return m.write(ctx, rows, stdout, stderr)
}

// models is which recipes are measured, and how.
type models struct {
	names, data, json string
	samples           int
	list              []recipes.Recipe
}

func newModels(flags *flag.FlagSet) *models {
	m := new(models)
	flags.StringVar(&m.names, "recipes", "", "recipes to measure, separated by commas; all by default")
	flags.IntVar(&m.samples, "samples", 100, "encrypted samples a recipe")
	flags.StringVar(&m.data, "data", "", "folder of data sets; $CIPHERPOINT_DATA by default")
	flags.StringVar(&m.json, "json", "", "write the figures of models as JSON to this file; - for nothing but that on standard output")
	return m
}

func (m *models) parse(flags *flag.FlagSet, args []string) (err error) {
	if err := parse(flags, args); err != nil {
		return err
	}
	if m.samples < 1 {
		return errors.New("samples has to be at least 1")
	}
	if m.data, err = dataFolder(m.data); err != nil {
		return err
	}
	if m.names == "" {
		m.list = recipes.All()
		return nil
	}
	for _, name := range strings.Split(m.names, ",") {
		recipe, err := recipes.Find(name)
		if err != nil {
			return err
		}
		m.list = append(m.list, recipe)
	}
	return nil
}

// measure returns a row for each recipe and leaves its artifact in a folder of its name. Recipes that were not named
// are left out where their data is not there.
func (m *models) measure(ctx context.Context, dir string, stderr *os.File) ([]Row, error) {
	rows := []Row{}
	for _, recipe := range m.list {
		fmt.Fprintln(stderr, recipe.Name)
		show := progress.Steps(stderr)
		row, err := measure(ctx, recipe, publish.Options{
			Source: dataset.Source{Dir: m.data}, EncryptedSamples: m.samples, Progress: show.Step,
		}, filepath.Join(dir, recipe.Name))
		show.Done()
		if err != nil {
			if m.names != "" || ctx.Err() != nil {
				return nil, fmt.Errorf("%s: %w", recipe.Name, err)
			}
			fmt.Fprintf(stderr, "%s: left out: %v\n", recipe.Name, err)
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// write prints rows with the same circuits on Lattigo, and writes the file of JSON where one is named.
func (m *models) write(ctx context.Context, rows []Row, stdout io.Writer, stderr *os.File) error {
	if err := writeTables(stdout, rows); err != nil {
		return err
	}
	show := progress.Start(stderr, "circuits beside Lattigo", int64(len(rows)), "circuits")
	defer show.Done()
	var circuits []*circuitFigures
	for _, row := range rows {
		f, err := measureCircuit(ctx, row.Recipe, row.circuit, row.inputs, circuitTime)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Recipe, err)
		}
		circuits = append(circuits, f)
		show.Add(1)
	}
	b, err := measureBandwidth()
	if err != nil {
		return err
	}
	show.Done()
	if err := writeCircuits(stdout, circuits, b); err != nil || m.json == "" {
		return err
	}
	f, err := os.Create(m.json)
	if err != nil {
		return err
	}
	return errors.Join(writeJSON(f, rows), f.Close())
}

func writeJSON(w io.Writer, rows []Row) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(rows)
}

// peers are published figures for the same task, in seconds an inference, with their source.
var peers = map[string]string{
	"logreg-synthetic": "Concrete ML, Hugging Face endpoint, 8 vCPU: 0.4 s",
	"tree-spam":        "Concrete ML, same: 2.0 s (log: 4.12 s), accuracy 0.8958, key 72 MB",
	"forest-spam":      "Concrete ML paper: accuracy 0.918 in clear, 0.909 encrypted",
	"boosting-spam":    "Concrete ML, development machine, 10 trees of depth 3: 0.62 s, key 29 MB",
	"qnn-iris":         "Concrete ML, Hugging Face endpoint, 8 vCPU: 3.7 s, accuracy 0.974",
	"cnn-digits":       "Concrete ML, same: 24 s, accuracy 0.982 in clear",
	"cnn-mnist":        "Orion, one core: 0.23 s; LoLa: 2.0 s, accuracy 0.9895; Lattica, GPU: 0.19 s, keys 46 MB",
}

// aims are what we want of the server's time: on one core with AVX-512 IFMA, and on four.
var aims = map[string]string{
	"logreg-synthetic": "0.5 / 0.5", "logreg-cancer": "0.5 / 0.5", "tree-spam": "10 / 4", "forest-spam": "60 / 20", "boosting-spam": "60 / 20",
	"qnn-iris": "3 / 2", "cnn-digits": "8 / 4", "cnn-mnist": "25 / 10",
}

func writeTables(w io.Writer, rows []Row) error {
	fmt.Fprintf(w, "\nModels, each with at least %d bits of security:\n\n", circuit.SecurityBits)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "recipe\taccuracy, all\tsamples\tclear\tencrypted\tagreement\tlargest error\tlog N\tlog QP\tlevels\tkeys\tkey bytes\trequest\treply\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%.4f of %d\t%d\t%.4f\t%.4f\t%.4f\t%.2g\t%d\t%.1f\t%d\t%d\t%s\t%s\t%s\t\n", r.Recipe, r.AccuracyClear, r.whole, r.Samples,
			r.clearSame, r.AccuracyEncrypted, r.Agreement, r.MaxScoreError, r.LogN, r.LogQP, r.Levels, r.Keys,
			format.Bytes(float64(r.KeyBytes)), format.Bytes(float64(r.RequestBytes)), format.Bytes(float64(r.ReplyBytes)))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "recipe, ms\tkey generation\tencryption\tserver, one core\testimated\tserver, all cores\taim, one / four\tdecryption\tcold start\tpeak MB\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%.2f\t%.0f\t%.0f\t\n", r.Recipe, r.KeygenMS, r.EncryptMS, r.ServerMSOneCore, r.estimate,
			r.ServerMSAllCores, aims[r.Recipe], r.DecryptMS, r.ColdStartMS, r.RSSMB)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	header := "\nPublished, as far as a task is comparable:\n"
	for _, r := range rows {
		if peer := peers[r.Recipe]; peer != "" {
			fmt.Fprint(w, header)
			header = ""
			fmt.Fprintf(w, "  %-18s %s\n", r.Recipe, peer)
		}
	}
	return nil
}
