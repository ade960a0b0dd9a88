// Package directory keeps evaluation keys in a folder: the embedded default for a single machine.
//
//	store, err := directory.Open("keys", keystore.Limits{KeyLifetime: 30 * 24 * time.Hour})
//
// Several processes may share the folder, also on a network file system whose locks (flock) reach all its clients.
// What a call has stored survives a crash of the machine: files and folders are synced before it returns.
//
// # Layout
//
//	uploads/UID/  data and state.json of what is not sealed; data is sparse until complete
//	keys/UID/     the same of a sealed key; sealing is the renaming of the folder
//	temporary/    folders on their way in or out; what a crash leaves there is removed later
//	locks/        one file for each first byte of a uid, locked during changes
//	owners/       the uids that each owner has claimed
//
// # Dangers
//
// Access to the folder is access to all uids: it is created with mode 0700. The age of a key is the modification time
// of its state.json; a backup that restores old times restores keys that have expired. The number of keys is bounded
// only by the room on the disk (keystore.ErrFull): give the folder a file system or a quota of its own.
package directory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"cipherpoint/keystore"
	"cipherpoint/keystore/internal/content"
)

const (
	uploads   = "uploads"
	keys      = "keys"
	temporary = "temporary"
	locks     = "locks"
	owners    = "owners"

	dataFile  = "data"
	stateFile = "state.json"
)

// Store keeps keys in a folder.
type Store struct {
	root    string
	limits  keystore.Limits
	stripes [256]chan struct{}

	stop    chan struct{}
	sweeper sync.WaitGroup
}

var _ keystore.Store = (*Store)(nil)

// Open uses the folder, or creates it. Expired keys are removed in the background until Close.
func Open(root string, limits keystore.Limits) (*Store, error) {
	limits, err := limits.Complete()
	if err != nil {
		return nil, err
	}
	if root == "" {
		return nil, fmt.Errorf("%w: empty name of the folder", keystore.ErrInvalid)
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil, failure(err)
	}
	for _, dir := range []string{uploads, keys, temporary, locks, owners} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			return nil, failure(err)
		}
	}
	if err := syncDir(root); err != nil {
		return nil, failure(err)
	}
	s := &Store{root: root, limits: limits, stop: make(chan struct{})}
	for i := range s.stripes {
		s.stripes[i] = make(chan struct{}, 1)
	}
	s.sweeper.Go(s.sweepRegularly)
	return s, nil
}

// Begin announces an upload.
func (s *Store) Begin(ctx context.Context, uid string, upload keystore.Upload) (keystore.Info, error) {
	if err := s.limits.CheckUpload(upload); err != nil {
		return keystore.Info{}, err
	}
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return keystore.Info{}, err
	}
	defer unlock()
	r, err := s.load(uid)
	switch {
	case err == nil && r.Upload != upload:
		return keystore.Info{}, fmt.Errorf("%w: another announcement", keystore.ErrConflict)
	case err == nil:
		return r.Info, nil
	case !errors.Is(err, keystore.ErrNotFound):
		return keystore.Info{}, err
	}
	if err := s.create(uid, upload); err != nil {
		return keystore.Info{}, failure(err)
	}
	return keystore.Info{Upload: upload}, nil
}

// create makes the upload's folder under another name and moves it into place.
func (s *Store) create(uid string, upload keystore.Upload) (err error) {
	dir := s.temporaryName()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	data, err := os.OpenFile(filepath.Join(dir, dataFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	r := record{Info: keystore.Info{Upload: upload}, id: rand.Text(), dir: dir}
	if err := r.write(); err != nil {
		return err
	}
	if err := os.Rename(dir, s.path(uploads, uid)); err != nil {
		return err
	}
	return syncDir(filepath.Join(s.root, uploads))
}

// Put stores a piece: first the bytes, then the record that they are there, each synced.
func (s *Store) Put(ctx context.Context, uid string, offset int64, piece []byte) (keystore.Info, error) {
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return keystore.Info{}, err
	}
	defer unlock()
	r, err := s.load(uid)
	if err != nil {
		return keystore.Info{}, err
	}
	if err := r.CheckPiece(offset, len(piece)); err != nil {
		return keystore.Info{}, err
	}
	place := keystore.Range{Begin: offset, End: offset + int64(len(piece))}
	known := r.Present.Within(place)
	if err := r.compare(known, offset, piece); err != nil {
		return keystore.Info{}, err
	}
	if known.Len() == int64(len(piece)) {
		if !r.Sealed {
			err = r.use()
		}
		return r.Info, failure(err)
	}
	if r.Present = r.Present.Add(place); len(r.Present) > keystore.MaxRanges {
		return keystore.Info{}, fmt.Errorf("%w: more than %d separate ranges", keystore.ErrInvalid, keystore.MaxRanges)
	}
	if err = r.writeData(offset, piece); err == nil {
		err = r.write()
	}
	if err = failure(err); errors.Is(err, keystore.ErrFull) {
		err = s.discardAfter(err, r.dir)
	}
	if err != nil {
		return keystore.Info{}, err
	}
	return r.Info, nil
}

// Seal checks the upload without holding the lock. That is safe since a complete upload cannot change any more, only
// disappear or be replaced by one with another id.
func (s *Store) Seal(ctx context.Context, uid string, check func(io.Reader) error) error {
	r, data, err := s.openData(ctx, uid, func(r record) error {
		if !r.Complete() {
			return keystore.ErrIncomplete
		}
		return nil
	})
	if err != nil {
		return err
	}
	defer data.Close()
	if r.Sealed {
		return nil
	}
	discard, err := content.Check(ctx, data, r.Upload, check)
	if err != nil && !discard {
		return err
	}

	unlock, lockErr := s.lock(ctx, uid)
	if lockErr != nil {
		return lockErr
	}
	defer unlock()
	now, loadErr := s.load(uid)
	switch {
	case loadErr != nil:
		return loadErr
	case now.id != r.id:
		return fmt.Errorf("%w: replaced while it was being sealed", keystore.ErrNotFound)
	case now.Sealed:
		return nil
	case discard:
		return s.discardAfter(err, now.dir)
	}
	if err = failure(s.publish(uid, now)); errors.Is(err, keystore.ErrFull) {
		return s.discardAfter(err, now.dir)
	}
	return err
}

// publish makes an upload a key.
func (s *Store) publish(uid string, r record) error {
	if err := r.use(); err != nil {
		return err
	}
	if err := os.Rename(r.dir, s.path(keys, uid)); err != nil {
		return err
	}
	if err := syncDir(filepath.Join(s.root, keys)); err != nil {
		return err
	}
	return syncDir(filepath.Join(s.root, uploads))
}

// Open streams a sealed key. The file stays readable until the reader is closed, also if the key is deleted.
func (s *Store) Open(ctx context.Context, uid string) (io.ReadCloser, keystore.Info, error) {
	r, data, err := s.openData(ctx, uid, record.checkSealed)
	if err != nil {
		return nil, keystore.Info{}, err
	}
	return content.Verified(data, r.Upload), r.Info, nil
}

// openData opens the content if the record passes accept, and counts as a use.
func (s *Store) openData(ctx context.Context, uid string, accept func(record) error) (record, *dataReader, error) {
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return record{}, nil, err
	}
	defer unlock()
	r, err := s.load(uid)
	if err != nil {
		return record{}, nil, err
	}
	if err := accept(r); err != nil {
		return record{}, nil, err
	}
	if err := r.use(); err != nil {
		return record{}, nil, failure(err)
	}
	file, err := os.Open(filepath.Join(r.dir, dataFile))
	if err != nil {
		return record{}, nil, failure(err)
	}
	return r, &dataReader{ctx, file}, nil
}

// dataReader is a file that ends with its context.
type dataReader struct {
	ctx  context.Context
	file *os.File
}

func (d *dataReader) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := d.file.Read(p)
	if err != nil && err != io.EOF {
		err = failure(err)
	}
	return n, err
}

func (d *dataReader) Close() error { return failure(d.file.Close()) }

// Touch counts as a use of a sealed key.
func (s *Store) Touch(ctx context.Context, uid string) error {
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := s.load(uid)
	if err != nil {
		return err
	}
	if err := r.checkSealed(); err != nil {
		return err
	}
	return failure(r.use())
}

// Status describes an upload or a key.
func (s *Store) Status(ctx context.Context, uid string) (keystore.Info, error) {
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return keystore.Info{}, err
	}
	defer unlock()
	r, err := s.load(uid)
	if err != nil {
		return keystore.Info{}, err
	}
	return r.Info, nil
}

// Delete removes an upload or a key, also one whose record cannot be read.
func (s *Store) Delete(ctx context.Context, uid string) error {
	unlock, err := s.lock(ctx, uid)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.load(uid); err != nil && !errors.Is(err, keystore.ErrCorrupt) {
		return err
	}
	for _, place := range []string{keys, uploads} {
		if err := s.discard(s.path(place, uid)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return keystore.ErrNotFound
}

// Ping reports whether the folder is there. A full disk is no outage: the keys in it can be used.
func (s *Store) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(s.root, keys))
	return failure(err)
}

// Close ends the background removal.
func (s *Store) Close() error {
	close(s.stop)
	s.sweeper.Wait()
	return nil
}

// path is only called with a uid that lock has checked, or with a name read from the folder itself.
func (s *Store) path(place, uid string) string { return filepath.Join(s.root, place, uid) }

func (s *Store) temporaryName() string { return s.path(temporary, rand.Text()) }

// discard makes a folder disappear at one moment, then frees its room.
func (s *Store) discard(dir string) error {
	gone := s.temporaryName()
	if err := os.Rename(dir, gone); err != nil {
		return failure(err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return failure(err)
	}
	return failure(os.RemoveAll(gone))
}

// discardAfter discards because of err, which it returns as it is unless the discarding fails as well.
func (s *Store) discardAfter(err error, dir string) error {
	if also := s.discard(dir); also != nil {
		return errors.Join(err, also)
	}
	return err
}

// failure translates an error of the file system. Paths contain uids, so they are dropped.
func failure(err error) error {
	if err == nil {
		return nil
	}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = fmt.Errorf("%s: %w", path.Op, path.Err)
	case errors.As(err, &link):
		err = fmt.Errorf("%s: %w", link.Op, link.Err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", keystore.ErrFull, err)
	}
	return fmt.Errorf("%w: %w", keystore.ErrUnavailable, err)
}
