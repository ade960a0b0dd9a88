// Command endpoint answers encrypted inputs with a compiled model: it keeps evaluation keys, computes on data that it
// cannot read, and never sees a secret key.
//
//	endpoint [--model DIR] [--keystore redis://…|file://DIR] [--listen :8080]
//	endpoint check-health [URL]
//
// See endpoint --help for all flags, and handler/PROTOCOL.md for what clients send.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cipherpoint/endpoint/server"
)

// The exit codes.
const (
	success       = 0
	failure       = 1
	misconfigured = 2
)

// healthTime bounds check-health.
const healthTime = 5 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

func run(args, environ []string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(stderr, "endpoint:", err)
		return code
	}
	if len(args) > 0 && args[0] == "check-health" {
		if err := checkHealth(args[1:], environ); err != nil {
			return fail(failure, err)
		}
		return success
	}
	config, err := server.Parse(args, environ, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return success
	}
	if err != nil {
		return fail(misconfigured, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	s, err := server.New(config, config.Logger(stderr))
	if err != nil {
		return fail(failure, err)
	}
	if err := s.Run(ctx); err != nil {
		return fail(failure, err)
	}
	return success
}

// checkHealth asks the endpoint at a URL, or that of this environment, whether it is ready: for images without curl.
func checkHealth(args, environ []string) error {
	var url string
	switch len(args) {
	case 0:
		config, err := server.Parse(nil, environ, io.Discard)
		if err != nil {
			return err
		}
		url = config.HealthURL()
	case 1:
		url = args[0]
	default:
		return errors.New("check-health takes one URL at most")
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	return server.CheckHealth(ctx, url)
}
