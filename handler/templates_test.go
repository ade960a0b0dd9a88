package handler_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"cipherpoint/handler"
	"cipherpoint/handler/handlertest"
)

// inGallery is a fixture whose model is a gallery of its users.
func inGallery(t *testing.T, options handler.Options) (*fixture, handlertest.Gallery, string) {
	f := newFixture(t, options)
	g := handlertest.Gallery{Model: f.model}
	f.EndpointHandler = newHandler(t, g, f.store, options)
	set := g.TemplateSet()
	return f, g, hex.EncodeToString(set[:])
}

func (f *fixture) enrol(set string, templates []byte) string {
	f.t.Helper()
	reply := f.must(handler.Request{Method: handler.SaveKey, KeySet: set, EvaluationKeys: templates})
	if !reply.Key.Sealed {
		f.t.Fatal("templates are not sealed")
	}
	return reply.Key.UID
}

func TestTemplatesAreComparedWith(t *testing.T) {
	f, g, set := inGallery(t, handler.Options{})
	if d := f.Describe(); d.TemplateSet != set {
		t.Errorf("describe has the template set %q", d.TemplateSet)
	}
	key, one, two, input := g.NewKey("owner"), g.NewTemplates("one"), g.NewTemplates("two"), g.NewInput("x")
	uid := f.upload(key)
	uids := []string{f.enrol(set, one), f.enrol(set, two)}
	ask := func(templates ...string) handler.Request {
		return handler.Request{Method: handler.Inference, UID: uid, EncryptedInputs: [][]byte{input}, Templates: templates}
	}
	check := func(f *fixture) {
		t.Helper()
		for _, test := range []struct {
			uids  []string
			files [][]byte
		}{{uids[:1], [][]byte{one}}, {uids, [][]byte{one, two}}, {[]string{uids[1], uids[0]}, [][]byte{two, one}}} {
			want := g.Output(key, append(bytes.Join(test.files, nil), input...))
			if got := f.must(ask(test.uids...)); !bytes.Equal(got.Outputs[0], want) {
				t.Errorf("%d files give another answer", len(test.uids))
			}
		}
	}
	check(f)
	// Another endpoint on the same store has nothing in memory.
	check(&fixture{EndpointHandler: newHandler(t, g, f.store, handler.Options{}), t: t, model: f.model, store: f.store})

	f.fails(ask(), handler.MissingField)
	f.fails(ask(uid), handler.UnknownKey)
	f.fails(ask("nobody"), handler.UnknownKey)
	f.fails(ask(make([]string, handler.MaxTemplates+1)...), handler.TooLarge)
	f.fails(handler.Request{Method: handler.Inference, UID: uids[0], EncryptedInputs: [][]byte{input}, Templates: uids}, handler.UnknownKey)
	f.fails(handler.Request{Method: handler.SaveKey, KeySet: set, EvaluationKeys: one[1:]}, handler.InvalidKey)
	f.fails(handler.Request{Method: handler.SaveKey, KeySet: set, EvaluationKeys: bytes.Repeat([]byte{9}, len(one))}, handler.InvalidKey)

	if reply := f.must(handler.Request{Method: handler.DeleteKey, UID: uids[0]}); !reply.Deleted {
		t.Error("templates are not deleted")
	}
	f.fails(ask(uids...), handler.UnknownKey)
	f.must(ask(uids[1]))
}

func TestTemplatesAreFetched(t *testing.T) {
	f, g, set := inGallery(t, handler.Options{})
	key, file := f.upload(g.NewKey("owner")), g.NewTemplates("one")
	uid := f.enrol(set, file)
	fetch := func(uid string, offset int64) handler.Request {
		return handler.Request{Method: handler.FetchTemplates, UID: uid, Offset: &offset}
	}
	for _, offset := range []int{0, 1, len(file) - 1} {
		if got := f.must(fetch(uid, int64(offset))); !bytes.Equal(got.Piece, file[offset:]) {
			t.Errorf("from byte %d: %d bytes", offset, len(got.Piece))
		}
	}
	f.fails(fetch(uid, int64(len(file))), handler.BadRequest)
	f.fails(fetch(uid, -1), handler.BadRequest)
	f.fails(fetch(key, 0), handler.UnknownKey) // keys are not given back
	f.fails(fetch("nobody", 0), handler.UnknownKey)
	f.fails(fetch("", 0), handler.MissingField)
	f.fails(handler.Request{Method: handler.FetchTemplates, UID: uid}, handler.MissingField)
}

func TestTemplatesCountAsKeys(t *testing.T) {
	f, g, set := inGallery(t, handler.Options{KeysPerOwner: 1})
	r := handler.Request{Method: handler.SaveKey, Owner: "ab", KeySet: set, EvaluationKeys: g.NewTemplates("one")}
	f.must(r)
	f.fails(r, handler.TooManyKeys)
}

func TestTemplatesOfARequestAreBounded(t *testing.T) {
	f, g, set := inGallery(t, handler.Options{KeyCacheBytes: 700}) // a file takes 500
	r := handler.Request{Method: handler.Inference, UID: f.upload(g.NewKey("owner")), EncryptedInputs: [][]byte{g.NewInput("x")}}
	one, two := f.enrol(set, g.NewTemplates("one")), f.enrol(set, g.NewTemplates("two"))
	r.Templates = []string{one}
	f.must(r)
	r.Templates = []string{one, two}
	f.fails(r, handler.TooLarge)
}

func TestOthersTakeNoTemplates(t *testing.T) {
	f := newFixture(t, handler.Options{})
	g := handlertest.Gallery{Model: f.model}
	set := g.TemplateSet()
	uid := f.upload(f.model.NewKey("owner"))
	f.fails(handler.Request{Method: handler.SaveKey, KeySet: hex.EncodeToString(set[:]), EvaluationKeys: g.NewTemplates("one")}, handler.WrongKeySet)
	f.fails(handler.Request{Method: handler.Inference, UID: uid, EncryptedInputs: [][]byte{f.model.NewInput("x")}, Templates: []string{uid}}, handler.BadRequest)
	offset := int64(0)
	f.fails(handler.Request{Method: handler.FetchTemplates, UID: uid, Offset: &offset}, handler.UnknownKey)
}
