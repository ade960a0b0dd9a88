package redis

import (
	"context"

	"cipherpoint/keystore"
)

// Claim looks for what has gone among the owner's keys, each in a slot of its own, then adds the uid in one script.
func (s *Store) Claim(ctx context.Context, owner, uid string, limit int) error {
	if err := keystore.CheckClaim(owner, uid, limit); err != nil {
		return err
	}
	name := s.prefix + "owner:" + owner
	claimed, err := s.client.SMembers(ctx, name).Result()
	if err != nil {
		return failure(ctx, err)
	}
	for _, other := range claimed {
		there, err := s.client.Exists(ctx, s.name(other)).Result()
		if err == nil && there == 0 {
			err = s.client.SRem(ctx, name, other).Err()
		}
		if err != nil {
			return failure(ctx, err)
		}
	}
	granted, err := claimScript.Run(ctx, s.client, []string{name}, uid, limit).Result()
	switch {
	case err != nil && isFull(err):
		return keystore.ErrFull
	case err != nil:
		return failure(ctx, err)
	case granted != int64(1):
		return keystore.ErrLimit
	}
	return nil
}
