// Package object keeps evaluation keys in object storage: S3 and what speaks its protocol, Google Cloud Storage, Azure.
//
//	store, err := object.Open(ctx, "s3://bucket?region=eu-west-1&prefix=keys/", keystore.Limits{})
//
// Any number of processes may share a bucket or a prefix of one. Credentials come from the environment, as the providers' own
// tools read them. What a call has stored lasts as the provider promises for a written object.
//
// # Layout
//
//	UID/state/N     the N'th state of an upload or key; the highest N is in force
//	UID/data/ID/…   the pieces of the upload with this ID, as they came
//	owners/O/UID    a claim of the owner O
//
// Objects are never overwritten. A state is created under the condition that its number is free, which makes the numbers
// of a uid a register with compare-and-swap: the one conditional operation that all providers have. Pieces are written
// before the state that names them. Old states, and pieces that no state names, are removed an hour later; no change is
// based on a state that was read more than a minute before.
//
// # Dangers
//
// Access to the bucket is access to all uids. Lifetimes are counted by the clocks of the endpoints, which have to agree to
// well within a lifetime. Uses of a key are recorded no more often than sixteen times in a lifetime. A bucket of its own, or
// a prefix, is needed: the store removes what it does not know below the uids' names. Each change lists, reads and writes
// one small object, so a piece should not be much smaller than a megabyte: an upload may have 4,096 of them.
package object

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"

	"cipherpoint/keystore"
	"cipherpoint/keystore/internal/content"
)

// Schemes are those of the addresses that Open takes.
var Schemes = []string{"s3", "gs", "azblob"}

// Store keeps keys in a bucket.
type Store struct {
	bucket *blob.Bucket
	limits keystore.Limits

	stop    context.CancelFunc
	sweeper sync.WaitGroup
}

var _ keystore.Store = (*Store)(nil)

// Open opens the bucket that the address names, as gocloud.dev/blob describes it. The bucket need not be reachable yet.
// An error never contains the address.
func Open(ctx context.Context, address string, limits keystore.Limits) (*Store, error) {
	limits, err := limits.Complete()
	if err != nil {
		return nil, err
	}
	scheme, _, _ := strings.Cut(address, "://")
	if _, err := url.Parse(address); err != nil || !slices.Contains(Schemes, scheme) {
		return nil, fmt.Errorf("%w: not the address of a bucket", keystore.ErrInvalid)
	}
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: the bucket's address has an unknown parameter, or there are no credentials for it", keystore.ErrInvalid)
	}
	sweeping, stop := context.WithCancel(context.Background())
	s := &Store{bucket: bucket, limits: limits, stop: stop}
	s.sweeper.Go(func() { s.sweepRegularly(sweeping) })
	return s, nil
}

// Begin announces an upload.
func (s *Store) Begin(ctx context.Context, uid string, upload keystore.Upload) (keystore.Info, error) {
	if err := s.limits.CheckUpload(upload); err != nil {
		return keystore.Info{}, err
	}
	var info keystore.Info
	err := s.change(ctx, uid, func(st *state) (bool, error) {
		switch {
		case st.Gone:
			*st = newState(upload)
			info = st.info()
			return true, nil
		case st.upload() != upload:
			return false, fmt.Errorf("%w: another announcement", keystore.ErrConflict)
		}
		info = st.info()
		return false, nil
	})
	return info, err
}

// Put stores a piece: its bytes in an object of their own, then a state that names it.
func (s *Store) Put(ctx context.Context, uid string, offset int64, piece []byte) (keystore.Info, error) {
	place := keystore.Range{Begin: offset, End: offset + int64(len(piece))}
	var info keystore.Info
	written := map[string]bool{} // objects with the piece, by their names
	err := s.change(ctx, uid, func(st *state) (bool, error) {
		if st.Gone {
			return false, keystore.ErrNotFound
		}
		if err := st.upload().CheckPiece(offset, len(piece)); err != nil {
			return false, err
		}
		if err := s.compare(ctx, uid, st, place, piece); err != nil {
			return false, err
		}
		info = st.info()
		known := info.Present.Within(place)
		if known.Len() == int64(len(piece)) {
			return !st.Sealed && st.use(s.lifetime(st)), nil
		}
		if info.Present = info.Present.Add(place); len(info.Present) > keystore.MaxRanges {
			return false, fmt.Errorf("%w: more than %d separate ranges", keystore.ErrInvalid, keystore.MaxRanges)
		}
		name := dataName(uid, st.ID, offset)
		if !written[name] {
			if err := s.bucket.WriteAll(ctx, name, piece, nil); err != nil {
				return false, s.failure(ctx, err)
			}
			written[name] = true
		}
		if err := st.add(place, known, name); err != nil {
			return false, err
		}
		st.Used = time.Now()
		return true, nil
	})
	if err != nil {
		return keystore.Info{}, err
	}
	return info, nil
}

// compare checks that the parts of a piece that are already there are the same.
func (s *Store) compare(ctx context.Context, uid string, st *state, place keystore.Range, piece []byte) error {
	for _, seg := range st.Segments {
		begin, end := max(seg.Begin, place.Begin), min(seg.End, place.End)
		if begin >= end {
			continue
		}
		r, err := s.bucket.NewRangeReader(ctx, seg.Object, begin-seg.Start, end-begin, nil)
		if err != nil {
			return s.missing(ctx, uid, st, err)
		}
		stored := make([]byte, end-begin)
		_, err = io.ReadFull(r, stored)
		if err := errors.Join(err, r.Close()); err != nil {
			return s.failure(ctx, err)
		}
		if string(stored) != string(piece[begin-place.Begin:end-place.Begin]) {
			return fmt.Errorf("%w: other content", keystore.ErrConflict)
		}
	}
	return nil
}

// Seal checks a complete upload, which cannot change any more: only disappear, or be replaced by one with another ID.
func (s *Store) Seal(ctx context.Context, uid string, check func(io.Reader) error) error {
	_, st, err := s.load(ctx, uid)
	switch {
	case err != nil:
		return err
	case st.Gone:
		return keystore.ErrNotFound
	case st.Sealed:
		return nil
	case !st.info().Complete():
		return keystore.ErrIncomplete
	}
	source := s.reader(ctx, uid, &st)
	discard, refused := content.Check(ctx, source, st.upload(), check)
	_ = source.Close()
	if refused != nil && !discard {
		return refused
	}
	err = s.change(ctx, uid, func(now *state) (bool, error) {
		switch {
		case now.Gone || now.ID != st.ID:
			return false, fmt.Errorf("%w: replaced while it was being sealed", keystore.ErrNotFound)
		case now.Sealed:
			return false, nil
		case discard:
			now.bury()
			return true, nil
		}
		now.Sealed, now.Used = true, time.Now()
		return true, nil
	})
	if err != nil {
		return err
	}
	if discard {
		s.removeData(ctx, uid, st.ID)
	}
	return refused
}

// Open streams a sealed key.
func (s *Store) Open(ctx context.Context, uid string) (io.ReadCloser, keystore.Info, error) {
	st, err := s.use(ctx, uid)
	if err != nil {
		return nil, keystore.Info{}, err
	}
	return content.Verified(s.reader(ctx, uid, &st), st.upload()), st.info(), nil
}

// Touch counts as a use of a sealed key.
func (s *Store) Touch(ctx context.Context, uid string) error {
	_, err := s.use(ctx, uid)
	return err
}

func (s *Store) use(ctx context.Context, uid string) (state, error) {
	var used state
	err := s.change(ctx, uid, func(st *state) (bool, error) {
		switch {
		case st.Gone:
			return false, keystore.ErrNotFound
		case !st.Sealed:
			return false, keystore.ErrNotSealed
		}
		changed := st.use(s.limits.KeyLifetime)
		used = *st
		return changed, nil
	})
	return used, err
}

// Status describes an upload or a key.
func (s *Store) Status(ctx context.Context, uid string) (keystore.Info, error) {
	_, st, err := s.load(ctx, uid)
	if err != nil {
		return keystore.Info{}, err
	}
	if st.Gone {
		return keystore.Info{}, keystore.ErrNotFound
	}
	return st.info(), nil
}

// Delete removes an upload or a key, also one whose state cannot be read.
func (s *Store) Delete(ctx context.Context, uid string) error {
	var id string
	err := s.change(ctx, uid, func(st *state) (bool, error) {
		if st.Gone {
			return false, keystore.ErrNotFound
		}
		id = st.ID
		st.bury()
		return true, nil
	})
	if err == nil {
		s.removeData(ctx, uid, id)
	}
	return err
}

// Ping reports whether the bucket can be reached.
func (s *Store) Ping(ctx context.Context) error {
	switch ok, err := s.bucket.IsAccessible(ctx); {
	case err != nil:
		return s.failure(ctx, err)
	case !ok:
		return fmt.Errorf("%w: no such bucket, or no access to it", keystore.ErrUnavailable)
	}
	return nil
}

// Close ends the background removal.
func (s *Store) Close() error {
	s.stop()
	s.sweeper.Wait()
	if err := s.bucket.Close(); err != nil {
		return s.failure(context.Background(), err)
	}
	return nil
}

func (s *Store) lifetime(st *state) time.Duration {
	if st.Sealed {
		return s.limits.KeyLifetime
	}
	return s.limits.UploadLifetime
}

func (s *Store) expired(st *state) bool {
	lifetime := s.lifetime(st)
	return lifetime > 0 && time.Since(st.Used) > lifetime
}

func dataName(uid, id string, offset int64) string {
	return fmt.Sprintf("%s/data/%s/%d-%s", uid, id, offset, rand.Text())
}

// failure translates an error of the provider. Its text names objects, and so uids: only its kind is kept.
func (s *Store) failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, keystore.ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: the object storage fails (%v)", keystore.ErrUnavailable, gcerrors.Code(err))
}
