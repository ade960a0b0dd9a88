package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"cipherpoint/bench/fleet"
	"cipherpoint/client"
	"cipherpoint/creating_models/publish"
)

// binary builds the endpoint once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bench-endpoint")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "endpoint")
	out, err := exec.Command("go", "build", "-o", path, "cipherpoint/endpoint").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the endpoint: %w: %s", err, out)
	}
	return path, nil
})

// endpointProcess is a running endpoint with a key store of its own.
type endpointProcess struct {
	*fleet.Endpoint
	coldStart time.Duration // until it served
	keys      string        // folder of the key store
}

// startEndpoint serves a compiled model's folder, with further flags. The process ends with the context, or with stop.
func startEndpoint(ctx context.Context, dir string, flags ...string) (*endpointProcess, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	keys, err := os.MkdirTemp("", "bench-keys")
	if err != nil {
		return nil, err
	}
	p := &endpointProcess{keys: keys}
	if p.Endpoint, err = fleet.NewEndpoint(path, dir, "file://"+keys, nil, flags...); err != nil {
		os.RemoveAll(keys)
		return nil, err
	}
	start := time.Now()
	if err := p.Start(ctx); err != nil {
		p.stop()
		return nil, err
	}
	p.coldStart = time.Since(start)
	context.AfterFunc(ctx, p.Kill)
	return p, nil
}

// stop ends the process at once and waits for its end.
func (p *endpointProcess) stop() {
	p.Close()
	os.RemoveAll(p.keys)
}

// serveOnce starts the endpoint as a process, uploads the user's keys and asks one question ten times. It returns the
// time in ms until the endpoint served, and its peak of resident memory in MB.
func serveOnce(ctx context.Context, dir string, e *publish.Encrypted) (coldStart, rss float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p, err := startEndpoint(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	connection, err := client.New(p.URL(), "", client.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer connection.Close()
	uid, err := connection.Upload(ctx, e.Model.KeySet(), bytes.NewReader(e.UserKeys), client.Upload{})
	if err != nil {
		return 0, 0, err
	}
	for range 10 {
		if _, err := connection.Infer(ctx, uid, e.Request); err != nil {
			return 0, 0, err
		}
	}
	_, rss = fleet.MemoryMB(p.PID())
	return float64(p.coldStart.Microseconds()) / 1e3, rss, nil
}
