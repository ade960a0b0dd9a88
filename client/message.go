package client

import (
	"bytes"
	"io"
	"math"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

const mediaType = "application/msgpack"

// protocol is the version that is spoken here.
const protocol = 1

// message is the body of a request: fields, the last of which may be bytes that are read only as they are sent.
type message struct {
	head  []byte
	bytes *io.SectionReader // may be nil
}

// field is one of a request; its value is a string or several, an int64, []byte or [][]byte.
type field struct {
	name  string
	value any
}

func newMessage(method string, fields ...field) message {
	var head bytes.Buffer
	e := newEncoder(&head, method, len(fields))
	for _, f := range fields {
		put(e.EncodeString(f.name))
		switch v := f.value.(type) {
		case string:
			put(e.EncodeString(v))
		case []string:
			put(e.EncodeArrayLen(len(v)))
			for _, s := range v {
				put(e.EncodeString(s))
			}
		case int64:
			put(e.EncodeInt(v))
		case []byte:
			put(e.EncodeBytes(v))
		case [][]byte:
			put(e.EncodeArrayLen(len(v)))
			for _, b := range v {
				put(e.EncodeBytes(b))
			}
		}
	}
	return message{head: head.Bytes()}
}

func newPiece(uid string, offset int64, piece *io.SectionReader) message {
	var head bytes.Buffer
	e := newEncoder(&head, "append_key", 3)
	put(e.EncodeString("uid"))
	put(e.EncodeString(uid))
	put(e.EncodeString("offset"))
	put(e.EncodeInt(offset))
	put(e.EncodeString("evaluation_keys"))
	put(e.EncodeBytesLen(int(piece.Size())))
	return message{head.Bytes(), piece}
}

func newEncoder(head *bytes.Buffer, method string, fields int) *msgpack.Encoder {
	e := msgpack.NewEncoder(head)
	put(e.EncodeMapLen(fields + 1))
	put(e.EncodeString("method"))
	put(e.EncodeString(method))
	return e
}

// put is for errors that cannot be: the encoder fails only where its writer does, and a buffer never does.
func put(err error) {
	if err != nil {
		panic(err)
	}
}

func (m message) size() int64 {
	n := int64(len(m.head))
	if m.bytes != nil {
		n += m.bytes.Size()
	}
	return n
}

// reader reads the body from its beginning and tells sent, which may be nil, how many of the bytes at its end have
// been read.
func (m message) reader(sent func(n int64)) io.Reader {
	if m.bytes == nil {
		return bytes.NewReader(m.head)
	}
	rest := io.Reader(io.NewSectionReader(m.bytes, 0, m.bytes.Size()))
	if sent != nil {
		rest = &watchedReader{Reader: rest, watch: sent}
	}
	return io.MultiReader(bytes.NewReader(m.head), rest)
}

type watchedReader struct {
	io.Reader
	read  int64
	watch func(read int64)
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read += int64(n)
	r.watch(r.read)
	return n, err
}

// KeyState says how far an upload is.
type KeyState struct {
	UID            string
	Size, Received int64      // bytes
	Missing        [][2]int64 // the ranges [begin, end) that the endpoint does not have, ascending
	Sealed         bool       // complete, checked, ready for inference
}

// Description is what an endpoint says about itself.
type Description struct {
	Model struct{ ID, Name, Kind string }
	// KeySet names the evaluation keys that fit; models with the same one share keys.
	KeySet string
	// KeyBytes, RequestBytes and ReplyBytes are the sizes of evaluation keys, of an encrypted input and output.
	KeyBytes, RequestBytes, ReplyBytes int64
	// BatchSize is how many rows an encrypted input holds, as the endpoint says; 0 where it does not.
	BatchSize int64
	// ClientZip is the client's part of the model, for Read.
	ClientZip []byte
}

const (
	maxRanges = 1 << 10 // of a key state, as the protocol says
	maxText   = 1 << 10 // bytes of a name or uid
)

// decoder reads a reply that is in memory. Every length is compared with what is left before anything is allocated.
type decoder struct {
	*msgpack.Decoder
	body []byte
	rest *bytes.Reader
}

// unpack reads a reply that is one value.
func unpack(body []byte, read func(d *decoder) error) error {
	rest := bytes.NewReader(body)
	d := &decoder{msgpack.NewDecoder(rest), body, rest}
	if err := read(d); err != nil {
		return badReply("%v", err)
	}
	if rest.Len() > 0 {
		return badReply("%d bytes too many", rest.Len())
	}
	return nil
}

// object reads a map and calls field for each of its keys, which reads the value or reports that it does not know the key.
func (d *decoder) object(field func(name string) (known bool, err error)) error {
	n, err := d.DecodeMapLen()
	for ; err == nil && n > 0; n-- {
		var name string
		if name, err = d.text(); err != nil {
			break
		}
		var known bool
		if known, err = field(name); err == nil && !known {
			err = d.skip()
		}
	}
	return truncated(err)
}

func truncated(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// bytes returns a part of the body.
func (d *decoder) bytes() ([]byte, error) {
	n, err := d.DecodeBytesLen()
	if err != nil || n < 0 {
		return nil, err
	}
	if n > d.rest.Len() {
		return nil, io.ErrUnexpectedEOF
	}
	at := len(d.body) - d.rest.Len()
	_, err = d.rest.Seek(int64(n), io.SeekCurrent)
	return d.body[at : at+n : at+n], err
}

func (d *decoder) text() (string, error) {
	b, err := d.bytes()
	if err == nil && len(b) > maxText {
		err = badReply("a text has %d bytes", len(b))
	}
	return string(b), err
}

// size reads a number of bytes.
func (d *decoder) size() (int64, error) {
	n, err := d.DecodeUint64()
	if err == nil && n > math.MaxInt64 {
		err = badReply("a size is out of range")
	}
	return int64(n), err
}

// skip passes over a value of any type, without recursion.
func (d *decoder) skip() error {
	for values := 1; values > 0; values-- {
		code, err := d.PeekCode()
		if err != nil {
			return err
		}
		n := 0
		switch {
		case isArray(code):
			n, err = d.DecodeArrayLen()
		case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
			n, err = d.DecodeMapLen()
			n *= 2
		default:
			err = d.Skip()
		}
		if err != nil {
			return err
		}
		values += n
	}
	return nil
}

func isArray(code byte) bool {
	return msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32
}

func decodeKeyState(body []byte) (state KeyState, err error) {
	err = unpack(body, func(d *decoder) error {
		return d.object(func(name string) (bool, error) {
			var err error
			switch name {
			case "uid":
				state.UID, err = d.text()
			case "size":
				state.Size, err = d.size()
			case "received":
				state.Received, err = d.size()
			case "missing":
				state.Missing, err = d.ranges()
			case "sealed":
				state.Sealed, err = d.DecodeBool()
			default:
				return false, nil
			}
			return true, err
		})
	})
	if err != nil {
		return KeyState{}, err
	}
	if state.UID == "" || state.Received > state.Size {
		return KeyState{}, badReply("the state of the key makes no sense")
	}
	at := int64(0)
	for _, gap := range state.Missing {
		if gap[0] < at || gap[1] <= gap[0] || gap[1] > state.Size {
			return KeyState{}, badReply("the ranges of the key make no sense")
		}
		at = gap[1]
	}
	return state, nil
}

func (d *decoder) ranges() ([][2]int64, error) {
	n, err := d.DecodeArrayLen()
	if err != nil || n <= 0 {
		return nil, err
	}
	if n > maxRanges {
		return nil, badReply("%d ranges", n)
	}
	list := make([][2]int64, n)
	for i := range list {
		if two, err := d.DecodeArrayLen(); err != nil || two != 2 {
			return nil, badReply("a range is not a pair")
		}
		for k := range list[i] {
			if list[i][k], err = d.size(); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func decodeDescription(body []byte) (*Description, error) {
	description, version := new(Description), int64(0)
	err := unpack(body, func(d *decoder) error {
		return d.object(func(name string) (bool, error) {
			var err error
			switch name {
			case "protocol":
				version, err = d.size()
			case "model":
				err = d.object(func(name string) (bool, error) {
					var err error
					switch name {
					case "id":
						description.Model.ID, err = d.text()
					case "name":
						description.Model.Name, err = d.text()
					case "kind":
						description.Model.Kind, err = d.text()
					default:
						return false, nil
					}
					return true, err
				})
			case "key_set":
				description.KeySet, err = d.text()
			case "key_bytes":
				description.KeyBytes, err = d.size()
			case "request_bytes":
				description.RequestBytes, err = d.size()
			case "reply_bytes":
				description.ReplyBytes, err = d.size()
			case "batch_size":
				description.BatchSize, err = d.size()
			case "client_zip":
				description.ClientZip, err = d.bytes()
			default:
				return false, nil
			}
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	if version != protocol {
		return nil, badReply("it has version %d, this program speaks version %d", version, protocol)
	}
	return description, nil
}

// decodeOutputs reads a list of exactly n encrypted outputs.
func decodeOutputs(body []byte, n int) ([][]byte, error) {
	outputs := make([][]byte, n)
	err := unpack(body, func(d *decoder) error {
		if got, err := d.DecodeArrayLen(); err != nil || got != n {
			return badReply("want a list of %d outputs", n)
		}
		for i := range outputs {
			var err error
			if outputs[i], err = d.bytes(); err != nil {
				return truncated(err)
			}
		}
		return nil
	})
	return outputs, err
}

// decodeOutput reads a single encrypted output.
func decodeOutput(body []byte) (output []byte, err error) {
	err = unpack(body, func(d *decoder) error {
		var err error
		output, err = d.bytes()
		return truncated(err)
	})
	return output, err
}

func decodeFailure(body []byte) (e Error, err error) {
	err = unpack(body, func(d *decoder) error {
		return d.object(func(name string) (bool, error) {
			var text string
			var err error
			switch name {
			case "error":
				e.Message, err = d.text()
			case "code":
				text, err = d.text()
				e.Code = Code(text)
			case "id":
				e.ID, err = d.text()
			default:
				return false, nil
			}
			return true, err
		})
	})
	return e, err
}
