package client

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func packed(t testing.TB, value any) []byte {
	t.Helper()
	b, err := msgpack.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type object = map[string]any

func TestKeyStates(t *testing.T) {
	valid := object{"uid": "u", "size": 10, "received": 4, "missing": [][]int{{0, 2}, {6, 10}}, "sealed": false}
	with := func(name string, value any) object {
		o := object{}
		for k, v := range valid {
			o[k] = v
		}
		o[name] = value
		return o
	}
	want := KeyState{UID: "u", Size: 10, Received: 4, Missing: [][2]int64{{0, 2}, {6, 10}}}
	for _, value := range []object{valid, with("later", object{"a": []any{1, nil, object{"b": 1.5}}})} {
		if got, err := decodeKeyState(packed(t, value)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, %v", value, got, err)
		}
	}
	body := packed(t, valid)
	for n := range body {
		if _, err := decodeKeyState(body[:n]); CodeOf(err) != BadReply {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for _, value := range []any{
		nil, 1, "text", object{}, with("uid", ""), with("uid", 5), with("size", -1), with("received", 11),
		with("missing", [][]int{{0, 11}}), with("missing", [][]int{{2, 2}}), with("missing", [][]int{{4, 6}, {0, 2}}), with("missing", [][]int{{1}}),
		with("missing", make([][]int, maxRanges+1)), with("sealed", 3), with("uid", string(make([]byte, maxText+1))),
	} {
		if got, err := decodeKeyState(packed(t, value)); CodeOf(err) != BadReply {
			t.Errorf("%v: %+v, %v", value, got, err)
		}
	}
	if _, err := decodeKeyState(append(body, 0)); CodeOf(err) != BadReply {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestDescriptions(t *testing.T) {
	value := object{"protocol": 1, "model": object{"id": "i", "name": "n", "kind": "k", "more": 1}, "key_set": "s", "key_bytes": 1, "request_bytes": 2, "reply_bytes": 3,
		"max_inputs": 64, "client_zip": []byte("zip")}
	want := &Description{KeySet: "s", KeyBytes: 1, RequestBytes: 2, ReplyBytes: 3, ClientZip: []byte("zip")}
	want.Model.ID, want.Model.Name, want.Model.Kind = "i", "n", "k"
	if got, err := decodeDescription(packed(t, value)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	value["protocol"] = 2
	if _, err := decodeDescription(packed(t, value)); CodeOf(err) != BadReply {
		t.Errorf("version 2: %v", err)
	}
}

func TestMessages(t *testing.T) {
	file := bytes.NewReader([]byte("0123456789"))
	var seen []int64
	m := newPiece("u", 3, io.NewSectionReader(file, 3, 4))
	body, err := io.ReadAll(m.reader(func(n int64) { seen = append(seen, n) }))
	if err != nil || int64(len(body)) != m.size() || len(seen) == 0 || seen[len(seen)-1] != 4 {
		t.Fatalf("%d of %d bytes, seen %v, %v", len(body), m.size(), seen, err)
	}
	for _, test := range []struct {
		body []byte
		want object
	}{
		{body, object{"method": "append_key", "uid": "u", "offset": int8(3), "evaluation_keys": []byte("3456")}},
		{newMessage("inference", field{"uid", "u"}, field{"encrypted_inputs", [][]byte{{1}, {2, 3}}}).head,
			object{"method": "inference", "uid": "u", "encrypted_inputs": []any{[]byte{1}, []byte{2, 3}}}},
		{newMessage("save_key", field{"size", int64(5)}).head, object{"method": "save_key", "size": int8(5)}},
	} {
		var got object
		if err := msgpack.Unmarshal(test.body, &got); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v, %v: want %v", got, err, test.want)
		}
	}
}

// FuzzReply reads bytes as every kind of reply. What is accepted keeps its promises.
func FuzzReply(f *testing.F) {
	f.Add(packed(f, object{"uid": "u", "size": 10, "received": 4, "missing": [][]int{{0, 2}, {6, 10}}, "sealed": true}))
	f.Add(packed(f, object{"protocol": 1, "model": object{"id": "i"}, "client_zip": []byte("zip"), "other": []any{object{"a": nil}}}))
	f.Add(packed(f, [][]byte{{1, 2}, {3}}))
	f.Add(packed(f, []byte("output")))
	f.Add(packed(f, object{"error": "text", "code": "busy", "id": "x"}))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\x81\xa7missing\xdf\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, err := decodeKeyState(body); err == nil {
			at := int64(0)
			for _, gap := range s.Missing {
				if gap[0] < at || gap[1] <= gap[0] || gap[1] > s.Size {
					t.Errorf("ranges %v", s.Missing)
				}
				at = gap[1]
			}
		}
		if d, err := decodeDescription(body); err == nil && len(d.ClientZip) > len(body) {
			t.Error("more bytes than there were")
		}
		if list, err := decodeOutputs(body, 2); err == nil && len(list) != 2 {
			t.Errorf("%d outputs", len(list))
		}
		_, _ = decodeOutput(body)
		_ = refusal(400, map[string][]string{"Content-Type": {mediaType}}, body).Error()
	})
}
