// Package content compares what a store delivers with what was announced.
package content

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"cipherpoint/keystore"
)

// Check lets check read source and compares size and digest, as keystore.Store.Seal promises.
// It returns whether the upload is to be discarded; with false and nil it may be sealed.
func Check(ctx context.Context, source io.Reader, upload keystore.Upload, check func(io.Reader) error) (discard bool, err error) {
	r := &digesting{source: source, digest: sha256.New()}
	var refusal error
	if check != nil {
		refusal = check(r)
	}
	if r.err == nil {
		_, _ = io.CopyBuffer(io.Discard, r, nil)
	}
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case r.err != io.EOF:
		return false, r.err
	case !r.matches(upload):
		return true, keystore.ErrDigest
	}
	return refusal != nil, refusal
}

// Verified wraps the content of a sealed key: where the digest differs it ends with keystore.ErrCorrupt, not io.EOF.
func Verified(source io.ReadCloser, upload keystore.Upload) io.ReadCloser {
	return &verified{digesting{source: source, digest: sha256.New()}, source, upload}
}

type verified struct {
	digesting
	closer io.Closer
	upload keystore.Upload
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.digesting.Read(p)
	if err == io.EOF && !v.matches(v.upload) {
		v.err = keystore.ErrCorrupt
	}
	return n, v.err
}

func (v *verified) Close() error { return v.closer.Close() }

// digesting hashes what is read through it and remembers how the source ended.
type digesting struct {
	source io.Reader
	digest hash.Hash
	length int64
	err    error
}

func (d *digesting) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.source.Read(p)
	d.digest.Write(p[:n])
	d.length += int64(n)
	d.err = err
	return n, err
}

func (d *digesting) matches(u keystore.Upload) bool {
	return d.length == u.Size && [sha256.Size]byte(d.digest.Sum(nil)) == u.SHA256
}
