package handler

import (
	"context"
)

// admission lets a bounded number of requests in, and a smaller number of them work at a time. Who is let in waits
// for a worker in order of arrival; who is not is told at once.
type admission struct {
	places  chan struct{} // taken by requests that work or wait
	workers chan struct{} // taken by those that work
}

func newAdmission(workers, queue int) *admission {
	return &admission{places: make(chan struct{}, workers+queue), workers: make(chan struct{}, workers)}
}

// enter takes a place until leave is called, or returns Busy.
func (a *admission) enter() (leave func(), err error) {
	select {
	case a.places <- struct{}{}:
		return func() { <-a.places }, nil
	default:
		return nil, &Error{Code: Busy}
	}
}

// work waits for a worker and runs f on it.
func (a *admission) work(ctx context.Context, f func() error) error {
	select {
	case a.workers <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.workers }()
	if err := ctx.Err(); err != nil {
		return err
	}
	return guarded(f)
}

// counts returns the number of workers in use and that of requests that hold a place without one.
func (a *admission) counts() (working, waiting int) {
	working = len(a.workers)
	return working, max(0, len(a.places)-working)
}

// stop waits until nobody works, and lets nobody work from then on.
func (a *admission) stop() {
	for range cap(a.workers) {
		a.workers <- struct{}{}
	}
}
