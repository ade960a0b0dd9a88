package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"cipherpoint/client"
	"cipherpoint/handler"
	"cipherpoint/internal/testmodel"
)

// startModel runs a server with a compiled model.
func startModel(t testing.TB, m *testmodel.Model, keys string) *endpoint {
	t.Helper()
	c := Defaults()
	c.Listen, c.Model, c.Keystore = "127.0.0.1:0", m.Save(t), (&url.URL{Scheme: "file", Path: keys}).String()
	s, err := New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case <-time.After(time.Minute):
		t.Fatal("not ready")
	}
	return &endpoint{Server: s, t: t, dir: keys}
}

// user makes keys and inputs for the endpoint's model, from what describe replies.
func (e *endpoint) user() (u *client.FHEModelClient, key []byte) {
	e.t.Helper()
	var d handler.Description
	e.decodeInto(e.post(formMsgpack, map[string]any{"method": "describe"}), &d)
	u, err := client.Read(d.ClientZip)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := u.GenerateKeys(); err != nil {
		e.t.Fatal(err)
	}
	if key, err = u.EvaluationKeys(e.t.Context(), nil); err != nil {
		e.t.Fatal(err)
	}
	if d.KeyBytes != int64(len(key)) || d.KeySet != u.KeySet() {
		e.t.Errorf("description %+v is not that of the key", d)
	}
	return u, key
}

func encrypted(t testing.TB, u *client.FHEModelClient, m *testmodel.Model) []byte {
	t.Helper()
	input, err := u.QuantizeEncryptSerialize(m.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	return input
}

// TestForeignAndDamaged sends real keys and ciphertexts that do not belong, or no longer: refused with the right code,
// nothing stored changed, and the model answers as before.
func TestForeignAndDamaged(t *testing.T) {
	small, other := testmodel.Small(t), testmodel.Foreign(t)
	keys := t.TempDir()
	e, foreign := startModel(t, small, keys), startModel(t, other, keys)
	u, key := e.user()
	v, foreignKey := foreign.user()
	uid, foreignUID := e.upload(key), foreign.upload(foreignKey)
	input := encrypted(t, u, small)

	// Of the size that is expected, so that more than the size has to be looked at.
	resized := func(b []byte, n int) []byte {
		out := make([]byte, n)
		copy(out, b)
		return out
	}
	changed := func(b []byte, at int) []byte {
		out := bytes.Clone(b)
		out[at] ^= 0xff
		return out
	}
	saturated := func(b []byte) []byte { // coefficients beyond every modulus
		out := bytes.Clone(b)
		for i := len(out) / 2; i < len(out); i++ {
			out[i] = 0xff
		}
		return out
	}
	save := func(key []byte) map[string]any { return map[string]any{"method": "save_key", "evaluation_keys": key} }
	infer := func(uid string, input []byte) map[string]any {
		return map[string]any{"method": "inference", "uid": uid, "encrypted_inputs": input}
	}
	before := e.snapshot()
	for _, tt := range []struct {
		name   string
		fields map[string]any
		code   handler.Code
	}{
		{"truncated key", save(key[:len(key)-1]), handler.InvalidKey},
		{"key of zeros", save(make([]byte, len(key))), handler.InvalidKey},
		{"key of another model", save(foreignKey), handler.InvalidKey},
		{"key of another model, resized", save(resized(foreignKey, len(key))), handler.InvalidKey},
		{"key with another header", save(changed(key, 0)), handler.InvalidKey},
		{"key beyond the moduli", save(saturated(key)), handler.InvalidKey},
		{"truncated ciphertext", infer(uid, input[:len(input)-1]), handler.InvalidInput},
		{"ciphertext of zeros", infer(uid, make([]byte, len(input))), handler.InvalidInput},
		{"ciphertext with another header", infer(uid, changed(input, 0)), handler.InvalidInput},
		{"ciphertext of another model", infer(uid, resized(encrypted(t, v, other), len(input))), handler.InvalidInput},
		{"ciphertext beyond the moduli", infer(uid, saturated(input)), handler.InvalidInput},
		{"a key as ciphertext", infer(uid, resized(key, len(input))), handler.InvalidInput},
		{"uid of another model", infer(foreignUID, input), handler.UnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := *e
			e.t = t
			for _, f := range []*form{formMsgpack, formJSON} {
				failure := e.fails(e.post(f, tt.fields), tt.code)
				if len(failure.Error) > 200 || strings.Contains(failure.Error, uid) {
					t.Errorf("message %q", failure.Error)
				}
			}
			if e.snapshot() != before {
				t.Error("the store has changed")
			}
		})
	}
	var reply []byte
	e.decodeInto(e.post(formMsgpack, infer(uid, input)), &reply)
	if _, err := u.DeserializeDecryptDequantize(reply); err != nil {
		t.Error(err)
	}
}

// TestOriginalClient sends what the original's script sends: the key in the object form without an announcement, the
// input in the object form, and the field that Hugging Face's toolkit demands.
func TestOriginalClient(t *testing.T) {
	e := start(t, nil)
	key, input := e.model.NewKey("ann"), e.model.NewInput("x")
	var saved struct{ UID string }
	e.decodeInto(e.post(formJSON, map[string]any{
		"inputs": "fake", "evaluation_keys": object(key), "method": "save_key",
	}, "Accept", "application/json", "Authorization", "Bearer hf_token"), &saved)
	var got struct {
		Class string `json:"__class__"`
		Value []int  `json:"__value__"`
	}
	e.decodeInto(e.post(formJSON, map[string]any{
		"inputs": "fake", "encrypted_inputs": object(input), "method": "inference", "uid": saved.UID,
	}), &got)
	output := make([]byte, len(got.Value))
	for i, b := range got.Value {
		output[i] = byte(b)
	}
	if got.Class != "bytes" || !bytes.Equal(output, e.model.Output(key, input)) {
		t.Errorf("got %+v", got)
	}
}
