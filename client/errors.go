package client

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cipherpoint/internal/format"
)

// Code names a failure of a request. An endpoint may send codes beside these; all are in handler/PROTOCOL.md.
type Code string

// Codes that a program may want to branch on.
const (
	Unauthorized     Code = "unauthorized"      // no token or a wrong one
	UnknownKey       Code = "unknown_key"       // no such uid: upload the keys again
	IncompleteKey    Code = "incomplete_key"    // the upload has not ended: go on with it
	DamagedKey       Code = "damaged_key"       // the endpoint lost part of it: delete it and upload again
	Conflict         Code = "conflict"          // other keys are being uploaded under this uid
	WrongKeySet      Code = "wrong_key_set"     // the client part is for another model
	InvalidKey       Code = "invalid_key"       // not keys for this model
	InvalidInput     Code = "invalid_input"     // not an input of this model
	WrongDigest      Code = "wrong_digest"      // the keys changed while they were sent: upload again
	TooLarge         Code = "too_large"         // more than the endpoint or a proxy before it takes
	SlowRequest      Code = "slow_request"      // the connection is too slow for the size
	TooManyKeys      Code = "too_many_keys"     // of this token: delete one
	Busy             Code = "busy"              // repeated by itself
	RateLimited      Code = "rate_limited"      // repeated by itself
	NotReady         Code = "not_ready"         // repeated by itself
	StoreUnavailable Code = "store_unavailable" // repeated by itself
	BadReply         Code = "bad_reply"         // what came back is no reply of the protocol
	NoConnection     Code = "no_connection"     // lost several times in a row, or never made: come back later
)

// Error is the refusal of a request.
type Error struct {
	Code       Code
	Message    string        // by the endpoint, for people
	ID         string        // of an internal failure, for the operator to find it
	Status     int           // of HTTP; 0 where the reply was at fault
	RetryAfter time.Duration // 0: not said
}

func (e *Error) Error() string {
	text := e.Message
	if e.ID != "" {
		text += " (id " + e.ID + ")"
	}
	if e.Code == BadReply {
		return text
	}
	return fmt.Sprintf("the endpoint refused: %s [%s]", text, e.Code)
}

// CodeOf returns the code of an error of this package, or "".
func CodeOf(err error) Code {
	var e *Error
	var loss *lossError
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &loss):
		return NoConnection
	}
	return ""
}

func badReply(format string, args ...any) *Error {
	return &Error{Code: BadReply, Message: "not a reply of the protocol: " + fmt.Sprintf(format, args...)}
}

// maxMessage bounds what is shown of an endpoint's text.
const maxMessage = 500

func shortened(s string) string { return format.Text(s[:min(len(s), maxMessage)]) }

// refusal returns the error that a reply with a status other than 200 stands for. Proxies answer in forms of their own.
func refusal(status int, header http.Header, body []byte) *Error {
	e := new(Error)
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	switch media {
	case mediaType:
		if message, err := decodeFailure(body); err == nil {
			*e = message
		}
	case "application/json":
		var message struct{ Error, Code, ID string }
		if json.Unmarshal(body, &message) == nil {
			*e = Error{Code: Code(message.Code), Message: message.Error, ID: message.ID}
		}
	}
	e.Status, e.Code, e.Message, e.ID = status, Code(shortened(string(e.Code))), shortened(e.Message), shortened(e.ID)
	if e.Code == "" || e.Code == BadReply {
		e.Code = codeOfStatus(status)
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("status %d %s", status, http.StatusText(status))
		if status/100 == 3 {
			e.Message = "it redirects: use the address that it redirects to"
		}
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= maxRetryAfter {
		e.RetryAfter = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		e.RetryAfter = max(0, time.Until(at))
	}
	return e
}

// maxRetryAfter in seconds is longer than any patience.
const maxRetryAfter = 1 << 20

// codeOfStatus is for refusals by what stands between us and the endpoint.
func codeOfStatus(status int) Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Unauthorized
	case http.StatusRequestTimeout:
		return SlowRequest
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusTooManyRequests:
		return Busy
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return NotReady
	}
	return Code("status_" + strconv.Itoa(status))
}

// lossError is a connection that could not be made or broke: whether the request arrived is unknown.
type lossError struct{ cause error }

func (e *lossError) Error() string { return "no connection to the endpoint: " + e.cause.Error() }
func (e *lossError) Unwrap() error { return e.cause }

// lost returns what net/http says about a connection without the address, which it repeats.
func lost(err error) *lossError {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &lossError{err}
}

// lasting reports whether a lost connection would be lost again.
func (e *lossError) lasting() bool {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	return errors.As(e.cause, &certificate) || errors.As(e.cause, &name) && name.IsNotFound
}
