package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length in bytes of what every encoding begins with.
const HeaderSize = 28

// Version is the version of all encodings.
const Version = 1

// Kind says what follows a header.
type Kind byte

const (
	Keys    Kind = 1
	Inputs  Kind = 2
	Replies Kind = 3
	Batch   Kind = 4
	Stored  Kind = 5
)

func (k Kind) String() string {
	switch k {
	case Keys:
		return "evaluation keys"
	case Inputs:
		return "encrypted inputs"
	case Replies:
		return "encrypted replies"
	case Batch:
		return "encrypted batch"
	case Stored:
		return "encrypted templates"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// ID is the name of the key set or model that the content belongs to.
type ID [16]byte

const magic = "cpfhe"

var (
	// ErrFormat is returned for bytes that are not the encoding asked for.
	ErrFormat = errors.New("not this format")
	// ErrForeign is returned for an encoding that belongs to another model or key set.
	ErrForeign = errors.New("made for another model or key set")
)

// AppendHeader appends a header: the magic, version, kind, a zero byte, the id and the count (little-endian).
func AppendHeader(b []byte, kind Kind, id ID, count int) []byte {
	b = append(b, magic...)
	b = append(b, Version, byte(kind), 0)
	b = append(b, id[:]...)
	return binary.LittleEndian.AppendUint32(b, uint32(count))
}

// CheckHeader checks that b begins with exactly this header.
func CheckHeader(b []byte, kind Kind, id ID, count int) error {
	switch {
	case len(b) < HeaderSize:
		return fmt.Errorf("%w: %d bytes are too short for %s", ErrFormat, len(b), kind)
	case string(b[:len(magic)]) != magic:
		return fmt.Errorf("%w: no %s", ErrFormat, kind)
	case b[5] != Version:
		return fmt.Errorf("%w: version %d of %s, this program reads version %d", ErrFormat, b[5], kind, Version)
	case Kind(b[6]) != kind || b[7] != 0:
		return fmt.Errorf("%w: %s where %s are wanted", ErrFormat, Kind(b[6]), kind)
	case ID(b[8:24]) != id:
		return fmt.Errorf("%s: %w", kind, ErrForeign)
	case binary.LittleEndian.Uint32(b[24:]) != uint32(count):
		return fmt.Errorf("%w: %d %s where %d are wanted", ErrFormat, binary.LittleEndian.Uint32(b[24:]), kind, count)
	}
	return nil
}
