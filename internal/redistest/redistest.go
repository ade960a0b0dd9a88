// Package redistest runs real Redis servers for tests: on a free loopback port, in a folder that is removed with the
// test. Where there is no redis-server the test is skipped, or fails if the environment asks for it.
package redistest

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cipherpoint/internal/freeport"
	"cipherpoint/internal/redisserver"
)

// Required names the variable that makes a missing redis-server a failure: continuous integration sets it.
const Required = "CIPHERPOINT_REQUIRE_REDIS"

// Server is a redis-server that lives as long as a test.
type Server struct {
	*redisserver.Server
	// Password is what --requirepass says.
	Password string

	t testing.TB
}

// Start starts a server that loses nothing when it is killed. Options of redis-server follow, like "--maxmemory",
// "100mb"; later ones replace earlier ones.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	port := FreePort(t)
	return start(t, port, append(redisserver.Durable(port), options...)...)
}

func start(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath(redisserver.Binary); err != nil {
		if os.Getenv(Required) != "" {
			t.Fatalf("there is no redis-server, and %s is set", Required)
		}
		t.Skip("needs redis-server in the path")
	}
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	// A process that the killed server has forked may still write for a moment, which t.TempDir would call a failure.
	t.Cleanup(func() { eventually(t, func(context.Context) error { return os.RemoveAll(dir) }) })
	server, err := redisserver.Start(dir, port, args...)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Server: server, t: t}
	if i := slices.Index(args, "--requirepass"); i >= 0 {
		s.Password = args[i+1]
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("redis-server on port %d:\n%s", s.Port, s.Log())
		}
	})
	return s
}

// URL is the address of its first database, with the password.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Address()}
	if s.Password != "" {
		u.User = url.UserPassword("", s.Password)
	}
	return u.String()
}

// Restart starts the server that was stopped or killed, with the same port, files and options.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.Server.Restart(); err != nil {
		s.t.Fatal(err)
	}
}

// Stop ends the server in an orderly way.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause makes the server hang, as seen by clients: connections stay, answers do not come.
func (s *Server) Pause() { s.Signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.Signal(syscall.SIGCONT) }

func (s *Server) end(signal syscall.Signal) {
	if err := s.End(signal); err != nil {
		s.t.Error(err)
	}
}

// Client is a plain connection for what a test does behind the back of the program. It answers pings.
func (s *Server) Client() *redis.Client {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Address(), Password: s.Password})
	s.t.Cleanup(func() { _ = client.Close() })
	eventually(s.t, func(ctx context.Context) error { return client.Ping(ctx).Err() })
	return client
}

// FreePort returns a port of 127.0.0.1 that nobody else uses until the test ends.
func FreePort(t testing.TB) int {
	t.Helper()
	port, release, err := freeport.Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return port
}

func eventually(t testing.TB, call func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(redisserver.Patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := call(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
