// Package redis keeps evaluation keys in Redis, shared by any number of endpoints.
//
//	store, err := redis.Open("rediss://user:password@host:6379/0", keystore.Limits{KeyLifetime: 30 * 24 * time.Hour})
//
// See Open for the addresses of clusters and sentinels. Redis need not be there yet: methods return
// keystore.ErrUnavailable until it is.
//
// # Layout
//
// An upload or a key is one hash named PREFIX{UID}: the fields id, size, sha256, key_set, present, unsealed (absent in a
// sealed key), and the content in blocks of 1 MiB in the fields 0, 1, 2, ... So it has one slot in a cluster, expires,
// is evicted, moved and removed as a whole, and every change is one script or command, hence atomic.
// The uids that an owner has claimed are the set PREFIXowner:OWNER.
//
// # Dangers
//
// What Redis has acknowledged lasts as long as Redis is set up to keep it. Use appendonly yes. With appendfsync always no
// sealed key is lost when Redis is killed or its machine fails; everysec is faster and may lose the last one to two
// seconds, and a failover to a replica the last moments in any case. The owner of a lost key gets keystore.ErrNotFound and
// uploads it again; that of an upload which lost pieces sends them again. Use maxmemory with the policy noeviction: then
// uploads are refused with keystore.ErrFull, while other policies make room by removing somebody's key.
// Give the account of the endpoints no right to KEYS and SCAN: they are not used, and uids are capabilities.
package redis

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cipherpoint/keystore"
	"cipherpoint/keystore/internal/content"
)

// block is the length of the fields that hold the content. It is part of the layout.
const block = 1 << 20

// cleanup bounds the removal of an upload for which there was no room; the caller's context may have ended.
const cleanup = 5 * time.Second

//go:embed scripts
var scripts embed.FS

var (
	beginScript   = script("begin")
	putScript     = script("put")
	useScript     = script("use")
	sealScript    = script("seal")
	discardScript = script("discard")
	claimScript   = script("claim")
)

func script(name string) *redis.Script {
	source, err := scripts.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err) // the file is part of the program
	}
	return redis.NewScript(string(source))
}

// Store keeps keys in Redis.
type Store struct {
	client redis.UniversalClient
	prefix string
	limits keystore.Limits
}

var _ keystore.Store = (*Store)(nil)

// Begin announces an upload.
func (s *Store) Begin(ctx context.Context, uid string, upload keystore.Upload) (keystore.Info, error) {
	if err := s.limits.CheckUpload(upload); err != nil {
		return keystore.Info{}, err
	}
	reply, err := s.run(ctx, beginScript, uid,
		rand.Text(), upload.Size, upload.SHA256[:], upload.KeySet, milliseconds(s.limits.UploadLifetime))
	if err != nil {
		return keystore.Info{}, err
	}
	r, err := parse(reply)
	if err != nil {
		return keystore.Info{}, err
	}
	if r.Upload != upload {
		return keystore.Info{}, fmt.Errorf("%w: another announcement", keystore.ErrConflict)
	}
	return r.Info, nil
}

// Put stores a piece, in one script up to keystore.MaxPiece.
func (s *Store) Put(ctx context.Context, uid string, offset int64, piece []byte) (keystore.Info, error) {
	if err := keystore.CheckUID(uid); err != nil {
		return keystore.Info{}, err
	}
	if err := (keystore.Upload{Size: s.limits.MaxSize}).CheckPiece(offset, len(piece)); err != nil {
		return keystore.Info{}, err
	}
	if len(piece) > keystore.MaxPiece {
		if _, err := s.putParts(ctx, uid, offset, piece, false); err != nil {
			return keystore.Info{}, err
		}
	}
	return s.putParts(ctx, uid, offset, piece, true)
}

// putParts compares or stores the piece in parts that end at the blocks of the content.
func (s *Store) putParts(ctx context.Context, uid string, offset int64, piece []byte, store bool) (info keystore.Info, err error) {
	for len(piece) > 0 {
		n := len(piece)
		if n > keystore.MaxPiece {
			n = keystore.MaxPiece - int(offset%block)
		}
		if info, err = s.putPart(ctx, uid, offset, piece[:n], store); err != nil {
			return keystore.Info{}, err
		}
		piece, offset = piece[n:], offset+int64(n)
	}
	return info, nil
}

func (s *Store) putPart(ctx context.Context, uid string, offset int64, piece []byte, store bool) (keystore.Info, error) {
	reply, err := s.run(ctx, putScript, uid,
		offset, piece, store, block, keystore.MaxRanges, milliseconds(s.limits.UploadLifetime))
	if err != nil {
		return keystore.Info{}, err
	}
	verdict, rest, err := takeVerdict(reply)
	if err != nil {
		return keystore.Info{}, err
	}
	switch verdict {
	case "ok":
		r, err := parse(rest)
		return r.Info, err
	case "unknown":
		return keystore.Info{}, keystore.ErrNotFound
	case "outside":
		return keystore.Info{}, fmt.Errorf("%w: piece reaches beyond the announced size", keystore.ErrInvalid)
	case "scattered":
		return keystore.Info{}, fmt.Errorf("%w: more than %d separate ranges", keystore.ErrInvalid, keystore.MaxRanges)
	case "conflict":
		return keystore.Info{}, fmt.Errorf("%w: other content", keystore.ErrConflict)
	}
	return keystore.Info{}, fmt.Errorf("%w: unknown verdict", keystore.ErrUnavailable)
}

// Seal reads the upload, then makes it a key if it is still the same one.
func (s *Store) Seal(ctx context.Context, uid string, check func(io.Reader) error) error {
	r, err := s.use(ctx, uid, s.limits.UploadLifetime)
	switch {
	case err != nil:
		return err
	case r.Sealed:
		return nil
	case !r.Complete():
		return keystore.ErrIncomplete
	}
	discard, err := content.Check(ctx, s.reader(ctx, uid, r), r.Upload, check)
	if err != nil {
		if discard {
			if _, also := s.run(ctx, discardScript, uid, r.id); also != nil {
				return fmt.Errorf("%w (not discarded: %w)", err, also)
			}
		}
		return err
	}
	same, err := s.run(ctx, sealScript, uid, r.id, milliseconds(s.limits.KeyLifetime))
	if err == nil && same != int64(1) {
		err = fmt.Errorf("%w: replaced while it was being sealed", keystore.ErrNotFound)
	}
	return err
}

// Open streams a sealed key, one block at a time.
func (s *Store) Open(ctx context.Context, uid string) (io.ReadCloser, keystore.Info, error) {
	r, err := s.use(ctx, uid, 0)
	if err != nil {
		return nil, keystore.Info{}, err
	}
	if !r.Sealed {
		return nil, keystore.Info{}, keystore.ErrNotSealed
	}
	return content.Verified(s.reader(ctx, uid, r), r.Upload), r.Info, nil
}

// Touch counts as a use of a sealed key.
func (s *Store) Touch(ctx context.Context, uid string) error {
	r, err := s.use(ctx, uid, 0)
	if err == nil && !r.Sealed {
		err = keystore.ErrNotSealed
	}
	return err
}

// use begins the lifetime of a key anew; that of an upload only if it is not 0.
func (s *Store) use(ctx context.Context, uid string, uploadLifetime time.Duration) (record, error) {
	reply, err := s.run(ctx, useScript, uid, milliseconds(s.limits.KeyLifetime), milliseconds(uploadLifetime))
	if err != nil {
		return record{}, err
	}
	return parse(reply)
}

// Status describes an upload or a key.
func (s *Store) Status(ctx context.Context, uid string) (keystore.Info, error) {
	if err := keystore.CheckUID(uid); err != nil {
		return keystore.Info{}, err
	}
	reply, err := s.client.HMGet(ctx, s.name(uid), recordFields...).Result()
	if err != nil {
		return keystore.Info{}, failure(ctx, err)
	}
	r, err := parse(reply)
	return r.Info, err
}

// Delete removes an upload or a key.
func (s *Store) Delete(ctx context.Context, uid string) error {
	if err := keystore.CheckUID(uid); err != nil {
		return err
	}
	n, err := s.client.Unlink(ctx, s.name(uid)).Result()
	if err == nil && n == 0 {
		return keystore.ErrNotFound
	}
	return failure(ctx, err)
}

// Ping asks the server, in a cluster all that hold keys.
func (s *Store) Ping(ctx context.Context) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return failure(ctx, cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return node.Ping(ctx).Err()
		}))
	}
	return failure(ctx, s.client.Ping(ctx).Err())
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// name is only called with a uid that has been checked. The braces make the uid the part that chooses the slot.
func (s *Store) name(uid string) string { return s.prefix + "{" + uid + "}" }

// run runs a script on the record of a uid. Where there is no room for it, the upload is removed.
func (s *Store) run(ctx context.Context, script *redis.Script, uid string, args ...any) (any, error) {
	if err := keystore.CheckUID(uid); err != nil {
		return nil, err
	}
	reply, err := script.Run(ctx, s.client, []string{s.name(uid)}, args...).Result()
	if err == nil {
		return reply, nil
	}
	if isFull(err) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
		defer cancel()
		if also := discardScript.Run(ctx, s.client, []string{s.name(uid)}, "").Err(); also != nil {
			return nil, fmt.Errorf("%w (not discarded: %w)", keystore.ErrFull, also)
		}
		return nil, keystore.ErrFull
	}
	return nil, failure(ctx, err)
}

// isFull recognises the refusal to take memory, which Redis before version 7 wraps when a script runs into it.
func isFull(err error) bool {
	return redis.HasErrorPrefix(err, "OOM") || redis.HasErrorPrefix(err, "Error running script") &&
		strings.Contains(err.Error(), "-OOM ")
}

// failure translates an error of the client. None of them contains a name of a key or a password.
func failure(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", keystore.ErrUnavailable, err)
}

// milliseconds rounds up, so that a lifetime is 0 only where it means never.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
