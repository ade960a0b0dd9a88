package dataset

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxIDXBytes bounds the content of an IDX file: five times the training images of MNIST.
const maxIDXBytes = 256 << 20

// IDX is an array of bytes as stored in the files of MNIST: big-endian dimensions, then the values, row-major.
type IDX struct {
	Dims []int
	Data []byte
}

// ReadIDX reads a gzip-compressed IDX file of unsigned bytes with 1 to 4 dimensions and at most 256 MiB of values.
// Memory grows with the bytes that arrive, not with what the header announces.
func ReadIDX(r io.Reader) (*IDX, error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	var magic [4]byte
	if _, err := io.ReadFull(unzipped, magic[:]); err != nil {
		return nil, fmt.Errorf("idx: header: %w", err)
	}
	const unsignedByte = 0x08
	rank := int(magic[3])
	if magic[0] != 0 || magic[1] != 0 || magic[2] != unsignedByte || rank < 1 || rank > 4 {
		return nil, errors.New("idx: not an array of unsigned bytes with 1 to 4 dimensions")
	}
	header := make([]byte, 4*rank)
	if _, err := io.ReadFull(unzipped, header); err != nil {
		return nil, fmt.Errorf("idx: header: %w", err)
	}
	idx := &IDX{Dims: make([]int, rank)}
	size := int64(1)
	for i := range idx.Dims {
		dim := int64(binary.BigEndian.Uint32(header[4*i:]))
		if dim == 0 || dim > maxIDXBytes/size {
			return nil, fmt.Errorf("idx: dimension %d is empty or exceeds %d values in all", i, maxIDXBytes)
		}
		size *= dim
		idx.Dims[i] = int(dim)
	}
	idx.Data, err = io.ReadAll(io.LimitReader(unzipped, size+1))
	if err != nil {
		return nil, fmt.Errorf("idx: %w", err)
	}
	if int64(len(idx.Data)) != size {
		return nil, fmt.Errorf("idx: the values do not fill dimensions %v exactly", idx.Dims)
	}
	return idx, nil
}
