package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"cipherpoint/handler"
	"cipherpoint/keystore"
	"cipherpoint/keystore/open"
)

const (
	headerTime  = 10 * time.Second // for a request's header to arrive
	idleTime    = 2 * time.Minute  // between the requests of a connection
	headerBytes = 32 << 10
)

// Server is one endpoint.
type Server struct {
	config   Config
	log      *slog.Logger
	tokens   tokens
	rates    rates
	listener net.Listener
	metrics  *metrics
	memory   budget
	buffers  buffers
	parts    parts

	store    keystore.Store // set before handler
	handler  atomic.Pointer[handler.EndpointHandler]
	loaded   chan struct{}
	draining atomic.Bool
}

// parts are where the server gets its model and its store from.
type parts struct {
	model func(folder string, workers int) (handler.Model, error)
	store func(address string, limits keystore.Limits) (keystore.Store, error)
}

// New checks the configuration and begins to listen. Run has to follow.
func New(config Config, log *slog.Logger) (*Server, error) {
	return newServer(config, log, parts{model: loadModel, store: open.URL})
}

func newServer(config Config, log *slog.Logger, parts parts) (*Server, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	accepted, err := newTokens(config)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: config, log: log, tokens: accepted, rates: rates{perSecond: config.RequestsPerSecond, owners: map[string]*rate.Limiter{}}, listener: listener, parts: parts, loaded: make(chan struct{}),
	}
	s.memory.limit = bodyMemory
	s.metrics = newMetrics(&s.memory, s.handler.Load)
	return s, nil
}

// URL is the address for clients on this machine.
func (s *Server) URL() string {
	return localURL(s.listener.Addr().String())
}

// localURL is the URL of an address to listen on, where that is all interfaces by the loopback one.
func localURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Ready is closed when the model is loaded and the store is open.
func (s *Server) Ready() <-chan struct{} { return s.loaded }

// Run loads the model and answers requests until ctx ends, then lets those under way end. It returns an error if the
// model or the store cannot be had, or if requests had to be cut off.
func (s *Server) Run(ctx context.Context) error {
	s.log.Info("listening", "address", s.listener.Addr().String(), "config", s.config)
	web := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       headerTime + s.config.ReadTimeout,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(s.listener) }()

	loaded := make(chan error, 1)
	go func() { loaded <- s.load() }()

	var failed error
	loading := true
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case failed = <-loaded:
			loading, running = false, failed == nil
		case failed = <-served:
			running = false
		}
	}
	if loading {
		failed = errors.Join(failed, <-loaded)
	}
	return errors.Join(failed, s.drain(web))
}

// load opens the store, which is where a wrong configuration shows at once, and loads the model.
func (s *Server) load() error {
	start := time.Now()
	limits := keystore.Limits{
		MaxSize:        int64(s.config.MaxKeyMB) << 20,
		KeyLifetime:    s.config.KeyTTL,
		UploadLifetime: s.config.UploadTTL,
	}
	store, err := s.parts.store(s.config.Keystore, limits)
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	model, err := s.parts.model(s.config.Model, s.config.workers())
	if err == nil && model.KeyBytes() > limits.MaxSize {
		err = fmt.Errorf("its keys have %d bytes: raise max-key-mb", model.KeyBytes())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("model: %w", err), store.Close())
	}
	h, err := handler.New(model, store, handler.Options{
		Workers:       s.config.Workers,
		Queue:         s.config.Queue,
		KeysPerOwner:  s.config.KeysPerToken,
		KeyCacheBytes: int64(s.config.KeyCacheMB) << 20,
		OnInference:   func(d time.Duration) { s.metrics.inference.Observe(d.Seconds()) },
		OnKeyLoad:     func(d time.Duration) { s.metrics.keyLoad.Observe(d.Seconds()) },
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	if model.BatchSize() > 1 { // room to read one while another is answered
		s.memory.limit = max(s.memory.limit, 2*formMsgpack.memory*formMsgpack.limit(h.MaxBody()))
	}
	s.buffers.fit(model.RequestBytes())
	s.store = store
	s.handler.Store(h)
	close(s.loaded)
	s.log.Info("ready", "model", model.Summary(), "took", time.Since(start))
	return nil
}

// ready returns the handler, or the reason why there is none to use.
func (s *Server) ready() (*handler.EndpointHandler, error) {
	h := s.handler.Load()
	switch {
	case s.draining.Load():
		return nil, handler.Errorf(handler.NotReady, "it shuts down")
	case h == nil:
		return nil, handler.Errorf(handler.NotReady, "it is loading the model")
	}
	return h, nil
}

// drain ends the server: no new requests, time for those under way, then the store.
func (s *Server) drain(web *http.Server) error {
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.DrainTimeout)
	defer cancel()
	err := web.Shutdown(ctx)
	if err != nil {
		err = errors.Join(errors.New("requests were cut off at shutdown"), web.Close())
	}
	if h := s.handler.Load(); h != nil {
		h.Close()
		err = errors.Join(err, s.store.Close())
	}
	s.log.Info("stopped")
	return err
}

// CheckHealth returns an error unless the endpoint at the URL is ready.
func CheckHealth(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", reply.Status)
	}
	return nil
}

// HealthURL is where an endpoint of this configuration on this machine tells its health.
func (c Config) HealthURL() string { return localURL(c.Listen) + "/health" }
