package redis

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cipherpoint/keystore"
)

// record is what the fields of a hash say of an upload or a key.
type record struct {
	keystore.Info
	// id distinguishes this upload from an earlier or later one of the same uid.
	id string
}

// recordFields are in the order in which the scripts return them and parse takes them.
var recordFields = []string{"id", "size", "sha256", "key_set", "present", "unsealed"}

var errRecord = fmt.Errorf("%w: record is not readable", keystore.ErrCorrupt)

// parse reads the values of recordFields. A hash that is not there has none of them.
func parse(reply any) (record, error) {
	values, ok := reply.([]any)
	if !ok || len(values) != len(recordFields) {
		return record{}, errRecord
	}
	if values[0] == nil {
		return record{}, keystore.ErrNotFound
	}
	var text [5]string
	for i := range text {
		if text[i], ok = values[i].(string); !ok {
			return record{}, errRecord
		}
	}
	size, err := strconv.ParseInt(text[1], 10, 64)
	if err != nil || len(text[2]) != sha256.Size {
		return record{}, errRecord
	}
	r := record{id: text[0]}
	r.Upload = keystore.Upload{Size: size, SHA256: [sha256.Size]byte([]byte(text[2])), KeySet: text[3]}
	r.Sealed = values[5] == nil
	r.Present, err = parseRanges(text[4], size)
	return r, err
}

// parseRanges reads the form BEGIN-END,BEGIN-END,...
func parseRanges(text string, size int64) (keystore.Ranges, error) {
	if text == "" {
		return nil, nil
	}
	var ranges keystore.Ranges
	last := int64(-1)
	for pair := range strings.SplitSeq(text, ",") {
		begin, end, _ := strings.Cut(pair, "-")
		b, err1 := strconv.ParseInt(begin, 10, 64)
		e, err2 := strconv.ParseInt(end, 10, 64)
		if err1 != nil || err2 != nil || b <= last || e <= b || e > size {
			return nil, errRecord
		}
		ranges = append(ranges, keystore.Range{Begin: b, End: e})
		last = e
	}
	return ranges, nil
}

// takeVerdict splits the reply of the script that puts pieces.
func takeVerdict(reply any) (verdict string, record any, err error) {
	values, ok := reply.([]any)
	if !ok || len(values) == 0 {
		return "", nil, errRecord
	}
	if verdict, ok = values[0].(string); !ok {
		return "", nil, errRecord
	}
	if len(values) > 1 {
		record = values[1]
	}
	return verdict, record, nil
}

// reader reads the blocks of one upload or key, each together with the id that it must have.
type reader struct {
	ctx    context.Context
	store  *Store
	name   string
	id     string
	size   int64
	offset int64
	rest   string // of the block that was read last
}

func (s *Store) reader(ctx context.Context, uid string, r record) *reader {
	return &reader{ctx: ctx, store: s, name: s.name(uid), id: r.id, size: r.Size}
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.offset == r.size {
		return 0, io.EOF
	}
	if r.rest == "" {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.offset += int64(n)
	return n, nil
}

// next reads the block that begins at the offset.
func (r *reader) next() error {
	values, err := r.store.client.HMGet(r.ctx, r.name, "id", strconv.FormatInt(r.offset/block, 10)).Result()
	if err != nil {
		return failure(r.ctx, err)
	}
	if id, _ := values[0].(string); id != r.id {
		return fmt.Errorf("%w: deleted while it was being read", keystore.ErrNotFound)
	}
	content, _ := values[1].(string)
	if int64(len(content)) != min(block, r.size-r.offset) {
		return fmt.Errorf("%w: block is missing", keystore.ErrCorrupt)
	}
	r.rest = content
	return nil
}

func (r *reader) Close() error {
	r.rest = ""
	return nil
}
