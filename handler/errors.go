package handler

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"cipherpoint/keystore"
)

// Code names a failure for programs. Codes are part of the protocol: they are added to, never renamed.
type Code string

// The failures of requests, of keys, of inputs and of the endpoint. The last group is used by the transport only.
const (
	BadRequest    Code = "bad_request"
	UnknownMethod Code = "unknown_method"
	MissingField  Code = "missing_field"
	TooLarge      Code = "too_large"

	UnknownKey    Code = "unknown_key"
	IncompleteKey Code = "incomplete_key"
	Conflict      Code = "conflict"
	InvalidPiece  Code = "invalid_piece"
	WrongKeySet   Code = "wrong_key_set"
	WrongDigest   Code = "wrong_digest"
	InvalidKey    Code = "invalid_key"
	DamagedKey    Code = "damaged_key"
	InvalidInput  Code = "invalid_input"
	TooManyKeys   Code = "too_many_keys"

	Busy             Code = "busy"
	RateLimited      Code = "rate_limited"
	Canceled         Code = "canceled"
	NotReady         Code = "not_ready"
	StoreUnavailable Code = "store_unavailable"
	StoreFull        Code = "store_full"
	Internal         Code = "internal"

	Unauthorized         Code = "unauthorized"
	NoSuchRoute          Code = "no_such_route"
	MethodNotAllowed     Code = "method_not_allowed"
	NotAcceptable        Code = "not_acceptable"
	SlowRequest          Code = "slow_request"
	UnsupportedMediaType Code = "unsupported_media_type"
)

// failure is what a code means on the wire.
type failure struct {
	status     int    // HTTP status
	message    string // for the user; a detail may follow after a colon
	retryAfter int    // seconds after which the same request may succeed; 0: do not just repeat it
}

// failures is the one table of what can go wrong.
var failures = map[Code]failure{
	BadRequest:    {400, "the request is malformed", 0},
	UnknownMethod: {400, "the method is unknown", 0},
	MissingField:  {400, "a field is missing", 0},
	TooLarge:      {413, "the request is larger than this endpoint accepts", 0},

	UnknownKey:    {404, "there is no key with this uid: upload it first", 0},
	IncompleteKey: {409, "the upload of this key has not ended", 0},
	Conflict:      {409, "the upload differs from what is stored under this uid", 0},
	InvalidPiece:  {422, "the piece is empty, reaches beyond the announced size, or leaves too many gaps", 0},
	WrongKeySet:   {422, "the key was made for another set of parameters: get the client part again", 0},
	WrongDigest:   {422, "the uploaded key does not have the announced sha256: upload it again", 0},
	InvalidKey:    {422, "the key cannot be used with this model", 0},
	DamagedKey:    {410, "the stored key is damaged: delete it and upload it again", 0},
	InvalidInput:  {422, "the encrypted input cannot be used with this model", 0},
	TooManyKeys:   {403, "this token has as many keys as it may have: delete one, or let one expire", 0},

	Busy:             {429, "the endpoint is busy", 1},
	RateLimited:      {429, "this token sends more requests than it may", 1},
	Canceled:         {499, "the client has gone", 0},
	NotReady:         {503, "the endpoint is not ready", 2},
	StoreUnavailable: {503, "the key store does not answer", 2},
	StoreFull:        {507, "the key store is full: the upload was discarded", 0},
	Internal:         {500, "the endpoint failed", 0},

	Unauthorized:         {401, "a valid bearer token is needed", 0},
	NoSuchRoute:          {404, "there is nothing at this address", 0},
	MethodNotAllowed:     {405, "this address does not take this HTTP method", 0},
	NotAcceptable:        {406, "the reply can be application/json or application/msgpack", 0},
	SlowRequest:          {408, "the request took too long to arrive", 0},
	UnsupportedMediaType: {415, "send application/json or application/msgpack", 0},
}

// Codes returns all codes, in no order.
func Codes() []Code {
	codes := make([]Code, 0, len(failures))
	for c := range failures {
		codes = append(codes, c)
	}
	return codes
}

// Status returns the HTTP status of the code.
func (c Code) Status() int { return failures[c].status }

// RetryAfter returns the number of seconds after which the same request may succeed, or 0.
func (c Code) RetryAfter() int { return failures[c].retryAfter }

// Error is the failure of a request.
type Error struct {
	Code   Code
	Detail string // shown to the user after the code's message, may be empty
	Cause  error  // for the operator, may be nil
}

// Error returns the text for the user.
func (e *Error) Error() string {
	if e.Detail == "" {
		return failures[e.Code].message
	}
	return failures[e.Code].message + ": " + e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an error with a detail for the user.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// AsError returns err as an *Error, by what it wraps.
func AsError(err error) *Error {
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	for _, known := range []struct {
		err  error
		code Code
	}{
		{keystore.ErrNotFound, UnknownKey},
		{keystore.ErrNotSealed, IncompleteKey},
		{keystore.ErrIncomplete, IncompleteKey},
		{keystore.ErrConflict, Conflict},
		{keystore.ErrInvalid, InvalidPiece}, // all other arguments are checked before the store is asked
		{keystore.ErrTooLarge, TooLarge},
		{keystore.ErrDigest, WrongDigest},
		{keystore.ErrCorrupt, DamagedKey},
		{keystore.ErrFull, StoreFull},
		{keystore.ErrLimit, TooManyKeys},
		{keystore.ErrUnavailable, StoreUnavailable},
		{context.Canceled, Canceled},
		{context.DeadlineExceeded, StoreUnavailable},
	} {
		if errors.Is(err, known.err) {
			return &Error{Code: known.code, Cause: err}
		}
	}
	return &Error{Code: Internal, Cause: err}
}

// unsuitable gives an ErrUnsuitable of the model its code; other errors stay what they are.
func unsuitable(code Code, err error) error {
	if errors.Is(err, ErrUnsuitable) {
		return &Error{Code: code, Detail: err.Error(), Cause: err}
	}
	return err
}

// guarded runs f and turns a panic into an error, since it would end the process in a goroutine of its own.
func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Code: Internal, Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
		}
	}()
	return f()
}
