package keystoretest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"cipherpoint/keystore"
)

func testSeal(t *testing.T, b *bench) {
	s, k := b.open(), newKey(3<<20)
	calls := 0
	check := func(r io.Reader) error {
		calls++
		got, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, k.data) {
			return errors.New("other bytes")
		}
		return nil
	}
	k.begin(t, s)
	mustFail(t, s.Seal(t.Context(), k.uid, check), keystore.ErrIncomplete)
	k.put(t, s, 0, 1)
	k.put(t, s, 2, len(k.data))
	mustFail(t, s.Seal(t.Context(), k.uid, check), keystore.ErrIncomplete)
	if calls != 0 {
		t.Fatal("an upload with gaps was checked")
	}
	k.mustBe(t, s, false, 0, 1, 2, k.upload.Size)
	k.put(t, s, 1, 2)
	for range 3 {
		must(t, s.Seal(t.Context(), k.uid, check))
	}
	if calls != 1 {
		t.Fatalf("checked %d times, want once", calls)
	}
	k.mustOpen(t, s)

	for name, check := range map[string]func(io.Reader) error{
		"reads nothing": func(io.Reader) error { return nil },
		"reads a part":  func(r io.Reader) error { _, err := io.CopyN(io.Discard, r, 1<<20); return err },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKey(3 << 20)
			k.send(t, s)
			must(t, s.Seal(t.Context(), k.uid, check))
			k.mustOpen(t, s)
		})
	}
}

func testSealRefused(t *testing.T, b *bench) {
	s := b.open()
	refusal := errors.New("no such key")

	// A wrong digest is the reason, whatever the check says of such content.
	for _, verdict := range []error{nil, refusal} {
		k := newKey(2 << 20)
		k.upload.SHA256[0]++
		k.send(t, s)
		mustFail(t, s.Seal(t.Context(), k.uid, func(io.Reader) error { return verdict }), keystore.ErrDigest)
		k.mustBeGone(t, s)
		k.upload.SHA256[0]--
		k.seal(t, s)
		k.mustOpen(t, s)
	}

	k := newKey(2 << 20)
	k.send(t, s)
	if err := s.Seal(t.Context(), k.uid, func(io.Reader) error { return refusal }); err != refusal {
		t.Fatalf("error %v, want the one of the check as it is", err)
	}
	k.mustBeGone(t, s)

	k.send(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Seal(ctx, k.uid, func(io.Reader) error { cancel(); return refusal })
	mustFail(t, err, context.Canceled)
	k.mustBe(t, s, false, 0, k.upload.Size)
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.mustOpen(t, s)
}

// testSealReplaced: what is sealed is what was checked, also if another process replaces the upload meanwhile.
func testSealReplaced(t *testing.T, b *bench) {
	s, other := b.open(), b.open()
	first, second := newKey(100), newKey(200)
	second.uid = first.uid
	first.send(t, s)
	err := s.Seal(t.Context(), first.uid, func(io.Reader) error {
		must(t, other.Delete(t.Context(), first.uid))
		second.send(t, other)
		return nil
	})
	mustFail(t, err, keystore.ErrNotFound)
	second.mustBe(t, s, false, 0, 200)

	// The same announcement again is nevertheless another upload, whose bytes nobody has looked at.
	err = s.Seal(t.Context(), second.uid, func(io.Reader) error {
		must(t, other.Delete(t.Context(), second.uid))
		second.begin(t, other)
		_, err := other.Put(t.Context(), second.uid, 0, make([]byte, 200))
		return err
	})
	mustFail(t, err, keystore.ErrNotFound)
	mustFail(t, s.Seal(t.Context(), second.uid, nil), keystore.ErrDigest)
	second.mustBeGone(t, s)

	// Nor does a refusal discard what it was not about.
	first.send(t, s)
	err = s.Seal(t.Context(), first.uid, func(io.Reader) error {
		must(t, other.Delete(t.Context(), first.uid))
		second.send(t, other)
		return errors.New("refused")
	})
	if err == nil {
		t.Fatal("a refused upload was sealed")
	}
	second.mustBe(t, s, false, 0, 200)
}

func testContext(t *testing.T, b *bench) {
	s, k, sealed := b.open(), newKey(100), newKey(3<<20)
	sealed.seal(t, s)
	k.send(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := s.Open(ctx, sealed.uid)
	must(t, err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 10))
	must(t, err)
	cancel()
	_, err = io.ReadAll(r)
	mustFail(t, err, context.Canceled)

	fresh := newKey(10)
	_, err = s.Begin(ctx, fresh.uid, fresh.upload)
	mustFail(t, err, context.Canceled)
	_, err = s.Put(ctx, k.uid, 0, k.data)
	mustFail(t, err, context.Canceled)
	mustFail(t, s.Seal(ctx, k.uid, nil), context.Canceled)
	_, _, err = s.Open(ctx, sealed.uid)
	mustFail(t, err, context.Canceled)
	mustFail(t, s.Touch(ctx, sealed.uid), context.Canceled)
	_, err = s.Status(ctx, k.uid)
	mustFail(t, err, context.Canceled)
	mustFail(t, s.Delete(ctx, k.uid), context.Canceled)
	mustFail(t, s.Ping(ctx), context.Canceled)

	fresh.mustBeGone(t, s)
	k.mustBe(t, s, false, 0, 100)
	sealed.mustOpen(t, s)
}
