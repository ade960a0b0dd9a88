package fleet

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"cipherpoint/client"
)

// pieceBytes is small, so that a kill meets an upload between pieces.
const pieceBytes = 128 << 10

// visitor is a client in chaos.
type visitor struct {
	*chaos
	connection *client.Connection
	rng        *rand.Rand
	phase      string
}

// client makes keys, uploads them, asks, and begins again; at the end it waits for one more right answer.
func (c *chaos) client(ctx context.Context, rng *rand.Rand) error {
	// Little patience, so that errors reach the client, which has to cope with them.
	connection, err := client.New(c.endpoint.URL(), "", client.Options{Patience: 5 * time.Second, PieceBytes: pieceBytes})
	if err != nil {
		return err
	}
	defer connection.Close()
	v := &visitor{chaos: c, connection: connection, rng: rng}
	v.move(idle)
	defer v.move("")
	for {
		u, err := newUser(ctx, c.options.Model, rng)
		if err != nil {
			return err
		}
		uid, err := v.upload(ctx, u)
		if err != nil || uid == "" {
			return err
		}
		if goOn, err := v.ask(ctx, u, uid); err != nil || !goOn {
			return err
		}
	}
}

// move says what the client is at now.
func (v *visitor) move(phase string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase != "" {
		v.at[v.phase]--
	}
	if v.phase = phase; phase != "" {
		v.at[phase]++
	}
}

// upload sends the keys until they are sealed, going on where it was cut off or cut itself off, and looks meanwhile
// whether they can be used too early. Without a uid there was a violation.
func (v *visitor) upload(ctx context.Context, u *user) (uid string, err error) {
	defer v.move(idle)
	for {
		v.move(uploading)
		limit := time.Hour
		if v.rng.IntN(3) == 0 {
			limit = time.Duration(1+v.rng.IntN(100)) * time.Millisecond
		}
		try, end := context.WithTimeout(ctx, limit)
		peeked := make(chan struct{})
		go func(uid string) {
			defer close(peeked)
			if uid != "" {
				v.peek(try, u, uid)
			}
		}(uid)
		next, err := v.connection.Upload(try, u.model.KeySet(), bytes.NewReader(u.keys), client.Upload{
			UID: uid,
			OnPiece: func(_ int, remaining int64) {
				if remaining <= pieceBytes {
					v.move(sealing)
				}
			},
		})
		end()
		<-peeked
		if next != "" {
			uid = next
		}
		switch {
		case err == nil:
			u.keys = nil
			v.count(func(f *ChaosFigures) { f.Keys++ })
			v.mu.Lock()
			defer v.mu.Unlock()
			v.sealed[uid] = u
			return uid, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			v.count(func(f *ChaosFigures) { f.Cut++ })
		case !v.refused(err):
			return "", nil
		}
		if uid != "" {
			v.count(func(f *ChaosFigures) { f.Resumed++ })
		}
	}
}

// peek asks a question with a key whose upload is under way: there is a clear refusal, or the key is sealed by then. A
// uid made up on the way must be unknown.
func (v *visitor) peek(ctx context.Context, u *user, uid string) {
	err := u.infer(ctx, v.connection, uid, rand.New(rand.NewPCG(1, 1)))
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errWrong):
		v.violation(wrongAnswer, err)
	case client.CodeOf(err) == client.IncompleteKey:
		v.count(func(f *ChaosFigures) { f.Early++ })
	case err != nil:
		v.refused(err)
	default:
		if state, err := v.connection.KeyStatus(ctx, uid); err == nil && !state.Sealed {
			v.violation(earlyKey, errors.New("a key answered and was not sealed"))
		}
	}
	if _, err := v.connection.KeyStatus(ctx, uuid.NewString()); err == nil {
		v.violation(earlyKey, errors.New("a uid that nobody has is known"))
	}
}

// ask asks a few questions. It reports whether the client may begin again: not after a violation and not at the end,
// which is a right answer.
func (v *visitor) ask(ctx context.Context, u *user, uid string) (goOn bool, err error) {
	defer v.move(idle)
	stopped := false
	for questions := 1 + v.rng.IntN(20); questions > 0 || stopped; questions-- {
		v.move(idle)
		select {
		case <-v.stopping:
			stopped = true
		case <-time.After(time.Duration(v.rng.IntN(20)) * time.Millisecond):
		}
		v.move(asking)
		switch err := u.infer(ctx, v.connection, uid, v.rng); {
		case err == nil:
			v.count(func(f *ChaosFigures) { f.Right++ })
			if stopped {
				return false, nil
			}
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, errWrong):
			v.violation(wrongAnswer, err)
			return false, nil
		case client.CodeOf(err) == client.UnknownKey:
			v.violation(lostKey, err)
			return false, nil
		case !v.refused(err):
			return false, nil
		}
	}
	return true, nil
}
