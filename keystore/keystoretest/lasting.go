package keystoretest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"cipherpoint/keystore"
)

// testReopen: what one store has stored, a later one finds, whether the first was closed or not.
func testReopen(t *testing.T, b *bench) {
	k := newKey(5 << 20)
	k.begin(t, b.open())
	k.mustBe(t, b.open(), false)
	k.put(t, b.open(), 3<<20, 5<<20)
	k.mustBe(t, b.open(), false, 3<<20, 5<<20)
	k.put(t, b.open(), 0, 3<<20)
	must(t, b.open().Seal(t.Context(), k.uid, nil))
	k.mustOpen(t, b.open())
	must(t, b.open().Delete(t.Context(), k.uid))
	k.mustBeGone(t, b.open())
}

// withLifetimes runs a test about time. A machine that stalls may break its assumptions: it says so by returning false, and
// is tried again with longer lifetimes.
func (b *bench) withLifetimes(t *testing.T, lifetime time.Duration, test func(b *bench, t *testing.T, lifetime time.Duration) bool) {
	for ; ; lifetime *= 4 {
		done := false
		// Each try closes its store: the lifetimes of one that stays open would hold for the next as well.
		t.Run(lifetime.String(), func(t *testing.T) { done = test(&bench{t, b.opens, b.Place}, t, lifetime) })
		if done || t.Failed() {
			return
		}
		if lifetime > 20*time.Second {
			t.Fatal("this machine stalls for ten seconds: expiry cannot be tested")
		}
		t.Logf("this machine stalled for more than half of %v", lifetime)
	}
}

func testExpiry(t *testing.T, b *bench) { b.withLifetimes(t, 400*time.Millisecond, (*bench).expiry) }

// expiry returns false where the pauses between two uses were too long to demand anything.
func (b *bench) expiry(t *testing.T, lifetime time.Duration) bool {
	s := b.openWith(keystore.Limits{KeyLifetime: lifetime, UploadLifetime: lifetime})
	used, unused, seen := newKey(10), newKey(20), newKey(30)
	growing, abandoned := newKey(40), newKey(50)
	steps := []func(i int) error{
		func(int) error { return s.Touch(t.Context(), used.uid) },
		func(int) error {
			r, _, err := s.Open(t.Context(), used.uid)
			if err != nil {
				return err
			}
			return r.Close()
		},
		func(i int) error {
			_, err := s.Put(t.Context(), growing.uid, int64(i), growing.data[i:i+2])
			return err
		},
		func(int) error { // a repeat counts as well
			_, err := s.Put(t.Context(), growing.uid, 0, growing.data[:2])
			return err
		},
	}

	last := time.Now()
	var failed error
	for _, k := range []key{used, unused, seen} {
		failed = errors.Join(failed, k.resume(t.Context(), s))
	}
	for _, k := range []key{growing, abandoned} {
		_, err := s.Begin(t.Context(), k.uid, k.upload)
		failed = errors.Join(failed, err)
	}
	_, err := s.Put(t.Context(), abandoned.uid, 0, abandoned.data[:10])
	failed = errors.Join(failed, err)
	if time.Since(last) > lifetime/2 {
		return false
	}
	must(t, failed)
	for i := range 12 {
		time.Sleep(lifetime / 8)
		for _, step := range []func(int) error{steps[i%2], steps[2+i%2]} {
			failed = errors.Join(failed, step(i))
		}
		_, _ = s.Status(t.Context(), seen.uid) // is no use
		now := time.Now()
		if now.Sub(last) > lifetime/2 {
			return false
		}
		last = now
	}
	must(t, failed)
	usedInfo, err := s.Status(t.Context(), used.uid)
	growingInfo, growingErr := s.Status(t.Context(), growing.uid)
	if time.Since(last) > lifetime/2 {
		return false
	}
	must(t, errors.Join(err, growingErr))
	used.mustHave(t, usedInfo, true, 0, 10)
	growing.mustHave(t, growingInfo, false, 0, 12)
	for _, k := range []key{unused, seen, abandoned} {
		k.mustBeGone(t, s)
		mustFail(t, s.Touch(t.Context(), k.uid), keystore.ErrNotFound)
		_, _, err := s.Open(t.Context(), k.uid)
		mustFail(t, err, keystore.ErrNotFound)
	}
	_, err = s.Begin(t.Context(), unused.uid, unused.upload) // what has expired may come back
	must(t, err)
	return true
}

// childAddress makes the test's binary the process that testKill kills.
const childAddress = "KEYSTORETEST_ADDRESS"

// Main runs the tests of a store. A store's TestMain calls it.
func Main(m *testing.M, open Opener) {
	if address := os.Getenv(childAddress); address != "" {
		fmt.Fprintln(os.Stderr, uploadForever(address, open))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const killedSize, killedPiece = 1 << 20, 90_000

// uploadForever uploads one key after the other and prints each uid before it begins and each that is sealed.
func uploadForever(address string, open Opener) error {
	s, err := open(address, limits)
	if err != nil {
		return err
	}
	k, ctx := newKey(killedSize), context.Background()
	for {
		k.uid = uuid.NewString()
		fmt.Println("begin", k.uid)
		if _, err := s.Begin(ctx, k.uid, k.upload); err != nil {
			return err
		}
		for begin := 0; begin < len(k.data); begin += killedPiece {
			if _, err := s.Put(ctx, k.uid, int64(begin), k.data[begin:min(begin+killedPiece, len(k.data))]); err != nil {
				return err
			}
		}
		if err := s.Seal(ctx, k.uid, nil); err != nil {
			return err
		}
		fmt.Println("sealed", k.uid)
	}
}

// testKill kills a process while it uploads, at many moments. What it had sealed is there, what it was uploading can be
// resumed from what Status says.
func testKill(t *testing.T, b *bench) {
	executable, err := os.Executable()
	must(t, err)
	s := b.open()
	k := newKey(killedSize)
	resumed := 0
	for i := range 12 {
		child := exec.CommandContext(t.Context(), executable)
		child.Env = append(os.Environ(), childAddress+"="+b.Address)
		output, err := child.StdoutPipe()
		must(t, err)
		child.Stderr = os.Stderr
		must(t, child.Start())
		lines := bufio.NewScanner(output)
		if !lines.Scan() {
			t.Fatal("the uploading process has failed")
		}
		timer := time.AfterFunc(time.Duration(i*i)*time.Millisecond, func() { _ = child.Process.Kill() })
		var began, sealed []string
		for ok := true; ok; ok = lines.Scan() {
			var state, uid string
			if _, err := fmt.Sscan(lines.Text(), &state, &uid); err != nil || len(uid) != 36 {
				continue // cut off
			}
			if state == "sealed" {
				sealed = append(sealed, uid)
			} else {
				began = append(began, uid)
			}
		}
		_ = child.Wait()
		timer.Stop()

		for _, k.uid = range sealed {
			k.mustBe(t, s, true, 0, killedSize)
			k.mustOpen(t, s)
		}
		k.uid = began[len(began)-1]
		info, err := s.Begin(t.Context(), k.uid, k.upload)
		must(t, err)
		if n := info.Present.Len(); n > 0 && n < killedSize {
			resumed++
		}
		must(t, k.resume(t.Context(), s))
		k.mustOpen(t, s)
	}
	t.Logf("%d of 12 uploads were cut off between two pieces", resumed)
}

func testOutage(t *testing.T, b *bench) {
	if b.Outage == nil {
		t.Skip("this store's place cannot be made unusable")
	}
	s, sealed, cut := b.open(), newKey(3<<20), newKey(1000)
	sealed.seal(t, s)
	cut.begin(t, s)
	cut.put(t, s, 0, 500)
	complete := newKey(2 << 20)
	complete.send(t, s)

	mend := b.Outage()
	must(t, mustBeUnavailable(s.Ping(t.Context())))
	for name, call := range calls(t, s, cut) {
		if err := mustBeUnavailable(call()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	mend()
	b.eventually(func() error { return s.Ping(t.Context()) })
	cut.mustBe(t, s, false, 0, 500)
	cut.put(t, s, 500, 1000)
	must(t, s.Seal(t.Context(), cut.uid, nil))
	cut.mustOpen(t, s)
	sealed.mustOpen(t, s)

	// An outage while content is checked discards nothing.
	err := s.Seal(t.Context(), complete.uid, func(r io.Reader) error {
		mend = b.Outage()
		_, err := io.Copy(io.Discard, r)
		return err
	})
	must(t, mustBeUnavailable(err))
	mend()
	b.eventually(func() error { return s.Ping(t.Context()) })
	must(t, s.Seal(t.Context(), complete.uid, nil))
	complete.mustOpen(t, s)
}

// testOutages breaks the place again and again while clients upload and retry as they should: each ends with its key,
// and a key that was sealed once is never lost.
func testOutages(t *testing.T, b *bench) {
	if b.Outage == nil {
		t.Skip("this store's place cannot be made unusable")
	}
	const clients, outages = 4, 4
	stores := b.replicas(2)
	breaking := make(chan struct{})
	uploads := make([]int, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			s := stores[i%2]
			for ended := false; !ended; uploads[i]++ {
				select {
				case <-breaking:
					ended = true // after one upload more
				default:
				}
				k := newKey(700_000 + i)
				if err := insist(t.Context(), func() error { return k.resume(t.Context(), s) }); err != nil {
					t.Errorf("upload: %v", err)
					return
				}
				if err := insist(t.Context(), func() error { return s.Touch(t.Context(), k.uid) }); err != nil {
					t.Errorf("sealed key: %v", err)
					return
				}
			}
		})
	}
	for range outages {
		time.Sleep(50 * time.Millisecond)
		mend := b.Outage()
		time.Sleep(20 * time.Millisecond)
		mend()
	}
	close(breaking)
	group.Wait()
	t.Logf("uploads of each client during %d outages: %v", outages, uploads)
}

// resume does what is left to do until the key is sealed.
func (k key) resume(ctx context.Context, s keystore.Store) error {
	info, err := s.Begin(ctx, k.uid, k.upload)
	if err != nil {
		return err
	}
	for _, gap := range info.Present.Missing(info.Size) {
		for begin := gap.Begin; begin < gap.End; begin += killedPiece {
			if _, err := s.Put(ctx, k.uid, begin, k.data[begin:min(begin+killedPiece, gap.End)]); err != nil {
				return err
			}
		}
	}
	return s.Seal(ctx, k.uid, nil)
}

// patience is for what comes back after an outage, on a machine that may be busy with other things.
const patience = 2 * time.Minute

// insist repeats what is unavailable.
func insist(ctx context.Context, call func() error) (err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = call(); !errors.Is(err, keystore.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func mustBeUnavailable(err error) error {
	if !errors.Is(err, keystore.ErrUnavailable) {
		return fmt.Errorf("error %v, want %v", err, keystore.ErrUnavailable)
	}
	return nil
}

// eventually waits until call succeeds.
func (b *bench) eventually(call func() error) {
	b.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = call(); err == nil {
			return
		}
	}
	b.t.Fatalf("does not recover: %v", err)
}

func testFull(t *testing.T, b *bench) {
	if b.Fill == nil {
		t.Skip("this store's place cannot be filled")
	}
	s, sealed, k, complete := b.open(), newKey(1000), newKey(2<<20), newKey(100)
	sealed.seal(t, s)
	complete.send(t, s)
	k.begin(t, s)
	k.put(t, s, 0, 1<<20)
	empty := b.Fill(k.uid)
	_, err := s.Put(t.Context(), k.uid, 1<<20, k.data[1<<20:])
	mustFail(t, err, keystore.ErrFull)
	k.mustBeGone(t, s)
	sealed.mustOpen(t, s)
	must(t, s.Ping(t.Context()))
	must(t, s.Seal(t.Context(), complete.uid, nil)) // takes no room
	complete.mustOpen(t, s)
	empty()
	k.seal(t, s)
	k.mustOpen(t, s)
}

func testDamage(t *testing.T, b *bench) {
	if b.Damage == nil {
		t.Skip("this store's keys cannot be damaged")
	}
	s, k := b.open(), newKey(1000)
	k.seal(t, s)
	b.Damage(k.uid)
	r, _, err := s.Open(t.Context(), k.uid)
	must(t, err)
	defer r.Close()
	for range 2 { // the verdict stays
		_, err = io.Copy(io.Discard, r)
		mustFail(t, err, keystore.ErrCorrupt)
	}
	must(t, s.Delete(t.Context(), k.uid))
	k.seal(t, s)
	k.mustOpen(t, s)
}
