package object

import (
	"context"
	"errors"
	"io"
	"strings"

	"gocloud.dev/blob"

	"cipherpoint/keystore"
)

// owners is what the names of claims begin with: owners/OWNER/UID, empty objects.
const owners = "owners/"

// Claim writes the claim before it counts, so that of several at one moment each sees the others.
func (s *Store) Claim(ctx context.Context, owner, uid string, limit int) error {
	if err := keystore.CheckClaim(owner, uid, limit); err != nil {
		return err
	}
	prefix := owners + owner + "/"
	name := prefix + uid
	there, err := s.bucket.Exists(ctx, name)
	if err != nil || there {
		return s.failure(ctx, err)
	}
	if err := s.bucket.WriteAll(ctx, name, nil, nil); err != nil {
		return s.failure(ctx, err)
	}
	others, err := s.claims(ctx, prefix, uid)
	if err == nil && others >= limit {
		err = keystore.ErrLimit
	}
	if err != nil {
		return errors.Join(err, s.failure(ctx, s.bucket.Delete(ctx, name)))
	}
	return nil
}

// claims counts an owner's keys except for one, and removes the claims on what has gone.
func (s *Store) claims(ctx context.Context, prefix, except string) (count int, err error) {
	list := s.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		object, err := list.Next(ctx)
		if err == io.EOF {
			return count, nil
		}
		if err != nil {
			return 0, s.failure(ctx, err)
		}
		uid := strings.TrimPrefix(object.Key, prefix)
		if uid == except {
			continue
		}
		switch _, err := s.Status(ctx, uid); {
		case errors.Is(err, keystore.ErrNotFound), errors.Is(err, keystore.ErrInvalid):
			_ = s.bucket.Delete(ctx, object.Key) // or the next time
		case err != nil && !errors.Is(err, keystore.ErrCorrupt):
			return 0, err
		default:
			count++
		}
	}
}
