package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cipherpoint/keystore"
)

// record is what state.json and its place say of an upload or a key.
type record struct {
	keystore.Info
	// id distinguishes this upload from an earlier or later one of the same uid.
	id   string
	dir  string
	used time.Time
}

// state is the form of state.json. Ranges are pairs of begin and end.
type state struct {
	ID      string     `json:"id"`
	Size    int64      `json:"size"`
	SHA256  string     `json:"sha256"`
	KeySet  []byte     `json:"key_set"`
	Present [][2]int64 `json:"present"`
}

// maxState bounds state.json: two numbers of up to 19 digits for each range.
const maxState = 1024 + 48*keystore.MaxRanges

// load finds the upload or key of a uid, and removes it if it has expired.
func (s *Store) load(uid string) (record, error) {
	for _, place := range []string{keys, uploads} {
		r, err := read(s.path(place, uid))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		r.Sealed = place == keys
		if !r.used.IsZero() && s.expired(r) {
			if err := s.discard(r.dir); err != nil {
				return record{}, err
			}
			return record{}, keystore.ErrNotFound
		}
		return r, err
	}
	// Where the whole store is gone, as with a volume that is not mounted, nothing is known of the uid.
	if _, err := os.Stat(filepath.Join(s.root, keys)); err != nil {
		return record{}, failure(err)
	}
	return record{}, keystore.ErrNotFound
}

func (s *Store) expired(r record) bool {
	lifetime := s.limits.UploadLifetime
	if r.Sealed {
		lifetime = s.limits.KeyLifetime
	}
	return lifetime > 0 && time.Since(r.used) > lifetime
}

// read reads the record in dir. One that is damaged has still its time of use.
func read(dir string) (record, error) {
	r := record{dir: dir}
	file, err := os.Open(filepath.Join(dir, stateFile))
	if err != nil {
		return r, failure(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return r, failure(err)
	}
	r.used = info.ModTime()
	text, err := io.ReadAll(io.LimitReader(file, maxState))
	if err != nil {
		return r, failure(err)
	}
	return r, r.parse(text)
}

func (r *record) parse(text []byte) error {
	damaged := fmt.Errorf("%w: record is not readable", keystore.ErrCorrupt)
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return damaged
	}
	digest, err := hex.DecodeString(st.SHA256)
	if err != nil || len(digest) != len(r.SHA256) {
		return damaged
	}
	r.id = st.ID
	r.Upload = keystore.Upload{Size: st.Size, SHA256: [sha256.Size]byte(digest), KeySet: string(st.KeySet)}
	end := int64(-1)
	for _, p := range st.Present {
		if p[0] <= end || p[1] <= p[0] || p[1] > st.Size {
			return damaged
		}
		r.Present = append(r.Present, keystore.Range{Begin: p[0], End: p[1]})
		end = p[1]
	}
	return nil
}

// write replaces state.json at one moment, and syncs it.
func (r record) write() error {
	st := state{ID: r.id, Size: r.Size, SHA256: hex.EncodeToString(r.SHA256[:]), KeySet: []byte(r.KeySet)}
	for _, p := range r.Present {
		st.Present = append(st.Present, [2]int64{p.Begin, p.End})
	}
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return replace(filepath.Join(r.dir, stateFile), text)
}

// replace gives a file its content at one moment, and syncs it.
func replace(name string, text []byte) error {
	file, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// use sets the time from which the lifetime is counted.
func (r record) use() error {
	now := time.Now()
	return os.Chtimes(filepath.Join(r.dir, stateFile), now, now)
}

func (r record) checkSealed() error {
	if !r.Sealed {
		return keystore.ErrNotSealed
	}
	return nil
}

// compare checks that the parts of piece that are already there are the same.
func (r record) compare(known keystore.Ranges, offset int64, piece []byte) error {
	if len(known) == 0 {
		return nil
	}
	file, err := os.Open(filepath.Join(r.dir, dataFile))
	if err != nil {
		return failure(err)
	}
	defer file.Close()
	buffer := make([]byte, min(64<<10, len(piece)))
	for _, part := range known {
		for begin := part.Begin; begin < part.End; {
			stored := buffer[:min(int64(len(buffer)), part.End-begin)]
			if _, err := file.ReadAt(stored, begin); err == io.EOF {
				return fmt.Errorf("%w: shorter than recorded", keystore.ErrCorrupt)
			} else if err != nil {
				return failure(err)
			}
			if !bytes.Equal(stored, piece[begin-offset:][:len(stored)]) {
				return fmt.Errorf("%w: other content", keystore.ErrConflict)
			}
			begin += int64(len(stored))
		}
	}
	return nil
}

// writeData stores the piece in the data file, and syncs it.
func (r record) writeData(offset int64, piece []byte) error {
	file, err := os.OpenFile(filepath.Join(r.dir, dataFile), os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(piece, offset)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes the names in a folder durable. Windows has no such operation and does not need it for renames.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
