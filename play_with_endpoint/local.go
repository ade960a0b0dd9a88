package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"cipherpoint/deployment"
	"cipherpoint/endpoint/server"
)

// serve starts an endpoint for a model on a free loopback port, with a token and a key store of its own, and waits
// until it is ready. stop ends it and removes the keys.
func serve(ctx context.Context, model string, log io.Writer) (address, token string, stop func() error, err error) {
	if _, err := os.Stat(filepath.Join(model, deployment.VersionsFile)); err != nil {
		return "", "", nil, fmt.Errorf("no compiled model in the folder %s: name one with --model, make one with creating_models, or name an endpoint with --url", model)
	}
	keys, err := os.MkdirTemp("", "play_with_endpoint")
	if err != nil {
		return "", "", nil, err
	}
	token = rand.Text() // other users of this machine can reach the port too
	config := server.Defaults()
	config.Listen, config.Model, config.Tokens = "127.0.0.1:0", model, []string{token}
	config.Keystore = (&url.URL{Scheme: "file", Path: filepath.ToSlash(keys)}).String()
	config.LogLevel = slog.LevelError
	endpoint, err := server.New(config, config.Logger(log))
	if err != nil {
		return "", "", nil, errors.Join(err, os.RemoveAll(keys))
	}
	// Not ctx: after an interruption the key is still deleted.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Run(running) }()
	stop = func() error {
		cancel()
		return errors.Join(<-ended, os.RemoveAll(keys))
	}
	select {
	case <-endpoint.Ready():
		return endpoint.URL(), token, stop, nil
	case err := <-ended:
		ended <- nil
		return "", "", nil, errors.Join(err, stop())
	case <-ctx.Done():
		return "", "", nil, errors.Join(context.Cause(ctx), stop())
	}
}
