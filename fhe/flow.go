package fhe

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// flow is a list of calls that workers begin in its order, each as soon as one of them is free. A call may wait for calls
// before it. They have begun by then, so that no call waits for one that nobody works on, and a single worker never waits.
type flow struct {
	*evaluator
	alone bool // nobody is there to help, so that nobody waits: what is used at once is made when it is due
	calls []call
}

type call struct {
	f    func(i int)
	i    int
	done atomic.Bool
	_    [44]byte // workers write to neighbours at the same time: a cache line for each
}

// stage are calls of a flow that follow each other. The zero stage is done.
type stage struct {
	flow     *flow
	first, n int
}

var flows = sync.Pool{New: func() any { return new(flow) }}

// flow returns an empty flow, to run once.
func (e *evaluator) flow() *flow {
	w := flows.Get().(*flow)
	w.evaluator, w.alone = e, e.pool.alone()
	return w
}

// add appends calls of f(0) … f(n-1).
func (w *flow) add(n int, f func(i int)) stage {
	s := stage{w, len(w.calls), n}
	for i := range n {
		w.calls = append(w.calls, call{f: f, i: i})
	}
	return s
}

// run makes the calls and returns when all have returned. Neither the flow nor its stages may be used after it.
func (w *flow) run() {
	w.pool.Do(len(w.calls), func(k int) {
		c := &w.calls[k]
		defer c.done.Store(true)
		c.f(c.i)
	})
	clear(w.calls)
	*w = flow{calls: w.calls[:0]}
	flows.Put(w)
}

// wait returns when the i'th call has.
func (s stage) wait(i int) {
	if s.flow == nil {
		return
	}
	done := &s.flow.calls[s.first+i].done
	for tries := 0; !done.Load(); tries++ {
		if tries > patience {
			runtime.Gosched()
		}
	}
}

// waitAll returns when all calls have.
func (s stage) waitAll() { s.waitFor(0, s.n) }

// waitFor returns when calls first to end-1 have.
func (s stage) waitFor(first, end int) {
	for i := first; i < end; i++ {
		s.wait(i)
	}
}

// countdown returns a function whose n'th call calls f.
func countdown(n int, f func()) func() {
	left := new(atomic.Int64)
	left.Store(int64(n))
	return func() {
		if left.Add(-1) == 0 {
			f()
		}
	}
}
