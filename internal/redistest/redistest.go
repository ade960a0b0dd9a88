// Package redistest runs real Redis servers for tests: on a free loopback port, in a folder that is removed with the
// test. Where there is no redis-server the test is skipped, or fails if the environment asks for it.
package redistest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Required names the variable that makes a missing redis-server a failure: continuous integration sets it.
const Required = "CIPHERPOINT_REQUIRE_REDIS"

// patience bounds the start and the stop of a server.
const patience = 20 * time.Second

// Server is a redis-server of its own process.
type Server struct {
	// Port of 127.0.0.1.
	Port int
	// Dir holds its files.
	Dir string
	// Password is what --requirepass says.
	Password string

	t       testing.TB
	binary  string
	args    []string
	mutex   sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts a server with an append-only file that is synced at every write, so that it loses nothing when killed.
// Options of redis-server follow, like "--maxmemory", "100mb"; later ones replace earlier ones.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	port := FreePort(t)
	return start(t, port, append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "",
	}, options...)...)
}

func start(t testing.TB, port int, args ...string) *Server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
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
	s := &Server{Port: port, Dir: dir, t: t, binary: binary, args: args}
	if i := slices.Index(args, "--requirepass"); i >= 0 {
		s.Password = args[i+1]
	}
	s.Restart()
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("redis-server on port %d:\n%s", s.Port, s.log())
		}
	})
	return s
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

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
	s.mutex.Lock()
	defer s.mutex.Unlock()
	process := exec.Command(s.binary, s.args...)
	process.Dir = s.Dir
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	s.process, s.exited = process, exited
	if err := s.await(); err != nil {
		s.t.Fatalf("redis-server does not start: %v\n%s", err, s.log())
	}
}

func (s *Server) log() []byte {
	text, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// await waits until the server takes connections. Whether it has loaded its file is another matter; see Client.
func (s *Server) await() error {
	deadline := time.Now().Add(patience)
	for {
		connection, err := net.DialTimeout("tcp", s.Address(), time.Second)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-s.exited:
			return fmt.Errorf("it has exited")
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// Stop ends the server in an orderly way.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause makes the server hang, as seen by clients: connections stay, answers do not come.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) end(signal syscall.Signal) {
	s.signal(signal)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("redis-server does not end")
	}
}

func (s *Server) signal(signal syscall.Signal) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_ = s.process.Process.Signal(signal) // fails only where it has ended already
}

// Client is a plain connection for what a test does behind the back of the program. It answers pings.
func (s *Server) Client() *redis.Client {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Address(), Password: s.Password})
	s.t.Cleanup(func() { _ = client.Close() })
	eventually(s.t, func(ctx context.Context) error { return client.Ping(ctx).Err() })
	return client
}

// FreePort returns a port of 127.0.0.1 that nobody listens on. It lies below the ports that systems give to outgoing
// connections: one of those could take the port while its server is stopped.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port was found")
	return 0
}

func eventually(t testing.TB, call func(context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(patience)
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
