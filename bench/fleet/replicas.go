package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cipherpoint/client"
)

// ReplicasOptions say what Replicas does.
type ReplicasOptions struct {
	Binary   string // of the endpoint
	Model    string // folder of the compiled model
	Replicas int
	Clients  int
	Duration time.Duration
	// Every so often a replica is killed; it is started again after Away.
	Every, Away time.Duration
	// MemoryMB bounds the resident memory of each replica in MiB: a quarter of it is for expanded keys, and three quarters
	// are GOMEMLIMIT, which bounds the heap alone and gives way where it has to.
	MemoryMB int
	Seed     uint64
	// Progress is told the time that has passed.
	Progress func(passed time.Duration)
}

// ReplicasFigures are what came of it.
type ReplicasFigures struct {
	Options    ReplicasOptions
	Inferences []time.Duration // until the answer, repeats included, in ascending order
	Uploads    []time.Duration
	Repeats    int // of requests, by the client itself
	Kills      int
	PeakMB     []float64 // resident, of each replica over all its processes
	Failures   []string  // requests that failed after the client's repeats, and wrong answers
	Samples    []Sample
}

// Sample is what happened in a few seconds.
type Sample struct {
	At       time.Duration // end of it
	Latency  time.Duration // median of the inferences
	Slowest  time.Duration
	MemoryMB []float64 // of each replica now
}

// sampleTime is the length of a Sample.
const sampleTime = 2 * time.Second

// replicas is a run of Replicas.
type replicas struct {
	options   ReplicasOptions
	endpoints []*Endpoint
	repeats   atomic.Int64

	mu      sync.Mutex
	figures ReplicasFigures
	recent  []time.Duration // inferences since the last sample
}

// Replicas runs endpoints on one Redis behind a plain proxy that hands requests out in turn, to whoever is there or not,
// and clients with keys of their own that ask, and now and then upload new keys and delete the old ones.
func Replicas(ctx context.Context, o ReplicasOptions) (*ReplicasFigures, error) {
	s, err := newStore("redis")
	if err != nil {
		return nil, err
	}
	defer s.close()
	r := &replicas{options: o, figures: ReplicasFigures{Options: o, PeakMB: make([]float64, o.Replicas)}}
	var targets []*url.URL
	for range o.Replicas {
		e, err := NewEndpoint(o.Binary, o.Model, s.address, append(s.environment, fmt.Sprintf("GOMEMLIMIT=%dMiB", o.MemoryMB*3/4)),
			"--key-cache-mb", strconv.Itoa(o.MemoryMB/4), "--queue", "256")
		if err != nil {
			return nil, err
		}
		defer e.Close()
		if err := e.Start(ctx); err != nil {
			return nil, err
		}
		target, err := url.Parse(e.URL())
		if err != nil {
			return nil, err
		}
		r.endpoints, targets = append(r.endpoints, e), append(targets, target)
	}
	address, stop, err := roundRobin(targets)
	if err != nil {
		return nil, err
	}
	defer stop()

	ctx, cancel := context.WithTimeout(ctx, o.Duration+5*time.Minute)
	defer cancel()
	stopping := make(chan struct{})
	ended := make(chan error, o.Clients)
	for i := range o.Clients {
		go func() { ended <- r.client(ctx, stopping, address, rand.New(rand.NewPCG(o.Seed, uint64(i)))) }()
	}
	err = r.disturb(ctx)
	close(stopping)
	for range o.Clients {
		err = errors.Join(err, <-ended)
	}
	r.sample(o.Duration)
	f := &r.figures
	f.Repeats = int(r.repeats.Load())
	slices.Sort(f.Inferences)
	slices.Sort(f.Uploads)
	return f, err
}

// roundRobin is a proxy that knows nothing of the health of what is behind it.
func roundRobin(targets []*url.URL) (address string, stop func(), err error) {
	var next atomic.Uint64
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(targets[next.Add(1)%uint64(len(targets))]) },
		ErrorLog: log.New(io.Discard, "", 0), // of replies that ended with their replica
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}

// disturb samples, and kills a replica every so often, until the time is over.
func (r *replicas) disturb(ctx context.Context) (err error) {
	start := time.Now()
	kills, ticker := time.NewTicker(r.options.Every), time.NewTicker(sampleTime)
	defer kills.Stop()
	defer ticker.Stop()
	end := time.After(r.options.Duration)
	restarted, away := make(chan error), 0
	defer func() {
		for ; away > 0; away-- { // a process that starts after the end would stay
			err = errors.Join(err, <-restarted)
		}
	}()
	for {
		select {
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case err := <-restarted:
			away--
			if err != nil {
				return err
			}
		case <-ticker.C:
			r.sample(time.Since(start))
			if r.options.Progress != nil {
				r.options.Progress(time.Since(start))
			}
		case <-kills.C:
			e := r.endpoints[r.figures.Kills%len(r.endpoints)]
			r.memory(r.figures.Kills % len(r.endpoints)) // its peak goes with it
			r.figures.Kills++
			e.Kill()
			away++
			time.AfterFunc(r.options.Away, func() { restarted <- e.Start(ctx) })
		}
	}
}

// sample takes in the inferences since the last one and the replicas' memory.
func (r *replicas) sample(at time.Duration) {
	s := Sample{At: at, MemoryMB: make([]float64, len(r.endpoints))}
	for i := range r.endpoints {
		s.MemoryMB[i] = r.memory(i)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Sort(r.recent); len(r.recent) > 0 {
		s.Latency, s.Slowest = r.recent[len(r.recent)/2], r.recent[len(r.recent)-1]
	}
	r.recent = nil
	r.figures.Samples = append(r.figures.Samples, s)
}

// memory returns that of a replica now, and takes in its peak.
func (r *replicas) memory(i int) float64 {
	now, peak := MemoryMB(r.endpoints[i].PID())
	r.figures.PeakMB[i] = max(r.figures.PeakMB[i], peak)
	return now
}

func (r *replicas) fail(what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.Failures = append(r.figures.Failures, fmt.Sprintf("%s: %v", what, err))
}

// client asks until it is told to stop; one question in a hundred is followed by a change of keys.
func (r *replicas) client(ctx context.Context, stopping <-chan struct{}, address string, rng *rand.Rand) error {
	connection, err := client.New(address, "", client.Options{OnWait: func(error, time.Duration) { r.repeats.Add(1) }})
	if err != nil {
		return err
	}
	defer connection.Close()
	var u *user
	uid := ""
	for {
		if uid == "" || rng.IntN(100) == 0 {
			if uid != "" {
				if err := connection.DeleteKey(ctx, uid); err != nil {
					r.fail("deletion", err)
				}
			}
			if u, err = newUser(ctx, r.options.Model, rng); err != nil {
				return err
			}
			start := time.Now()
			if uid, err = connection.Upload(ctx, u.model.KeySet(), bytes.NewReader(u.keys), client.Upload{}); err != nil {
				r.fail("upload", err)
				uid = ""
				continue
			}
			r.mu.Lock()
			r.figures.Uploads = append(r.figures.Uploads, time.Since(start))
			r.mu.Unlock()
		}
		select {
		case <-stopping:
			return nil
		case <-time.After(time.Duration(50+rng.IntN(400)) * time.Millisecond):
		}
		start := time.Now()
		if err := u.infer(ctx, connection, uid, rng); err != nil {
			r.fail("inference", err)
			continue
		}
		took := time.Since(start)
		r.mu.Lock()
		r.figures.Inferences = append(r.figures.Inferences, took)
		r.recent = append(r.recent, took)
		r.mu.Unlock()
	}
}

// MemoryMB reads the resident memory of a process, now and at its peak, where the system tells; elsewhere it is 0.
func MemoryMB(pid int) (now, peak float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			now = kb / 1e3
		case name == "VmHWM":
			peak = kb / 1e3
		}
	}
	return now, peak
}
