package deployment

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxUnpacked bounds what an archive may unpack to.
const maxUnpacked = 1 << 30

// file is a named member of an archive.
type file struct {
	name string
	data []byte
}

// pack writes an archive whose bytes depend on the files alone: fixed order, no times, no attributes.
func pack(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		member, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := member.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack returns the members of an archive, which must be exactly the named ones in this order.
func unpack(archive []byte, names ...string) ([][]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, errors.New("not a zip archive")
	}
	if len(r.File) != len(names) {
		return nil, fmt.Errorf("%d files: want %q", len(r.File), names)
	}
	total := uint64(0)
	members := make([][]byte, len(names))
	for i, f := range r.File {
		if f.Name != names[i] {
			return nil, fmt.Errorf("file %d: want %q", i, names[i])
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return nil, fmt.Errorf("unpacks to more than %d bytes", maxUnpacked)
		}
		member, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
		// The header may lie; what is read is bounded by what it said.
		members[i], err = io.ReadAll(io.LimitReader(member, int64(f.UncompressedSize64)+1))
		member.Close()
		if err != nil || uint64(len(members[i])) != f.UncompressedSize64 {
			return nil, fmt.Errorf("%s is damaged", names[i])
		}
	}
	return members, nil
}

// decodeJSON reads exactly one JSON value without unknown fields.
func decodeJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON value")
	}
	return nil
}
