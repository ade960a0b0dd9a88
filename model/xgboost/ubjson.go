package xgboost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// ubjson turns Universal Binary JSON (draft 12, https://ubjson.org) into JSON.
type ubjson struct {
	data []byte
	at   int
	out  bytes.Buffer
}

// Bounds on nesting, and on what the text may grow to: a byte in an array of bytes takes four, a control character six.
const (
	maxNesting = 64
	maxGrowth  = 8
)

// looksLikeUBJSON holds for an object whose first key starts with the type of its length, where JSON has a quote.
func looksLikeUBJSON(head []byte) bool {
	return len(head) > 1 && head[0] == '{' && bytes.IndexByte([]byte("iUIlL$#"), head[1]) >= 0
}

func ubjsonToJSON(data []byte) ([]byte, error) {
	u := &ubjson{data: data}
	kind, err := u.marker()
	if err != nil {
		return nil, err
	}
	if err := u.value(kind, 0); err != nil {
		return nil, fmt.Errorf("at byte %d: %w", u.at, err)
	}
	return u.out.Bytes(), nil
}

var errShort = errors.New("file ends too early")

func (u *ubjson) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.data)-u.at {
		return nil, errShort
	}
	u.at += n
	return u.data[u.at-n : u.at], nil
}

// marker returns the next type, past those that stand for nothing.
func (u *ubjson) marker() (byte, error) {
	for {
		b, err := u.take(1)
		if err != nil {
			return 0, err
		}
		if b[0] != 'N' {
			return b[0], nil
		}
	}
}

// widths of the numbers in bytes.
var widths = map[byte]int{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8}

func (u *ubjson) integer(kind byte) (int64, error) {
	b, err := u.take(widths[kind])
	if err != nil {
		return 0, err
	}
	switch kind {
	case 'i':
		return int64(int8(b[0])), nil
	case 'U':
		return int64(b[0]), nil
	case 'I':
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case 'l':
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case 'L':
		return int64(binary.BigEndian.Uint64(b)), nil
	}
	return 0, fmt.Errorf("type %q in the place of a length", kind)
}

// length reads a count of things that take at least a byte each.
func (u *ubjson) length() (int, error) {
	kind, err := u.marker()
	if err != nil {
		return 0, err
	}
	n, err := u.integer(kind)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(len(u.data)-u.at) {
		return 0, fmt.Errorf("length %d in a file of %d bytes", n, len(u.data))
	}
	return int(n), nil
}

func (u *ubjson) text() error {
	n, err := u.length()
	if err != nil {
		return err
	}
	b, err := u.take(n)
	if err != nil {
		return err
	}
	jsonString(&u.out, b)
	return nil
}

func (u *ubjson) float(v float64, width int) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		u.out.WriteString(strconv.Quote(strconv.FormatFloat(v, 'g', -1, 64)))
		return
	}
	u.out.Write(strconv.AppendFloat(u.out.AvailableBuffer(), v, 'g', -1, width))
}

func (u *ubjson) value(kind byte, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("values are nested more than %d deep", maxNesting)
	}
	switch kind {
	case 'Z':
		u.out.WriteString("null")
	case 'T':
		u.out.WriteString("true")
	case 'F':
		u.out.WriteString("false")
	case 'i', 'U', 'I', 'l', 'L':
		v, err := u.integer(kind)
		if err != nil {
			return err
		}
		u.out.Write(strconv.AppendInt(u.out.AvailableBuffer(), v, 10))
	case 'd':
		b, err := u.take(4)
		if err != nil {
			return err
		}
		u.float(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
	case 'D':
		b, err := u.take(8)
		if err != nil {
			return err
		}
		u.float(math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
	case 'S':
		return u.text()
	case 'C':
		b, err := u.take(1)
		if err != nil {
			return err
		}
		jsonString(&u.out, b)
	case '[':
		return u.container(']', depth)
	case '{':
		return u.container('}', depth)
	default:
		return fmt.Errorf("type %q is not known", kind)
	}
	return nil
}

// container writes an array or an object, the type and number of whose values may be given once.
func (u *ubjson) container(end byte, depth int) error {
	u.out.WriteByte(end - 2) // '[' and '{' stand two before their ends
	kind, count := byte(0), -1
	next, err := u.marker()
	if err == nil && next == '$' {
		if kind, err = u.marker(); err == nil {
			next, err = u.marker()
		}
		if err == nil && (next != '#' || widths[kind] == 0 && kind != 'S' && kind != 'C' && kind != '[' && kind != '{') {
			return fmt.Errorf("values of type %q without a number, or without bytes", kind)
		}
	}
	if err == nil && next == '#' {
		if count, err = u.length(); err == nil && count > 0 && (kind == 0 || end == '}') {
			next, err = u.marker()
		}
	}
	if err != nil {
		return err
	}
	for i := 0; i != count; i++ {
		if count < 0 && next == end {
			break
		}
		if i > 0 {
			u.out.WriteByte(',')
		}
		if end == '}' {
			u.at-- // the marker belongs to the key's length
			if err := u.text(); err != nil {
				return err
			}
			u.out.WriteByte(':')
		}
		if err := u.member(kind, next, end, depth); err != nil {
			return err
		}
		if u.out.Len() > maxGrowth*len(u.data)+1024 {
			return errors.New("text grows out of proportion")
		}
		if count < 0 || i+1 < count && (kind == 0 || end == '}') {
			if next, err = u.marker(); err != nil {
				return err
			}
		}
	}
	u.out.WriteByte(end)
	return nil
}

// member writes one value: of the container's type, or of the type read.
func (u *ubjson) member(kind, next, end byte, depth int) error {
	switch {
	case kind != 0:
		return u.value(kind, depth+1)
	case end == ']':
		return u.value(next, depth+1)
	}
	own, err := u.marker()
	if err != nil {
		return err
	}
	return u.value(own, depth+1)
}
