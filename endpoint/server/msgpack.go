package server

import (
	"bytes"
	"fmt"
	"io"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"cipherpoint/handler"
)

// maxDepth bounds the nesting of fields that are skipped: the library skips by recursion.
const maxDepth = 16

// unpacker reads a body whose bytes it does not copy.
type unpacker struct {
	*msgpack.Decoder
	body []byte
	rest *bytes.Reader
}

// decodeMsgpack decodes a body; keys and inputs are parts of it.
func decodeMsgpack(body []byte) (request, error) {
	rest := bytes.NewReader(body)
	u := &unpacker{msgpack.NewDecoder(rest), body, rest}
	r, err := u.request()
	switch {
	case err != nil:
		return request{}, err
	case rest.Len() > 0:
		return request{}, handler.Errorf(handler.BadRequest, "%d bytes after the object", rest.Len())
	}
	return r, nil
}

func (u *unpacker) request() (request, error) {
	var r request
	fields, err := u.DecodeMapLen()
	if err != nil || fields < 0 {
		return r, handler.Errorf(handler.BadRequest, "the body must be one msgpack map")
	}
	for range fields {
		name, err := u.bytes()
		if err != nil {
			return r, u.malformed()
		}
		if err := u.field(&r, string(name)); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (u *unpacker) malformed() error {
	return handler.Errorf(handler.BadRequest, "invalid msgpack before byte %d", len(u.body)-u.rest.Len())
}

func (u *unpacker) field(r *request, name string) error {
	var err error
	text := func(to *string) {
		var b []byte
		b, err = u.bytes()
		*to = string(b)
	}
	switch name {
	case "method":
		text(&r.Method)
	case "uid":
		text(&r.UID)
	case "sha256":
		text(&r.SHA256)
	case "key_set":
		text(&r.KeySet)
	case "size":
		r.Size, err = u.integer()
	case "offset":
		r.Offset, err = u.integer()
	case "evaluation_keys":
		r.EvaluationKeys, err = u.bytes()
	case "encrypted_inputs":
		r.EncryptedInputs, r.single, err = u.inputs()
	case "templates":
		r.Templates, err = u.uids()
	default:
		if u.skip(maxDepth) != nil {
			return u.malformed()
		}
		return nil
	}
	if err != nil {
		return handler.Errorf(handler.BadRequest, "field %s is truncated or has the wrong type", name)
	}
	return nil
}

// bytes reads bytes or a string, nil for nil.
func (u *unpacker) bytes() ([]byte, error) {
	n, err := u.DecodeBytesLen()
	if err != nil || n < 0 {
		return nil, err
	}
	return u.next(n)
}

// next passes over n bytes and returns them.
func (u *unpacker) next(n int) ([]byte, error) {
	if n > u.rest.Len() {
		return nil, io.ErrUnexpectedEOF
	}
	at := len(u.body) - u.rest.Len()
	_, err := u.rest.Seek(int64(n), io.SeekCurrent)
	return u.body[at : at+n : at+n], err
}

// integer reads an integer, nil for nil. One over the range wraps to a negative one, which no field allows.
func (u *unpacker) integer() (*int64, error) {
	if code, err := u.PeekCode(); err != nil || code == msgpcode.Nil {
		return nil, firstOf(err, u.DecodeNil)
	}
	n, err := u.DecodeInt64()
	return &n, err
}

// inputs reads bytes or a list of bytes, at most one more than is allowed.
func (u *unpacker) inputs() (list [][]byte, single bool, err error) {
	code, err := u.PeekCode()
	if err != nil {
		return nil, false, err
	}
	if !isArray(code) {
		input, err := u.bytes()
		if err != nil || input == nil {
			return nil, false, err
		}
		return [][]byte{input}, true, nil
	}
	n, err := u.DecodeArrayLen()
	if err != nil {
		return nil, false, err
	}
	for range n {
		input, err := u.bytes()
		if err != nil {
			return nil, false, err
		}
		if len(list) <= handler.MaxInputs {
			list = append(list, input)
		}
	}
	return list, false, nil
}

// uids reads a text or a list of them, at most one more than is allowed.
func (u *unpacker) uids() (list []string, err error) {
	code, err := u.PeekCode()
	n := 1
	if err == nil && isArray(code) {
		n, err = u.DecodeArrayLen()
	}
	if err != nil {
		return nil, err
	}
	for range n {
		uid, err := u.bytes()
		if err != nil {
			return nil, err
		}
		if len(uid) > 0 && len(list) <= handler.MaxTemplates {
			list = append(list, string(uid))
		}
	}
	return list, nil
}

// skip passes over a value of any type. The library's Skip would take memory for lengths that are only promised.
func (u *unpacker) skip(depth int) error {
	if depth == 0 {
		return fmt.Errorf("nested too deeply")
	}
	code, err := u.PeekCode()
	if err != nil {
		return err
	}
	values := 0
	switch {
	case isArray(code):
		values, err = u.DecodeArrayLen()
	case msgpcode.IsString(code) || msgpcode.IsBin(code):
		_, err = u.bytes()
	case msgpcode.IsExt(code):
		var n int
		if _, n, err = u.DecodeExtHeader(); err == nil {
			_, err = u.next(n)
		}
	case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
		values, err = u.DecodeMapLen()
		values *= 2
	default:
		return u.Skip()
	}
	for range values {
		if err = firstOf(err, func() error { return u.skip(depth - 1) }); err != nil {
			return err
		}
	}
	return err
}

func isArray(code byte) bool {
	return msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32
}

// firstOf returns err, or where there is none that of f.
func firstOf(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

func encodeMsgpack(value any) ([]byte, error) {
	var body bytes.Buffer
	encoder := msgpack.NewEncoder(&body)
	encoder.SetCustomStructTag("json")
	encoder.UseCompactInts(true)
	err := encoder.Encode(value)
	return body.Bytes(), err
}
