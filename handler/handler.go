package handler

import (
	"context"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	"cipherpoint/keystore"
)

// The options that apply where none are given.
const (
	DefaultQueue         = 64
	DefaultKeyCacheBytes = 512 << 20
	DefaultGrace         = 5 * time.Minute
)

// Options bound what the handler uses.
type Options struct {
	// Workers is the number of inferences, key checks and key expansions at one time; 0 means GOMAXPROCS.
	Workers int
	// Queue is the number of requests that may wait for a worker; further ones are Busy. 0 means DefaultQueue.
	Queue int
	// KeysPerOwner is the largest number of keys and uploads that an owner may have at a time; 0 means any.
	KeysPerOwner int
	// KeyCacheBytes is the memory for expanded keys that are not in use; 0 means DefaultKeyCacheBytes.
	KeyCacheBytes int64
	// Grace is how long a key in memory goes on to be served while the store does not answer: an outage of the store need
	// not be one of the endpoint, but a key that was deleted on another endpoint must end soon. 0 means DefaultGrace.
	Grace time.Duration
	// OnInference and OnKeyLoad, where set, are told the duration of each inference and of each expansion of a key.
	OnInference, OnKeyLoad func(time.Duration)
}

func (o Options) complete() (Options, error) {
	if o.Workers < 0 || o.Queue < 0 || o.KeyCacheBytes < 0 || o.KeysPerOwner < 0 {
		return Options{}, fmt.Errorf("negative number of workers or keys, length of the queue or size of the key cache")
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.KeyCacheBytes == 0 {
		o.KeyCacheBytes = DefaultKeyCacheBytes
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.OnInference == nil {
		o.OnInference = func(time.Duration) {}
	}
	if o.OnKeyLoad == nil {
		o.OnKeyLoad = func(time.Duration) {}
	}
	return o, nil
}

// EndpointHandler answers requests about one model. All methods may be called at the same time.
type EndpointHandler struct {
	model   Model
	store   keystore.Store
	options Options
	keySet  string // hexadecimal
	// gallery is the model where its users store templates, or nil.
	gallery     Gallery
	templateSet string // hexadecimal
	work        *admission
	keys        *keyring
}

// New returns a handler. It closes neither the model nor the store.
func New(model Model, store keystore.Store, options Options) (*EndpointHandler, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	set := model.KeySet()
	h := &EndpointHandler{
		model:   model,
		store:   store,
		options: options,
		keySet:  hex.EncodeToString(set[:]),
		work:    newAdmission(options.Workers, options.Queue),
		keys:    newKeyring(options.KeyCacheBytes),
	}
	if gallery, ok := model.(Gallery); ok {
		set := gallery.TemplateSet()
		h.gallery, h.templateSet = gallery, hex.EncodeToString(set[:])
	}
	return h, nil
}

// Handle answers a request. Its error is always an *Error. A request that fails changes nothing that is stored, except
// that a key which proves to be wrong when it is complete is discarded.
func (h *EndpointHandler) Handle(ctx context.Context, r Request) (Response, error) {
	var reply Response
	err := guarded(func() (err error) {
		reply, err = h.dispatch(ctx, r)
		return err
	})
	if err != nil {
		return Response{}, AsError(err)
	}
	return reply, nil
}

func (h *EndpointHandler) dispatch(ctx context.Context, r Request) (Response, error) {
	switch r.Method {
	case SaveKey:
		return h.saveKey(ctx, r)
	case AppendKey:
		return h.appendKey(ctx, r)
	case KeyStatus:
		return h.keyStatus(ctx, r)
	case DeleteKey:
		return h.deleteKey(ctx, r)
	case Inference:
		return h.inference(ctx, r)
	case Describe:
		return h.describe()
	case FetchTemplates:
		return h.fetchTemplates(ctx, r)
	case "":
		return Response{}, Errorf(MissingField, "method")
	}
	return Response{}, Errorf(UnknownMethod, "want one of %s", strings.Join(Methods, ", "))
}

// Describe returns what describe replies, without the client's part.
func (h *EndpointHandler) Describe() Description {
	return Description{
		Protocol:     1,
		Model:        h.model.Summary(),
		KeySet:       h.keySet,
		KeyBytes:     h.model.KeyBytes(),
		RequestBytes: h.model.RequestBytes(),
		ReplyBytes:   h.model.ReplyBytes(),
		MaxPiece:     MaxPiece,
		MaxInputs:    h.maxInputs(),
		BatchSize:    h.model.BatchSize(),
		TemplateSet:  h.templateSet,
	}
}

func (h *EndpointHandler) describe() (Response, error) {
	d := h.Describe()
	d.ClientZip = h.model.ClientZip()
	return Response{Description: &d}, nil
}

// MaxBody is the largest number of bytes of keys or inputs that a request can hold.
func (h *EndpointHandler) MaxBody() int64 {
	return max(MaxPiece, int64(h.maxInputs())*int64(h.model.RequestBytes()))
}

// maxInputs is how many encrypted inputs a request may have: a batch is large, and takes all cores.
func (h *EndpointHandler) maxInputs() int {
	if h.model.BatchSize() > 1 {
		return 1
	}
	return MaxInputs
}

// Stats are counts for the operator.
type Stats struct {
	Running, Waiting      int   // requests that hold a worker, and that wait for one
	CachedKeys            int   // expanded keys in memory
	CachedBytes           int64 // and their size
	Hits, Misses, Evicted int64 // uses of the cache since the start
}

// Stats returns the counts of this moment.
func (h *EndpointHandler) Stats() Stats {
	s := h.keys.stats()
	s.Running, s.Waiting = h.work.counts()
	return s
}

// Close ends work in the background (keys for which nobody waits any more) and waits for its end. No method may be
// called after it.
func (h *EndpointHandler) Close() {
	h.keys.close()
	h.work.stop()
}
