// Package wire holds what both ends of the wire need to write and read the encodings of package fhe: bit packing,
// the expansion of seeds, headers and sizes. FORMAT.md in package fhe specifies all of it.
package wire
