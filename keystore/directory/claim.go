package directory

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"

	"cipherpoint/keystore"
)

// Claim keeps the uids of an owner in a file of its own, under its lock.
func (s *Store) Claim(ctx context.Context, owner, uid string, limit int) error {
	if err := keystore.CheckClaim(owner, uid, limit); err != nil {
		return err
	}
	name := filepath.Join(s.root, owners, owner)
	lock := flock.New(name + ".lock")
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failure(err)
	}
	defer func() { _ = lock.Close() }()
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure(err)
	}
	var claimed, live []string
	if err == nil && json.Unmarshal(text, &claimed) != nil {
		return keystore.ErrCorrupt
	}
	if slices.Contains(claimed, uid) {
		return nil
	}
	for _, other := range claimed {
		switch _, err := s.Status(ctx, other); {
		case errors.Is(err, keystore.ErrNotFound):
		case err != nil && !errors.Is(err, keystore.ErrCorrupt):
			return err
		default:
			live = append(live, other)
		}
	}
	if len(live) >= limit {
		return keystore.ErrLimit
	}
	if text, err = json.Marshal(append(live, uid)); err != nil {
		return err
	}
	return failure(replace(name, text))
}
