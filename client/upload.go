package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

const (
	parallelPieces = 4
	maxPiece       = 4 << 20 // bytes, as the protocol says
	minPiece       = 64 << 10
)

// Upload steers an upload. The zero value begins a new one.
type Upload struct {
	// UID names an upload that was begun before, with the same file of keys, to go on with; empty begins one.
	UID string
	// Progress is told how many bytes of the keys the endpoint has or has been sent, without repeats.
	Progress func(sent int64)
	// OnPiece is told, before each piece is sent, its number from 0 and how many bytes are still to be sent with it.
	OnPiece func(piece int, remaining int64)
}

// Keys are evaluation keys, such as a bytes.Reader on what FHEModelClient.EvaluationKeys returned.
type Keys interface {
	io.ReaderAt
	Size() int64
}

// Upload sends the evaluation keys of a key set (FHEModelClient.KeySet) and returns the uid under which the endpoint keeps them, ready for Infer. Where it fails
// after the upload was begun, it returns the uid with the error: the same call with that uid in Upload.UID goes on.
func (c *Connection) Upload(ctx context.Context, keySet string, keys Keys, o Upload) (uid string, err error) {
	digest := sha256.New()
	if _, err := io.Copy(digest, io.NewSectionReader(keys, 0, keys.Size())); err != nil {
		return o.UID, err
	}
	announcement := []field{
		{"size", keys.Size()},
		{"sha256", hex.EncodeToString(digest.Sum(nil))},
		{"key_set", keySet},
	}
	if o.UID != "" {
		announcement = append(announcement, field{"uid", o.UID})
	}
	state, err := c.key(ctx, o.UID, newMessage("save_key", announcement...))
	if err != nil {
		return o.UID, err
	}
	if o.UID == "" {
		announcement = append(announcement, field{"uid", state.UID})
	}
	// More than one round only where the endpoint lost pieces that it had taken.
	for round := 0; !state.Sealed; round++ {
		if state.Size != keys.Size() {
			return state.UID, badReply("the key has %d bytes there, %d here", state.Size, keys.Size())
		}
		if round == maxLosses {
			return state.UID, errors.New("the endpoint does not keep the pieces that it takes")
		}
		s := &sender{connection: c, keys: keys, upload: o, uid: state.UID, present: state.Size}
		for _, gap := range state.Missing {
			s.present -= gap[1] - gap[0]
		}
		if err := s.send(ctx, state.Missing); err != nil {
			return state.UID, err
		}
		// Also seals, where the reply to the last piece was lost.
		if state, err = c.key(ctx, state.UID, newMessage("save_key", announcement...)); err != nil {
			return s.uid, err
		}
	}
	return state.UID, nil
}

// sender sends the missing pieces of one upload.
type sender struct {
	connection *Connection
	keys       Keys
	upload     Upload
	uid        string
	piece      atomic.Int64 // largest size of a piece; shrinks where the connection is slow

	mu      sync.Mutex
	present int64 // bytes sent
	pieces  int
}

// send sends ranges, several pieces at a time and in ascending order.
func (s *sender) send(ctx context.Context, missing [][2]int64) error {
	s.piece.Store(int64(s.connection.options.PieceBytes))
	remaining := s.keys.Size() - s.present
	s.progress(0)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelPieces)
	for _, gap := range missing {
		for at, end := gap[0], gap[1]; at < end && ctx.Err() == nil; {
			n := min(s.piece.Load(), end-at)
			begin, number, left := at, s.pieces, remaining
			announced := make(chan struct{})
			group.Go(func() error {
				if s.upload.OnPiece != nil {
					s.upload.OnPiece(number, left)
				}
				close(announced)
				return s.sendRange(ctx, begin, begin+n)
			})
			<-announced // so that pieces are announced one after the other
			at, s.pieces, remaining = at+n, s.pieces+1, remaining-n
		}
	}
	return group.Wait()
}

// sendRange sends [at, end), which is one piece unless the connection turns out to be too slow for it.
func (s *sender) sendRange(ctx context.Context, at, end int64) error {
	mark := at // end of what has been counted
	var lock sync.Mutex
	again := s.connection.patience()
	for at < end {
		begin, n := at, min(s.piece.Load(), end-at)
		m := newPiece(s.uid, begin, io.NewSectionReader(s.keys, begin, n))
		body, err := s.connection.exchange(ctx, m, smallReply, func(sent int64) {
			lock.Lock()
			defer lock.Unlock()
			if now := begin + sent; now > mark {
				s.progress(now - mark)
				mark = now
			}
		})
		if err == nil {
			if _, err = decodeKeyState(body); err != nil {
				return err
			}
			at += n
			again = s.connection.patience()
			continue
		}
		code := CodeOf(err)
		if code == SlowRequest || code == TooLarge {
			if n <= minPiece {
				return err
			}
			s.shrink(n)
			continue
		}
		// A server that lost its patience may close the connection before its refusal is read.
		if loss := new(lossError); errors.As(err, &loss) {
			s.shrink(n)
		}
		if err := again.wait(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// shrink halves pieces after one of n bytes failed.
func (s *sender) shrink(n int64) {
	for {
		old := s.piece.Load()
		if smaller := max(n/2, min(n, minPiece)); smaller >= old || s.piece.CompareAndSwap(old, smaller) {
			return
		}
	}
}

func (s *sender) progress(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present += n
	if s.upload.Progress != nil {
		s.upload.Progress(s.present)
	}
}
