package object

import (
	"context"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"

	"cipherpoint/keystore"
)

// The background removal runs several times per lifetime, but not all the time: it lists the whole bucket.
const (
	shortestSweep = 100 * time.Millisecond
	longestSweep  = time.Hour
)

func (s *Store) sweepRegularly(ctx context.Context) {
	interval := s.limits.UploadLifetime
	if s.limits.KeyLifetime > 0 {
		interval = min(interval, s.limits.KeyLifetime)
	}
	ticker := time.NewTicker(min(max(interval/4, shortestSweep), longestSweep))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.sweep(ctx)
		}
	}
}

// sweep removes what has expired and what is no longer in force. What fails is tried again the next time.
func (s *Store) sweep(ctx context.Context) {
	list := s.bucket.List(&blob.ListOptions{Delimiter: "/"})
	for {
		object, err := list.Next(ctx)
		if err != nil {
			return
		}
		uid := strings.TrimSuffix(object.Key, "/")
		if !object.IsDir || keystore.CheckUID(uid) != nil {
			continue // not ours
		}
		s.sweepUID(ctx, uid)
	}
}

func (s *Store) sweepUID(ctx context.Context, uid string) {
	number, st, err := s.load(ctx, uid)
	if err != nil || number == 0 {
		return
	}
	if st.Gone {
		// What has only expired is removed for everybody before its data are.
		if s.change(ctx, uid, func(now *state) (bool, error) {
			expired := now.Gone && now.Nonce == ""
			return expired, nil
		}) != nil {
			return
		}
	}
	named := map[string]bool{}
	for _, seg := range st.Segments {
		named[seg.Object] = true
	}
	last := stateName(uid, number)
	s.removeEach(ctx, uid+"/", func(object *blob.ListObject) bool {
		old := time.Since(object.ModTime) > pruneAfter
		switch {
		case strings.HasPrefix(object.Key, uid+"/state/"):
			return old && (object.Key < last || object.Key == last && st.Gone)
		case st.Gone || !strings.HasPrefix(object.Key, uid+"/data/"+st.ID+"/"):
			return old
		}
		return old && !named[object.Key]
	})
}

// removeData removes the pieces of an upload that is gone. What remains is left to sweep.
func (s *Store) removeData(ctx context.Context, uid, id string) {
	if id != "" {
		s.removeEach(ctx, uid+"/data/"+id+"/", func(*blob.ListObject) bool { return true })
	}
}

func (s *Store) removeEach(ctx context.Context, prefix string, remove func(*blob.ListObject) bool) {
	list := s.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := list.Next(ctx)
		if err == io.EOF || err != nil {
			return
		}
		if remove(object) && s.bucket.Delete(ctx, object.Key) != nil {
			return
		}
	}
}
