package handler_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cipherpoint/handler"
	"cipherpoint/handler/handlertest"
	"cipherpoint/keystore"
	"cipherpoint/keystore/directory"
)

type fixture struct {
	*handler.EndpointHandler
	t     testing.TB
	model *handlertest.Model
	store keystore.Store
	dir   string
}

func newFixture(t testing.TB, options handler.Options) *fixture {
	t.Helper()
	f := &fixture{t: t, model: handlertest.New(1, 1), dir: t.TempDir()}
	f.store = openStore(t, f.dir)
	f.EndpointHandler = newHandler(t, f.model, f.store, options)
	return f
}

func openStore(t testing.TB, dir string) keystore.Store {
	t.Helper()
	store, err := directory.Open(dir, keystore.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func newHandler(t testing.TB, m handler.Model, s keystore.Store, o handler.Options) *handler.EndpointHandler {
	t.Helper()
	h, err := handler.New(m, s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func (f *fixture) must(r handler.Request) handler.Response {
	f.t.Helper()
	reply, err := f.Handle(f.t.Context(), r)
	if err != nil {
		f.t.Fatalf("%s: %v (cause: %v)", r.Method, err, errors.Unwrap(err))
	}
	return reply
}

func (f *fixture) fails(r handler.Request, want handler.Code) *handler.Error {
	f.t.Helper()
	reply, err := f.Handle(f.t.Context(), r)
	var typed *handler.Error
	if !errors.As(err, &typed) || typed.Code != want {
		f.t.Fatalf("%s: error %v (cause: %v), reply %v: want code %s", r.Method, err, errors.Unwrap(err), reply, want)
	}
	return typed
}

// upload brings a key in with one request and returns its uid.
func (f *fixture) upload(key []byte) string {
	f.t.Helper()
	state := f.must(handler.Request{Method: handler.SaveKey, EvaluationKeys: key}).Key
	if !state.Sealed || state.Received != int64(len(key)) || len(state.Missing) != 0 {
		f.t.Fatalf("state %+v after the whole key", state)
	}
	return state.UID
}

func announce(key []byte) handler.Request {
	size, sum := int64(len(key)), sha256.Sum256(key)
	return handler.Request{Method: handler.SaveKey, Size: &size, SHA256: hex.EncodeToString(sum[:])}
}

func piece(uid string, key []byte, from, to int) handler.Request {
	offset := int64(from)
	return handler.Request{Method: handler.AppendKey, UID: uid, Offset: &offset, EvaluationKeys: key[from:to]}
}

func infer(uid string, inputs ...[]byte) handler.Request {
	return handler.Request{Method: handler.Inference, UID: uid, EncryptedInputs: inputs}
}

// snapshot is the content of all files of the store.
func (f *fixture) snapshot() string {
	f.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "locks" {
			return err
		}
		content, err := os.ReadFile(path)
		all.WriteString(path + "\n" + string(content) + "\n")
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all.String()
}

func (f *fixture) answers(uid string, key []byte) {
	f.t.Helper()
	var inputs [][]byte
	for _, content := range []string{"a", "b", "c", "d", "e"} {
		inputs = append(inputs, f.model.NewInput(content))
	}
	outputs := f.must(infer(uid, inputs...)).Outputs
	for i := range inputs {
		if !bytes.Equal(outputs[i], f.model.Output(key, inputs[i])) {
			f.t.Fatalf("output %d is not that of input %d", i, i)
		}
	}
}

func TestUploadInPieces(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	begun := announce(key)
	begun.EvaluationKeys = key[:500]
	state := f.must(begun).Key
	if state.Sealed || state.Size != 3000 || state.Received != 500 || len(state.Missing) != 1 || state.Missing[0] != [2]int64{500, 3000} {
		t.Fatalf("state %+v", state)
	}
	uid := state.UID
	if err := keystore.CheckUID(uid); err != nil {
		t.Fatal(err)
	}
	f.fails(infer(uid, f.model.NewInput("x")), handler.IncompleteKey)

	// Out of order, and repeated.
	for _, p := range [][2]int{{2000, 3000}, {2000, 3000}, {500, 1000}} {
		state = f.must(piece(uid, key, p[0], p[1])).Key
	}
	if state.Received != 2000 || len(state.Missing) != 1 || state.Missing[0] != [2]int64{1000, 2000} {
		t.Fatalf("state %+v", state)
	}
	// Going on by save_key and key_status gives the same state.
	resumed := announce(key)
	resumed.UID = uid
	for _, r := range []handler.Request{resumed, {Method: handler.KeyStatus, UID: uid}} {
		if again := f.must(r).Key; again.UID != uid || again.Received != 2000 || again.Missing[0] != state.Missing[0] {
			t.Fatalf("%s: state %+v", r.Method, again)
		}
	}
	if state = f.must(piece(uid, key, 1000, 2000)).Key; !state.Sealed || len(state.Missing) != 0 {
		t.Fatalf("state %+v", state)
	}
	// Harmless on the sealed key.
	for _, r := range []handler.Request{resumed, {Method: handler.KeyStatus, UID: uid}, piece(uid, key, 0, 500)} {
		if state = f.must(r).Key; !state.Sealed || state.Received != 3000 {
			t.Fatalf("%s: state %+v", r.Method, state)
		}
	}
	f.answers(uid, key)
	if n := f.model.Loads.Load(); n != 1 {
		t.Errorf("key was expanded %d times: want once, when it was sealed", n)
	}
	if !f.must(handler.Request{Method: handler.DeleteKey, UID: uid}).Deleted {
		t.Error("not deleted")
	}
	f.fails(infer(uid, f.model.NewInput("x")), handler.UnknownKey)
	f.fails(handler.Request{Method: handler.KeyStatus, UID: uid}, handler.UnknownKey)
}

func TestDescribe(t *testing.T) {
	f := newFixture(t, handler.Options{})
	d := f.must(handler.Request{Method: handler.Describe}).Description
	if string(d.ClientZip) != string(f.model.ClientZip()) || d.KeyBytes != 3000 || d.RequestBytes != 100 ||
		d.ReplyBytes != 32 || d.KeySet != "01000000000000000000000000000000" || d.Model != f.model.Summary() ||
		d.MaxInputs != handler.MaxInputs || d.MaxPiece != handler.MaxPiece {
		t.Errorf("description %+v", d)
	}
}

// TestBadRequests: each with the right code, a message without secrets, and nothing stored changed.
func TestBadRequests(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	sealed := f.upload(key)
	open := f.must(announce(key)).Key.UID
	f.must(piece(open, key, 100, 200))

	// A key of another model on the same store.
	foreignModel := handlertest.New(2, 2)
	foreign := newHandler(t, foreignModel, f.store, handler.Options{})
	reply, err := foreign.Handle(t.Context(), handler.Request{Method: handler.SaveKey, EvaluationKeys: foreignModel.NewKey("bob")})
	if err != nil {
		t.Fatal(err)
	}
	foreignUID := reply.Key.UID
	reply, err = foreign.Handle(t.Context(), announce(foreignModel.NewKey("bob")))
	if err != nil {
		t.Fatal(err)
	}
	foreignOpen := reply.Key.UID

	const unknown = "6f1b3f0e-53b1-4c3a-9d0a-8a3d3a5b7c11"
	input := f.model.NewInput("x")
	of := func(change func(*handler.Request), r handler.Request) handler.Request {
		change(&r)
		return r
	}
	number := func(n int64) *int64 { return &n }
	other := announce(f.model.NewKey("bob"))
	resume := func(r handler.Request, uid string) handler.Request { r.UID = uid; return r }

	tests := []struct {
		name    string
		request handler.Request
		code    handler.Code
	}{
		{"no method", handler.Request{}, handler.MissingField},
		{"unknown method", handler.Request{Method: "list_keys"}, handler.UnknownMethod},

		{"save: nothing", handler.Request{Method: handler.SaveKey}, handler.MissingField},
		{"save: no size", of(func(r *handler.Request) { r.Size = nil }, announce(key)), handler.MissingField},
		{"save: no sha256", of(func(r *handler.Request) { r.SHA256 = "" }, announce(key)), handler.MissingField},
		{"save: sha256 short", of(func(r *handler.Request) { r.SHA256 = "abcd" }, announce(key)), handler.BadRequest},
		{"save: sha256 not hex", of(func(r *handler.Request) { r.SHA256 = strings.Repeat("g", 64) }, announce(key)), handler.BadRequest},
		{"save: size negative", of(func(r *handler.Request) { r.Size = number(-1) }, announce(key)), handler.InvalidKey},
		{"save: size huge", of(func(r *handler.Request) { r.Size = number(1 << 60) }, announce(key)), handler.InvalidKey},
		{"save: truncated key", handler.Request{Method: handler.SaveKey, EvaluationKeys: key[:2999]}, handler.InvalidKey},
		{"save: other key set", of(func(r *handler.Request) { r.KeySet = strings.Repeat("02", 16) }, announce(key)), handler.WrongKeySet},
		{"save: piece too large", of(func(r *handler.Request) { r.EvaluationKeys = make([]byte, handler.MaxPiece+1) }, announce(key)), handler.TooLarge},
		{"save: unknown uid", resume(announce(key), unknown), handler.UnknownKey},
		{"save: foreign uid", resume(announce(key), foreignUID), handler.UnknownKey},
		{"save: other announcement", resume(other, open), handler.Conflict},
		{"save: other announcement, sealed", resume(other, sealed), handler.Conflict},

		{"append: no uid", piece("", key, 0, 100), handler.MissingField},
		{"append: no piece", piece(open, key, 0, 0), handler.MissingField},
		{"append: no offset", of(func(r *handler.Request) { r.Offset = nil }, piece(open, key, 0, 1)), handler.MissingField},
		{"append: negative offset", of(func(r *handler.Request) { r.Offset = number(-1) }, piece(open, key, 0, 1)), handler.InvalidPiece},
		{"append: beyond the end", of(func(r *handler.Request) { r.Offset = number(2990) }, piece(open, key, 0, 11)), handler.InvalidPiece},
		{"append: far beyond", of(func(r *handler.Request) { r.Offset = number(1<<63 - 1) }, piece(open, key, 0, 11)), handler.InvalidPiece},
		{"append: other bytes", of(func(r *handler.Request) { r.Offset = number(150) }, piece(open, key, 0, 100)), handler.Conflict},
		{"append: other bytes, sealed", of(func(r *handler.Request) { r.Offset = number(150) }, piece(sealed, key, 0, 100)), handler.Conflict},
		{"append: unknown uid", piece(unknown, key, 0, 100), handler.UnknownKey},
		{"append: no uid at all", piece("../../etc/passwd", key, 0, 100), handler.UnknownKey},
		{"append: foreign uid", piece(foreignOpen, key, 0, 100), handler.UnknownKey},
		{"append: piece too large", piece(open, make([]byte, handler.MaxPiece+1), 0, handler.MaxPiece+1), handler.TooLarge},

		{"status: no uid", handler.Request{Method: handler.KeyStatus}, handler.MissingField},
		{"status: unknown uid", handler.Request{Method: handler.KeyStatus, UID: unknown}, handler.UnknownKey},
		{"status: foreign uid", handler.Request{Method: handler.KeyStatus, UID: foreignUID}, handler.UnknownKey},
		{"delete: no uid", handler.Request{Method: handler.DeleteKey}, handler.MissingField},
		{"delete: unknown uid", handler.Request{Method: handler.DeleteKey, UID: unknown}, handler.UnknownKey},
		{"delete: foreign uid", handler.Request{Method: handler.DeleteKey, UID: foreignUID}, handler.UnknownKey},

		{"infer: no uid", infer("", input), handler.MissingField},
		{"infer: no input", infer(sealed), handler.MissingField},
		{"infer: unknown uid", infer(unknown, input), handler.UnknownKey},
		{"infer: upper case uid", infer(strings.ToUpper(sealed), input), handler.UnknownKey},
		{"infer: foreign uid", infer(foreignUID, input), handler.UnknownKey},
		{"infer: foreign open upload", infer(foreignOpen, input), handler.UnknownKey},
		{"infer: open upload", infer(open, input), handler.IncompleteKey},
		{"infer: truncated", infer(sealed, input[:99]), handler.InvalidInput},
		{"infer: empty", infer(sealed, nil), handler.InvalidInput},
		{"infer: too long", infer(sealed, append(bytes.Clone(input), 0)), handler.InvalidInput},
		{"infer: other key set", infer(sealed, foreignModel.NewInput("x")), handler.InvalidInput},
		{"infer: other model", infer(sealed, handlertest.New(1, 7).NewInput("x")), handler.InvalidInput},
		{"infer: one of several", infer(sealed, input, foreignModel.NewInput("x"), input), handler.InvalidInput},
		{"infer: too many", infer(sealed, make([][]byte, handler.MaxInputs+1)...), handler.TooLarge},
	}
	before := f.snapshot()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := f.fails(tt.request, tt.code)
			text := err.Error()
			for _, secret := range []string{sealed, open, foreignUID, foreignOpen, unknown, f.dir, "passwd"} {
				if strings.Contains(text, secret) {
					t.Errorf("message %q holds what it must not", text)
				}
			}
			if f.snapshot() != before {
				t.Error("the store has changed")
			}
		})
	}
	// What is unknown and what is someone else's look the same.
	same := func(a, b handler.Request) {
		if x, y := f.fails(a, handler.UnknownKey), f.fails(b, handler.UnknownKey); x.Error() != y.Error() {
			t.Errorf("%s: %q for an unknown uid, %q for a foreign one", a.Method, x, y)
		}
	}
	same(infer(unknown, input), infer(foreignUID, input))
	same(piece(unknown, key, 0, 9), piece(foreignOpen, key, 0, 9))
	f.answers(sealed, key)
}

// TestWrongContent: a key that proves wrong when it is complete is discarded, and its uid with it.
func TestWrongContent(t *testing.T) {
	f := newFixture(t, handler.Options{})
	empty := f.snapshot()
	key := f.model.NewKey("ann")

	digest := announce(f.model.NewKey("bob"))
	digest.EvaluationKeys = key
	f.fails(digest, handler.WrongDigest)

	foreign := handlertest.New(2, 2).NewKey("bob")
	f.fails(handler.Request{Method: handler.SaveKey, EvaluationKeys: foreign}, handler.InvalidKey)

	if f.snapshot() != empty {
		t.Error("a wrong key left something in the store")
	}
}

func TestKeySurvivesRestart(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.upload(key)
	half := f.must(announce(key)).Key.UID
	f.must(piece(half, key, 0, 1000))

	g := &fixture{t: t, model: handlertest.New(1, 1), dir: f.dir}
	g.store = openStore(t, f.dir)
	g.EndpointHandler = newHandler(t, g.model, g.store, handler.Options{})
	g.answers(uid, key)
	g.must(piece(half, key, 1000, 3000))
	g.answers(half, key)

	// Two handlers on one store: what one deletes is gone from the memory of the other.
	f.must(handler.Request{Method: handler.DeleteKey, UID: uid})
	g.fails(infer(uid, g.model.NewInput("x")), handler.UnknownKey)
	if s := g.Stats(); s.CachedKeys != 1 {
		t.Errorf("%d keys in memory after one of two was deleted elsewhere", s.CachedKeys)
	}
}

func TestDamagedKey(t *testing.T) {
	f := newFixture(t, handler.Options{})
	uid := f.upload(f.model.NewKey("ann"))
	path := filepath.Join(f.dir, "keys", uid, "data")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[1000] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHandler(t, f.model, f.store, handler.Options{})
	f.EndpointHandler = h
	f.fails(infer(uid, f.model.NewInput("x")), handler.DamagedKey)
	if f.Stats().CachedKeys != 0 {
		t.Error("a damaged key is in memory")
	}
}

// TestFailuresOfTheStore: each error of a store has its code, and nothing of its text reaches the user.
func TestFailuresOfTheStore(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.upload(key)
	for _, tt := range []struct {
		err  error
		code handler.Code
	}{
		{keystore.ErrUnavailable, handler.StoreUnavailable},
		{keystore.ErrFull, handler.StoreFull},
		{keystore.ErrNotFound, handler.UnknownKey},
		{keystore.ErrTooLarge, handler.TooLarge},
		{context.Canceled, handler.Canceled},
		{io.ErrUnexpectedEOF, handler.Internal},
	} {
		failing := &failingStore{Store: f.store, err: tt.err}
		f.EndpointHandler = newHandler(t, f.model, failing, handler.Options{})
		for _, r := range []handler.Request{announce(key), piece(uid, key, 0, 9), infer(uid, f.model.NewInput("x"))} {
			if err := f.fails(r, tt.code); strings.Contains(err.Error(), tt.err.Error()) || !errors.Is(err, tt.err) {
				t.Errorf("%s: text %q, cause %v", r.Method, err, err.Cause)
			}
		}
		failing.err = nil // and back to work
		f.answers(uid, key)
		failing.err = tt.err
		if tt.code == handler.StoreUnavailable { // an outage of the store is none of the keys in memory
			f.answers(uid, key)
		} else {
			f.fails(infer(uid, f.model.NewInput("x")), tt.code)
		}
	}
}

// TestGraceEnds: a key might have been deleted on another endpoint while the store did not answer.
func TestGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // time passes where the test sleeps, and only there
		f := newFixture(t, handler.Options{})
		key := f.model.NewKey("ann")
		failing := &failingStore{Store: f.store}
		f.EndpointHandler = newHandler(t, f.model, failing, handler.Options{Grace: time.Minute})
		uid := f.upload(key)
		failing.err = keystore.ErrUnavailable
		time.Sleep(time.Minute)
		f.answers(uid, key)
		time.Sleep(time.Nanosecond)
		f.fails(infer(uid, f.model.NewInput("x")), handler.StoreUnavailable)
		failing.err = nil
		f.answers(uid, key)
	})
}

// TestKeysOfAnOwner: an owner has as many keys as it may have, and room again where one is deleted; nobody's are not counted.
func TestKeysOfAnOwner(t *testing.T) {
	f := newFixture(t, handler.Options{KeysPerOwner: 2})
	var uids []string
	begin := func(owner string) handler.Request {
		r := announce(f.model.NewKey("ann"))
		r.Owner = owner
		return r
	}
	for range 2 {
		reply, err := f.Handle(t.Context(), begin("a1"))
		if err != nil {
			t.Fatal(err)
		}
		uids = append(uids, reply.Key.UID)
	}
	f.fails(begin("a1"), handler.TooManyKeys)
	for _, owner := range []string{"b2", "", "", ""} {
		if _, err := f.Handle(t.Context(), begin(owner)); err != nil {
			t.Errorf("owner %q: %v", owner, err)
		}
	}
	if _, err := f.Handle(t.Context(), handler.Request{Method: handler.DeleteKey, UID: uids[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Handle(t.Context(), begin("a1")); err != nil {
		t.Error(err)
	}
	f.fails(begin("a1"), handler.TooManyKeys)
}

// failingStore fails while err is set.
type failingStore struct {
	keystore.Store
	err error
}

func (s *failingStore) Begin(ctx context.Context, uid string, u keystore.Upload) (keystore.Info, error) {
	if s.err != nil {
		return keystore.Info{}, s.err
	}
	return s.Store.Begin(ctx, uid, u)
}

func (s *failingStore) Status(ctx context.Context, uid string) (keystore.Info, error) {
	if s.err != nil {
		return keystore.Info{}, s.err
	}
	return s.Store.Status(ctx, uid)
}

func (s *failingStore) Open(ctx context.Context, uid string) (io.ReadCloser, keystore.Info, error) {
	if s.err != nil {
		return nil, keystore.Info{}, s.err
	}
	return s.Store.Open(ctx, uid)
}

func (s *failingStore) Touch(ctx context.Context, uid string) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Touch(ctx, uid)
}

func TestPanicIsAnError(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.upload(key)
	f.model.OnInfer = func(context.Context) error { panic("secret of the model") }
	err := f.fails(infer(uid, f.model.NewInput("x")), handler.Internal)
	if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Cause.Error(), "secret") {
		t.Errorf("text %q, cause %v", err, err.Cause)
	}
	f.model.OnInfer = nil
	f.model.OnLoad = func(context.Context) error { panic("secret of the model") }
	f.fails(handler.Request{Method: handler.SaveKey, EvaluationKeys: key}, handler.Internal)
	f.model.OnLoad = nil
	f.answers(uid, key)
}

func TestCodes(t *testing.T) {
	for _, code := range handler.Codes() {
		text := (&handler.Error{Code: code}).Error()
		if s := code.Status(); s < 400 || s > 599 {
			t.Errorf("%s has status %d", code, s)
		}
		if text == "" || strings.ToLower(text[:1]) != text[:1] || strings.HasSuffix(text, ".") {
			t.Errorf("%s has message %q", code, text)
		}
		if wait := code.RetryAfter() > 0; wait != (code.Status() == 429 || code.Status() == 503) {
			t.Errorf("%s has status %d and Retry-After %d", code, code.Status(), code.RetryAfter())
		}
	}
}

// TestPiecesInFlight sends all pieces of several keys at once, some twice.
func TestPiecesInFlight(t *testing.T) {
	f := newFixture(t, handler.Options{})
	key := f.model.NewKey("ann")
	uid := f.must(announce(key)).Key.UID
	var offsets []int
	for o := 0; o < len(key); o += 300 {
		offsets = append(offsets, o, o)
	}
	rand.Shuffle(len(offsets), func(i, j int) { offsets[i], offsets[j] = offsets[j], offsets[i] })
	results := make(chan error)
	for _, o := range offsets {
		go func() {
			_, err := f.Handle(t.Context(), piece(uid, key, o, o+300))
			results <- err
		}()
	}
	for range offsets {
		if err := <-results; err != nil {
			t.Error(err, errors.Unwrap(err))
		}
	}
	f.answers(uid, key)
	if n := f.model.Loads.Load(); n != 1 {
		t.Errorf("key was expanded %d times", n)
	}
}
