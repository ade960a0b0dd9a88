package fhe

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPoolDoCallsEachOnce(t *testing.T) {
	for _, p := range []*Pool{nil, NewPool(1), NewPool(2), NewPool(7)} {
		for _, n := range []int{0, 1, 2, 100} {
			calls := make([]atomic.Int64, n)
			p.Do(n, func(i int) {
				calls[i].Add(1)
				p.Do(3, func(int) {})
			})
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Fatalf("%d workers: call %d of %d ran %d times", p.Workers(), i, n, got)
				}
			}
		}
	}
}

func TestPoolBoundsConcurrency(t *testing.T) {
	const workers = 3
	p := NewPool(workers)
	var busy, most atomic.Int64
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			if err := p.Enter(context.Background()); err != nil {
				t.Error(err)
				return
			}
			defer p.Leave()
			for range 20 {
				p.Do(10, func(int) {
					now := busy.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					time.Sleep(10 * time.Microsecond)
					busy.Add(-1)
				})
			}
		})
	}
	requests.Wait()
	if got := most.Load(); got > workers {
		t.Fatalf("%d calls ran at once on %d workers", got, workers)
	}
}

// TestPoolAlone: a request is alone where each worker has one of its own; borrowed workers do not count.
func TestPoolAlone(t *testing.T) {
	if !(*Pool)(nil).alone() || !NewPool(1).alone() {
		t.Error("a single worker is not alone")
	}
	p := NewPool(2)
	check := func(want bool, when string) {
		t.Helper()
		if got := p.alone(); got != want {
			t.Errorf("%s: alone %v", when, got)
		}
	}
	for range 2 {
		check(false, "a worker is free")
		if err := p.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check(true, "both have requests")
	p.Leave()
	started := make(chan struct{}, 1)
	p.Do(2, func(int) {
		select {
		case started <- struct{}{}: // the first to come waits for the other
			for len(started) > 0 {
				time.Sleep(time.Microsecond)
			}
		case <-started:
			check(false, "one helps the other")
		}
	})
	for p.helpers.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	check(false, "the helper has left")
}

// TestPoolNested opens more sections than there are places for.
func TestPoolNested(t *testing.T) {
	p := NewPool(3)
	var calls atomic.Int64
	var nest func(depth int)
	nest = func(depth int) {
		if depth == 0 {
			calls.Add(1)
			return
		}
		p.Do(2, func(int) { nest(depth - 1) })
	}
	nest(12)
	if got := calls.Load(); got != 1<<12 {
		t.Errorf("%d calls: want %d", got, 1<<12)
	}
	for i := range p.open {
		if p.open[i].Load() != nil {
			t.Error("a section was left open")
		}
	}
}

// TestBorrowedWorkersLeave lets requests in one after the other while workers are borrowed all the time.
func TestBorrowedWorkersLeave(t *testing.T) {
	p := NewPool(4)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var requests sync.WaitGroup
	for range 16 {
		requests.Go(func() {
			for range 50 {
				if err := p.Enter(ctx); err != nil {
					t.Error(err)
					return
				}
				sum := make([]int, 64)
				p.Do(len(sum), func(i int) { sum[i] = i })
				for i, x := range sum {
					if x != i {
						t.Errorf("call %d is not done", i)
					}
				}
				p.Leave()
			}
		})
	}
	requests.Wait()
	for range p.Workers() { // all are idle again
		if err := p.Enter(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPoolEnterGivesUpWithContext(t *testing.T) {
	p := NewPool(1)
	if err := p.Enter(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := p.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("second request on one worker: got %v", err)
	}
	p.Leave()
	if err := p.Enter(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkPoolDo is a section without work: what sharing out costs.
func BenchmarkPoolDo(b *testing.B) {
	p := NewPool(2)
	if err := p.Enter(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer p.Leave()
	for b.Loop() {
		p.Do(4, func(int) {})
	}
}
