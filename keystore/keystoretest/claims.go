package keystoretest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cipherpoint/keystore"
)

const owner, otherOwner = "0123456789abcdef", "fedcba9876543210"

func testClaims(t *testing.T, b *bench) {
	s := b.open()
	keys := []key{newKey(10), newKey(10), newKey(10), newKey(10)}
	for _, k := range keys {
		k.begin(t, s)
	}
	claim := func(owner string, k key, want error) {
		t.Helper()
		if err := s.Claim(t.Context(), owner, k.uid, 2); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	claim(owner, keys[0], nil)
	claim(owner, keys[1], nil)
	claim(owner, keys[0], nil) // a repeat
	claim(owner, keys[2], keystore.ErrLimit)
	claim(owner, keys[1], nil)
	claim(otherOwner, keys[2], nil)
	must(t, b.open().Delete(t.Context(), keys[0].uid))
	claim(owner, keys[3], nil) // in the place of what was deleted
	claim(owner, keys[2], keystore.ErrLimit)

	for _, bad := range []struct {
		owner, uid string
		limit      int
	}{
		{"", keys[3].uid, 2},
		{"../0", keys[3].uid, 2},
		{"A", keys[3].uid, 2},
		{strings.Repeat("0", keystore.MaxOwner+1), keys[3].uid, 2},
		{owner, "no uid", 2},
		{owner, keys[3].uid, 0},
	} {
		mustFail(t, s.Claim(t.Context(), bad.owner, bad.uid, bad.limit), keystore.ErrInvalid)
	}
}

// testClaimsExpire: an owner whose keys have expired has room again.
func testClaimsExpire(t *testing.T, b *bench) {
	b.withLifetimes(t, 200*time.Millisecond, (*bench).claimsExpire)
}

// claimsExpire returns false where the pause between a key and its claim was too long to demand anything.
func (b *bench) claimsExpire(t *testing.T, lifetime time.Duration) bool {
	s := b.openWith(keystore.Limits{KeyLifetime: lifetime, UploadLifetime: lifetime})
	owner := fmt.Sprintf("%x", int64(lifetime)) // without claims of an earlier try
	for range 2 {
		k, start := newKey(10), time.Now()
		k.begin(t, s)
		err := s.Claim(t.Context(), owner, k.uid, 1)
		if time.Since(start) > lifetime/2 {
			return false
		}
		must(t, err)
		time.Sleep(2 * lifetime)
	}
	return true
}

func testConcurrentClaims(t *testing.T, b *bench) {
	const limit = 3
	s := b.open()
	var granted atomic.Int64
	var wait sync.WaitGroup
	for range 4 * limit {
		k := newKey(10)
		k.begin(t, s)
		wait.Go(func() {
			switch err := s.Claim(t.Context(), owner, k.uid, limit); {
			case err == nil:
				granted.Add(1)
			case !errors.Is(err, keystore.ErrLimit):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := granted.Load(); n > limit {
		t.Fatalf("%d claims granted, want at most %d", n, limit)
	}
	// Who was refused while others were counted too gets what room is left.
	for n := granted.Load(); n < limit; n++ {
		k := newKey(10)
		k.begin(t, s)
		must(t, s.Claim(t.Context(), owner, k.uid, limit))
	}
	k := newKey(10)
	k.begin(t, s)
	mustFail(t, s.Claim(t.Context(), owner, k.uid, limit), keystore.ErrLimit)
}
