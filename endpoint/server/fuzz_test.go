package server

import (
	"errors"
	"net/http"
	"reflect"
	"runtime"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"cipherpoint/handler"
)

// decoded checks what holds for every body: an error is the user's, memory is bounded by the body, and a request that
// was understood is understood the same when it comes as msgpack.
func decoded(t *testing.T, f *form, decode func([]byte) (request, error), body []byte) {
	var r request
	var err error
	// The share of the form without that of the buffer. All fields at once may cost more than one large one: each
	// short one is a pointer and its target.
	room := 32*uint64(len(body)) + 64<<10
	if spent := allocated(room, func() { r, err = decode(body) }); spent > room {
		t.Errorf("%d bytes of memory for a body of %d", spent, len(body))
	}
	var typed *handler.Error
	if err != nil {
		if !errors.As(err, &typed) || typed.Code.Status() != http.StatusBadRequest || !reflect.DeepEqual(r, request{}) {
			t.Errorf("error %v with request %+v", err, r)
		}
		return
	}
	if len(r.Templates) > handler.MaxTemplates+1 {
		t.Errorf("%d uids of templates", len(r.Templates))
	}
	if len(r.EncryptedInputs) > handler.MaxInputs+1 {
		t.Errorf("%d inputs", len(r.EncryptedInputs))
	}
	again, err := decodeMsgpack(packed(t, r))
	again.objects = r.objects
	if err != nil || !reflect.DeepEqual(normal(again), normal(r)) {
		t.Errorf("%+v comes back as %+v, error %v", r, again, err)
	}
}

// allocated returns how many bytes f allocates. What other goroutines allocate counts as well, so where that is above a
// limit it is measured again.
func allocated(limit uint64, f func()) (bytes uint64) {
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if bytes = after.TotalAlloc - before.TotalAlloc; bytes <= limit {
			break
		}
	}
	return bytes
}

// packed is the msgpack of a request.
func packed(t *testing.T, r request) []byte {
	fields := map[string]any{
		"method": r.Method, "uid": r.UID, "size": r.Size, "sha256": r.SHA256, "key_set": r.KeySet,
		"evaluation_keys": r.EvaluationKeys, "offset": r.Offset, "templates": r.Templates,
	}
	if r.single {
		fields["encrypted_inputs"] = r.EncryptedInputs[0]
	} else {
		fields["encrypted_inputs"] = r.EncryptedInputs
	}
	body, err := msgpack.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// normal makes empty and absent bytes the same, as they are for all methods.
func normal(r request) request {
	if len(r.EvaluationKeys) == 0 {
		r.EvaluationKeys = nil
	}
	list := make([][]byte, len(r.EncryptedInputs))
	for i, input := range r.EncryptedInputs {
		list[i] = append([]byte{}, input...)
	}
	r.EncryptedInputs = list
	return r
}

var bodies = []string{
	`{"method":"describe"}`,
	`{"method":"save_key","size":3000,"sha256":"ab","key_set":"01","evaluation_keys":"AAEC"}`,
	`{"method":"append_key","uid":"x","offset":10,"evaluation_keys":{"__class__":"bytes","__value__":[0, 1 ,255]}}`,
	`{"method":"inference","uid":"x","encrypted_inputs":"AA\/C","inputs":"fake"}`,
	`{"method":"inference","encrypted_inputs":["",null,{"__value__":[],"__class__":"bytes"}]}`,
	`{"size":null,"encrypted_inputs":null,"x":[{},[[]],1e9]}`,
	`{"method":"inference","uid":"x","encrypted_inputs":"AA==","templates":["y","","z",null]}`,
	`{"method":"inference","templates":["y","z"],"templates":"x"}`, `{"templates":null}`, `{"templates":[1]}`,
	`{"method":"fetch_templates","uid":"x","offset":0}`,
	`[null]`, ``, `null`, `{"size":1.5}`, `{"evaluation_keys":{"__class__":"bytes","__value__":[256]}}`,
}

func FuzzJSON(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { decoded(t, formJSON, decodeJSON, body) })
}

func FuzzMsgpack(f *testing.F) {
	for _, body := range bodies {
		r, err := decodeJSON([]byte(body))
		if err == nil {
			f.Add(packed(&testing.T{}, r))
		}
	}
	for _, body := range []string{
		"", "\xc0", "\x80", "\xdf\xff\xff\xff\xff", "\x81\xa6method\xc6\xff\xff\xff\xff", "\x81\xa4size\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x81\xa1x\x91\x91\x82\xc0\xc2\xd4\x01\x00\xca\x00\x00\x00\x00", "\x81\xb0encrypted_inputs\xdd\xff\xff\xff\xff", "\x81\xa9templates\xdd\xff\xff\xff\xff", "\x81\xa1x\xd4\x80\x00",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { decoded(t, formMsgpack, decodeMsgpack, body) })
}

func TestReplyForm(t *testing.T) {
	for accept, want := range map[string][2]*form{ // for a request in JSON and one in msgpack
		"":                                      {formJSON, formMsgpack},
		",":                                     {formJSON, formMsgpack},
		"*/*":                                   {formJSON, formMsgpack},
		"application/*":                         {formJSON, formMsgpack},
		"application/json":                      {formJSON, formJSON},
		"Application/JSON; charset=utf-8":       {formJSON, formJSON},
		"application/x-msgpack":                 {formMsgpack, formMsgpack},
		"text/html, application/msgpack":        {formMsgpack, formMsgpack},
		"text/html, */*;q=0.1":                  {formJSON, formMsgpack},
		"application/json, application/msgpack": {formJSON, formMsgpack},
		"application/msgpack;q=0.5, application/json;q=0.9": {formJSON, formJSON},
		"application/json;q=0.1, */*;q=0.2":                 {formJSON, formMsgpack},
		"text/html":                                         {nil, nil},
		"application/json;q=0":                              {nil, nil},
		"application/json;q=x":                              {nil, nil},
		"application/json;q=-1":                             {nil, nil},
		"application/json;q=NaN":                            {nil, nil},
		"application/;;;, image/png":                        {nil, nil},
	} {
		for i, preferred := range []*form{formJSON, formMsgpack} {
			header := http.Header{}
			if accept != "" {
				header.Set("Accept", accept)
			}
			got, err := replyForm(header, preferred)
			if got != want[i] || (err == nil) != (want[i] != nil) {
				t.Errorf("Accept %q for %s: %v, error %v", accept, preferred.name, got, err)
			}
		}
	}
}

// BenchmarkDecode compares the forms by what they cost for the largest piece of a key.
func BenchmarkDecode(b *testing.B) {
	key := make([]byte, handler.MaxPiece)
	for i := range key {
		key[i] = byte(i * 7)
	}
	for _, bm := range []struct {
		name   string
		form   *form
		decode func([]byte) (request, error)
		key    any
	}{
		{"msgpack", formMsgpack, decodeMsgpack, key},
		{"base64", formJSON, decodeJSON, key},
		{"object", formJSON, decodeJSON, object(key)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			body := []byte(encoded(b, bm.form, map[string]any{"method": "append_key", "evaluation_keys": bm.key}))
			b.SetBytes(handler.MaxPiece)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bm.decode(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(body))/handler.MaxPiece, "wire/byte")
		})
	}
}
