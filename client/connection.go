package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Options steer a Connection. The zero value is right for most uses.
type Options struct {
	// Patience is how long a request is repeated while the endpoint says that it is busy, not ready or without its
	// store; 0 is 5 minutes, which a replica that was scaled to zero needs to start.
	Patience time.Duration
	// OnWait is told why a request will be repeated, and when. It may be called concurrently.
	OnWait func(reason error, wait time.Duration)
	// PieceBytes is the largest piece of evaluation keys in one request; 0 is 4 MiB, what the protocol allows. Pieces
	// shrink by themselves where they turn out to be too large for a proxy or too slow.
	PieceBytes int
	// Transport makes the connections; nil is one of its own.
	Transport http.RoundTripper
	// PlainHTTP allows a token to be sent without TLS to another machine: only where the way is otherwise protected.
	PlainHTTP bool
}

const (
	defaultPatience = 5 * time.Minute
	exchangeTime    = 5 * time.Minute // for one try of one request
	maxLosses       = 5               // of the connection, one after the other
	firstWait       = 250 * time.Millisecond
	longestWait     = 8 * time.Second

	inferenceInputs = 64       // in one request, as the protocol says
	maxOutput       = 8 << 20  // bytes of an encrypted output
	smallReply      = 64 << 10 // bytes of any other reply, and around outputs
)

// Connection talks to one endpoint in msgpack. It is safe for concurrent use.
type Connection struct {
	address  string
	token    string
	options  Options
	client   http.Client
	sent     atomic.Int64
	received atomic.Int64
}

// New returns a connection to the endpoint at a URL, with a bearer token where that is not empty. It does not connect
// yet.
func New(address, token string, o Options) (*Connection, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the endpoint's address must be a URL like https://host")
	}
	if token != "" && u.Scheme == "http" && !o.PlainHTTP && !loopback(u.Hostname()) {
		return nil, errors.New("a token must not be sent unencrypted: use an address that begins with https")
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.PieceBytes <= 0 || o.PieceBytes > maxPiece {
		o.PieceBytes = maxPiece
	}
	if o.OnWait == nil {
		o.OnWait = func(error, time.Duration) {}
	}
	if o.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = parallelPieces
		transport.DisableCompression = true // ciphertexts do not compress, and sizes are counted
		o.Transport = transport
	}
	return &Connection{address: u.String(), token: token, options: o, client: http.Client{
		Transport: o.Transport,
		// A redirect must not take keys and tokens to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close closes connections that are not in use.
func (c *Connection) Close() { c.client.CloseIdleConnections() }

// Traffic returns the bytes of request and reply bodies that went over the wire since New, repeats included.
func (c *Connection) Traffic() (sent, received int64) { return c.sent.Load(), c.received.Load() }

// Describe asks which model the endpoint serves, and for the client's part of it.
func (c *Connection) Describe(ctx context.Context) (*Description, error) {
	body, err := c.call(ctx, newMessage("describe"), maxClientZip+smallReply)
	if err != nil {
		return nil, err
	}
	return decodeDescription(body)
}

// KeyStatus returns how far an upload is.
func (c *Connection) KeyStatus(ctx context.Context, uid string) (KeyState, error) {
	return c.key(ctx, uid, newMessage("key_status", field{"uid", uid}))
}

// key sends a request that is answered with the state of a key.
func (c *Connection) key(ctx context.Context, uid string, m message) (KeyState, error) {
	body, err := c.call(ctx, m, smallReply)
	if err != nil {
		return KeyState{}, err
	}
	state, err := decodeKeyState(body)
	if err == nil && uid != "" && state.UID != uid {
		err = badReply("it is about another key")
	}
	return state, err
}

// DeleteKey removes an upload or a key from the endpoint. A key that is gone already is no error.
func (c *Connection) DeleteKey(ctx context.Context, uid string) error {
	_, err := c.call(ctx, newMessage("delete_key", field{"uid", uid}), smallReply)
	if CodeOf(err) == UnknownKey { // also what a repeat gets after a lost reply
		return nil
	}
	return err
}

// Infer sends one encrypted input and returns the encrypted output.
func (c *Connection) Infer(ctx context.Context, uid string, input []byte) ([]byte, error) {
	return c.infer(ctx, uid, input, maxOutput)
}

// infer is Infer for an output of at most limit bytes.
func (c *Connection) infer(ctx context.Context, uid string, input []byte, limit int64) ([]byte, error) {
	m := newMessage("inference", field{"uid", uid}, field{"encrypted_inputs", input})
	body, err := c.call(ctx, m, limit+smallReply)
	if err != nil {
		return nil, err
	}
	return decodeOutput(body)
}

// InferMany sends encrypted inputs, as many at once as the protocol allows, and returns the outputs in their order.
func (c *Connection) InferMany(ctx context.Context, uid string, inputs [][]byte) ([][]byte, error) {
	outputs := make([][]byte, 0, len(inputs))
	for len(inputs) > 0 {
		n := min(len(inputs), inferenceInputs)
		m := newMessage("inference", field{"uid", uid}, field{"encrypted_inputs", inputs[:n]})
		body, err := c.call(ctx, m, int64(n)*maxOutput+smallReply)
		if err != nil {
			return nil, err
		}
		part, err := decodeOutputs(body, n)
		if err != nil {
			return nil, err
		}
		outputs, inputs = append(outputs, part...), inputs[n:]
	}
	return outputs, nil
}

// call sends a request, again where that may help, and returns the reply's body, of at most limit bytes.
func (c *Connection) call(ctx context.Context, m message, limit int64) ([]byte, error) {
	again := c.patience()
	for {
		body, err := c.exchange(ctx, m, limit, nil)
		if err == nil {
			return body, nil
		}
		if err := again.wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// exchange sends a request once. sent, which may be nil, is told how much of the message's bytes was read to be sent.
func (c *Connection) exchange(ctx context.Context, m message, limit int64, sent func(int64)) ([]byte, error) {
	try, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	body := func() (io.ReadCloser, error) { return io.NopCloser(&countedReader{m.reader(sent), &c.sent}), nil }
	first, _ := body()
	request, err := http.NewRequestWithContext(try, http.MethodPost, c.address, first)
	if err != nil {
		return nil, err
	}
	request.ContentLength, request.GetBody = m.size(), body
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", mediaType)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	reply, err := c.client.Do(request)
	if err != nil {
		return nil, broken(ctx, err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		limit = smallReply
	}
	content, err := io.ReadAll(io.LimitReader(&countedReader{reply.Body, &c.received}, limit+1))
	switch {
	case reply.StatusCode != http.StatusOK:
		return nil, refusal(reply.StatusCode, reply.Header, content)
	case err != nil:
		return nil, broken(ctx, err)
	case int64(len(content)) > limit:
		return nil, badReply("it has more than %d bytes", limit)
	}
	if media, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type")); media != mediaType {
		return nil, badReply("it is not %s: is this the address of an endpoint?", mediaType)
	}
	return content, nil
}

func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return lost(err)
}

type countedReader struct {
	io.Reader
	count *atomic.Int64
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.count.Add(int64(n))
	return n, err
}

// patience decides whether one request is repeated, and waits before that.
type patience struct {
	options *Options
	end     time.Time
	tries   int
	losses  int
}

func (c *Connection) patience() *patience {
	return &patience{options: &c.options, end: time.Now().Add(c.options.Patience)}
}

// wait returns after a pause if the request that failed with err may be repeated, and an error if it may not.
func (p *patience) wait(ctx context.Context, err error) error {
	pause := min(firstWait<<min(p.tries, 16), longestWait)
	p.tries++
	var loss *lossError
	var refused *Error
	switch {
	case errors.As(err, &loss):
		if p.losses++; p.losses >= maxLosses || loss.lasting() {
			return err
		}
	case errors.As(err, &refused) && (refused.Code == Busy || refused.Code == RateLimited || refused.Code == NotReady || refused.Code == StoreUnavailable):
		p.losses = 0
		pause = max(pause, refused.RetryAfter)
	default:
		return err
	}
	pause += rand.N(pause/2 + 1) // never earlier than the endpoint asked for
	if time.Now().Add(pause).After(p.end) {
		return fmt.Errorf("gave up waiting: %w", err)
	}
	p.options.OnWait(err, pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
