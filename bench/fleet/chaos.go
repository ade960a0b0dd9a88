package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"cipherpoint/client"
)

// ChaosOptions say what Chaos does.
type ChaosOptions struct {
	Binary  string // of the endpoint
	Model   string // folder of the compiled model
	Store   string // one of Stores
	Kills   int
	Clients int
	Seed    uint64
	// Progress is told the number of kills so far.
	Progress func(kills int)
}

// ChaosFigures are what came of it.
type ChaosFigures struct {
	Store    string
	Kills    int
	During   map[string]int // what clients were at when the endpoint was killed; several at once count each
	Troubles map[string]int // of the store
	Keys     int            // sealed
	Resumed  int            // uploads that went on after an error
	Right    int            // answers
	Refused  map[string]int // clear errors after the client's repeats, by their code
	// Violations are what must not happen: wrong answers, lost keys, keys in use before they were sealed.
	Violations []string
	Took       time.Duration
}

// chaos is a run of Chaos.
type chaos struct {
	options  ChaosOptions
	endpoint *Endpoint
	stopping chan struct{} // closed when clients are to end

	mu      sync.Mutex
	figures ChaosFigures
	at      map[string]int  // clients in each phase now
	sealed  map[string]bool // uids of keys that a client was told are sealed
}

// The phases of a client.
const (
	uploading = "upload"
	asking    = "inference"
)

// Chaos kills an endpoint at random moments while clients upload keys in small pieces and ask questions, and lets
// trouble come over its store. Afterwards every client has to end with a right answer.
func Chaos(ctx context.Context, o ChaosOptions) (*ChaosFigures, error) {
	start := time.Now()
	s, err := newStore(o.Store)
	if err != nil {
		return nil, err
	}
	defer s.close()
	c := &chaos{
		options: o, stopping: make(chan struct{}), at: map[string]int{}, sealed: map[string]bool{},
		figures: ChaosFigures{Store: o.Store, During: map[string]int{}, Troubles: map[string]int{}, Refused: map[string]int{}},
	}
	// An outage of a second is longer than the store's clients wait for a reply.
	if c.endpoint, err = NewEndpoint(o.Binary, o.Model, s.address+timeout(s.address), s.environment); err != nil {
		return nil, err
	}
	if err := c.endpoint.Start(ctx); err != nil {
		return nil, err
	}
	defer c.endpoint.Kill()

	ended := make(chan error, o.Clients)
	for i := range o.Clients {
		go func() { ended <- c.client(ctx, rand.New(rand.NewPCG(o.Seed, uint64(i)))) }()
	}
	troubled := make(chan error, 1)
	go func() { troubled <- c.trouble(s, rand.New(rand.NewPCG(o.Seed, 1<<32))) }()
	killed := c.kill(ctx, rand.New(rand.NewPCG(o.Seed, 1<<33)))
	close(c.stopping)
	err = errors.Join(killed, <-troubled)
	for range o.Clients {
		err = errors.Join(err, <-ended)
	}
	if err == nil {
		err = c.inspect(ctx)
	}
	c.figures.Took = time.Since(start)
	return &c.figures, err
}

// timeout makes a client of Redis give up early.
func timeout(address string) string {
	if strings.HasPrefix(address, "redis") {
		return "?timeout=300ms"
	}
	return ""
}

// kill kills the endpoint and starts it again.
func (c *chaos) kill(ctx context.Context, rng *rand.Rand) error {
	for i := range c.options.Kills {
		select {
		case <-time.After(time.Duration(50+rng.IntN(450)) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
		for phase, clients := range c.at {
			if clients > 0 {
				c.figures.During[phase]++
			}
		}
		c.mu.Unlock()
		c.endpoint.Kill()
		if err := c.endpoint.Start(ctx); err != nil {
			return err
		}
		c.mu.Lock()
		c.figures.Kills++
		c.mu.Unlock()
		if c.options.Progress != nil {
			c.options.Progress(i + 1)
		}
	}
	return nil
}

// trouble comes over the store every few seconds.
func (c *chaos) trouble(s *store, rng *rand.Rand) error {
	names := slices.Sorted(maps.Keys(s.troubles))
	for len(names) > 0 {
		select {
		case <-c.stopping:
			return nil
		case <-time.After(time.Duration(500+rng.IntN(3000)) * time.Millisecond):
		}
		name := names[rng.IntN(len(names))]
		if err := s.troubles[name](time.Duration(50+rng.IntN(1200)) * time.Millisecond); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		c.mu.Lock()
		c.figures.Troubles[name]++
		c.mu.Unlock()
	}
	return nil
}

func (c *chaos) violation(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Violations = append(c.figures.Violations, fmt.Sprintf(format, args...))
}

func (c *chaos) enter(phase string) (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[phase]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.at[phase]--
	}
}

// refused counts an error that the client was told, and reports whether it is one that says clearly what to do.
func (c *chaos) refused(what string, err error) bool {
	code := string(client.CodeOf(err))
	if code == "" {
		code = "no connection"
	}
	switch client.Code(code) {
	case "no connection", client.Busy, client.NotReady, client.StoreUnavailable:
	default:
		c.violation("%s: %v", what, err)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.figures.Refused[code]++
	return true
}

// client makes keys, uploads them, asks, and begins again; at the end it waits for one more right answer.
func (c *chaos) client(ctx context.Context, rng *rand.Rand) error {
	// Little patience, so that errors reach the client, which has to cope with them.
	connection, err := client.New(c.endpoint.URL(), "", client.Options{Patience: 5 * time.Second, PieceBytes: 128 << 10})
	if err != nil {
		return err
	}
	defer connection.Close()
	for stopped := false; !stopped; {
		u, err := newUser(ctx, c.options.Model, rng)
		if err != nil {
			return err
		}
		uid, err := c.upload(ctx, connection, u)
		if err != nil || uid == "" {
			return err
		}
		for questions := 1 + rng.IntN(20); questions > 0 || stopped; questions-- {
			select {
			case <-c.stopping:
				stopped = true
			case <-time.After(time.Duration(rng.IntN(20)) * time.Millisecond):
			}
			leave := c.enter(asking)
			err := u.infer(ctx, connection, uid, rng)
			leave()
			switch {
			case err == nil:
				c.mu.Lock()
				c.figures.Right++
				c.mu.Unlock()
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, errWrong):
				c.violation("%v", err)
				return nil
			case client.CodeOf(err) == client.UnknownKey:
				c.violation("a sealed key is lost")
				return nil
			case !c.refused("inference", err):
				return nil
			default:
				continue
			}
			if stopped {
				return nil
			}
		}
	}
	return nil
}

// upload sends the keys, going on where it was cut off, and looks meanwhile whether they can be used too early.
func (c *chaos) upload(ctx context.Context, connection *client.Connection, u *user) (string, error) {
	defer c.enter(uploading)()
	uid := ""
	for {
		early := make(chan struct{})
		peeked := make(chan struct{})
		if uid != "" {
			go func() {
				defer close(peeked)
				c.peek(ctx, connection, u, uid, early)
			}()
		} else {
			close(peeked)
		}
		next, err := connection.Upload(ctx, u.model.KeySet(), bytes.NewReader(u.keys), client.Upload{UID: uid})
		close(early)
		<-peeked
		if next != "" {
			uid = next
		}
		if err == nil {
			c.mu.Lock()
			c.figures.Keys++
			c.sealed[uid] = true
			c.mu.Unlock()
			return uid, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if !c.refused("upload", err) {
			return "", nil
		}
		c.mu.Lock()
		c.figures.Resumed++
		c.mu.Unlock()
	}
}

// peek asks a question with a key whose upload is under way: the answer is right, which only a sealed key can give, or
// there is a clear refusal. A uid made up on the way must be unknown.
func (c *chaos) peek(ctx context.Context, connection *client.Connection, u *user, uid string, end <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-end:
			cancel()
		case <-ctx.Done():
		}
	}()
	before, err := connection.KeyStatus(ctx, uid)
	if err != nil || before.Sealed {
		return
	}
	err = u.infer(ctx, connection, uid, rand.New(rand.NewPCG(1, 1)))
	after, afterErr := connection.KeyStatus(ctx, uid)
	if errors.Is(err, errWrong) || err == nil && afterErr == nil && !after.Sealed {
		c.violation("a key answered before it was sealed: %v", err)
	}
	if _, err := connection.KeyStatus(ctx, uuid.NewString()); err == nil {
		c.violation("a uid that nobody has is known")
	}
}

// inspect asks for all keys that were sealed.
func (c *chaos) inspect(ctx context.Context) error {
	connection, err := client.New(c.endpoint.URL(), "", client.Options{Patience: time.Minute})
	if err != nil {
		return err
	}
	defer connection.Close()
	for uid := range c.sealed {
		state, err := connection.KeyStatus(ctx, uid)
		switch {
		case client.CodeOf(err) == client.UnknownKey:
			c.violation("a sealed key is lost")
		case err != nil:
			return err
		case !state.Sealed:
			c.violation("a sealed key is no longer sealed")
		}
	}
	return nil
}
