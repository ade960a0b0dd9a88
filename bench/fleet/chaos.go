package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

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
	During   map[string]int // kills that met a client at each of Phases; one kill counts in several
	Troubles map[string]int // of the store
	Keys     int            // sealed
	Cut      int            // uploads that their client broke off, as if it had died
	Resumed  int            // uploads that went on, after that or after an error
	Refused  map[string]int // clear errors after the client's repeats, by their code
	Early    int            // refusals of a key that was not sealed yet
	Checked  int            // times that a sealed key was found after a restart
	Right    int            // answers
	Last     int            // answers of sealed keys that no client asked for, after the last restart: one for each key
	// Violations are what must not happen.
	Violations []Violation
	Took       time.Duration
}

// Phases are what a client is at. It is sealing from the moment that it begins to send the last piece.
var Phases = []string{idle, uploading, sealing, asking}

const (
	idle      = "idle"
	uploading = "upload"
	sealing   = "sealing"
	asking    = "inference"
)

// Violation is something that must not happen, of one of Kinds.
type Violation struct{ Kind, Detail string }

// Kinds are the kinds of violations.
var Kinds = []string{wrongAnswer, lostKey, earlyKey, unclearError}

const (
	wrongAnswer  = "wrong answers"
	lostKey      = "lost keys"
	earlyKey     = "keys used unsealed"
	unclearError = "unclear errors"
)

// chaos is a run of Chaos.
type chaos struct {
	options  ChaosOptions
	endpoint *Endpoint
	stopping chan struct{} // closed when clients are to end
	restarts chan struct{} // tells audit of one

	mu      sync.Mutex
	figures ChaosFigures
	at      map[string]int   // clients in each phase now
	sealed  map[string]*user // by the uids of keys that a client was told are sealed
}

// Chaos kills an endpoint at random moments while clients upload keys in small pieces and ask questions, and lets
// trouble come over its store. Afterwards every client has to end with a right answer, and every key that was ever
// sealed has to give one.
func Chaos(ctx context.Context, o ChaosOptions) (*ChaosFigures, error) {
	start := time.Now()
	s, err := newStore(o.Store)
	if err != nil {
		return nil, err
	}
	defer s.close()
	c := &chaos{
		options: o, stopping: make(chan struct{}), restarts: make(chan struct{}, 1), at: map[string]int{}, sealed: map[string]*user{},
		figures: ChaosFigures{Store: o.Store, During: map[string]int{}, Troubles: map[string]int{}, Refused: map[string]int{}},
	}
	// An outage of a second is longer than the store's clients wait for a reply.
	if c.endpoint, err = NewEndpoint(o.Binary, o.Model, s.address+timeout(s.address), s.environment); err != nil {
		return nil, err
	}
	defer c.endpoint.Close()
	if err := c.endpoint.Start(ctx); err != nil {
		return nil, err
	}

	var group sync.WaitGroup
	errs := make([]error, o.Clients+2)
	for i := range o.Clients {
		group.Go(func() { errs[i] = c.client(ctx, rand.New(rand.NewPCG(o.Seed, uint64(i)))) })
	}
	group.Go(func() { errs[o.Clients] = c.trouble(s, rand.New(rand.NewPCG(o.Seed, 1<<32))) })
	group.Go(func() { errs[o.Clients+1] = c.audit(ctx) })
	err = c.kill(ctx, rand.New(rand.NewPCG(o.Seed, 1<<33)))
	close(c.stopping)
	group.Wait()
	if err = errors.Join(append(errs, err)...); err == nil {
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
		c.count(func(f *ChaosFigures) { f.Kills++ })
		select {
		case c.restarts <- struct{}{}:
		default: // it is still busy with an earlier one
		}
		if c.options.Progress != nil {
			c.options.Progress(i + 1)
		}
	}
	return nil
}

// trouble comes over the store again and again.
func (c *chaos) trouble(s *store, rng *rand.Rand) error {
	names := slices.Sorted(maps.Keys(s.troubles))
	for len(names) > 0 {
		select {
		case <-c.stopping:
			return nil
		case <-time.After(time.Duration(200+rng.IntN(1300)) * time.Millisecond):
		}
		name := names[rng.IntN(len(names))]
		if err := s.troubles[name](time.Duration(50+rng.IntN(1200)) * time.Millisecond); err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		c.count(func(f *ChaosFigures) { f.Troubles[name]++ })
	}
	return nil
}

// audit asks after each restart, or after several in a row, whether all sealed keys are there.
func (c *chaos) audit(ctx context.Context) error {
	connection, err := client.New(c.endpoint.URL(), "", client.Options{})
	if err != nil {
		return err
	}
	defer connection.Close()
	for {
		select {
		case <-c.stopping:
			return nil
		case <-c.restarts:
		}
		c.mu.Lock()
		uids := slices.Collect(maps.Keys(c.sealed))
		c.mu.Unlock()
		for _, uid := range uids {
			c.find(ctx, connection, uid)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
}

// find looks whether a key is still sealed.
func (c *chaos) find(ctx context.Context, connection *client.Connection, uid string) {
	state, err := connection.KeyStatus(ctx, uid)
	switch {
	case ctx.Err() != nil:
	case client.CodeOf(err) == client.UnknownKey:
		c.violation(lostKey, err)
	case err != nil:
		c.refused(err)
	case !state.Sealed:
		c.violation(lostKey, errors.New("it is no longer sealed"))
	default:
		c.count(func(f *ChaosFigures) { f.Checked++ })
	}
}

// inspect asks a question with each key that was sealed, after a kill, so that no key is in memory: the endpoint reads
// it from the store and compares it with its digest.
func (c *chaos) inspect(ctx context.Context) error {
	c.endpoint.Kill()
	if err := c.endpoint.Start(ctx); err != nil {
		return err
	}
	connection, err := client.New(c.endpoint.URL(), "", client.Options{})
	if err != nil {
		return err
	}
	defer connection.Close()
	rng := rand.New(rand.NewPCG(c.options.Seed, 1<<34))
	for uid, u := range c.sealed {
		c.find(ctx, connection, uid)
		switch err := u.infer(ctx, connection, uid, rng); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			c.figures.Last++
		case errors.Is(err, errWrong):
			c.violation(wrongAnswer, err)
		default:
			c.violation(lostKey, err)
		}
	}
	return nil
}

func (c *chaos) count(change func(*ChaosFigures)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.figures)
}

func (c *chaos) violation(kind string, err error) {
	c.count(func(f *ChaosFigures) { f.Violations = append(f.Violations, Violation{kind, err.Error()}) })
}

// refused counts an error that a client was told, and reports whether it is one that says clearly what to do: here,
// to come back later.
func (c *chaos) refused(err error) bool {
	code := client.CodeOf(err)
	switch code {
	case client.NoConnection, client.Busy, client.NotReady, client.StoreUnavailable:
	default:
		c.violation(unclearError, err)
		return false
	}
	c.count(func(f *ChaosFigures) { f.Refused[string(code)]++ })
	return true
}
