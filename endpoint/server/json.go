package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"cipherpoint/handler"
)

// request is a decoded body.
type request struct {
	handler.Request
	single  bool // one input, not a list of one: the reply has the same shape
	objects bool // all inputs in the object form: so are the outputs
}

// bytesClass marks the object form of bytes.
const bytesClass = "bytes"

// binary is bytes in either of their forms in JSON.
type binary struct {
	content []byte
	object  bool
	present bool // also where it is null
}

// inputs are one or several of them; one more than is allowed is kept, to tell that there were too many.
type inputs struct {
	list   [handler.MaxInputs + 1]binary
	single bool
}

// uids are one or several of them; one more than is allowed is kept.
type uids [handler.MaxTemplates + 1]string

// integers is a list of numbers from 0 to 255.
type integers []byte

func decodeJSON(body []byte) (request, error) {
	var wire struct {
		Method          string `json:"method"`
		UID             string `json:"uid"`
		Size            *int64 `json:"size"`
		SHA256          string `json:"sha256"`
		KeySet          string `json:"key_set"`
		EvaluationKeys  binary `json:"evaluation_keys"`
		Offset          *int64 `json:"offset"`
		EncryptedInputs inputs `json:"encrypted_inputs"`
		Templates       uids   `json:"templates"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return request{}, jsonError(err)
	}
	r := request{Request: handler.Request{
		Method: wire.Method, UID: wire.UID, Size: wire.Size, SHA256: wire.SHA256, KeySet: wire.KeySet,
		EvaluationKeys: wire.EvaluationKeys.content, Offset: wire.Offset,
	}, single: wire.EncryptedInputs.single}
	for _, input := range wire.EncryptedInputs.list {
		if input.present {
			r.EncryptedInputs = append(r.EncryptedInputs, input.content)
			r.objects = input.object && (r.objects || len(r.EncryptedInputs) == 1)
		}
	}
	for _, uid := range wire.Templates {
		if uid != "" {
			r.Templates = append(r.Templates, uid)
		}
	}
	return r, nil
}

// jsonError says what is wrong without repeating any of the body.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var typed *handler.Error
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &syntax):
		return handler.Errorf(handler.BadRequest, "invalid JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind) && kind.Field != "":
		return handler.Errorf(handler.BadRequest, "field %s has the wrong type", kind.Field)
	}
	return handler.Errorf(handler.BadRequest, "the body must be one JSON object")
}

// errBinary is the error for what is neither of the forms.
var errBinary = handler.Errorf(handler.BadRequest,
	`bytes are base64 with padding, or {"__class__": "bytes", "__value__": [0 to 255, …]}`)

func (b *binary) UnmarshalJSON(raw []byte) error {
	b.present = true
	switch raw[0] {
	case 'n': // null
		return nil
	case '"':
		if json.Unmarshal(raw, &b.content) != nil {
			return errBinary
		}
		return nil
	case '{':
		var object struct {
			Class string   `json:"__class__"`
			Value integers `json:"__value__"`
		}
		if json.Unmarshal(raw, &object) != nil || object.Class != bytesClass {
			return errBinary
		}
		b.content, b.object = object.Value, true
		return nil
	}
	return errBinary
}

func (l *inputs) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case 'n':
		return nil
	case '[':
		return json.Unmarshal(raw, &l.list) // elements beyond the array are skipped
	}
	l.single = true
	return l.list[0].UnmarshalJSON(raw)
}

func (l *uids) UnmarshalJSON(raw []byte) error {
	clear(l[:])
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[len(l)]string)(l)) // elements beyond the array are skipped
	}
	return json.Unmarshal(raw, &l[0])
}

func (v *integers) UnmarshalJSON(raw []byte) error {
	if raw[0] != '[' {
		return errBinary
	}
	raw = bytes.TrimSpace(raw[1 : len(raw)-1]) // the decoder has checked the brackets
	if len(raw) == 0 {
		*v = integers{}
		return nil
	}
	list := make(integers, 0, bytes.Count(raw, []byte{','})+1)
	for more := true; more; {
		var number []byte
		number, raw, more = bytes.Cut(raw, []byte{','})
		n, err := parseByte(bytes.TrimSpace(number))
		if err != nil {
			return err
		}
		list = append(list, n)
	}
	*v = list
	return nil
}

// parseByte is strconv.ParseUint for 0 to 255, without a conversion to a string.
func parseByte(digits []byte) (byte, error) {
	n := 0
	for _, d := range digits {
		if n = n*10 + int(d-'0'); d < '0' || d > '9' || n > 255 {
			return 0, errBinary
		}
	}
	if len(digits) == 0 {
		return 0, errBinary
	}
	return byte(n), nil
}

// encodeJSON encodes a reply; outputs in the shape and the form of the request's inputs.
func encodeJSON(reply handler.Response, r request) ([]byte, error) {
	if reply.Outputs == nil {
		return json.Marshal(replyValue(reply, r))
	}
	encode := appendBase64
	if r.objects {
		encode = appendObject
	}
	if r.single {
		return encode(nil, reply.Outputs[0]), nil
	}
	list := []byte{'['}
	for i, output := range reply.Outputs {
		if i > 0 {
			list = append(list, ',')
		}
		list = encode(list, output)
	}
	return append(list, ']'), nil
}

func appendBase64(to, content []byte) []byte {
	to = append(to, '"')
	to = base64.StdEncoding.AppendEncode(to, content)
	return append(to, '"')
}

func appendObject(to, content []byte) []byte {
	to = fmt.Appendf(to, `{"__class__":%q,"__value__":[`, bytesClass)
	for i, b := range content {
		if i > 0 {
			to = append(to, ',')
		}
		to = strconv.AppendUint(to, uint64(b), 10)
	}
	return append(to, "]}"...)
}

// replyValue is the value that a reply is encoded from, in either form.
func replyValue(reply handler.Response, r request) any {
	switch {
	case reply.Key != nil:
		return reply.Key
	case reply.Description != nil:
		return reply.Description
	case reply.Piece != nil:
		return reply.Piece
	case reply.Outputs != nil && r.single:
		return reply.Outputs[0]
	case reply.Outputs != nil:
		return reply.Outputs
	}
	return struct {
		Deleted bool `json:"deleted"`
	}{reply.Deleted}
}
