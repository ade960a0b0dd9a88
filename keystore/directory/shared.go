package directory

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"cipherpoint/keystore"
)

// lockRetry is the time between two tries to get a lock that another process holds.
const lockRetry = time.Millisecond

// lock checks the uid and makes the caller the only one, in all processes, that works on it until unlock.
// Nothing lengthy is done under it: uids with the same first byte share it.
func (s *Store) lock(ctx context.Context, uid string) (unlock func(), err error) {
	if err := keystore.CheckUID(uid); err != nil {
		return nil, err
	}
	first, err := hex.DecodeString(uid[:2])
	if err != nil {
		return nil, err
	}
	stripe := s.stripes[first[0]]
	select {
	case stripe <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file := flock.New(filepath.Join(s.root, locks, uid[:2]))
	if _, err := file.TryLockContext(ctx, lockRetry); err != nil {
		<-stripe
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, failure(err)
	}
	return func() {
		_ = file.Close()
		<-stripe
	}, nil
}

// The background removal runs several times per lifetime, but not all the time.
const (
	shortestSweep = 100 * time.Millisecond
	longestSweep  = 10 * time.Minute
	// staleAfter is the age at which a folder in temporary can only be what a crash has left.
	staleAfter = time.Hour
)

func (s *Store) sweepRegularly() {
	interval := s.limits.UploadLifetime
	if s.limits.KeyLifetime > 0 {
		interval = min(interval, s.limits.KeyLifetime)
	}
	ticker := time.NewTicker(min(max(interval/4, shortestSweep), longestSweep))
	defer ticker.Stop()
	for {
		s.sweep()
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
	}
}

// sweep removes what has expired and what crashes have left. What fails is tried again the next time.
func (s *Store) sweep() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, place := range []string{uploads, keys} {
		for _, uid := range s.names(place) {
			if ctx.Err() != nil {
				return
			}
			info, err := os.Stat(filepath.Join(s.path(place, uid), stateFile))
			if err == nil && s.expired(record{Info: keystore.Info{Sealed: place == keys}, used: info.ModTime()}) {
				_, _ = s.Status(ctx, uid) // looks again under the lock, and removes
			}
		}
	}
	for _, name := range s.names(temporary) {
		path := s.path(temporary, name)
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.RemoveAll(path)
		}
	}
}

// names lists a folder; a name that cannot be read is left to the next sweep.
func (s *Store) names(place string) []string {
	dir, err := os.Open(filepath.Join(s.root, place))
	if err != nil {
		return nil
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil
	}
	return names
}
