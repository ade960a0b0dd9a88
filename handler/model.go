package handler

import (
	"context"
	"errors"
	"io"
)

// ErrUnsuitable is wrapped by what a Model returns for a key or an input that is truncated, malformed, or made for
// another model. The text of the whole error is shown to the user, so it holds sizes and names, never content.
var ErrUnsuitable = errors.New("not made for this model")

// Model runs encrypted inputs. All methods may be called at the same time.
type Model interface {
	// Summary says what the model is.
	Summary() Summary
	// ClientZip is what a client needs to use the model. The caller does not change it.
	ClientZip() []byte
	// KeySet identifies the parameters and the set of evaluation keys. Models with the same one share keys.
	KeySet() [16]byte
	// KeyBytes, RequestBytes and ReplyBytes are the exact sizes on the wire of a key, of an encrypted input, and of an
	// encrypted output.
	KeyBytes() int64
	RequestBytes() int
	ReplyBytes() int
	// BatchSize is how many samples an encrypted input holds, mostly one.
	BatchSize() int
	// LoadKeys reads a key and makes it ready for use. It trusts nothing about the bytes, allocates no more than the
	// model's parameters account for, and returns ErrUnsuitable where they do not fit. It may leave bytes unread.
	LoadKeys(ctx context.Context, r io.Reader) (Keys, error)
	// Infer checks the input, then computes its output. ErrUnsuitable says that the input is at fault. It neither
	// changes nor keeps the input.
	Infer(ctx context.Context, keys Keys, input []byte) ([]byte, error)
}

// Gallery is a Model that compares inputs with templates that its users have stored, encrypted as the inputs are.
type Gallery interface {
	Model
	// TemplateSet identifies the parameters of templates, as KeySet does those of keys.
	TemplateSet() [16]byte
	// CheckTemplates returns ErrUnsuitable for a size in bytes that no templates have.
	CheckTemplates(size int64) error
	// LoadTemplates reads templates on the terms of LoadKeys.
	LoadTemplates(ctx context.Context, r io.Reader) (Keys, error)
	// Match is Infer for an input and the templates it is compared with. What LoadKeys has made is keys, and what
	// LoadTemplates has made templates.
	Match(ctx context.Context, keys Keys, templates []Keys, input []byte) ([]byte, error)
}

// Keys is an expanded evaluation key, as LoadKeys makes it and Infer takes it. It is never changed and may be used by
// several inferences at once.
type Keys interface {
	// Bytes is the memory that the key occupies.
	Bytes() int64
}

// Summary says what a model is.
type Summary struct {
	// ID is the digest of the model, in hexadecimal.
	ID string `json:"id"`
	// Name is the publisher's name for it.
	Name string `json:"name"`
	// Kind is a short description of the kind of model, such as "tree ensemble".
	Kind string `json:"kind"`
}
