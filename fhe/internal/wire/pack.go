package wire

import (
	"encoding/binary"
	"errors"
)

// ErrRange is returned for a packed value that is not below its modulus.
var ErrRange = errors.New("a coefficient is not below its modulus")

// ErrPadding is returned for packed values whose last byte has a bit set after the last value.
var ErrPadding = errors.New("padding bits are not zero")

// PackedSize returns the bytes of count values of a bit size.
func PackedSize(count, bitSize int) int { return (count*bitSize + 7) / 8 }

// Pack writes values below 2^bitSize to dst, which has PackedSize bytes: a little-endian stream of bits, the lowest
// bit of the first value first. bitSize is at most 56.
func Pack(dst []byte, values []uint64, bitSize int) {
	// Each value is written with the seven bytes around it that are not there yet, and the last of its bytes carried on.
	var carry uint64
	k, bit := 0, 0
	for ; k < len(values) && bit>>3+8 <= len(dst); k++ {
		word := carry | values[k]<<(bit&7)
		binary.LittleEndian.PutUint64(dst[bit>>3:], word)
		next := bit + bitSize
		carry = word >> (next&^7 - bit&^7)
		bit = next
	}
	var last [16]byte
	start, offset := bit>>3, bit&7
	binary.LittleEndian.PutUint64(last[:], carry)
	for ; k < len(values); k++ {
		for b := range bitSize {
			last[(offset+b)>>3] |= byte(values[k]>>b&1) << ((offset + b) & 7)
		}
		offset += bitSize
	}
	copy(dst[min(start, len(dst)):], last[:])
}

// Unpack reads len(values) values below modulus, which is at most 2^bitSize, from src, which has PackedSize bytes.
func Unpack(values []uint64, src []byte, bitSize int, modulus uint64) error {
	mask := uint64(1)<<bitSize - 1
	var excess uint64 // its top bit is set by a value that is not below the modulus
	k, bit := 0, 0
	for ; k < len(values) && bit>>3+8 <= len(src); k++ {
		v := binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask
		values[k] = v
		excess |= modulus - 1 - v
		bit += bitSize
	}
	for ; k < len(values); k++ {
		var last [8]byte
		copy(last[:], src[bit>>3:])
		v := binary.LittleEndian.Uint64(last[:]) >> (bit & 7) & mask
		values[k] = v
		excess |= modulus - 1 - v
		bit += bitSize
	}
	if excess>>63 != 0 {
		return ErrRange
	}
	if bit&7 != 0 && src[bit>>3]>>(bit&7) != 0 {
		return ErrPadding
	}
	return nil
}
