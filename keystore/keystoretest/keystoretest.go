// Package keystoretest is the suite that every implementation of keystore.Store passes, and its benchmark.
// A store's own test says how to open it and how to make a place for it:
//
//	func TestMain(m *testing.M)            { keystoretest.Main(m, open) }
//	func TestStore(t *testing.T)           { keystoretest.Run(t, open, place) }
//	func BenchmarkStore(b *testing.B)      { keystoretest.Benchmark(b, open, place) }
package keystoretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"cipherpoint/keystore"
)

// Opener opens a store on an address, which may be in use by others already.
type Opener func(address string, limits keystore.Limits) (keystore.Store, error)

// Place is where the stores of one test keep their keys. It is empty at the beginning and removed with the test.
type Place struct {
	// Address is what the Opener takes, also in another process.
	Address string
	// Secrets must not appear in any error.
	Secrets []string
	// Outage makes the place unusable until mend is called. Optional.
	Outage func() (mend func())
	// Fill makes the place refuse the next new piece of the upload for lack of room, until empty is called. Optional.
	Fill func(uid string) (empty func())
	// Damage changes a byte of a sealed key. Optional.
	Damage func(uid string)
}

var largeKey = flag.Int64("large-key", 64<<20, "size in bytes of the key that is streamed in constant memory")

// Run runs the suite.
func Run(t *testing.T, open Opener, place func(testing.TB) Place) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Life", testLife},
		{"Unknown", testUnknown},
		{"UID", testUID},
		{"Announcement", testAnnouncement},
		{"Piece", testPiece},
		{"AnyOrder", testAnyOrder},
		{"ManyRanges", testManyRanges},
		{"LongPiece", testLongPiece},
		{"Seal", testSeal},
		{"SealRefused", testSealRefused},
		{"SealReplaced", testSealReplaced},
		{"Sealed", testSealed},
		{"Delete", testDelete},
		{"DeleteWhileRead", testDeleteWhileRead},
		{"Context", testContext},
		{"Reopen", testReopen},
		{"Expiry", testExpiry},
		{"ConcurrentBegin", testConcurrentBegin},
		{"ConcurrentPut", testConcurrentPut},
		{"ConcurrentConflict", testConcurrentConflict},
		{"ConcurrentLives", testConcurrentLives},
		{"Claims", testClaims},
		{"ClaimsExpire", testClaimsExpire},
		{"ConcurrentClaims", testConcurrentClaims},
		{"Kill", testKill},
		{"Large", testLarge},
		{"Outage", testOutage},
		{"Outages", testOutages},
		{"Full", testFull},
		{"Damage", testDamage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &bench{t, open, place(t)}) })
	}
}

// limits are roomy enough for all tests that are not about them.
var limits = keystore.Limits{MaxSize: 16 << 20, KeyLifetime: time.Hour, UploadLifetime: time.Hour}

// bench is what a test works with: a place and a way to open stores on it.
type bench struct {
	t     testing.TB
	opens Opener
	Place
}

func (b *bench) open() keystore.Store { return b.openWith(limits) }

func (b *bench) openWith(limits keystore.Limits) keystore.Store {
	b.t.Helper()
	store, err := b.opens(b.Address, limits)
	if err != nil {
		b.t.Fatalf("open: %v", err)
	}
	b.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
	return &discreet{store, b.t, b.Secrets}
}

// key is a key that a test uploads.
type key struct {
	uid    string
	upload keystore.Upload
	data   []byte
}

func newKey(size int) key {
	k := key{uid: uuid.NewString(), data: make([]byte, size)}
	_, _ = content(size).Read(k.data)
	k.upload = keystore.Upload{Size: int64(size), SHA256: sha256.Sum256(k.data), KeySet: "set"}
	return k
}

// content is an endless stream of bytes that depend on the seed.
func content(seed int) *rand.ChaCha8 {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], uint64(seed))
	return rand.NewChaCha8(s)
}

func (k key) begin(t testing.TB, s keystore.Store) {
	t.Helper()
	if _, err := s.Begin(t.Context(), k.uid, k.upload); err != nil {
		t.Fatalf("begin: %v", err)
	}
}

func (k key) put(t testing.TB, s keystore.Store, begin, end int) keystore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), k.uid, int64(begin), k.data[begin:end])
	if err != nil {
		t.Fatalf("put %d to %d: %v", begin, end, err)
	}
	return info
}

// send brings the key to the state in which it can be sealed.
func (k key) send(t testing.TB, s keystore.Store) {
	t.Helper()
	k.begin(t, s)
	if info := k.put(t, s, 0, len(k.data)); !info.Complete() || info.Sealed {
		t.Fatalf("all was put, but the store says %+v", info)
	}
}

func (k key) seal(t testing.TB, s keystore.Store) {
	t.Helper()
	k.send(t, s)
	if err := s.Seal(t.Context(), k.uid, nil); err != nil {
		t.Fatalf("seal: %v", err)
	}
}

// mustOpen demands that the sealed key is there, byte for byte.
func (k key) mustOpen(t testing.TB, s keystore.Store) {
	t.Helper()
	r, info, err := s.Open(t.Context(), k.uid)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer r.Close()
	if !info.Sealed || info.Upload != k.upload {
		t.Fatalf("open: the store says %+v", info)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, k.data) {
		t.Fatalf("read %d bytes that differ from the %d that were sealed", len(got), len(k.data))
	}
}

// mustBe demands the state of an upload or a key: sealed, or the pairs of begin and end that are present.
func (k key) mustBe(t testing.TB, s keystore.Store, sealed bool, present ...int64) {
	t.Helper()
	info, err := s.Status(t.Context(), k.uid)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	k.mustHave(t, info, sealed, present...)
}

// mustHave demands the same of what the store has said.
func (k key) mustHave(t testing.TB, info keystore.Info, sealed bool, present ...int64) {
	t.Helper()
	same := len(info.Present)*2 == len(present)
	for i := 0; same && i < len(info.Present); i++ {
		same = info.Present[i] == keystore.Range{Begin: present[2*i], End: present[2*i+1]}
	}
	if !same || info.Sealed != sealed || info.Upload != k.upload {
		t.Fatalf("the store says %+v, want sealed %v, present %v", info, sealed, present)
	}
}

func (k key) mustBeGone(t testing.TB, s keystore.Store) {
	t.Helper()
	_, err := s.Status(t.Context(), k.uid)
	mustFail(t, err, keystore.ErrNotFound)
}

func mustFail(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %q, want %q", err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// discreet is a store that reports errors in which secrets occur.
type discreet struct {
	keystore.Store
	t       testing.TB
	secrets []string
}

func (d *discreet) examine(uid string, err error) error {
	if err == nil {
		return nil
	}
	for _, secret := range append([]string{uid}, d.secrets...) {
		if len(secret) >= 8 && strings.Contains(err.Error(), secret) {
			d.t.Errorf("an error contains the uid or a secret: %q", err)
		}
	}
	return err
}

func (d *discreet) Begin(ctx context.Context, uid string, upload keystore.Upload) (keystore.Info, error) {
	info, err := d.Store.Begin(ctx, uid, upload)
	return info, d.examine(uid, err)
}

func (d *discreet) Put(ctx context.Context, uid string, offset int64, piece []byte) (keystore.Info, error) {
	before := bytes.Clone(piece)
	info, err := d.Store.Put(ctx, uid, offset, piece)
	if !bytes.Equal(before, piece) {
		d.t.Error("put has changed the piece")
	}
	return info, d.examine(uid, err)
}

func (d *discreet) Seal(ctx context.Context, uid string, check func(io.Reader) error) error {
	return d.examine(uid, d.Store.Seal(ctx, uid, check))
}

func (d *discreet) Open(ctx context.Context, uid string) (io.ReadCloser, keystore.Info, error) {
	r, info, err := d.Store.Open(ctx, uid)
	if (r == nil) == (err == nil) {
		d.t.Error("open must return either a reader or an error")
	}
	return r, info, d.examine(uid, err)
}

func (d *discreet) Touch(ctx context.Context, uid string) error {
	return d.examine(uid, d.Store.Touch(ctx, uid))
}

func (d *discreet) Status(ctx context.Context, uid string) (keystore.Info, error) {
	info, err := d.Store.Status(ctx, uid)
	return info, d.examine(uid, err)
}

func (d *discreet) Delete(ctx context.Context, uid string) error {
	return d.examine(uid, d.Store.Delete(ctx, uid))
}

func (d *discreet) Ping(ctx context.Context) error {
	return d.examine("", d.Store.Ping(ctx))
}
