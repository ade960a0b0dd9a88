// Command creating_models trains, compiles and proves the shipped recipes, and models that other tools exported.
//
//	go run ./creating_models --list
//	go run ./creating_models cnn-mnist --data DIR --out compiled_model [--encrypted-samples 200]
//	go run ./creating_models cnn-mnist --packing batch --out compiled_model
//	go run ./creating_models import FILE --calibration rows.npy|.csv|.parquet [--labels FILE] --out compiled_model
//	go run ./creating_models fit --kind boosting --data table.csv --target column --out compiled_model
//	go run ./creating_models check compiled_model --data rows.npy|.csv|.parquet [--labels FILE] [--samples 100]
//	go run ./creating_models gallery templates.npy|.csv|.parquet [--names FILE] --out compiled_model
//	go run ./creating_models gallery --dimensions 128 --out compiled_model
//
// Exit codes: 0 when the artifact was written, or keeps what it states; 1 when not; 2 for wrong arguments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"cipherpoint/compiler"
	"cipherpoint/creating_models/publish"
	"cipherpoint/creating_models/recipes"
	"cipherpoint/internal/progress"
	"cipherpoint/model/dataset"
)

var errUsage = errors.New("wrong arguments, see --help")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "creating_models:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "creating_models:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	if len(args) > 0 && args[0] == "import" {
		return runImport(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "fit" {
		return runFit(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "check" {
		return runCheck(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "gallery" {
		return runGallery(ctx, args[1:], stdout, stderr)
	}
	flags := flag.NewFlagSet("creating_models", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.Bool("list", false, "list the recipes")
	data := flags.String("data", os.Getenv("CIPHERPOINT_DATA"), "`folder` of data sets; without it they are downloaded once")
	out := flags.String("out", "compiled_model", "`folder` to write to")
	samples := flags.Int("encrypted-samples", 100, "test `samples` that are really encrypted")
	prefer := flags.String("prefer", "", "`what` to spare: latency or keys; both alike by default")
	bound := flags.Float64("max-score-error", 0, "largest `error` of a score; 1/256 of the scores' range by default")
	packing := flags.String("packing", "", "`how` samples are packed: batch for thousands in one request, a sample a slot; one by default")
	flood := flags.Int("flood", 0, "hide the weights from users: noise `2^bits` times as wide as the circuit's own is added to replies")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: creating_models RECIPE [flags]\n       creating_models import FILE --calibration ROWS [flags]\n       creating_models fit --kind KIND --data FILE --target COLUMN [flags]\n       creating_models check DIR [flags]\n       creating_models gallery FILE [flags]\n       creating_models --list\n\nExit codes: 0 written, 1 not written, 2 wrong arguments.")
		flags.PrintDefaults()
	}
	// The recipe may stand before or behind the flags.
	if err := flags.Parse(args); err != nil {
		return asUsage(err)
	}
	if *list {
		return writeList(stdout)
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("%w: name a recipe", errUsage)
	}
	recipe, err := recipes.Find(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return asUsage(err)
	}
	if flags.NArg() > 0 || *samples < 1 {
		return errUsage
	}
	steps := progress.Steps(stderr)
	defer steps.Done()
	report, err := publish.Run(ctx, recipe, publish.Options{
		Source: dataset.Source{Dir: *data}, Out: *out, EncryptedSamples: *samples, Prefer: compiler.Preference(*prefer),
		MaxScoreError: *bound, Flood: *flood, Packing: compiler.Packing(*packing), License: "apache-2.0", Progress: steps.Step,
	})
	steps.Done()
	if err != nil {
		return fmt.Errorf("%s: %w", recipe.Name, err)
	}
	return report.WriteText(stdout)
}

// parse reads flags before and behind one argument, which it returns.
func parse(flags *flag.FlagSet, args []string, what string) (string, error) {
	if err := flags.Parse(args); err != nil {
		return "", asUsage(err)
	}
	if flags.NArg() == 0 {
		return "", fmt.Errorf("%w: name %s", errUsage, what)
	}
	name := flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return "", asUsage(err)
	}
	if flags.NArg() > 0 {
		return "", errUsage
	}
	return name, nil
}

func asUsage(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}

func writeList(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "recipe\tkind\taccuracy at least\tdata")
	for _, r := range recipes.All() {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%s\n", r.Name, r.Kind, r.MinAccuracy, r.Data)
	}
	return t.Flush()
}
