// Package redisserver runs a redis-server of its own process for tests and benchmarks, and stops, kills and pauses it.
//
// Danger: what the server holds is only as durable as its options say; see Durable.
package redisserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Patience bounds the wait for a server to start or to end.
const Patience = 2 * time.Minute

// Binary is the program, which has to be in the path.
const Binary = "redis-server"

// Durable are the options of a server that listens on a port of 127.0.0.1 and has every write synced to an append-only
// file, so that it loses nothing when it is killed.
func Durable(port int) []string {
	return []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""}
}

// Server is a process of redis-server.
type Server struct {
	// Port of 127.0.0.1.
	Port int
	// Dir holds its files.
	Dir string

	args    []string
	mutex   sync.Mutex
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts a server whose options make it listen on the port, with its files in a folder.
func Start(dir string, port int, args ...string) (*Server, error) {
	s := &Server{Port: port, Dir: dir, args: args}
	return s, s.Restart()
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Restart starts the server that was stopped or killed, with the same port, files and options.
func (s *Server) Restart() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	process := exec.Command(Binary, s.args...)
	process.Dir = s.Dir
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(exited)
	}()
	s.process, s.exited = process, exited
	if err := s.await(); err != nil {
		return fmt.Errorf("redis-server does not start: %w\n%s", err, s.Log())
	}
	return nil
}

// Log is what the server has written.
func (s *Server) Log() []byte {
	text, err := os.ReadFile(filepath.Join(s.Dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// await waits until the server takes connections. Whether it has loaded its file is another matter.
func (s *Server) await() error {
	deadline := time.Now().Add(Patience)
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

// End sends a signal that ends the server, SIGTERM in an orderly way and SIGKILL at once, and waits for its end.
func (s *Server) End(signal syscall.Signal) error {
	s.Signal(signal)
	select {
	case <-s.exited:
		return nil
	case <-time.After(Patience):
		return fmt.Errorf("redis-server does not end")
	}
}

// Signal sends a signal, which fails silently only where the server has ended already.
func (s *Server) Signal(signal syscall.Signal) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_ = s.process.Process.Signal(signal)
}
