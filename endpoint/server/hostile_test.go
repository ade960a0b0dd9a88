package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"cipherpoint/handler"
	"cipherpoint/handler/handlertest"
	"cipherpoint/internal/redistest"
)

// TestBadRequests: each with the right status, a short true message, and nothing stored changed.
func TestBadRequests(t *testing.T) {
	e := start(t, nil)
	key := e.model.NewKey("ann")
	uid := e.upload(key)
	const unknown = "6f1b3f0e-53b1-4c3a-9d0a-8a3d3a5b7c11"
	pack := func(v any) string {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	fields := func(more ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	infer := func(uid string, input any) string {
		return pack(fields("method", "inference", "uid", uid, "encrypted_inputs", input))
	}
	foreign := handlertest.New(2, 2)
	const js, mp = "application/json", "application/msgpack"

	for _, tt := range []struct {
		name, kind, body string
		code             handler.Code
		message          string
	}{
		{"no content type", "", "{}", handler.UnsupportedMediaType, "send application/json or application/msgpack"},
		{"form", "application/x-www-form-urlencoded", "method=describe", handler.UnsupportedMediaType, "send"},
		{"text", "text/plain", "{}", handler.UnsupportedMediaType, "send"},
		{"broken content type", "application/json; charset", "{}", handler.UnsupportedMediaType, "send"},

		{"empty JSON", js, "", handler.BadRequest, "invalid JSON at byte 0"},
		{"truncated JSON", js, `{"method": "descr`, handler.BadRequest, "invalid JSON at byte 17"},
		{"two objects", js, `{"method": "describe"} {}`, handler.BadRequest, "invalid JSON at byte 24"},
		{"array", js, `[]`, handler.BadRequest, "must be one JSON object"},
		{"null", js, `null`, handler.MissingField, "method"},
		{"deep JSON", js, strings.Repeat("[", 20000), handler.BadRequest, "the request is malformed"},
		{"method of a wrong type", js, `{"method": 1}`, handler.BadRequest, "field method has the wrong type"},
		{"uid of a wrong type", js, `{"method": "key_status", "uid": 3307376977}`, handler.BadRequest, "field uid has the wrong type"},
		{"size of a wrong type", js, `{"method": "save_key", "size": 1.5}`, handler.BadRequest, "field size has the wrong type"},
		{"size out of range", js, `{"method": "save_key", "size": 1e30}`, handler.BadRequest, "field size has the wrong type"},
		{"bytes as a number", js, `{"method": "save_key", "evaluation_keys": 1}`, handler.BadRequest, "bytes are base64"},
		{"bytes as a list", js, `{"method": "save_key", "evaluation_keys": [1,2]}`, handler.BadRequest, "bytes are base64"},
		{"base64 without padding", js, `{"method": "save_key", "evaluation_keys": "AAA"}`, handler.BadRequest, "bytes are base64"},
		{"object of another class", js, `{"method": "save_key", "evaluation_keys": {"__class__": "str", "__value__": []}}`, handler.BadRequest, "bytes are base64"},
		{"object with 256", js, `{"method": "save_key", "evaluation_keys": {"__class__": "bytes", "__value__": [256]}}`, handler.BadRequest, "bytes are base64"},
		{"object with -1", js, `{"method": "save_key", "evaluation_keys": {"__class__": "bytes", "__value__": [-1]}}`, handler.BadRequest, "bytes are base64"},
		{"object with 1.0", js, `{"method": "save_key", "evaluation_keys": {"__class__": "bytes", "__value__": [1.0]}}`, handler.BadRequest, "bytes are base64"},
		{"object with a list", js, `{"method": "save_key", "evaluation_keys": {"__class__": "bytes", "__value__": [[1]]}}`, handler.BadRequest, "bytes are base64"},

		{"empty msgpack", mp, "", handler.BadRequest, "must be one msgpack map"},
		{"msgpack array", mp, pack([]int{1}), handler.BadRequest, "must be one msgpack map"},
		{"msgpack nil", mp, "\xc0", handler.BadRequest, "must be one msgpack map"},
		{"truncated msgpack", mp, infer(uid, make([]byte, 100))[:60], handler.BadRequest, ""},
		{"bytes after msgpack", mp, pack(fields("method", "describe")) + "\x00", handler.BadRequest, "1 bytes after the object"},
		{"msgpack keys are numbers", mp, pack(map[int]int{1: 2}), handler.BadRequest, "invalid msgpack before byte"},
		{"msgpack promises much", mp, "\xdf\xff\xff\xff\xff", handler.BadRequest, "invalid msgpack before byte 5"},
		{"msgpack bytes promise much", mp, "\x81\xa6method\xc6\xff\xff\xff\xff", handler.BadRequest, "field method is truncated"},
		{"msgpack list promises much", mp, "\x81\xb0encrypted_inputs\xdd\xff\xff\xff\xff", handler.BadRequest, "field encrypted_inputs is truncated"},
		{"deep msgpack", mp, "\x81\xa1x" + strings.Repeat("\x91", 60000), handler.BadRequest, "invalid msgpack before byte"},
		{"msgpack uid of a wrong type", mp, pack(fields("method", "key_status", "uid", 1)), handler.BadRequest, "field uid"},
		{"msgpack size of a wrong type", mp, pack(fields("method", "save_key", "size", "1")), handler.BadRequest, "field size"},

		{"no method", js, `{}`, handler.MissingField, "a field is missing: method"},
		{"unknown method", js, `{"method": "list_keys"}`, handler.UnknownMethod, "want one of save_key"},
		{"save_key without anything", js, `{"method": "save_key"}`, handler.MissingField, "size and sha256"},
		{"append_key without uid", js, `{"method": "append_key"}`, handler.MissingField, "uid"},
		{"inference without uid", js, `{"method": "inference", "encrypted_inputs": "AAAA"}`, handler.MissingField, "uid"},
		{"inference without inputs", mp, pack(fields("method", "inference", "uid", uid)), handler.MissingField, "encrypted_inputs"},
		{"inference with null", js, `{"method": "inference", "uid": "x", "encrypted_inputs": null}`, handler.MissingField, "encrypted_inputs"},
		{"inference with a list of null", js, `{"method": "inference", "uid": "x", "encrypted_inputs": [null]}`, handler.InvalidInput, "input 0 has 0 bytes"},
		{"too many inputs", js, `{"method": "inference", "uid": "x", "encrypted_inputs": [` + strings.Repeat(`"",`, 99) + `""]}`, handler.TooLarge, "at most 64"},
		{"too many inputs in msgpack", mp, infer(uid, make([][]byte, 100)), handler.TooLarge, "at most 64"},

		{"unknown uid", mp, infer(unknown, e.model.NewInput("x")), handler.UnknownKey, "there is no key with this uid"},
		{"a uid that is a path", mp, infer("../../keys/"+uid, e.model.NewInput("x")), handler.UnknownKey, "there is no key with this uid"},
		{"truncated key", mp, pack(fields("method", "save_key", "evaluation_keys", key[:2000])), handler.InvalidKey, "2000 bytes, announced or sent: want 3000"},
		{"foreign key", mp, pack(fields("method", "save_key", "evaluation_keys", foreign.NewKey("bob"))), handler.InvalidKey, "not made for this model"},
		{"key with another digest", mp, pack(fields("method", "save_key", "size", 3000, "sha256", strings.Repeat("ab", 32), "evaluation_keys", key)), handler.WrongDigest, "announced sha256"},
		{"other key set", mp, pack(fields("method", "save_key", "key_set", "02", "evaluation_keys", key)), handler.WrongKeySet, "another set of parameters"},
		{"piece with a gap beyond the end", mp, pack(fields("method", "append_key", "uid", uid, "offset", 3000, "evaluation_keys", "x")), handler.InvalidPiece, "beyond the announced size"},
		{"piece of other bytes", mp, pack(fields("method", "append_key", "uid", uid, "offset", 1000, "evaluation_keys", "xx")), handler.Conflict, "differs from what is stored"},
		{"offset over all ranges", mp, pack(fields("method", "append_key", "uid", uid, "offset", uint64(1<<64-1), "evaluation_keys", "x")), handler.InvalidPiece, "the piece"},
		{"truncated input", mp, infer(uid, e.model.NewInput("x")[:99]), handler.InvalidInput, "input 0 has 99 bytes: want 100"},
		{"foreign input", mp, infer(uid, foreign.NewInput("x")), handler.InvalidInput, "input of another model"},
		{"input of another model", mp, infer(uid, handlertest.New(1, 9).NewInput("x")), handler.InvalidInput, "input of another model"},

		{"oversized msgpack", mp, strings.Repeat("\x00", 4<<20+64<<10+1), handler.TooLarge, "at most 4259840 bytes"},
		{"oversized JSON", js, strings.Repeat(" ", 20<<20+64<<10+1), handler.TooLarge, "at most 21037056 bytes"},
		{"oversized piece", mp, pack(fields("method", "append_key", "uid", uid, "offset", 0, "evaluation_keys", make([]byte, 4<<20+1))), handler.TooLarge, "at most 4194304 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.t = t
			before := e.snapshot()
			header := []string{"Content-Type", tt.kind}
			if tt.kind == "" {
				header = nil
			}
			failure := e.fails(e.do(e.request("POST", "/", tt.body, header...)), tt.code)
			if !strings.Contains(failure.Error, tt.message) || len(failure.Error) > 200 {
				t.Errorf("message %q: want %q", failure.Error, tt.message)
			}
			for _, secret := range []string{uid, unknown, e.dir} {
				if strings.Contains(failure.Error, secret) {
					t.Errorf("message %q holds what it must not", failure.Error)
				}
			}
			if e.snapshot() != before {
				t.Error("the store has changed")
			}
		})
	}
	t.Run("not acceptable", func(t *testing.T) {
		e.fails(e.post(formJSON, map[string]any{"method": "describe"}, "Accept", "text/html"), handler.NotAcceptable)
		e.fails(e.post(formJSON, map[string]any{"method": "describe"}, "Accept", "application/json;q=0"), handler.NotAcceptable)
	})
	t.Run("compressed", func(t *testing.T) {
		e.fails(e.post(formJSON, map[string]any{"method": "describe"}, "Content-Encoding", "gzip"), handler.UnsupportedMediaType)
	})
	var state handler.KeyState
	e.decodeInto(e.post(formMsgpack, map[string]any{"method": "key_status", "uid": uid}), &state)
	if !state.Sealed {
		t.Error("the key is gone")
	}
	if used := e.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes of body memory are still taken", used)
	}
}

// TestOversizedWithoutLength: a body that does not say its length is cut off as well.
func TestOversizedWithoutLength(t *testing.T) {
	e := start(t, nil)
	r := e.request("POST", "/", "", "Content-Type", formMsgpack.name)
	r.ContentLength = -1
	r.Body = io.NopCloser(io.LimitReader(zeros{}, 100<<20))
	e.fails(e.do(r), handler.TooLarge)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestSlowSender is cut off after its time, while others are served.
func TestSlowSender(t *testing.T) {
	e := start(t, func(c *Config) { c.ReadTimeout = 300 * time.Millisecond })
	var took time.Duration
	for range 5 { // net/http would cut it off after headerTime and more; only a machine that stalls takes as long
		if took = e.sendSlowly(); took < headerTime {
			return
		}
	}
	t.Errorf("cut off after %v", took)
}

// sendSlowly returns how long a client may take that sends no more than the beginning of a body.
func (e *endpoint) sendSlowly() time.Duration {
	t := e.t
	connection, err := net.Dial("tcp", e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	begin := time.Now()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	e.fails(reply{response, body}, handler.SlowRequest)
	if _, err := connection.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	return took
}

// TestSlowAnswer: the time to read a request does not count against its answer.
func TestSlowAnswer(t *testing.T) {
	e := start(t, func(c *Config) { c.ReadTimeout = 200 * time.Millisecond })
	// A machine that stalls may take longer to read what is there: that alone is repeated.
	ask := func(fields map[string]any) (r reply) {
		for range 20 {
			if r = e.post(formMsgpack, fields); r.StatusCode != handler.SlowRequest.Status() {
				break
			}
		}
		return r
	}
	key := e.model.NewKey("ann")
	var state handler.KeyState
	e.decodeInto(ask(map[string]any{"method": "save_key", "evaluation_keys": key}), &state)
	e.model.OnInfer = func(ctx context.Context) error {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	input := e.model.NewInput("x")
	var output []byte
	e.decodeInto(ask(map[string]any{"method": "inference", "uid": state.UID, "encrypted_inputs": input}), &output)
	if !bytes.Equal(output, e.model.Output(key, input)) {
		t.Error("wrong output")
	}
}

// TestBodyMemory: what all requests together hold is bounded; the one too many is refused, not the others.
func TestBodyMemory(t *testing.T) {
	e := start(t, nil)
	e.memory.limit = 1 << 20
	half, err := net.Dial("tcp", e.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	fmt.Fprintf(half, "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/msgpack\r\nContent-Length: 1000000\r\n\r\n")
	if _, err := half.Write(make([]byte, 400<<10)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what has come takes memory", func() bool { return e.memory.used.Load() >= 800<<10 })
	body := strings.Repeat("x", 200<<10)
	e.fails(e.do(e.request("POST", "/", body, "Content-Type", formMsgpack.name)), handler.Busy)
	half.Close()
	eventually(t, "nothing is taken", func() bool { return e.memory.used.Load() == 0 })
	e.fails(e.do(e.request("POST", "/", body, "Content-Type", formMsgpack.name)), handler.BadRequest)
}

// TestBusy: beyond workers and queue, 429 with Retry-After; all others are answered.
func TestBusy(t *testing.T) {
	e := start(t, func(c *Config) { c.Workers, c.Queue = 1, 2 })
	uid := e.upload(e.model.NewKey("ann"))
	const n = 20
	working, release := make(chan struct{}, n), make(chan struct{})
	e.model.OnInfer = func(context.Context) error { working <- struct{}{}; <-release; return nil }
	statuses := make(chan int, n)
	for range n {
		go func() {
			r := e.post(formMsgpack, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": e.model.NewInput("x")})
			if r.StatusCode == 429 && r.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			statuses <- r.StatusCode
		}()
	}
	for range n - 3 {
		if status := <-statuses; status != 429 {
			t.Errorf("status %d while the queue is full", status)
		}
	}
	<-working // who is let in reads its key before it takes the worker
	if metrics := string(e.get("/metrics").body); !strings.Contains(metrics, "cipherpoint_queue_length 2") {
		t.Error("metrics lack the queue")
	}
	close(release)
	for range 3 {
		if status := <-statuses; status != 200 {
			t.Errorf("status %d of a request that was let in", status)
		}
	}
}

// TestShutdown: requests under way are answered, new ones are not.
func TestShutdown(t *testing.T) {
	e := start(t, nil)
	key := e.model.NewKey("ann")
	uid := e.upload(key)
	arrived, release := make(chan struct{}), make(chan struct{})
	e.model.OnInfer = func(context.Context) error { close(arrived); <-release; return nil }
	answered := make(chan reply)
	input := e.model.NewInput("x")
	go func() {
		answered <- e.post(formMsgpack, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": input})
	}()
	<-arrived
	e.stop()
	eventually(t, "unhealthy after the signal to stop", func() bool { return CheckHealth(t.Context(), e.URL()+"/health") != nil })
	close(release)
	var output []byte
	e.decodeInto(<-answered, &output)
	if !bytes.Equal(output, e.model.Output(key, input)) {
		t.Error("wrong output")
	}
}

// TestShutdownCutsOff: what does not end in time is ended, and Run says so.
func TestShutdownCutsOff(t *testing.T) {
	e := start(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	uid := e.upload(e.model.NewKey("ann"))
	arrived := make(chan struct{})
	e.model.OnInfer = func(ctx context.Context) error { close(arrived); <-ctx.Done(); return ctx.Err() }
	go func() {
		r := e.request("POST", "/", encoded(t, formMsgpack, map[string]any{
			"method": "inference", "uid": uid, "encrypted_inputs": e.model.NewInput("x"),
		}), "Content-Type", formMsgpack.name)
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
		}
	}()
	<-arrived
	e.stop()
	err := <-e.ended
	e.ended <- nil
	if err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error %v", err)
	}
}

// uploadInTheEnd repeats what a store does not answer in time.
func (e *endpoint) uploadInTheEnd(key []byte) string {
	e.t.Helper()
	var r reply
	eventually(e.t, "upload", func() bool {
		r = e.post(formMsgpack, map[string]any{"method": "save_key", "evaluation_keys": key})
		return r.StatusCode != http.StatusServiceUnavailable
	})
	var state handler.KeyState
	e.decodeInto(r, &state)
	return state.UID
}

// TestRedisGoneAndBack: 503 while it is gone, work as before when it is back.
func TestRedisGoneAndBack(t *testing.T) {
	redis := redistest.Start(t)
	e := start(t, func(c *Config) { c.Keystore = redis.URL() + "?timeout=500ms" })
	key, input := e.model.NewKey("ann"), e.model.NewInput("x")
	uid := e.uploadInTheEnd(key)
	ask := func() reply {
		return e.post(formMsgpack, map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": input})
	}
	works := func() {
		t.Helper()
		var r reply
		eventually(t, "inference", func() bool { r = ask(); return r.StatusCode != http.StatusServiceUnavailable })
		var output []byte
		e.decodeInto(r, &output)
		if !bytes.Equal(output, e.model.Output(key, input)) {
			t.Error("wrong output")
		}
		eventually(t, "health", func() bool { return e.get("/health").StatusCode == http.StatusOK })
	}
	works()
	for _, gone := range []struct{ leave, back func() }{
		{redis.Stop, redis.Restart}, {redis.Kill, redis.Restart}, {redis.Pause, redis.Resume},
	} {
		gone.leave()
		var output []byte
		e.decodeInto(ask(), &output) // with the key in memory
		if !bytes.Equal(output, e.model.Output(key, input)) {
			t.Error("wrong output")
		}
		e.fails(e.post(formJSON, map[string]any{"method": "save_key", "evaluation_keys": key}), handler.StoreUnavailable)
		e.fails(e.post(formJSON, map[string]any{"method": "key_status", "uid": uid}), handler.StoreUnavailable)
		e.fails(e.get("/health"), handler.StoreUnavailable)
		if r := e.post(formJSON, map[string]any{"method": "describe"}); r.StatusCode != 200 {
			t.Errorf("describe needs no store: %d", r.StatusCode)
		}
		gone.back()
		works()
	}
}

// TestRedisComesLate: the endpoint starts without it, and is ready when it comes.
func TestRedisComesLate(t *testing.T) {
	redis := redistest.Start(t)
	redis.Stop()
	e := start(t, func(c *Config) { c.Keystore = redis.URL() + "?timeout=500ms" })
	e.fails(e.get("/health"), handler.StoreUnavailable)
	redis.Restart()
	eventually(t, "ready", func() bool { return e.get("/health").StatusCode == http.StatusOK })
	e.uploadInTheEnd(e.model.NewKey("ann"))
}

// TestMemoryOfDecoding: the memory for a body is what its form accounts for.
func TestMemoryOfDecoding(t *testing.T) {
	for _, tt := range []struct {
		name   string
		form   *form
		decode func([]byte) (request, error)
		body   string
	}{
		{"list of empty", formJSON, decodeJSON, `{"encrypted_inputs":[` + strings.Repeat(`"",`, 1<<18) + `""]}`},
		{"unknown lists", formJSON, decodeJSON, `{"x":[` + strings.Repeat(`[],`, 1<<18) + `[]]}`},
		{"integers", formJSON, decodeJSON, `{"evaluation_keys":{"__class__":"bytes","__value__":[` + strings.Repeat(`1,`, 1<<18) + `1]}}`},
		{"base64", formJSON, decodeJSON, `{"evaluation_keys":"` + strings.Repeat(`AAAA`, 1<<18) + `"}`},
		{"escaped base64", formJSON, decodeJSON, `{"evaluation_keys":"` + strings.Repeat(`\u0041`, 1<<18) + `"}`},
		{"many keys", formJSON, decodeJSON, `{` + strings.Repeat(`"a":1,`, 1<<18) + `"a":1}`},
		{"list of empty", formMsgpack, decodeMsgpack, "\x81\xb0encrypted_inputs\xdd\x00\x04\x00\x00" + strings.Repeat("\xc0", 1<<18)},
		{"unknown lists", formMsgpack, decodeMsgpack, "\x81\xa1x\xdd\x00\x04\x00\x00" + strings.Repeat("\x90", 1<<18)},
		{"bytes", formMsgpack, decodeMsgpack, "\x81\xafevaluation_keys\xc6\x00\x04\x00\x00" + strings.Repeat("x", 1<<18)},
	} {
		body := []byte(tt.body)
		// The buffer itself may be twice the body while it grows.
		room := uint64(tt.form.memory-1)*uint64(len(body)) + 64<<10
		var err error
		spent := allocated(room, func() { _, err = tt.decode(body) })
		var typed *handler.Error
		if err != nil && !errors.As(err, &typed) {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if spent > room {
			t.Errorf("%s %s: %d bytes for a body of %d", tt.form.name, tt.name, spent, len(body))
		}
	}
}
