package object

import (
	"context"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"cipherpoint/keystore"
)

// reader streams the content of a complete upload, a segment at a time.
func (s *Store) reader(ctx context.Context, uid string, st *state) io.ReadCloser {
	return &reader{store: s, ctx: ctx, uid: uid, state: st, left: st.Segments}
}

type reader struct {
	store *Store
	ctx   context.Context
	uid   string
	state *state
	left  []segment
	now   *blob.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if r.now == nil {
			if len(r.left) == 0 {
				return 0, io.EOF
			}
			seg := r.left[0]
			opened, err := r.store.bucket.NewRangeReader(r.ctx, seg.Object, seg.Begin-seg.Start, seg.End-seg.Begin, nil)
			if err != nil {
				return 0, r.store.missing(r.ctx, r.uid, r.state, err)
			}
			r.now, r.left = opened, r.left[1:]
		}
		n, err := r.now.Read(p)
		if err == io.EOF {
			_ = r.now.Close()
			r.now, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, r.store.failure(r.ctx, err)
	}
}

func (r *reader) Close() error {
	if r.now == nil {
		return nil
	}
	return r.store.failure(r.ctx, r.now.Close())
}

// missing says what the absence of a piece means: that the upload is gone, or that the bucket has lost it.
func (s *Store) missing(ctx context.Context, uid string, st *state, err error) error {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return s.failure(ctx, err)
	}
	_, now, err := s.load(ctx, uid)
	switch {
	case err != nil:
		return err
	case now.Gone || now.ID != st.ID:
		return keystore.ErrNotFound
	}
	return keystore.ErrCorrupt
}
