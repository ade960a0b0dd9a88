// Package fleet puts endpoints through what happens to a fleet of them: processes that are killed, key stores that go
// away and come back, clients that go on meanwhile.
//
// Chaos kills one endpoint again and again on each kind of key store. Replicas runs several on one Redis behind a plain
// proxy. Both compare every answer with the model's in float.
package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cipherpoint/circuit"
	"cipherpoint/client"
	"cipherpoint/deployment"
	"cipherpoint/internal/freeport"
)

// Endpoint is a process of the endpoint at a port of its own, which can be killed and started again.
type Endpoint struct {
	address string
	release func() // of the port
	command func() *exec.Cmd

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
}

// NewEndpoint prepares a process of the endpoint's program that serves a compiled model's folder with keys at the address of a
// key store. Environment is beside that of this process. Close has to follow.
func NewEndpoint(binary, model, keystore string, environment []string, flags ...string) (*Endpoint, error) {
	port, release, err := freeport.Take()
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := append([]string{"--listen", address, "--model", model, "--keystore", keystore, "--log-level", "error"}, flags...)
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { // it is configured by its flags alone
		return strings.HasPrefix(v, "CIPHERPOINT_") || strings.HasPrefix(v, "PORT=")
	})
	return &Endpoint{address: address, release: release, command: func() *exec.Cmd {
		c := exec.Command(binary, args...)
		c.Env = append(own, environment...)
		return c
	}}, nil
}

// URL is where the endpoint answers.
func (e *Endpoint) URL() string { return "http://" + e.address }

// Start starts the process and waits until it is ready to serve. After an error it may run still: Kill ends it.
func (e *Endpoint) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	process, ended := e.command(), make(chan struct{})
	var log bytes.Buffer
	process.Stderr = &log
	if err := process.Start(); err != nil {
		return err
	}
	e.process, e.ended = process, ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	for {
		r, err := http.Get(e.URL() + "/") // not its health, which is also that of its store
		if err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return fmt.Errorf("the endpoint has ended: %s", &log)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends the process at once and waits for its end.
func (e *Endpoint) Kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil {
		_ = e.process.Process.Kill() // fails only where it has ended
		<-e.ended
	}
}

// Close ends the process as Kill does, for good.
func (e *Endpoint) Close() {
	e.Kill()
	e.release()
}

// PID is that of the process that was started last.
func (e *Endpoint) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.process.Process.Pid
}

// user is a user of the model with keys of its own and questions whose answers are known.
type user struct {
	model     *client.FHEModelClient
	keys      []byte
	questions []question
	tolerance float64
}

type question struct {
	request []byte
	scores  []float64 // of the model in float
}

const questionsOfAUser = 4

// newUser makes keys and questions. Answers have to be within a share of the scores' range.
func newUser(ctx context.Context, dir string, rng *rand.Rand) (*user, error) {
	m, err := client.Load(dir)
	if err != nil {
		return nil, err
	}
	c, _, err := deployment.LoadCircuit(dir)
	if err != nil {
		return nil, err
	}
	u := &user{model: m}
	if err := u.renew(ctx); err != nil {
		return nil, err
	}
	return u, u.ask(c, rng)
}

// renew makes new keys. Questions asked under the old ones are still read with them, so they go together.
func (u *user) renew(ctx context.Context) (err error) {
	if err = u.model.GenerateKeys(); err == nil {
		u.keys, err = u.model.EvaluationKeys(ctx, nil)
	}
	return err
}

func (u *user) ask(c *circuit.Circuit, rng *rand.Rand) error {
	low, high := math.Inf(1), math.Inf(-1)
	for range questionsOfAUser {
		row := make([]float64, u.model.Spec().Pipeline.Features())
		for i := range row {
			row[i] = rng.Float64()
		}
		want, err := u.model.Clear(c, row)
		if err != nil {
			return err
		}
		request, err := u.model.QuantizeEncryptSerialize(row)
		if err != nil {
			return err
		}
		for _, s := range want.Scores {
			low, high = min(low, s), max(high, s)
		}
		u.questions = append(u.questions, question{request, want.Scores})
	}
	u.tolerance = (high - low) / 50 // noise takes up to half a percent of the range
	return nil
}

// errWrong is an answer that is not the model's: what must never happen.
var errWrong = errors.New("a wrong answer")

// infer asks one of the questions and checks the answer.
func (u *user) infer(ctx context.Context, c *client.Connection, uid string, rng *rand.Rand) error {
	q := u.questions[rng.IntN(len(u.questions))]
	reply, err := c.Infer(ctx, uid, q.request)
	if err != nil {
		return err
	}
	answer, err := u.model.DeserializeDecryptDequantize(reply)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	for i, s := range answer.Scores {
		if !(math.Abs(s-q.scores[i]) <= u.tolerance) {
			return fmt.Errorf("%w: score %d is %.3g off", errWrong, i, s-q.scores[i])
		}
	}
	return nil
}
