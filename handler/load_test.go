package handler_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cipherpoint/handler"
	"cipherpoint/handler/handlertest"
)

// gate stops the model until it is opened.
type gate struct {
	arrived, open chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}, 1000), make(chan struct{})} }

func (g *gate) pass(ctx context.Context) error {
	g.arrived <- struct{}{}
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func code(err error) handler.Code {
	var typed *handler.Error
	if errors.As(err, &typed) {
		return typed.Code
	}
	return ""
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still waiting after a minute")
		}
	}
}

// TestQueueIsBounded: two work, three wait, the rest is refused; who leaves makes room.
func TestQueueIsBounded(t *testing.T) {
	f := newFixture(t, handler.Options{Workers: 2, Queue: 3})
	key := f.model.NewKey("ann")
	uid := f.upload(key)
	input := f.model.NewInput("x")
	g := newGate()
	f.model.OnInfer = g.pass

	results := make(chan error, 10)
	ctx, leave := context.WithCancel(t.Context())
	ask := func(ctx context.Context) {
		go func() {
			_, err := f.Handle(ctx, infer(uid, input))
			results <- err
		}()
	}
	ask(t.Context())
	ask(t.Context())
	<-g.arrived
	<-g.arrived
	ask(t.Context())
	ask(t.Context())
	ask(ctx)
	eventually(t, func() bool { return f.Stats().Waiting == 3 })
	for range 5 {
		if err := f.fails(infer(uid, input), handler.Busy); err.Code.RetryAfter() == 0 {
			t.Error("busy without Retry-After")
		}
	}
	if s := f.Stats(); s.Running != 2 || s.Waiting != 3 {
		t.Errorf("%d running and %d waiting", s.Running, s.Waiting)
	}
	leave()
	if err := <-results; code(err) != handler.Canceled {
		t.Errorf("error of the request that left: %v", err)
	}
	ask(t.Context())
	close(g.open)
	for range 5 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if s := f.Stats(); s.Running != 0 || s.Waiting != 0 {
		t.Errorf("%d running and %d waiting after the end", s.Running, s.Waiting)
	}
	if n := f.model.Inferences.Load(); n != 5 {
		t.Errorf("%d inferences: want 5, none for those refused or gone", n)
	}
}

// TestKeyIsLoadedOnce: however many requests wait for a key, it is read once; those who leave do not disturb the rest.
func TestKeyIsLoadedOnce(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.upload(key)

	cold := handlertest.New(1, 1)
	g := newGate()
	cold.OnLoad = g.pass
	h := newHandler(t, cold, f.store, handler.Options{Workers: 2})
	input := cold.NewInput("x")
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := h.Handle(ctx, infer(uid, input))
		first <- err
	}()
	<-g.arrived
	results := make(chan error, 20)
	for range 20 {
		go func() {
			_, err := h.Handle(t.Context(), infer(uid, input))
			results <- err
		}()
	}
	eventually(t, func() bool { s := h.Stats(); return s.Running+s.Waiting == 21 })
	leave()
	if err := <-first; code(err) != handler.Canceled {
		t.Errorf("error of the request that left: %v", err)
	}
	close(g.open)
	for range 20 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := cold.Loads.Load(); n != 1 {
		t.Errorf("key was loaded %d times", n)
	}
}

// TestFailedLoadIsNotKept: the next request tries again.
func TestFailedLoadIsNotKept(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.upload(key)
	f.EndpointHandler = newHandler(t, f.model, f.store, handler.Options{})
	f.model.OnLoad = func(context.Context) error { return errors.New("out of memory") }
	f.fails(infer(uid, f.model.NewInput("x")), handler.Internal)
	f.model.OnLoad = nil
	f.answers(uid, key)
}

func TestKeyCacheIsBounded(t *testing.T) {
	f := newFixture(t, handler.Options{KeyCacheBytes: 3500}) // three keys of 1000
	keys := map[string][]byte{}
	var uids []string
	for i := range 5 {
		key := f.model.NewKey(fmt.Sprint(i))
		uid := f.upload(key)
		keys[uid], uids = key, append(uids, uid)
	}
	if s := f.Stats(); s.CachedKeys != 3 || s.CachedBytes != 3000 || s.Evicted != 2 {
		t.Errorf("stats %+v", s)
	}
	f.answers(uids[2], keys[uids[2]]) // now the most recently used
	f.answers(uids[0], keys[uids[0]]) // has to be loaded, which drops uids[3]
	loads := f.model.Loads.Load()
	f.answers(uids[2], keys[uids[2]])
	f.answers(uids[4], keys[uids[4]])
	if n := f.model.Loads.Load(); n != loads {
		t.Errorf("%d loads of keys that were in memory", n-loads)
	}
	f.answers(uids[3], keys[uids[3]])
	if n := f.model.Loads.Load(); n != loads+1 {
		t.Errorf("%d loads of one key that was not in memory", n-loads)
	}
}

// TestLargeKeyIsKept: one key over the limit stays until the next comes.
func TestLargeKeyIsKept(t *testing.T) {
	f := newFixture(t, handler.Options{KeyCacheBytes: 10})
	ann, bob := f.model.NewKey("ann"), f.model.NewKey("bob")
	a := f.upload(ann)
	f.answers(a, ann)
	b := f.upload(bob)
	f.answers(b, bob)
	if s := f.Stats(); s.CachedKeys != 1 || f.model.Loads.Load() != 2 {
		t.Errorf("stats %+v, %d loads", s, f.model.Loads.Load())
	}
	f.answers(a, ann)
}

// TestEvictionUnderLoad runs requests of more keys than fit while they push each other out.
func TestEvictionUnderLoad(t *testing.T) {
	f := newFixture(t, handler.Options{Workers: 4, Queue: 100, KeyCacheBytes: 2000})
	var group sync.WaitGroup
	for i := range 6 {
		key := f.model.NewKey(fmt.Sprint(i))
		uid := f.upload(key)
		group.Go(func() {
			for range 20 {
				f.answers(uid, key)
			}
		})
	}
	group.Wait()
	if s := f.Stats(); s.CachedBytes > 2000 {
		t.Errorf("%d bytes of keys in memory", s.CachedBytes)
	}
}

// TestCloseWaits: a load for which nobody waits any more has ended when Close returns.
func TestCloseWaits(t *testing.T) {
	f := newFixture(t, handler.Options{})
	uid := f.upload(f.model.NewKey("ann"))
	cold := handlertest.New(1, 1)
	g := newGate()
	ended := false
	cold.OnLoad = func(ctx context.Context) error {
		err := g.pass(ctx)
		ended = true
		return err
	}
	h, err := handler.New(cold, f.store, handler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_, _ = h.Handle(ctx, infer(uid, cold.NewInput("x")))
		close(done)
	}()
	<-g.arrived
	leave()
	<-done
	h.Close()
	if !ended {
		t.Error("load still runs after Close")
	}
}
