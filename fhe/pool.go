package fhe

import (
	"context"
	"sync"
	"sync/atomic"
)

// Pool is the set of cores that all requests of a process share. A request occupies one of them from Enter to Leave
// and borrows idle ones for its parallel sections, so that an idle process spends all cores on one request and a busy
// one runs requests side by side. Results do not depend on the number of workers.
//
// A nil Pool runs everything on the caller's goroutine.
type Pool struct {
	slots   chan struct{} // one token for each busy worker
	waiting atomic.Int64  // requests that wait for a slot: nobody borrows from them
}

// NewPool returns a pool of that many workers, at least one.
func NewPool(workers int) *Pool {
	return &Pool{slots: make(chan struct{}, max(workers, 1))}
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

// borrow occupies an idle worker if there is one and nobody waits for it.
func (p *Pool) borrow() bool {
	if p == nil || p.waiting.Load() > 0 {
		return false
	}
	select {
	case p.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// Do calls f(i) for each i in [0, n), on the calling goroutine and on as many idle workers as there are, and returns
// when all calls have. The caller must hold a worker (see Enter) unless nothing else uses the pool. Calls of Do may be
// nested.
func (p *Pool) Do(n int, f func(i int)) {
	var next atomic.Int64
	loop := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			f(i)
		}
	}
	var helpers sync.WaitGroup
	for k := 1; k < n && p.borrow(); k++ {
		helpers.Add(1)
		go func() {
			defer helpers.Done()
			defer p.Leave()
			loop()
		}()
	}
	loop()
	helpers.Wait()
}
