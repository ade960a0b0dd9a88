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

// serveOnce starts the endpoint as a process, uploads the user's keys and asks one question ten times. It returns the
// time until the endpoint said that it was healthy, and its peak of resident memory.
func serveOnce(ctx context.Context, dir string, e *publish.Encrypted) (coldStart, rss float64, err error) {
	path, err := binary()
	if err != nil {
		return 0, 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	address := listener.Addr().String()
	listener.Close()
	keys, err := os.MkdirTemp("", "bench-keys")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(keys)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	process := exec.CommandContext(ctx, path, "--listen", address, "--model", dir, "--keystore", "file://"+keys, "--log-level", "error")
	process.Stderr = os.Stderr
	process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // it is configured by its flags alone
		return strings.HasPrefix(v, "CIPHERPOINT_") || strings.HasPrefix(v, "PORT=")
	})
	start := time.Now()
	if err := process.Start(); err != nil {
		return 0, 0, err
	}
	var exit error // once ended is closed
	ended := make(chan struct{})
	go func() {
		exit = process.Wait()
		close(ended)
	}()
	defer func() {
		cancel() // ends the process
		<-ended
	}()
	for !healthy(ctx, "http://"+address+"/health") {
		select {
		case <-ended:
			return 0, 0, fmt.Errorf("the endpoint ended before it was healthy: %w", exit)
		case <-ctx.Done():
			return 0, 0, errors.New("the endpoint did not become healthy")
		case <-time.After(2 * time.Millisecond):
		}
	}
	coldStart = float64(time.Since(start).Microseconds()) / 1e3
	connection, err := client.New("http://"+address, "", client.Options{})
	if err != nil {
		return 0, 0, err
	}
	uid, err := connection.Upload(ctx, e.Model.KeySet(), bytes.NewReader(e.UserKeys), client.Upload{})
	if err != nil {
		return 0, 0, err
	}
	for range 10 {
		if _, err := connection.Infer(ctx, uid, e.Request); err != nil {
			return 0, 0, err
		}
	}
	rss, err = peakMB(process.Process.Pid)
	return coldStart, rss, err
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
