package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cipherpoint/creating_models/gallery"
	"cipherpoint/creating_models/rows"
	"cipherpoint/internal/progress"
)

// runGallery publishes a gallery of templates, or one that its users fill.
func runGallery(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) error {
	flags := flag.NewFlagSet("creating_models gallery", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("names", "", "`file` of one name for each template; their row numbers by default")
	dimensions := flags.Int("dimensions", 0, "`number` of values of a template: users enrol their own, encrypted, and there is no FILE")
	name := flags.String("name", "", "`name` of the gallery; that of the file by default")
	license := flags.String("license", "", "`license` of the templates for the card, as Hugging Face's hub names it: apache-2.0, mit, other")
	out := flags.String("out", "compiled_model", "`folder` to write to")
	samples := flags.Int("encrypted-samples", 20, "templates that are really looked for encrypted, with noise as long as they are")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: creating_models gallery FILE [flags]\n       creating_models gallery --dimensions NUMBER [flags]\n\nFILE (.npy, .csv, .parquet) has a template a row; templates are scaled to length one.\n\nExit codes: 0 written, 1 not written, 2 wrong arguments.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return asUsage(err)
	}
	path := flags.Arg(0)
	if path != "" {
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return asUsage(err)
		}
	}
	if flags.NArg() > 0 || *samples < 1 || *dimensions < 0 || (path == "") == (*dimensions == 0) || path == "" && *names != "" {
		return errUsage
	}
	if *name == "" {
		if *name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)); path == "" {
			*name = "gallery"
		}
	}
	o := gallery.Options{Name: *name, Dimensions: *dimensions, License: *license, Out: *out, Samples: *samples}
	if path != "" {
		table, err := rows.Read(path)
		if err != nil {
			return err
		}
		o.Templates = table.X
	}
	if *names != "" {
		var err error
		if o.Names, err = rows.Labels(*names); err != nil {
			return err
		}
	}
	steps := progress.Steps(stderr)
	defer steps.Done()
	o.Progress = steps.Step
	report, err := gallery.Publish(ctx, o)
	steps.Done()
	if err != nil {
		return fmt.Errorf("%s: %w", *name, err)
	}
	return report.WriteText(stdout)
}
