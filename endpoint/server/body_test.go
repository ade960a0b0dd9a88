package server

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"cipherpoint/handler"
)

// TestReadAll: bodies of all sizes around those of buffers, as they may arrive, in buffers that held other ones before.
func TestReadAll(t *testing.T) {
	const request = 40 << 10
	var b buffers
	b.fit(request)
	readers := map[string]func(io.Reader) io.Reader{
		"at once":       func(r io.Reader) io.Reader { return r },
		"in halves":     iotest.HalfReader,
		"end with data": iotest.DataErrReader,
	}
	for name, arrive := range readers {
		for _, size := range []int{0, 1, firstBytes - 1, firstBytes, firstBytes + 1, request, b.size - 1, b.size, b.size + 1, 5 * request} {
			for _, length := range []int64{int64(size), -1} {
				body := bytes.Repeat([]byte{byte(size), byte(size >> 8), 3}, size/3+1)[:size]
				memory := share{budget: &budget{limit: 1 << 20}}
				got, err := b.readAll(arrive(bytes.NewReader(body)), length, formMsgpack, &memory)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s, %d bytes, length %d: %d bytes, %v", name, size, length, len(got), err)
				}
				if memory.taken < int64(size)*formMsgpack.memory || size > firstBytes && memory.taken < int64(cap(got)) {
					t.Errorf("%s, %d bytes: %d taken for a buffer of %d", name, size, memory.taken, cap(got))
				}
				if memory.release(); memory.budget.used.Load() != 0 {
					t.Errorf("%s, %d bytes: memory is still taken", name, size)
				}
				clear(got) // what the next body must not show
				b.put(got)
			}
		}
	}
}

// TestReadAllRefuses: a buffer counts before it is full, and what has come is told.
func TestReadAllRefuses(t *testing.T) {
	var b buffers
	b.fit(100 << 10)
	memory := share{budget: &budget{limit: 50 << 10}}
	got, err := b.readAll(bytes.NewReader(make([]byte, 10<<10)), 100<<10, formMsgpack, &memory)
	var failure *handler.Error
	if !errors.As(err, &failure) || failure.Code != handler.Busy || len(got) != firstBytes {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	got, err = b.readAll(iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(make([]byte, 100)))), 100, formMsgpack, &share{budget: &budget{limit: 1 << 20}})
	if !errors.Is(err, iotest.ErrTimeout) || len(got) == 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestBuffersOfBatches are not kept.
func TestBuffersOfBatches(t *testing.T) {
	var b buffers
	b.fit(keptBytes)
	b.put(make([]byte, keptBytes))
	if b.size != 0 || b.free.Get() != nil {
		t.Error("a large buffer is kept")
	}
}
