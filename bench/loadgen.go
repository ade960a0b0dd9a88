package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sync/errgroup"
)

// load asks an endpoint ready-made questions, with as little work for each as can be, so that the cores are the
// endpoint's: it writes to connections itself, where Go's client would hand each request to two more goroutines.
type load struct {
	address string
	pid     int
	bodies  [][]byte
	asked   atomic.Int64

	mu   sync.Mutex
	idle []*connection
}

type connection struct {
	net.Conn
	replies *bufio.Reader
}

func newLoad(address string, pid int, uid string, questions [][]byte) (*load, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	l := &load{address: u.Host, pid: pid}
	for _, q := range questions {
		body, err := msgpack.Marshal(struct {
			Method string `msgpack:"method"`
			UID    string `msgpack:"uid"`
			Inputs []byte `msgpack:"encrypted_inputs"`
		}{"inference", uid, q})
		if err != nil {
			return nil, err
		}
		l.bodies = append(l.bodies, body)
	}
	return l, nil
}

// connect returns the connection that was used last, or a new one.
func (l *load) connect(ctx context.Context) (*connection, error) {
	l.mu.Lock()
	if last := len(l.idle) - 1; last >= 0 {
		defer l.mu.Unlock()
		c := l.idle[last]
		l.idle = l.idle[:last]
		return c, nil
	}
	l.mu.Unlock()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReaderSize(c, 32<<10)}, nil
}

// close closes the connections that are idle.
func (l *load) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.idle {
		c.Close()
	}
	l.idle = nil
}

// ask asks the next question. A refusal for want of room is no error.
func (l *load) ask(ctx context.Context) (refused bool, err error) {
	c, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	status, err := c.post(l.address, l.bodies[int(l.asked.Add(1))%len(l.bodies)])
	if err != nil {
		c.Close()
		return false, err
	}
	l.mu.Lock()
	l.idle = append(l.idle, c)
	l.mu.Unlock()
	if status != http.StatusOK && status != http.StatusTooManyRequests {
		return false, fmt.Errorf("the endpoint answers with status %d", status)
	}
	return status != http.StatusOK, nil
}

// post sends a body and reads the reply.
func (c *connection) post(host string, body []byte) (status int, err error) {
	header := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/msgpack\r\nContent-Length: %d\r\n\r\n", host, len(body))
	request := net.Buffers{header, body}
	if _, err := request.WriteTo(c.Conn); err != nil { // in one call of the system
		return 0, err
	}
	reply, err := http.ReadResponse(c.replies, nil)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	_, err = io.Copy(io.Discard, reply.Body)
	return reply.StatusCode, err
}

// roundTrip is the median time of a request alone, to a server of this process that reads a body and sends so many bytes.
func roundTrip(ctx context.Context, bodies [][]byte, replyBytes int, duration time.Duration) (time.Duration, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	reply := make([]byte, replyBytes)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			_, _ = w.Write(reply) // what goes wrong shows at the other end
		}
	})}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(listener) }() // ends with Close
	l := &load{address: listener.Addr().String(), bodies: bodies}
	defer l.close()
	p, err := l.closed(ctx, 1, duration)
	return p.percentile(50), err
}

// phase is what some time under one load gave.
type phase struct {
	clients   int     // of a closed loop
	offered   float64 // requests a second of an open one
	latencies []time.Duration
	refused   int
	elapsed   time.Duration
	// Shares of all cores: of the load generator, of the endpoint, of all other programs; 0 where the system does not tell.
	ours, theirs, others float64

	mu sync.Mutex
}

// rate is how many requests a second were answered.
func (p *phase) rate() float64 {
	if p.elapsed == 0 {
		return 0
	}
	return float64(len(p.latencies)) / p.elapsed.Seconds()
}

// percentile of the latencies, which are sorted.
func (p *phase) percentile(percent int) time.Duration {
	if len(p.latencies) == 0 {
		return 0
	}
	return p.latencies[min(len(p.latencies)-1, len(p.latencies)*percent/100)]
}

// once asks a question that was due at a time.
func (p *phase) once(ctx context.Context, l *load, due time.Time) error {
	refused, err := l.ask(ctx)
	if err != nil {
		return err
	}
	elapsed := time.Since(due)
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused {
		p.refused++
	} else {
		p.latencies = append(p.latencies, elapsed)
	}
	return nil
}

// during measures what f does.
func (p *phase) during(l *load, f func() error) error {
	own, its, busy := processorTime(os.Getpid()), processorTime(l.pid), busyTime()
	start := time.Now()
	err := f()
	p.elapsed = time.Since(start)
	all := p.elapsed.Seconds() * float64(runtime.NumCPU())
	p.ours, p.theirs = (processorTime(os.Getpid())-own)/all, (processorTime(l.pid)-its)/all
	p.others = max(0, (busyTime()-busy)/all-p.ours-p.theirs)
	slices.Sort(p.latencies)
	return err
}

// closed lets a number of clients ask one question after the other.
func (l *load) closed(ctx context.Context, clients int, duration time.Duration) (*phase, error) {
	p := &phase{clients: clients}
	return p, p.during(l, func() error {
		end := time.Now().Add(duration)
		group, ctx := errgroup.WithContext(ctx)
		for range clients {
			group.Go(func() error {
				for time.Now().Before(end) {
					if err := p.once(ctx, l, time.Now()); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	})
}

// open asks questions at random times, so many a second on average, whether earlier ones are answered or not. A latency
// counts from when the question was due: what the generator is late by counts as well.
func (l *load) open(ctx context.Context, rate float64, duration time.Duration) (*phase, error) {
	if !(rate > 0) {
		return nil, fmt.Errorf("a load of %g requests a second", rate)
	}
	p := &phase{offered: rate}
	return p, p.during(l, func() error {
		rng := rand.New(rand.NewPCG(1, 2))
		group, ctx := errgroup.WithContext(ctx)
		start := time.Now()
		for due := time.Duration(0); ; {
			due += time.Duration(rng.ExpFloat64() / rate * 1e9)
			if due > duration || ctx.Err() != nil {
				return group.Wait()
			}
			time.Sleep(time.Until(start.Add(due)))
			group.Go(func() error { return p.once(ctx, l, start.Add(due)) })
		}
	})
}

const ticks = 100 // a second, on every Linux that Go runs on

// processorTime is the seconds of processor time that a process has taken where Linux tells them, or 0.
func processorTime(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, the second field, may hold anything; it ends with the last parenthesis.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return seconds(fields, 11, 12) // in user mode and in the system
}

// busyTime is the seconds of processor time that all programs have taken, and the system for none of them.
func busyTime() float64 {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(stat), "\n")
	return seconds(strings.Fields(first), 1, 2, 3, 6, 7) // all but idle, waiting for disks, and what other machines take
}

// seconds adds up fields of ticks.
func seconds(fields []string, at ...int) float64 {
	total := 0.0
	for _, i := range at {
		if i < len(fields) {
			t, _ := strconv.ParseFloat(fields[i], 64)
			total += t / ticks
		}
	}
	return total
}
