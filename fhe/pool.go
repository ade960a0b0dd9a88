package fhe

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Pool is the set of cores that all requests of a process share. A request occupies one of them from Enter to Leave
// and borrows idle ones for its parallel sections, so that an idle process spends all cores on one request and a busy
// one runs requests side by side. Results do not depend on the number of workers.
//
// Sections are short, some ten microseconds, and follow each other closely: to wake a thread for each would take as
// long. So a borrowed worker stays and looks for the next section for a moment, and leaves at once when somebody waits
// for it.
//
// A nil Pool runs everything on the caller's goroutine.
type Pool struct {
	slots   chan struct{} // one token for each busy worker
	waiting atomic.Int64  // requests that wait for a slot: nobody borrows from them
	helpers atomic.Int64  // borrowed workers
	open    []atomic.Pointer[section]
}

// section is a call of Do that borrowed workers may join.
type section struct {
	n          int64
	f          func(i int)
	next, done atomic.Int64
}

const (
	// patience is how many times in vain a borrowed worker looks for a section before it leaves: some ten microseconds.
	patience = 2000
	// sectionsPerWorker is how many sections each worker may have open: calls of Do are nested two or three deep.
	sectionsPerWorker = 3
)

// NewPool returns a pool of that many workers, at least one.
func NewPool(workers int) *Pool {
	workers = max(workers, 1)
	return &Pool{slots: make(chan struct{}, workers), open: make([]atomic.Pointer[section], workers*sectionsPerWorker)}
}

// Workers returns the number of workers.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return cap(p.slots)
}

// Enter waits for a worker and occupies it until Leave, or returns the context's error.
func (p *Pool) Enter(ctx context.Context) error {
	if p == nil {
		return ctx.Err()
	}
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives back the worker that Enter occupied.
func (p *Pool) Leave() {
	if p != nil {
		<-p.slots
	}
}

// alone reports whether nobody will help: every worker has a request of its own, or one that waits for it.
func (p *Pool) alone() bool {
	return p.Workers() < 2 || p.waiting.Load() > 0 || len(p.slots)-int(p.helpers.Load()) >= p.Workers()
}

// borrow occupies an idle worker if there is one and nobody waits for it.
func (p *Pool) borrow() bool {
	if p.waiting.Load() > 0 {
		return false
	}
	select {
	case p.slots <- struct{}{}:
		p.helpers.Add(1)
		return true
	default:
		return false
	}
}

// Do calls f(i) for each i in [0, n), on the calling goroutine and on as many idle workers as there are, and returns
// when all calls have. The caller must hold a worker (see Enter) unless nothing else uses the pool. Calls of Do may be
// nested.
func (p *Pool) Do(n int, f func(i int)) {
	if n < 2 || p.Workers() < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	s := &section{n: int64(n), f: f}
	place := p.publish(s)
	for k := 1; k < n && place != nil && p.borrow(); k++ {
		go p.help()
	}
	for s.step() {
	}
	if place != nil {
		place.Store(nil)
	}
	for tries := 0; s.done.Load() < s.n; tries++ {
		if tries > patience {
			runtime.Gosched()
		}
	}
}

// publish shows a section to borrowed workers. It returns its place, or nil where there is none.
func (p *Pool) publish(s *section) *atomic.Pointer[section] {
	for i := range p.open {
		if place := &p.open[i]; place.Load() == nil && place.CompareAndSwap(nil, s) {
			return place
		}
	}
	return nil
}

// step makes the next call, if there is one left.
func (s *section) step() bool {
	if s.next.Load() >= s.n {
		return false
	}
	i := s.next.Add(1) - 1
	if i >= s.n {
		return false
	}
	s.f(int(i))
	s.done.Add(1)
	return true
}

// help is what a borrowed worker does.
func (p *Pool) help() {
	defer p.Leave()
	defer p.helpers.Add(-1)
	for tries := 0; tries < patience && p.waiting.Load() == 0; tries++ {
		for i := range p.open {
			if s := p.open[i].Load(); s != nil && s.step() {
				tries = 0
				break
			}
		}
	}
}
