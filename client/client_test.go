package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/client"
	"cipherpoint/endpoint/server"
	"cipherpoint/fhe"
	"cipherpoint/internal/testmodel"
)

const pieceBytes = 64 << 10

// endpoint is a running server.
type endpoint struct {
	url  string
	stop func()
}

// start runs a server until stop or the end of the test.
func start(t testing.TB, model, keys string, tokens ...string) endpoint {
	t.Helper()
	c := server.Defaults()
	c.Listen, c.Model, c.Keystore, c.Tokens = "127.0.0.1:0", model, (&url.URL{Scheme: "file", Path: keys}).String(), tokens
	s, err := server.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections() // a server waits for connections that have not said anything yet
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("endpoint: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-s.Ready():
	case <-time.After(time.Minute):
		t.Fatal("the endpoint is not ready after a minute")
	}
	return endpoint{s.URL(), stop}
}

func dial(t testing.TB, url, token string, o client.Options) *client.Connection {
	t.Helper()
	if o.PieceBytes == 0 {
		o.PieceBytes = pieceBytes
	}
	c, err := client.New(url, token, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// user is a model's client with keys.
type user struct {
	*client.FHEModelClient
	keys []byte
}

func newUser(t testing.TB, dir string) user {
	t.Helper()
	m, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	keys, err := m.EvaluationKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(keys)) != m.Spec().KeyBytes() || len(keys) < 3*pieceBytes {
		t.Fatalf("keys of %d bytes, announced %d", len(keys), m.Spec().KeyBytes())
	}
	return user{m, keys}
}

func (u user) upload(t testing.TB, c *client.Connection, o client.Upload) string {
	t.Helper()
	uid, err := c.Upload(t.Context(), u.KeySet(), bytes.NewReader(u.keys), o)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func (u user) encrypt(t testing.TB, row []float64) []byte {
	t.Helper()
	question, err := u.QuantizeEncryptSerialize(row)
	if err != nil {
		t.Fatal(err)
	}
	return question
}

// check compares a decrypted answer with that of the float model.
func check(t testing.TB, m *testmodel.Model, got client.Answer, clear client.Answer) {
	t.Helper()
	if len(got.Scores) != len(clear.Scores) {
		t.Fatalf("%d scores, want %d", len(got.Scores), len(clear.Scores))
	}
	largest := 0.0
	for i, s := range got.Scores {
		largest = max(largest, math.Abs(s-clear.Scores[i]))
	}
	if !(largest <= m.MaxScoreError) {
		t.Errorf("score error %g, bound %g", largest, m.MaxScoreError)
	}
	if got.Label < 0 || got.Label >= len(testmodel.Classes) || got.Class != testmodel.Classes[got.Label] {
		t.Errorf("label %d is %q", got.Label, got.Class)
	}
}

func (u user) ask(t testing.TB, c *client.Connection, m *testmodel.Model, uid string, row []float64) {
	t.Helper()
	reply, err := c.Infer(t.Context(), uid, u.encrypt(t, row))
	if err != nil {
		t.Fatal(err)
	}
	u.compare(t, m, m.Circuit, reply, row)
}

func (u user) compare(t testing.TB, m *testmodel.Model, circuit *circuit.Circuit, reply []byte, row []float64) {
	t.Helper()
	got, err := u.DeserializeDecryptDequantize(reply)
	if err != nil {
		t.Fatal(err)
	}
	clear, err := u.Clear(circuit, row)
	if err != nil {
		t.Fatal(err)
	}
	check(t, m, got, clear)
}

func TestQuestionsAndAnswers(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	e := start(t, dir, t.TempDir())
	c := dial(t, e.url, "", client.Options{})

	description, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fetched, err := client.Read(description.ClientZip)
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t, dir)
	spec := u.Spec()
	if fetched.Spec().Model != spec.Model || description.Model.ID != spec.Model || description.Model.Name != "small" || description.KeySet != u.KeySet() ||
		description.KeyBytes != spec.KeyBytes() || description.RequestBytes != int64(spec.RequestBytes()) || description.ReplyBytes != int64(spec.ReplyBytes()) {
		t.Errorf("described as %+v", description)
	}

	var sent int64
	pieces := 0
	remaining := int64(len(u.keys))
	uid := u.upload(t, c, client.Upload{
		Progress: func(n int64) {
			if n < sent {
				t.Errorf("progress went from %d back to %d", sent, n)
			}
			sent = n
		},
		OnPiece: func(piece int, left int64) {
			if piece != pieces || left != remaining {
				t.Errorf("piece %d with %d bytes to go: want %d, %d", piece, left, pieces, remaining)
			}
			pieces, remaining = pieces+1, left-min(left, pieceBytes)
		},
	})
	if sent != int64(len(u.keys)) || remaining != 0 {
		t.Errorf("%d of %d bytes sent, %d remain", sent, len(u.keys), remaining)
	}
	state, err := c.KeyStatus(t.Context(), uid)
	if err != nil || !state.Sealed || state.Size != int64(len(u.keys)) || len(state.Missing) > 0 {
		t.Errorf("state %+v, %v", state, err)
	}

	beforeSent, beforeReceived := c.Traffic()
	u.ask(t, c, m, uid, m.Rows[0])
	afterSent, afterReceived := c.Traffic()
	if out, back := afterSent-beforeSent, afterReceived-beforeReceived; out < int64(spec.RequestBytes()) || out > int64(spec.RequestBytes())+200 ||
		back < int64(spec.ReplyBytes()) || back > int64(spec.ReplyBytes())+16 {
		t.Errorf("%d bytes sent, %d received: a request has %d, a reply %d", out, back, spec.RequestBytes(), spec.ReplyBytes())
	}

	inputs := make([][]byte, 66) // more than one request takes
	for i := range inputs {
		inputs[i] = u.encrypt(t, m.Rows[i%3])
	}
	replies, err := c.InferMany(t.Context(), uid, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(replies) != len(inputs) {
		t.Fatalf("%d replies", len(replies))
	}
	for i, reply := range replies {
		u.compare(t, m, m.Circuit, reply, m.Rows[i%3])
	}

	// Another process of the same user.
	stored, err := u.SecretKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := fetched.SetSecretKey(stored); err != nil {
		t.Fatal(err)
	}
	user{FHEModelClient: fetched}.ask(t, c, m, uid, m.Rows[4])
}

func TestManyUsersAtOnce(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{})
	var group sync.WaitGroup
	for range 3 {
		u := newUser(t, dir)
		uid := u.upload(t, c, client.Upload{})
		for i := range 4 {
			group.Go(func() {
				for k := range 2 {
					row := m.Rows[i*2+k]
					question, err := u.QuantizeEncryptSerialize(row)
					if err != nil {
						t.Error(err)
						return
					}
					reply, err := c.Infer(t.Context(), uid, question)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := u.DeserializeDecryptDequantize(reply)
					if err != nil {
						t.Error(err)
						return
					}
					clear, err := u.Clear(m.Circuit, row)
					if err != nil {
						t.Error(err)
						return
					}
					check(t, m, got, clear)
				}
			})
		}
	}
	group.Wait()
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// isPiece reports whether a request is append_key, and replaces the body that it reads for that.
func isPiece(r *http.Request) bool {
	head := make([]byte, 64)
	n, _ := io.ReadFull(r.Body, head)
	rest := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head[:n]), rest), rest}
	return bytes.Contains(head[:n], []byte("append_key"))
}

// cutReader fails after some bytes.
type cutReader struct {
	io.Reader
	left int
}

var errCut = errors.New("cable cut")

func (r *cutReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, errCut
	}
	n, err := r.Reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

func TestCutPiecesAreSentAgain(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	u := newUser(t, dir)
	var pieces atomic.Int32
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if !isPiece(r) {
			return http.DefaultTransport.RoundTrip(r)
		}
		switch pieces.Add(1) {
		case 1: // cut on the way there
			r.Body = struct {
				io.Reader
				io.Closer
			}{&cutReader{r.Body, pieceBytes / 2}, r.Body}
		case 2: // cut on the way back
			reply, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			reply.Body.Close()
			return nil, errCut
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	var sent int64
	uid := u.upload(t, c, client.Upload{Progress: func(n int64) { sent = n }})
	if sent != int64(len(u.keys)) {
		t.Errorf("progress ended at %d of %d", sent, len(u.keys))
	}
	u.ask(t, c, m, uid, m.Rows[0])
}

func TestUploadGoesOnAfterACut(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	u := newUser(t, dir)
	e := start(t, dir, t.TempDir())
	ctx, cut := context.WithCancelCause(t.Context())
	var pieces atomic.Int32
	var stored sync.WaitGroup
	stored.Add(2)
	broken := dial(t, e.url, "", client.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if isPiece(r) {
			if pieces.Add(1) > 2 {
				stored.Wait() // what is under way at the cut may arrive later
				cut(errCut)
				return nil, errCut
			}
			defer stored.Done()
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	uid, err := broken.Upload(ctx, u.KeySet(), bytes.NewReader(u.keys), client.Upload{})
	if !errors.Is(err, errCut) || uid == "" {
		t.Fatalf("uid %q, %v", uid, err)
	}
	c := dial(t, e.url, "", client.Options{})
	if _, err := c.Infer(t.Context(), uid, u.encrypt(t, m.Rows[0])); client.CodeOf(err) != client.IncompleteKey {
		t.Errorf("inference with half a key: %v", err)
	}
	state, err := c.KeyStatus(t.Context(), uid)
	if err != nil || state.Sealed || len(state.Missing) == 0 {
		t.Fatalf("state %+v, %v", state, err)
	}
	before, _ := c.Traffic()
	first := int64(-1)
	again := u.upload(t, c, client.Upload{UID: uid, Progress: func(n int64) {
		if first < 0 {
			first = n
		}
	}})
	after, _ := c.Traffic()
	if again != uid || first != state.Received {
		t.Errorf("went on with another uid (%t) or from %d instead of %d", again != uid, first, state.Received)
	}
	if sent := after - before; sent > int64(len(u.keys))-state.Received+4096 {
		t.Errorf("sent %d bytes, %d were missing", sent, int64(len(u.keys))-state.Received)
	}
	u.ask(t, c, m, uid, m.Rows[0])
	if u.upload(t, c, client.Upload{UID: uid}) != uid { // nothing left to do
		t.Error("a sealed key got another uid")
	}
	other := newUser(t, dir)
	_, err = c.Upload(t.Context(), other.KeySet(), bytes.NewReader(other.keys), client.Upload{UID: uid})
	if client.CodeOf(err) != client.Conflict {
		t.Errorf("going on with other keys: %v", err)
	}
}

func TestSeveralPiecesInFlight(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	u := newUser(t, dir)
	var flying, most atomic.Int32
	two := make(chan struct{})
	var once sync.Once
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if isPiece(r) {
			now := flying.Add(1)
			defer flying.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			if now > 1 {
				once.Do(func() { close(two) })
			}
			select {
			case <-two:
			case <-time.After(time.Minute):
				t.Error("one piece at a time")
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	u.upload(t, c, client.Upload{})
	if n := most.Load(); n < 2 || n > 4 {
		t.Errorf("up to %d pieces at a time", n)
	}
}

// TestPiecesShrink has a proxy that takes no more than 100,000 bytes.
func TestPiecesShrink(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	u := newUser(t, dir)
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{PieceBytes: 4 << 20, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.ContentLength > 100_000 {
			r.Body.Close()
			return &http.Response{StatusCode: http.StatusRequestEntityTooLarge, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	var sent int64
	uid := u.upload(t, c, client.Upload{Progress: func(n int64) { sent = n }})
	if sent != int64(len(u.keys)) {
		t.Errorf("progress ended at %d of %d", sent, len(u.keys))
	}
	u.ask(t, c, m, uid, m.Rows[0])
}

func TestWrongToken(t *testing.T) {
	e := start(t, testmodel.Small(t).Save(t), t.TempDir(), "right-token-of-16-characters")
	for token, want := range map[string]client.Code{"right-token-of-16-characters": "", "wrong-token-of-16-characters": client.Unauthorized, "": client.Unauthorized} {
		_, err := dial(t, e.url, token, client.Options{}).Describe(t.Context())
		if client.CodeOf(err) != want || (err == nil) != (want == "") {
			t.Errorf("token %q: %v", token, err)
		}
		if err != nil && token != "" && strings.Contains(err.Error(), token) {
			t.Error("the error shows the token")
		}
	}
}

func TestForeignModel(t *testing.T) {
	m := testmodel.Small(t)
	dir, foreignDir := m.Save(t), testmodel.Foreign(t).Save(t)
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{})
	u, stranger := newUser(t, dir), newUser(t, foreignDir)
	if uid, err := c.Upload(t.Context(), stranger.KeySet(), bytes.NewReader(stranger.keys), client.Upload{}); client.CodeOf(err) != client.WrongKeySet || uid != "" {
		t.Errorf("foreign keys: %v", err)
	}
	uid := u.upload(t, c, client.Upload{})
	if _, err := c.Infer(t.Context(), uid, stranger.encrypt(t, testmodel.Foreign(t).Rows[0])); client.CodeOf(err) != client.InvalidInput {
		t.Errorf("foreign input: %v", err)
	}
	reply, err := c.Infer(t.Context(), uid, u.encrypt(t, m.Rows[0]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.DeserializeDecryptDequantize(reply); !errors.Is(err, fhe.ErrForeign) && !errors.Is(err, fhe.ErrFormat) {
		t.Errorf("foreign reply: %v", err)
	}
	for n := range len(reply) {
		if n%37 != 0 {
			continue
		}
		if _, err := u.DeserializeDecryptDequantize(reply[:n]); !errors.Is(err, fhe.ErrFormat) {
			t.Fatalf("reply cut to %d bytes: %v", n, err)
		}
	}
}

func TestDeletedKey(t *testing.T) {
	m := testmodel.Small(t)
	dir := m.Save(t)
	c := dial(t, start(t, dir, t.TempDir()).url, "", client.Options{})
	u := newUser(t, dir)
	uid := u.upload(t, c, client.Upload{})
	for range 2 {
		if err := c.DeleteKey(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
	}
	_, infer := c.Infer(t.Context(), uid, u.encrypt(t, m.Rows[0]))
	_, status := c.KeyStatus(t.Context(), uid)
	_, resume := c.Upload(t.Context(), u.KeySet(), bytes.NewReader(u.keys), client.Upload{UID: uid})
	for name, err := range map[string]error{"infer": infer, "status": status, "resume": resume} {
		if client.CodeOf(err) != client.UnknownKey || strings.Contains(err.Error(), uid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	m := testmodel.Small(t)
	dir, keys := m.Save(t), t.TempDir()
	u := newUser(t, dir)
	first := start(t, dir, keys)
	uid := u.upload(t, dial(t, first.url, "", client.Options{}), client.Upload{})
	first.stop()
	u.ask(t, dial(t, start(t, dir, keys).url, "", client.Options{}), m, uid, m.Rows[0])
}

func TestWithoutKeys(t *testing.T) {
	m, err := client.Load(testmodel.Small(t).Save(t))
	if err != nil {
		t.Fatal(err)
	}
	_, evaluation := m.EvaluationKeys(t.Context(), nil)
	_, encrypt := m.QuantizeEncryptSerialize(testmodel.Small(t).Rows[0])
	_, decrypt := m.DeserializeDecryptDequantize(nil)
	_, key := m.SecretKey()
	for name, err := range map[string]error{"evaluation keys": evaluation, "encrypt": encrypt, "decrypt": decrypt, "secret key": key} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := m.SetSecretKey([]byte("cpskey")); err == nil {
		t.Error("six bytes are a secret key")
	}
	if err := m.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.QuantizeEncryptSerialize(make([]float64, 5)); err == nil {
		t.Error("a row of 5 features is accepted")
	}
	if _, err := m.QuantizeEncryptSerialize([]float64{0, 0, math.NaN(), 0, 0, 0}); err == nil {
		t.Error("NaN is accepted")
	}
	if _, err := client.Load(t.TempDir()); err == nil {
		t.Error("an empty folder is a model")
	}
}
