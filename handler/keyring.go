package handler

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// flightTime bounds the loading or sealing of one key.
const flightTime = 5 * time.Minute

// keyring holds expanded keys up to a number of bytes, least recently used out first, and sees to it that a key is
// loaded or sealed once however many requests wait for it. Requests hold the keys they use by reference, so dropping
// one disturbs nobody.
type keyring struct {
	limit   int64
	flights singleflight.Group
	ctx     context.Context // of the flights, which outlast the requests that wait for them
	cancel  context.CancelFunc

	mu                    sync.Mutex
	closed                bool
	flying                sync.WaitGroup
	order                 *list.List // of *entry, most recently used first
	entries               map[name]*list.Element
	used                  int64
	hits, misses, evicted int64
}

// name tells keys from templates: a uid of the one must not pass for the other.
type name struct{ set, uid string }

type entry struct {
	name
	keys      Keys
	confirmed time.Time // when the store was last known to have it
}

func newKeyring(limit int64) *keyring {
	ctx, cancel := context.WithCancel(context.Background())
	return &keyring{limit: limit, ctx: ctx, cancel: cancel, order: list.New(), entries: map[name]*list.Element{}}
}

// get returns a key that is in memory.
func (k *keyring) get(set, uid string) (Keys, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.entries[name{set, uid}]
	if !ok {
		k.misses++
		return nil, false
	}
	k.hits++
	k.order.MoveToFront(e)
	return e.Value.(*entry).keys, true
}

// peek is get for one that asks again: it does not count.
func (k *keyring) peek(set, uid string) (Keys, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.entries[name{set, uid}]; ok {
		return e.Value.(*entry).keys, true
	}
	return nil, false
}

// confirmed returns when the store was last known to have a key that is in memory.
func (k *keyring) confirmed(set, uid string) (time.Time, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.entries[name{set, uid}]; ok {
		return e.Value.(*entry).confirmed, true
	}
	return time.Time{}, false
}

// confirm notes that the store has the key.
func (k *keyring) confirm(set, uid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.entries[name{set, uid}]; ok {
		e.Value.(*entry).confirmed = time.Now()
	}
}

// add puts a key in and drops others until the rest fits. The newest stays even if it alone is over the limit: it was
// paid for and is about to be used.
func (k *keyring) add(set, uid string, keys Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := name{set, uid}
	k.drop(n)
	k.entries[n] = k.order.PushFront(&entry{n, keys, time.Now()})
	k.used += keys.Bytes()
	for k.used > k.limit && k.order.Len() > 1 {
		k.drop(k.order.Back().Value.(*entry).name)
		k.evicted++
	}
}

// remove forgets a key.
func (k *keyring) remove(set, uid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(name{set, uid})
}

func (k *keyring) drop(n name) {
	if e, ok := k.entries[n]; ok {
		k.used -= e.Value.(*entry).keys.Bytes()
		k.order.Remove(e)
		delete(k.entries, n)
	}
}

// once runs f, or waits for the one that already runs as that flight. f goes on when ctx ends, for the sake of the
// others that wait for it.
func (k *keyring) once(ctx context.Context, flight string, f func(context.Context) (Keys, error)) (Keys, error) {
	done := k.flights.DoChan(flight, func() (any, error) {
		if !k.takeOff() {
			return nil, context.Canceled
		}
		defer k.flying.Done()
		ctx, cancel := context.WithTimeout(k.ctx, flightTime)
		defer cancel()
		var keys Keys
		err := guarded(func() (err error) {
			keys, err = f(ctx)
			return err
		})
		return keys, err
	})
	select {
	case r := <-done:
		keys, _ := r.Val.(Keys)
		return keys, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeOff counts a flight, unless the keyring is closed.
func (k *keyring) takeOff() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.flying.Add(1)
	}
	return !k.closed
}

// close ends the flights and waits for them.
func (k *keyring) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.flying.Wait()
}

func (k *keyring) stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Stats{
		CachedKeys: len(k.entries), CachedBytes: k.used,
		Hits: k.hits, Misses: k.misses, Evicted: k.evicted,
	}
}
