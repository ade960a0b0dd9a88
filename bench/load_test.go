package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cipherpoint/internal/testmodel"
)

func TestLoadOfAnEndpoint(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	picture := filepath.Join(t.TempDir(), "made", "load.svg")
	var out bytes.Buffer
	args := []string{"load", "--model", testmodel.Small(t).Save(t), "--duration", "200ms", "--out", picture}
	if err := run(t.Context(), args, &out, null); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"small over HTTP", "saturation", "p99 / p50", "20 %", "100 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(svg, new(struct{})); err != nil || !bytes.Contains(svg, []byte("p99")) {
		t.Errorf("plot: %v", err)
	}
}

// server answers after a while, the first requests when as many have come as are to wait for each other, and refuses one
// of ten.
func server(t *testing.T, wait time.Duration, together int64) *load {
	t.Helper()
	var count atomic.Int64
	all := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Contains(body, []byte("question")) || !bytes.Contains(body, []byte("inference")) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		n := count.Add(1)
		if n == together {
			close(all)
		}
		if n < together {
			select {
			case <-all:
			case <-time.After(time.Minute):
				w.WriteHeader(http.StatusGatewayTimeout)
				return
			}
		}
		if n%10 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		time.Sleep(wait)
	}))
	t.Cleanup(s.Close)
	l, err := newLoad(s.URL, os.Getpid(), "uid", [][]byte{[]byte("question")})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestOpenLoop asks whether earlier questions are answered or not: the first ones wait for later ones.
func TestOpenLoop(t *testing.T) {
	const wait = 20 * time.Millisecond
	l := server(t, wait, 30)
	p, err := l.open(t.Context(), 500, 400*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// 200 are expected; their number is Poisson's with a fixed seed.
	if n := len(p.latencies) + p.refused; n < 150 || n > 250 || p.refused != n/10 {
		t.Errorf("%d answered, %d refused", len(p.latencies), p.refused)
	}
	if p.percentile(0) < wait || p.percentile(0) > p.percentile(50) || p.percentile(50) > p.percentile(100) {
		t.Errorf("%v, %v, %v", p.percentile(0), p.percentile(50), p.percentile(100))
	}
	if _, err := l.open(t.Context(), 0, time.Second); err == nil {
		t.Error("a load of nothing is measured")
	}
}

func TestClosedLoop(t *testing.T) {
	l := server(t, 10*time.Millisecond, 0)
	for duration := 300 * time.Millisecond; ; duration *= 4 {
		p, err := l.closed(t.Context(), 4, duration)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.latencies)+p.refused < 10 && duration < 10*time.Second {
			continue // the machine stalled
		}
		if p.rate() <= 0 || p.rate() > 4*100*1.2 || p.clients != 4 || p.refused == 0 {
			t.Errorf("%.0f requests a second, %d refused", p.rate(), p.refused)
		}
		return
	}
}

// TestLoadReportsFailures: the first one ends the load.
func TestLoadReportsFailures(t *testing.T) {
	l := server(t, 0, 0)
	l.bodies = [][]byte{[]byte("nonsense")}
	if _, err := l.closed(t.Context(), 2, time.Hour); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("error %v", err)
	}
	if _, err := l.open(t.Context(), 100, time.Hour); err == nil {
		t.Error("no error")
	}
}

func TestPercentiles(t *testing.T) {
	p := new(phase)
	if p.percentile(99) != 0 || p.rate() != 0 {
		t.Error("a phase without answers has latencies")
	}
	for i := range 200 {
		p.latencies = append(p.latencies, time.Duration(i))
	}
	for percent, want := range map[int]time.Duration{0: 0, 50: 100, 95: 190, 99: 198, 100: 199} {
		if got := p.percentile(percent); got != want {
			t.Errorf("p%d is %d: want %d", percent, got, want)
		}
	}
}

func TestProcessorTime(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	before, spent := processorTime(os.Getpid()), 0.0
	x := uint64(1)
	for start := time.Now(); spent == 0 && time.Since(start) < time.Minute; spent = processorTime(os.Getpid()) - before {
		for range 1 << 20 {
			x = x*3 + 1
		}
	}
	if spent <= 0 || spent > 10 {
		t.Errorf("%g s of processor time (%d)", spent, x)
	}
	if processorTime(1<<30) != 0 {
		t.Error("a process that is not there takes time")
	}
}
