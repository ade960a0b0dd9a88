package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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

// endpointProcess is a running endpoint.
type endpointProcess struct {
	url       string
	coldStart time.Duration // until it said that it was healthy
	process   *exec.Cmd
	keys      string // folder of the key store
	ended     chan struct{}
	exit      error // once ended is closed
}

// startEndpoint serves a compiled model's folder, with a key store of its own, and waits until it is healthy. The process
// ends with the context, or with stop.
func startEndpoint(ctx context.Context, dir string) (p *endpointProcess, err error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	keys, err := os.MkdirTemp("", "bench-keys")
	if err != nil {
		return nil, err
	}
	p = &endpointProcess{url: "http://" + address, keys: keys, ended: make(chan struct{})}
	p.process = exec.CommandContext(ctx, path, "--listen", address, "--model", dir, "--keystore", "file://"+keys, "--log-level", "error")
	p.process.Stderr = os.Stderr
	p.process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // it is configured by its flags alone
		return strings.HasPrefix(v, "CIPHERPOINT_") || strings.HasPrefix(v, "PORT=")
	})
	start := time.Now()
	if err := p.process.Start(); err != nil {
		os.RemoveAll(keys)
		return nil, err
	}
	go func() {
		p.exit = p.process.Wait()
		close(p.ended)
	}()
	for !healthy(ctx, p.url+"/health") {
		select {
		case <-p.ended:
			p.stop()
			return nil, fmt.Errorf("the endpoint ended before it was healthy: %w", p.exit)
		case <-ctx.Done():
			p.stop()
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	p.coldStart = time.Since(start)
	return p, nil
}

// stop ends the process at once and waits for its end.
func (p *endpointProcess) stop() {
	_ = p.process.Process.Kill() // fails where it has ended
	<-p.ended
	os.RemoveAll(p.keys)
}

// serveOnce starts the endpoint as a process, uploads the user's keys and asks one question ten times. It returns the
// time in ms until the endpoint said that it was healthy, and its peak of resident memory in MB.
func serveOnce(ctx context.Context, dir string, e *publish.Encrypted) (coldStart, rss float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p, err := startEndpoint(ctx, dir)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	connection, err := client.New(p.url, "", client.Options{})
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
	rss, err = peakMB(p.process.Process.Pid)
	return float64(p.coldStart.Microseconds()) / 1e3, rss, err
}

func healthy(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return false
	}
	return response.StatusCode == http.StatusOK
}

// peakMB reads the peak of resident memory that Linux tells of a process; elsewhere it is 0.
func peakMB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kb / 1e3, err
		}
	}
	return 0, nil
}
