package fleet

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"cipherpoint/internal/freeport"
	"cipherpoint/internal/redisserver"
	"cipherpoint/internal/s3server"
)

// store is where the endpoints keep keys, as their address says, and what can go wrong with it.
type store struct {
	address     string
	environment []string
	// troubles come at random, last for a moment, and are over when the call returns. Each has a name.
	troubles map[string]func(moment time.Duration) error
	close    func()
}

// Stores are the kinds that Chaos knows.
var Stores = []string{"directory", "redis", "object"}

func newStore(kind string) (*store, error) {
	dir, err := os.MkdirTemp("", "fleet-"+kind)
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	var s *store
	switch kind {
	case "directory":
		s = &store{address: "file://" + filepath.Join(dir, "keys"), close: func() {}}
	case "redis":
		s, err = newRedis(dir)
	case "object":
		s, err = newBucket(dir)
	default:
		err = fmt.Errorf("no kind of store is called %q: want %s", kind, strings.Join(Stores, ", "))
	}
	if err != nil {
		remove()
		return nil, err
	}
	end := s.close
	s.close = func() { end(); remove() }
	return s, nil
}

// newRedis starts a server behind a proxy.
func newRedis(dir string) (*store, error) {
	port, release, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	server, err := redisserver.Start(dir, port, redisserver.Durable(port)...)
	if err != nil {
		release()
		return nil, err
	}
	end := func() { _ = server.End(syscall.SIGKILL); release() }
	proxyPort, releaseProxy, err := freeport.Take()
	if err != nil {
		end()
		return nil, err
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(api, "redis", net.JoinHostPort("127.0.0.1", strconv.Itoa(proxyPort)), server.Address())
	if err := proxy.Start(); err != nil {
		releaseProxy()
		end()
		return nil, err
	}
	const hang = `{"name": "hang", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`
	return &store{
		address: "redis://" + proxy.Listen,
		close: func() {
			proxy.Stop()
			releaseProxy()
			end()
		},
		troubles: map[string]func(time.Duration) error{
			"restarted": func(moment time.Duration) error {
				if err := server.End(syscall.SIGKILL); err != nil {
					return err
				}
				time.Sleep(moment)
				return server.Restart()
			},
			"cut off": func(moment time.Duration) error {
				proxy.Stop()
				time.Sleep(moment)
				return proxy.Start()
			},
			"silent": func(moment time.Duration) error {
				if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(hang)); err != nil {
					return err
				}
				time.Sleep(moment)
				return proxy.Toxics.RemoveToxic(context.Background(), "hang")
			},
		},
	}, nil
}

// newBucket serves a bucket from this process.
func newBucket(dir string) (*store, error) {
	s3, err := s3server.Handler(dir)
	if err != nil {
		return nil, err
	}
	var down atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		s3.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that were killed
	server.Start()
	s := &store{
		address: s3server.Address(server.URL),
		close:   server.Close,
		troubles: map[string]func(time.Duration) error{
			"cut off": func(moment time.Duration) error {
				down.Store(true)
				time.Sleep(moment)
				down.Store(false)
				return nil
			},
		},
	}
	for name, value := range s3server.Environment {
		s.environment = append(s.environment, name+"="+value)
	}
	return s, nil
}
