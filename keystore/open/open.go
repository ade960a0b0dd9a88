// Package open makes a key store from an address, as an operator configures it.
package open

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cipherpoint/keystore"
	"cipherpoint/keystore/directory"
	"cipherpoint/keystore/object"
	"cipherpoint/keystore/redis"
)

// URL opens the store that the address names:
//
//	file:///var/lib/keys     a folder (file://keys is relative to the working directory); see package directory
//	redis://host:6379/0      Redis: also rediss, redis+cluster, redis+sentinel; see redis.Open
//	s3://bucket?region=…     object storage: also gs, azblob; see package object
//
// Redis and buckets need not be reachable yet. An error never contains the address, which may hold a password.
func URL(address string, limits keystore.Limits) (keystore.Store, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	switch {
	case scheme == "file" && rest != "":
		folder, err := url.PathUnescape(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: the folder's name is not percent-encoded", keystore.ErrInvalid)
		}
		return opened(directory.Open(folder, limits))
	case slices.Contains(redis.Schemes, scheme):
		return opened(redis.Open(address, limits))
	case slices.Contains(object.Schemes, scheme):
		return opened(object.Open(context.Background(), address, limits))
	}
	return nil, fmt.Errorf("%w: address of the key store has none of the schemes file, %s",
		keystore.ErrInvalid, strings.Join(slices.Concat(redis.Schemes, object.Schemes), ", "))
}

// opened keeps a nil pointer from becoming a store that is not nil.
func opened[S keystore.Store](store S, err error) (keystore.Store, error) {
	if err != nil {
		return nil, err
	}
	return store, nil
}
