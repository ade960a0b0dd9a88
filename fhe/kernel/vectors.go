package kernel

import "unsafe"

// alignment is a cache line and the width of the widest registers.
const alignment = 64

// NewVector returns n zeros that start on a 64-byte boundary.
func NewVector(n int) []uint64 {
	const spare = alignment/8 - 1
	buffer := make([]uint64, n+spare)
	offset := 0
	if rest := uintptr(unsafe.Pointer(unsafe.SliceData(buffer))) % alignment; rest != 0 {
		offset = int(alignment-rest) / 8
	}
	return buffer[offset : offset+n : offset+n]
}

// NewVectors returns count vectors of n zeros each, one after the other in memory, each on a 64-byte boundary.
func NewVectors(count, n int) [][]uint64 {
	stride := (n + 7) &^ 7
	buffer := NewVector(count * stride)
	vectors := make([][]uint64, count)
	for i := range vectors {
		vectors[i] = buffer[i*stride : i*stride+n : i*stride+n]
	}
	return vectors
}
