package object

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"cipherpoint/keystore"
)

// state is what is in force of a uid.
type state struct {
	// Nonce tells one's own state from another's with the same number.
	Nonce string `json:"nonce"`
	// ID tells this upload from an earlier or later one of the same uid.
	ID       string    `json:"id,omitempty"`
	Size     int64     `json:"size,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	KeySet   []byte    `json:"key_set,omitempty"`
	Segments []segment `json:"segments,omitempty"` // ascending, disjoint
	Sealed   bool      `json:"sealed,omitempty"`
	Gone     bool      `json:"gone,omitempty"`
	Used     time.Time `json:"used"`
}

// segment is a range of the content and the object that holds it from Start on.
type segment struct {
	Begin  int64  `json:"begin"`
	End    int64  `json:"end"`
	Start  int64  `json:"start"`
	Object string `json:"object"`
}

const (
	maxSegments = 4096
	maxState    = 1 << 20
)

func newState(u keystore.Upload) state {
	return state{ID: rand.Text(), Size: u.Size, SHA256: hex.EncodeToString(u.SHA256[:]), KeySet: []byte(u.KeySet), Used: time.Now()}
}

// bury leaves nothing but that the uid is free.
func (st *state) bury() { *st = state{Gone: true, Used: time.Now()} }

// use counts as a use, and reports whether that has to be written.
func (st *state) use(lifetime time.Duration) bool {
	if lifetime <= 0 || time.Since(st.Used) < lifetime/16 {
		return false
	}
	st.Used = time.Now()
	return true
}

func (st *state) upload() keystore.Upload {
	u := keystore.Upload{Size: st.Size, KeySet: string(st.KeySet)}
	_, _ = hex.Decode(u.SHA256[:], []byte(st.SHA256)) // checked by validate
	return u
}

func (st *state) info() keystore.Info {
	info := keystore.Info{Upload: st.upload(), Sealed: st.Sealed}
	for _, seg := range st.Segments {
		info.Present = info.Present.Add(keystore.Range{Begin: seg.Begin, End: seg.End})
	}
	return info
}

// add takes in what of a piece is not known, from the object that holds all of it.
func (st *state) add(place keystore.Range, known keystore.Ranges, object string) error {
	begin := place.Begin
	for _, k := range append(slices.Clone(known), keystore.Range{Begin: place.End}) {
		if begin < k.Begin {
			st.Segments = append(st.Segments, segment{begin, k.Begin, place.Begin, object})
		}
		begin = k.End
	}
	if len(st.Segments) > maxSegments {
		return fmt.Errorf("%w: more than %d pieces: send larger ones", keystore.ErrInvalid, maxSegments)
	}
	slices.SortFunc(st.Segments, func(a, b segment) int {
		if a.Begin < b.Begin {
			return -1
		}
		return 1
	})
	return nil
}

func (st *state) validate() error {
	end := int64(0)
	for _, seg := range st.Segments {
		if seg.Begin < end || seg.End <= seg.Begin || seg.End > st.Size || seg.Start > seg.Begin {
			return errors.New("segments out of order or range")
		}
		end = seg.End
	}
	if digest, err := hex.DecodeString(st.SHA256); !st.Gone && (err != nil || len(digest) != sha256.Size) {
		return errors.New("no digest")
	}
	return nil
}

const (
	// pruneAfter is the age at which what is no longer in force is removed, freshFor how long a change may be based on
	// what was read: much less, so that no number is ever used again while somebody might still take it for free.
	pruneAfter = time.Hour
	freshFor   = time.Minute
)

func stateName(uid string, number int) string { return fmt.Sprintf("%s/state/%010d", uid, number) }

// load returns the state in force and its number: 0 and gone where there is none. What has expired is gone.
func (s *Store) load(ctx context.Context, uid string) (int, state, error) {
	if err := keystore.CheckUID(uid); err != nil {
		return 0, state{}, err
	}
	for {
		last := ""
		list := s.bucket.List(&blob.ListOptions{Prefix: uid + "/state/"})
		for {
			object, err := list.Next(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				return 0, state{}, s.failure(ctx, err)
			}
			last = object.Key
		}
		if last == "" {
			return 0, state{Gone: true}, nil
		}
		number, err := strconv.Atoi(last[strings.LastIndexByte(last, '/')+1:])
		if err != nil {
			return 0, state{}, fmt.Errorf("%w: a foreign object among the states", keystore.ErrCorrupt)
		}
		st, err := s.readState(ctx, last)
		if gcerrors.Code(err) == gcerrors.NotFound {
			continue // removed since it was listed, so there is a newer one
		}
		if err == nil && !st.Gone && s.expired(&st) {
			st.bury()
		}
		return number, st, err
	}
}

// readState returns an error of the provider only if the object is not there.
func (s *Store) readState(ctx context.Context, name string) (st state, err error) {
	r, err := s.bucket.NewReader(ctx, name, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return state{}, err
	}
	if err != nil {
		return state{}, s.failure(ctx, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxState))
	if err := errors.Join(err, r.Close()); err != nil {
		return state{}, s.failure(ctx, err)
	}
	if err := json.Unmarshal(text, &st); err != nil || st.validate() != nil {
		return state{}, fmt.Errorf("%w: record is not readable", keystore.ErrCorrupt)
	}
	return st, nil
}

// change replaces the state in force by what apply makes of it, at one moment. Where another change came between, apply
// is called again. It reports whether there is something to change.
func (s *Store) change(ctx context.Context, uid string, apply func(*state) (bool, error)) error {
	for {
		number, st, err := s.load(ctx, uid)
		read := time.Now()
		if errors.Is(err, keystore.ErrCorrupt) {
			// Only what removes it gets past here.
			st = state{}
			if changed, applied := apply(&st); applied != nil || !changed || !st.Gone {
				return err
			}
		} else if err != nil {
			return err
		} else if changed, err := apply(&st); err != nil || !changed {
			return err
		}
		if time.Since(read) > freshFor {
			continue
		}
		st.Nonce = rand.Text()
		text, err := json.Marshal(st)
		if err != nil {
			return err
		}
		name := stateName(uid, number+1)
		err = s.bucket.WriteAll(ctx, name, text, &blob.WriterOptions{IfNotExist: true, ContentType: "application/json"})
		if code := gcerrors.Code(err); code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists {
			// It may be one's own, repeated by the provider's client after a lost reply.
			there, err := s.readState(ctx, name)
			if err == nil && there.Nonce == st.Nonce {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		return s.failure(ctx, err)
	}
}
