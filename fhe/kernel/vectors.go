package kernel

import "unsafe"

// alignment is a cache line and the width of the widest registers.
const alignment = 64

// NewVector returns n zeros that start on a 64-byte boundary.
func NewVector(n int) []uint64 {
	return aligned(make([]uint64, n+alignment/8-1))[:n:n]
}

// aligned returns the part of the buffer that starts on a 64-byte boundary.
func aligned(buffer []uint64) []uint64 {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(buffer)))
	return buffer[-address%alignment/8:]
}

// manyBytes is from where on memory is asked for in large pages.
const manyBytes = 1 << 18

// pageWords is a page in words. Vectors that follow each other at a multiple of it compete for the same places of a
// cache: a few dozen of them, read side by side, would not stay there. So they stand a few lines further apart.
const pageWords = 512

// NewVectors returns count vectors of n zeros each, one after the other in memory, each on a 64-byte boundary.
func NewVectors(count, n int) [][]uint64 {
	stride := (n + 7) &^ 7
	if stride%pageWords == 0 {
		stride += (stride/pageWords | 1) * alignment / 8
	}
	buffer := NewVector(count * stride)
	if 8*len(buffer) >= manyBytes {
		adviseHugePages(buffer)
	}
	vectors := make([][]uint64, count)
	for i := range vectors {
		vectors[i] = buffer[i*stride : i*stride+n : i*stride+n]
	}
	return vectors
}
