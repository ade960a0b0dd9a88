package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"cipherpoint/handler"
)

const (
	// bodyMemory bounds the memory of all requests that are being read or answered.
	bodyMemory = 256 << 20
	// bodyOverhead is room for the fields around keys and inputs.
	bodyOverhead = 64 << 10
)

// form is an encoding of requests and replies.
type form struct {
	name      string // of its media type
	expansion int64  // largest number of bytes of a body for one byte of keys or inputs
	memory    int64  // bytes of memory for a byte of the body: the buffer as it grows, and what is decoded
}

var (
	// formJSON: a number of an integer list has up to three digits, a comma and a space.
	formJSON    = &form{"application/json", 5, 3}
	formMsgpack = &form{"application/msgpack", 1, 2}
)

// limit is the largest body of the form, where the content has at most n bytes.
func (f *form) limit(n int64) int64 { return n*f.expansion + bodyOverhead }

// budget is memory that is shared by all requests.
type budget struct {
	limit int64
	used  atomic.Int64
}

// share is what one request has taken of a budget.
type share struct {
	budget *budget
	taken  int64
}

func (s *share) take(n int64) error {
	s.taken += n
	if s.budget.used.Add(n) > s.budget.limit {
		return handler.Errorf(handler.Busy, "too many large requests at a time")
	}
	return nil
}

func (s *share) release() { s.budget.used.Add(-s.taken) }

// readBody reads a body of the form, of at most limit bytes, in at most the given time. Memory is taken as bytes
// arrive, so that a promise of many costs nothing.
func readBody(w http.ResponseWriter, r *http.Request, f *form, limit int64, timeout time.Duration, s *share) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, handler.Errorf(handler.TooLarge, "the body has at most %d bytes in this form", limit)
	}
	// Not every writer of tests has deadlines; the server's have.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(timeout))
	var body bytes.Buffer
	_, err := body.ReadFrom(&sharedReader{http.MaxBytesReader(w, r.Body, limit), f.memory, s})
	if err == nil {
		// Lifted, since net/http takes a deadline that passes during the answer for a connection that broke. After an
		// error it stays: net/http reads on, for the connection's next request, and must not wait for ever.
		_ = control.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, handler.Errorf(handler.TooLarge, "the body has at most %d bytes in this form", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return nil, &handler.Error{Code: handler.SlowRequest, Cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &handler.Error{Code: handler.Canceled, Cause: err}
	}
	return body.Bytes(), err
}

type sharedReader struct {
	io.Reader
	memory int64
	share  *share
}

func (r *sharedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if refused := r.share.take(int64(n) * r.memory); refused != nil {
		return n, refused
	}
	return n, err
}
