package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"cipherpoint/handler"
)

const (
	// pingTime bounds how long the store may take to answer a health check.
	pingTime = 2 * time.Second
	// writeTime bounds how long a client may take to read a reply.
	writeTime = time.Minute
)

func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = s.writeError
	e.Use(s.observe)
	e.GET("/health", s.health)
	e.HEAD("/health", s.health)
	e.GET("/", s.describe, s.authorize)
	e.GET("/metrics", echo.WrapHandler(s.metrics.handler()), s.authorize)
	e.POST("/", s.post, s.authorize, s.limitRate)
	e.POST("/predict", s.post, s.authorize, s.limitRate)
	return e
}

// exchange is what is known about a request beside the request itself; it lives in the echo.Context.
type exchange struct {
	id       string // random, in the log and in the header X-Request-Id
	method   string // of the protocol
	key      string // short digest of the uid
	owner    string // of the token
	received int
	form     *form // of the reply
}

const exchangeKey = "exchange"

func exchangeOf(c echo.Context) *exchange {
	x, _ := c.Get(exchangeKey).(*exchange)
	return x
}

// observe surrounds every request: id, headers, panics, log, metrics.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		x := &exchange{id: rand.Text()[:16]}
		c.Set(exchangeKey, x)
		header := c.Response().Header()
		header.Set("X-Request-Id", x.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")

		err := recovered(func() error { return next(c) })
		var failure *handler.Error
		var code handler.Code
		if err != nil {
			failure = asError(err)
			code = failure.Code
			s.writeError(failure, c)
		}
		took := time.Since(start)
		post := c.Request().Method == http.MethodPost
		if post {
			s.metrics.observe(x.method, code, took, int64(x.received), c.Response().Size)
		}
		level := slog.LevelDebug
		switch {
		case code == handler.Internal:
			level = slog.LevelError
		case post:
			level = slog.LevelInfo
		}
		attributes := []slog.Attr{
			slog.String("id", x.id),
			slog.String("route", c.Path()),
			slog.Int("status", c.Response().Status),
			slog.Duration("took", took),
			slog.Int("received", x.received),
			slog.Int64("sent", c.Response().Size),
		}
		if post {
			attributes = append(attributes, slog.String("method", x.method), slog.String("key", x.key))
		}
		if failure != nil {
			attributes = append(attributes, slog.String("code", string(code)))
			if failure.Cause != nil {
				attributes = append(attributes, slog.String("cause", failure.Cause.Error()))
			}
		}
		s.log.LogAttrs(c.Request().Context(), level, "request", attributes...)
		return nil
	}
}

// recovered runs f and returns a panic as an error.
func recovered(f func() error) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler: // for net/http to handle
			panic(r)
		default:
			err = &handler.Error{Code: handler.Internal, Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	return f()
}

// asError also knows the errors of the router.
func asError(err error) *handler.Error {
	var routing *echo.HTTPError
	if errors.As(err, &routing) {
		switch routing.Code {
		case http.StatusNotFound:
			return &handler.Error{Code: handler.NoSuchRoute}
		case http.StatusMethodNotAllowed:
			return &handler.Error{Code: handler.MethodNotAllowed}
		}
	}
	return handler.AsError(err)
}

func (s *Server) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		owner, ok := s.tokens.accept(c.Request().Header.Get("Authorization"))
		if !ok {
			c.Response().Header().Set("WWW-Authenticate", "Bearer")
			return &handler.Error{Code: handler.Unauthorized}
		}
		exchangeOf(c).owner = owner
		return next(c)
	}
}

// health is 200 when requests would be answered.
func (s *Server) health(c echo.Context) error {
	if _, err := s.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), pingTime)
	defer cancel()
	if err := s.store.Ping(ctx); err != nil {
		return &handler.Error{Code: handler.StoreUnavailable, Cause: err}
	}
	return s.write(c, http.StatusOK, formJSON, []byte(`{"status":"ok"}`))
}

// describe says what is served here.
func (s *Server) describe(c echo.Context) error {
	h, err := s.ready()
	if err != nil {
		return err
	}
	d := h.Describe()
	return s.reply(c, formJSON, handler.Response{Description: &d}, request{})
}

// post answers a request of the protocol.
func (s *Server) post(c echo.Context) error {
	x, r := exchangeOf(c), c.Request()
	in, err := requestForm(r.Header)
	if err != nil {
		return err
	}
	h, err := s.ready()
	if err != nil {
		return err
	}
	out, err := replyForm(r.Header, in)
	if err != nil {
		return err
	}
	x.form = out
	memory := share{budget: &s.memory}
	defer memory.release()
	body, err := s.buffers.readBody(c.Response(), r, in, in.limit(h.MaxBody()), s.config.ReadTimeout, &memory)
	x.received = len(body)
	if err != nil {
		return err
	}
	decode := decodeJSON
	if in == formMsgpack {
		decode = decodeMsgpack
	}
	q, err := decode(body)
	if err != nil {
		return err
	}
	x.method, x.key = q.Method, shortDigest(q.UID)
	q.Owner = x.owner
	reply, err := h.Handle(r.Context(), q.Request)
	if q.Method == handler.Inference { // a store might use what it was given for longer than the request lasts
		s.buffers.put(body)
	}
	if err != nil {
		return err
	}
	if reply.Key != nil {
		x.key = shortDigest(reply.Key.UID)
	}
	return s.reply(c, out, reply, q)
}

// shortDigest tells keys apart in the log without giving away their uids.
func shortDigest(uid string) string {
	if uid == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:4])
}

// reply encodes and sends what a request has brought.
func (s *Server) reply(c echo.Context, f *form, reply handler.Response, q request) error {
	var body []byte
	var err error
	if f == formMsgpack {
		body, err = encodeMsgpack(replyValue(reply, q))
	} else {
		body, err = encodeJSON(reply, q)
	}
	if err != nil {
		return err
	}
	return s.write(c, http.StatusOK, f, body)
}

// write sends a body. What goes wrong then cannot be told to the client any more.
func (s *Server) write(c echo.Context, status int, f *form, body []byte) error {
	header := c.Response().Header()
	header.Set("Content-Type", f.name)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(writeTime))
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	if _, err := c.Response().Write(body); err != nil {
		s.log.Debug("reply was not sent", "id", exchangeOf(c).id, "cause", err)
	}
	return nil
}

// writeError sends an error in the form of the reply.
func (s *Server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	x, failure := exchangeOf(c), asError(err)
	message := struct {
		Error string       `json:"error"`
		Code  handler.Code `json:"code"`
		ID    string       `json:"id,omitempty"`
	}{Error: failure.Error(), Code: failure.Code}
	if failure.Code == handler.Internal {
		message.ID = x.id
	}
	if wait := failure.Code.RetryAfter(); wait > 0 && c.Response().Header().Get("Retry-After") == "" {
		c.Response().Header().Set("Retry-After", strconv.Itoa(wait))
	}
	f := x.form
	if f == nil {
		// Before the body was read, JSON unless only msgpack is asked for.
		if f, err = replyForm(c.Request().Header, formJSON); err != nil {
			f = formJSON
		}
	}
	encode := json.Marshal
	if f == formMsgpack {
		encode = encodeMsgpack
	}
	body, err := encode(message)
	if err != nil {
		s.log.Error("error could not be encoded", "id", x.id, "cause", err)
		return
	}
	_ = s.write(c, failure.Code.Status(), f, body)
}
