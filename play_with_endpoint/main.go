// Command play_with_endpoint asks a model questions that its server cannot read, and shows the decrypted answers.
//
//	play_with_endpoint                                       the shipped model, on an endpoint started for the purpose
//	HF_TOKEN=… play_with_endpoint --url https://…            a remote endpoint; its client part is fetched from it
//	play_with_endpoint --input rows.csv                      your own rows: one a line, the model's features in order
//	play_with_endpoint --enrol templates.csv --input rows.csv --top 5    templates that you enrol encrypted, and rows to match
//
// Without --input it asks about test samples of the data set that the model was made for.
//
// Danger: the answers that it prints are decrypted. Do not publish them together with recorded traffic
// (see package client).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"cipherpoint/model/dataset"
)

// The exit codes.
const (
	success       = 0
	failure       = 1
	misconfigured = 2
)

const (
	defaultModel   = "compiled_model"
	defaultSamples = 50
)

// options are what the user chose.
type options struct {
	url, token string // of a remote endpoint; empty for one of our own
	model      string // folder; empty to take the client part from the endpoint
	input      string // file of rows; empty for test samples
	samples    int    // at most; 0 for all
	enrol      string // file of templates, for a gallery of its users
	top        int    // classes or matches to name for each answer
	json       bool
	source     dataset.Source
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(stderr, "play_with_endpoint:", err)
		return code
	}
	o, err := parse(args, env, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return success
	}
	if err != nil {
		return fail(misconfigured, err)
	}
	lines := stdout
	if o.json {
		lines = io.Discard
	}
	terminal, _ := stderr.(*os.File)
	result, err := play(ctx, o, &screen{lines: lines, notes: stderr, terminal: terminal})
	if err != nil {
		return fail(failure, err)
	}
	if o.json {
		err = json.NewEncoder(stdout).Encode(result)
	}
	if err != nil {
		return fail(failure, err)
	}
	return success
}

// parse returns the options. Help goes to stdout, and the error is flag.ErrHelp then.
func parse(args []string, env func(string) string, stdout io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("play_with_endpoint", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are returned
	f.StringVar(&o.url, "url", "", "`address` of a remote endpoint, with a bearer token in HF_TOKEN; otherwise one is started here")
	f.StringVar(&o.model, "model", "", "`folder` of the compiled model; by default "+defaultModel+", or with --url what the endpoint gives")
	f.StringVar(&o.input, "input", "", "CSV `file` with rows of your own: features in order, with or without a header, or for models of tables of text columns by their names")
	f.StringVar(&o.source.Dir, "data", env("CIPHERPOINT_DATA"), "`folder` of the data sets that are not shipped; without it they are downloaded once")
	f.IntVar(&o.samples, "samples", defaultSamples, "largest `number` of samples; all of the rows of --input if not given")
	f.StringVar(&o.enrol, "enrol", "", "CSV `file` of templates of your own, for a gallery of its users: encrypted, enrolled, and deleted at the end")
	f.IntVar(&o.top, "top", 0, "`number` of classes or templates to name with their scores, the best first")
	f.BoolVar(&o.json, "json", false, "print one JSON object and nothing else")
	f.Usage = func() {} // the package would also print it after an error
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, "usage: play_with_endpoint [flags]\n\nExit codes: 0 when all questions were answered, 1 when not, 2 for wrong arguments.\n\n")
		f.SetOutput(stdout)
		f.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.top < 0:
		return o, errors.New("top: at least 0")
	case o.samples < 1:
		return o, errors.New("samples: at least 1")
	case o.input != "" && !given["samples"]:
		o.samples = 0
	}
	if o.url != "" {
		o.token = env("HF_TOKEN")
	} else if o.model == "" {
		o.model = defaultModel
	}
	return o, nil
}
