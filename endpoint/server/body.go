package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
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

// hold sees to it that the request has taken n bytes.
func (s *share) hold(n int64) error {
	more := max(0, n-s.taken)
	s.taken += more
	if s.budget.used.Add(more) > s.budget.limit {
		return handler.Errorf(handler.Busy, "too many large requests at a time")
	}
	return nil
}

func (s *share) release() { s.budget.used.Add(-s.taken) }

const (
	// firstBytes is a body's buffer before most of it has come.
	firstBytes = 8 << 10
	// keptBytes is the largest buffer that is used again.
	keptBytes = 1 << 20
	// fieldBytes is room for what stands around one encrypted input in msgpack.
	fieldBytes = 512
)

// buffers are used again for bodies that hold one encrypted input, as most do: to make and clear a new one for each takes
// about as long as to receive it.
type buffers struct {
	size int // of each; 0 for none
	free sync.Pool
}

// fit makes them as large as a body with one encrypted input in msgpack. It is called before the first use.
func (b *buffers) fit(requestBytes int) {
	if size := requestBytes + fieldBytes; size <= keptBytes {
		b.size = size
	}
}

func (b *buffers) get() []byte {
	if buffer, ok := b.free.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, b.size)
}

// put takes a body back that nobody uses any more. It may have come from elsewhere.
func (b *buffers) put(body []byte) {
	if b.size > 0 && cap(body) == b.size {
		body = body[:b.size]
		b.free.Put(&body)
	}
}

// readBody reads a body of the form, of at most limit bytes, in at most the given time. Memory is taken as bytes
// arrive, so that a promise of many costs little.
func (b *buffers) readBody(w http.ResponseWriter, r *http.Request, f *form, limit int64, timeout time.Duration, s *share) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, handler.Errorf(handler.TooLarge, "the body has at most %d bytes in this form", limit)
	}
	// Not every writer of tests has deadlines; the server's have.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(timeout))
	body, err := b.readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength, f, s)
	if err == nil {
		// Lifted, since net/http takes a deadline that passes during the answer for a connection that broke. After an
		// error it stays: net/http reads on, for the connection's next request, and must not wait for ever.
		_ = control.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		err = handler.Errorf(handler.TooLarge, "the body has at most %d bytes in this form", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		err = &handler.Error{Code: handler.SlowRequest, Cause: err}
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = &handler.Error{Code: handler.Canceled, Cause: err}
	}
	return body, err
}

// readAll reads to the end, which is at a length or, for -1, anywhere. What it has read it returns in any case.
func (b *buffers) readAll(r io.Reader, length int64, f *form, s *share) ([]byte, error) {
	body := make([]byte, 0, firstBytes)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if refused := s.hold(int64(len(body)) * f.memory); refused != nil {
			return body, refused
		}
		switch {
		case err == io.EOF:
			return body, nil
		case err != nil:
			return body, err
		case len(body) < cap(body):
		case len(body) < b.size && length <= int64(b.size):
			if err := s.hold(int64(b.size)); err != nil {
				return body, err
			}
			body = append(b.get()[:0], body...)
		default:
			body = append(make([]byte, 0, 2*len(body)), body...) // as form.memory says
		}
	}
}
