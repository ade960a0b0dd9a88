package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"cipherpoint/handler"
	"cipherpoint/handler/handlertest"
	"cipherpoint/keystore/open"
)

// endpoint is a running server with a stand-in for the model and a key store of its own.
type endpoint struct {
	*Server
	t     testing.TB
	model *handlertest.Model
	dir   string // of the key store
	log   *lockedBuffer
	stop  context.CancelFunc
	ended chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// patience is for what takes a moment, on a machine that may be busy with other things.
const patience = time.Minute

// eventually waits for what is about to happen.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not after %v: %s", patience, what)
		}
	}
}

// start runs a server until the test ends, ready unless its model is delayed.
func start(t testing.TB, change func(*Config), load ...func() error) *endpoint {
	t.Helper()
	e := &endpoint{t: t, model: handlertest.New(1, 1), dir: t.TempDir(), log: &lockedBuffer{}, ended: make(chan error, 1)}
	c := Defaults()
	c.Listen, c.Keystore, c.LogLevel = "127.0.0.1:0", "file://"+e.dir, slog.LevelDebug
	if change != nil {
		change(&c)
	}
	s, err := newServer(c, c.Logger(e.log), parts{
		store: open.URL,
		model: func(string, int) (handler.Model, error) {
			for _, f := range load {
				if err := f(); err != nil {
					return nil, err
				}
			}
			return e.model, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Server = s
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	go func() { e.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-e.ended; err != nil && len(load) == 0 {
			t.Errorf("run: %v", err)
		}
		e.ended <- nil // for tests that have waited themselves
	})
	if len(load) == 0 {
		select {
		case <-s.Ready():
		case <-time.After(patience):
			t.Fatalf("not ready: %s", e.log)
		}
	}
	return e
}

// reply is what came back.
type reply struct {
	*http.Response
	body []byte
}

func (e *endpoint) do(r *http.Request) reply {
	e.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return reply{response, body}
}

func (e *endpoint) request(method, path, body string, header ...string) *http.Request {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.URL()+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func (e *endpoint) get(path string) reply { return e.do(e.request("GET", path, "")) }

// post sends fields as msgpack or, in their JSON forms, as JSON.
func (e *endpoint) post(f *form, fields map[string]any, header ...string) reply {
	e.t.Helper()
	return e.do(e.request("POST", "/", encoded(e.t, f, fields), append([]string{"Content-Type", f.name}, header...)...))
}

func encoded(t testing.TB, f *form, fields map[string]any) string {
	t.Helper()
	encode := json.Marshal
	if f == formMsgpack {
		encode = msgpack.Marshal
	}
	body, err := encode(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// decodeInto decodes a good reply.
func (e *endpoint) decodeInto(r reply, v any) {
	e.t.Helper()
	if r.StatusCode != http.StatusOK {
		e.t.Fatalf("status %d: %s", r.StatusCode, r.body)
	}
	var err error
	if r.Header.Get("Content-Type") == formMsgpack.name {
		d := msgpack.NewDecoder(bytes.NewReader(r.body))
		d.SetCustomStructTag("json")
		err = d.Decode(v)
	} else {
		err = json.Unmarshal(r.body, v)
	}
	if err != nil {
		e.t.Fatalf("%v: %q", err, r.body)
	}
}

func (e *endpoint) upload(key []byte) string {
	e.t.Helper()
	var state handler.KeyState
	e.decodeInto(e.post(formMsgpack, map[string]any{"method": "save_key", "evaluation_keys": key}), &state)
	if !state.Sealed {
		e.t.Fatalf("state %+v", state)
	}
	return state.UID
}

// failure is the body of an error.
type failureBody struct{ Error, Code, ID string }

func (e *endpoint) failure(r reply) failureBody {
	e.t.Helper()
	var f failureBody
	var err error
	if r.Header.Get("Content-Type") == formMsgpack.name {
		d := msgpack.NewDecoder(bytes.NewReader(r.body))
		d.SetCustomStructTag("json")
		var m map[string]string
		err = d.Decode(&m)
		f = failureBody{m["error"], m["code"], m["id"]}
	} else {
		err = json.Unmarshal(r.body, &f)
	}
	if err != nil {
		e.t.Fatalf("%v: %q", err, r.body)
	}
	return f
}

func (e *endpoint) fails(r reply, code handler.Code) failureBody {
	e.t.Helper()
	f := e.failure(r)
	if f.Code != string(code) || r.StatusCode != code.Status() || f.Error == "" {
		e.t.Fatalf("status %d, %+v: want code %s", r.StatusCode, f, code)
	}
	if wait := r.Header.Get("Retry-After") != ""; wait != (code.RetryAfter() > 0) {
		e.t.Errorf("%s: Retry-After %q", code, r.Header.Get("Retry-After"))
	}
	return f
}

// snapshot is the content of the key store.
func (e *endpoint) snapshot() string {
	e.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == "locks" {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s\n%x\n", path, content)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return all.String()
}

func object(content []byte) map[string]any {
	list := make([]int, len(content))
	for i, b := range content {
		list[i] = int(b)
	}
	return map[string]any{"__class__": "bytes", "__value__": list}
}

// TestForms asks in each form and for each form, for one and for several.
func TestForms(t *testing.T) {
	e := start(t, nil)
	key := e.model.NewKey("ann")
	uid := e.upload(key)
	one, two := e.model.NewInput("one"), e.model.NewInput("two")
	answer := e.model.Output(key, one)
	base64Of := base64.StdEncoding.EncodeToString
	asObject := func(b []byte) string {
		numbers := strings.Join(strings.Fields(strings.Trim(fmt.Sprintf("%d", b), "[]")), ",")
		return `{"__class__":"bytes","__value__":[` + numbers + `]}`
	}
	for _, tt := range []struct {
		name      string
		form      *form
		input     any
		inputs    any
		asksFor   string
		wantForm  *form
		wantOne   string
		wantTwo   string
		errorForm *form
	}{
		{"msgpack", formMsgpack, one, [][]byte{one, two}, "", formMsgpack, "", "", formMsgpack},
		{"msgpack for JSON", formMsgpack, one, [][]byte{one, two}, "application/json", formJSON,
			`"` + base64Of(answer) + `"`, "", formJSON},
		{"base64", formJSON, one, [][]byte{one, two}, "", formJSON,
			`"` + base64Of(answer) + `"`, `["` + base64Of(answer) + `","` + base64Of(e.model.Output(key, two)) + `"]`, formJSON},
		{"base64 for anything", formJSON, one, [][]byte{one, two}, "*/*", formJSON, `"` + base64Of(answer) + `"`, "", formJSON},
		{"base64 for msgpack", formJSON, one, [][]byte{one, two}, "application/msgpack", formMsgpack, "", "", formMsgpack},
		{"object", formJSON, object(one), []any{object(one), object(two)}, "application/json", formJSON,
			asObject(answer), "[" + asObject(answer) + "," + asObject(e.model.Output(key, two)) + "]", formJSON},
		{"object for msgpack", formJSON, object(one), []any{object(one), object(two)}, "application/msgpack", formMsgpack, "", "", formMsgpack},
		{"mixed", formJSON, one, []any{object(one), two}, "", formJSON,
			`"` + base64Of(answer) + `"`, `["` + base64Of(answer) + `","` + base64Of(e.model.Output(key, two)) + `"]`, formJSON},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.t = t
			var header []string
			if tt.asksFor != "" {
				header = []string{"Accept", tt.asksFor}
			}
			ask := func(inputs any) reply {
				r := e.post(tt.form, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": inputs, "inputs": "fake"}, header...)
				if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || got != tt.wantForm.name {
					t.Fatalf("status %d, type %s: %s", r.StatusCode, got, r.body)
				}
				return r
			}
			single, several := ask(tt.input), ask(tt.inputs)
			if tt.wantOne != "" && string(single.body) != tt.wantOne {
				t.Errorf("one: %s\nwant %s", single.body, tt.wantOne)
			}
			if tt.wantTwo != "" && string(several.body) != tt.wantTwo {
				t.Errorf("two: %s\nwant %s", several.body, tt.wantTwo)
			}
			if tt.wantForm == formMsgpack {
				var got []byte
				var list [][]byte
				e.decodeInto(single, &got)
				e.decodeInto(several, &list)
				if !bytes.Equal(got, answer) || len(list) != 2 || !bytes.Equal(list[0], answer) ||
					!bytes.Equal(list[1], e.model.Output(key, two)) {
					t.Errorf("got %x and %x", got, list)
				}
			}
			// A list of one is answered by a list of one.
			if list := ask([]any{tt.input}); tt.wantForm == formJSON && list.body[0] != '[' {
				t.Errorf("a list of one is answered by %s", list.body)
			}
			bad := e.post(tt.form, map[string]any{"method": "nothing"}, header...)
			e.fails(bad, handler.UnknownMethod)
			if got := bad.Header.Get("Content-Type"); got != tt.errorForm.name {
				t.Errorf("error comes as %s", got)
			}
		})
	}
}

// TestMethods goes through the life of a key in both forms.
func TestMethods(t *testing.T) {
	e := start(t, nil)
	key := e.model.NewKey("ann")
	sum := sha256.Sum256(key)
	for _, f := range []*form{formMsgpack, formJSON} {
		piece := func(b []byte) any {
			if f == formJSON && b[0] == key[0] {
				return object(b)
			}
			return b
		}
		var d handler.Description
		e.decodeInto(e.post(f, map[string]any{"method": "describe"}), &d)
		if string(d.ClientZip) != string(e.model.ClientZip()) || d.KeyBytes != 3000 || d.Model.Name != "stand-in" {
			t.Errorf("description %+v", d)
		}
		var s handler.KeyState
		e.decodeInto(e.post(f, map[string]any{
			"method": "save_key", "size": len(key), "sha256": hex.EncodeToString(sum[:]), "key_set": d.KeySet,
			"evaluation_keys": piece(key[:1000]),
		}), &s)
		if s.Sealed || s.Received != 1000 || fmt.Sprint(s.Missing) != "[[1000 3000]]" {
			t.Errorf("state %+v", s)
		}
		uid := s.UID
		e.decodeInto(e.post(f, map[string]any{"method": "append_key", "uid": uid, "offset": 2000, "evaluation_keys": piece(key[2000:])}), &s)
		e.decodeInto(e.post(f, map[string]any{"method": "key_status", "uid": uid}), &s)
		if s.Sealed || s.Received != 2000 || fmt.Sprint(s.Missing) != "[[1000 2000]]" {
			t.Errorf("state %+v", s)
		}
		e.decodeInto(e.post(f, map[string]any{"method": "append_key", "uid": uid, "offset": 1000, "evaluation_keys": piece(key[1000:2000])}), &s)
		if !s.Sealed || s.UID != uid || len(s.Missing) != 0 {
			t.Errorf("state %+v", s)
		}
		var deleted struct {
			Deleted bool `json:"deleted"`
		}
		e.decodeInto(e.post(f, map[string]any{"method": "delete_key", "uid": uid}), &deleted)
		if !deleted.Deleted {
			t.Error("not deleted")
		}
		e.fails(e.post(f, map[string]any{"method": "key_status", "uid": uid}), handler.UnknownKey)
		if strings.Contains(e.log.String(), uid) {
			t.Error("a uid is in the log")
		}
	}
}

func TestRoutes(t *testing.T) {
	e := start(t, nil)
	uid := e.upload(e.model.NewKey("ann"))
	e.post(formMsgpack, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": e.model.NewInput("x")})
	e.post(formMsgpack, map[string]any{"method": "strange" + uid})

	var d handler.Description
	e.decodeInto(e.get("/"), &d)
	if d.ClientZip != nil || d.RequestBytes != 100 || d.Protocol != 1 {
		t.Errorf("description %+v", d)
	}
	health := e.get("/health")
	if health.StatusCode != 200 || string(health.body) != `{"status":"ok"}` {
		t.Errorf("health: %d %s", health.StatusCode, health.body)
	}
	if head := e.do(e.request("HEAD", "/health", "")); head.StatusCode != 200 || len(head.body) != 0 {
		t.Errorf("HEAD /health: %d %s", head.StatusCode, head.body)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := health.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if len(health.Header.Get("X-Request-Id")) != 16 {
		t.Errorf("X-Request-Id: %q", health.Header.Get("X-Request-Id"))
	}
	metrics := string(e.get("/metrics").body)
	for _, want := range []string{
		`cipherpoint_requests_total{code="ok",method="save_key"} 1`,
		`cipherpoint_requests_total{code="ok",method="inference"} 1`,
		`cipherpoint_requests_total{code="unknown_method",method="other"} 1`,
		`cipherpoint_request_duration_seconds_count{method="inference"} 1`,
		"cipherpoint_inference_duration_seconds_count 1", "cipherpoint_key_load_duration_seconds_count 1",
		"cipherpoint_queue_length 0", "cipherpoint_running 0", "cipherpoint_key_cache_keys 1", "cipherpoint_key_cache_bytes 1000",
		"cipherpoint_key_cache_hits_total 1", "cipherpoint_key_cache_misses_total 0", "cipherpoint_model_loaded 1",
		"cipherpoint_body_memory_bytes 0", "process_resident_memory_bytes", "go_goroutines",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, uid) {
		t.Error("a uid is in the metrics")
	}
	e.fails(e.get("/favicon.ico"), handler.NoSuchRoute)
	e.fails(e.get("/predict"), handler.MethodNotAllowed)
	e.fails(e.do(e.request("PUT", "/", "")), handler.MethodNotAllowed)
	if r := e.do(e.request("POST", "/predict", `{"method":"describe"}`, "Content-Type", "application/json; charset=utf-8")); r.StatusCode != 200 {
		t.Errorf("/predict: %d %s", r.StatusCode, r.body)
	}
}

func TestBearerTokens(t *testing.T) {
	const token = "0123456789abcdef"
	e := start(t, func(c *Config) { c.Tokens = []string{token, "another one, 16+"} })
	for _, r := range []*http.Request{e.request("GET", "/", ""), e.request("GET", "/metrics", ""), e.request("POST", "/", "{}"), e.request("POST", "/predict", "{}")} {
		got := e.do(r)
		e.fails(got, handler.Unauthorized)
		if got.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Error("no WWW-Authenticate")
		}
	}
	if r := e.get("/health"); r.StatusCode != 200 {
		t.Errorf("/health: %d", r.StatusCode)
	}
	if r := e.do(e.request("GET", "/", "", "Authorization", "Bearer "+token)); r.StatusCode != 200 {
		t.Errorf("with a token: %d", r.StatusCode)
	}
	if strings.Contains(e.log.String(), token) {
		t.Error("a token is in the log")
	}
}

// TestLimitsOfATokenAreItsOwn: one token's requests and keys leave another's alone.
func TestLimitsOfATokenAreItsOwn(t *testing.T) {
	const one, two = "0123456789abcdef", "fedcba9876543210"
	e := start(t, func(c *Config) {
		c.Tokens, c.KeysPerToken, c.RequestsPerSecond = []string{one, two}, 1, 0.5
	})
	save := map[string]any{"method": "save_key", "evaluation_keys": e.model.NewKey("ann")}
	as := func(token string) reply { return e.post(formMsgpack, save, "Authorization", "Bearer "+token) }
	if r := as(one); r.StatusCode != 200 {
		t.Fatalf("first key: %d %s", r.StatusCode, r.body)
	}
	before := e.snapshot()
	e.fails(as(one), handler.TooManyKeys)
	if e.snapshot() != before {
		t.Error("a refused key has left something behind")
	}
	if r := as(two); r.StatusCode != 200 {
		t.Errorf("another's key: %d %s", r.StatusCode, r.body)
	}
	// Bursts of five seconds' worth: three requests at half a request a second.
	e.fails(as(one), handler.TooManyKeys)
	limited := as(one)
	for tries := 0; tries < 20 && e.failure(limited).Code == string(handler.TooManyKeys); tries++ {
		limited = as(one) // a machine that stalled for two seconds had let one more in
	}
	e.fails(limited, handler.RateLimited)
	if wait, err := strconv.Atoi(limited.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 2 {
		t.Errorf("Retry-After %q: want 1 or 2 seconds", limited.Header.Get("Retry-After"))
	}
	e.fails(as(two), handler.TooManyKeys)
	if strings.Contains(e.snapshot(), one) {
		t.Error("the store holds a token")
	}
}

// TestLoading: the port answers from the start, with 503 until the model is there.
func TestLoading(t *testing.T) {
	loaded := make(chan struct{})
	e := start(t, nil, func() error { <-loaded; return nil })
	e.fails(e.get("/health"), handler.NotReady)
	e.fails(e.get("/"), handler.NotReady)
	e.fails(e.post(formJSON, map[string]any{"method": "describe"}), handler.NotReady)
	if !strings.Contains(string(e.get("/metrics").body), "cipherpoint_model_loaded 0") {
		t.Error("metrics while loading")
	}
	close(loaded)
	<-e.Ready()
	if r := e.get("/health"); r.StatusCode != 200 {
		t.Errorf("/health: %d %s", r.StatusCode, r.body)
	}
	if err := CheckHealth(t.Context(), e.URL()+"/health"); err != nil {
		t.Error(err)
	}
}

// TestNothingToServe: Run ends with the reason.
func TestNothingToServe(t *testing.T) {
	e := start(t, nil, func() error { return errors.New("digest differs") })
	err := <-e.ended
	e.ended <- nil
	if err == nil || err.Error() != "model: digest differs" {
		t.Errorf("error %v", err)
	}
	if err := CheckHealth(t.Context(), e.URL()+"/health"); err == nil {
		t.Error("still listening")
	}

	c := Defaults()
	c.Listen, c.Keystore = "127.0.0.1:0", "ftp://somewhere"
	s, err := newServer(c, slog.New(slog.DiscardHandler), parts{store: open.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "keystore: ") {
		t.Errorf("error %v", err)
	}
	if _, err := New(Config{}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an empty configuration is accepted")
	}

	large := start(t, func(c *Config) { c.MaxKeyMB = 1 }, func() error { return nil })
	<-large.Ready() // 3000 bytes fit
	e = &endpoint{t: t, model: handlertest.New(1, 1)}
	e.model.Key = 2 << 20
	c.Keystore, c.MaxKeyMB = "file://"+t.TempDir(), 1
	s, err = newServer(c, slog.New(slog.DiscardHandler), parts{store: open.URL, model: func(string, int) (handler.Model, error) { return e.model, nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "max-key-mb") {
		t.Errorf("error %v", err)
	}
}

// TestInternalErrorsHaveAnID: the user gets an id, the operator finds the cause by it.
func TestInternalErrorsHaveAnID(t *testing.T) {
	e := start(t, nil)
	uid := e.upload(e.model.NewKey("ann"))
	e.model.OnInfer = func(context.Context) error { panic("the cause") }
	for _, f := range []*form{formJSON, formMsgpack} {
		r := e.post(f, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": e.model.NewInput("x")})
		failure := e.fails(r, handler.Internal)
		if failure.ID == "" || failure.ID != r.Header.Get("X-Request-Id") || strings.Contains(string(r.body), "cause") {
			t.Errorf("body %s, X-Request-Id %s", r.body, r.Header.Get("X-Request-Id"))
		}
		if !strings.Contains(e.log.String(), "id="+failure.ID) || !strings.Contains(e.log.String(), "the cause") {
			t.Error("the cause is not in the log")
		}
	}
	if strings.Contains(e.log.String(), uid) {
		t.Error("a uid is in the log")
	}
}
