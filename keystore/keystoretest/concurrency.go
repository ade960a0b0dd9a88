package keystoretest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"cipherpoint/keystore"
)

// replicas are several stores on one place, as several endpoints have them.
func (b *bench) replicas(n int) []keystore.Store {
	stores := make([]keystore.Store, n)
	for i := range stores {
		stores[i] = b.open()
	}
	return stores
}

// together runs n calls at once and returns their errors.
func together(n int, call func(i int) error) []error {
	var group sync.WaitGroup
	errs := make([]error, n)
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// testConcurrentBegin: one of two announcements wins everywhere.
func testConcurrentBegin(t *testing.T, b *bench) {
	stores := b.replicas(2)
	for range 10 {
		one, two := newKey(10), newKey(20)
		two.uid = one.uid
		errs := together(8, func(i int) error {
			upload := one.upload
			if i%4 < 2 {
				upload = two.upload
			}
			_, err := stores[i%2].Begin(t.Context(), one.uid, upload)
			return err
		})
		info, err := stores[0].Status(t.Context(), one.uid)
		must(t, err)
		for i, err := range errs {
			if won := (i%4 < 2) == (info.Upload == two.upload); won {
				must(t, err)
			} else {
				mustFail(t, err, keystore.ErrConflict)
			}
		}
	}
}

// testConcurrentPut: pieces in random order, each by two callers of two replicas; then several callers seal.
func testConcurrentPut(t *testing.T, b *bench) {
	const piece = 100_000
	stores := b.replicas(2)
	k := newKey(3_000_000 - 1)
	k.begin(t, stores[0])
	var offsets []int
	for offset := 0; offset < len(k.data); offset += piece {
		offsets = append(offsets, offset, offset)
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(offsets), func(i, j int) { offsets[i], offsets[j] = offsets[j], offsets[i] })
	var next, completions atomic.Int64
	for _, err := range together(6, func(i int) error {
		for {
			n := int(next.Add(1)) - 1
			if n >= len(offsets) {
				return nil
			}
			begin := offsets[n]
			info, err := stores[i%2].Put(t.Context(), k.uid, int64(begin), k.data[begin:min(begin+piece, len(k.data))])
			if err != nil {
				return err
			}
			if info.Complete() {
				completions.Add(1)
			}
		}
	}) {
		must(t, err)
	}
	if completions.Load() == 0 {
		t.Fatal("nobody was told that the upload is complete")
	}
	k.mustBe(t, stores[1], false, 0, k.upload.Size)
	for _, err := range together(4, func(i int) error { return stores[i%2].Seal(t.Context(), k.uid, nil) }) {
		must(t, err)
	}
	k.mustOpen(t, stores[0])
	k.mustOpen(t, stores[1])
}

// testConcurrentConflict: of two different pieces for one place, one is stored and the other refused.
func testConcurrentConflict(t *testing.T, b *bench) {
	stores := b.replicas(2)
	for range 10 {
		k := newKey(1000)
		k.begin(t, stores[0])
		errs := together(4, func(i int) error {
			piece := bytes.Repeat([]byte{byte(i)}, 500)
			_, err := stores[i%2].Put(t.Context(), k.uid, int64(100*i), piece)
			return err
		})
		winners := 0
		for _, err := range errs {
			if err == nil {
				winners++
			} else {
				mustFail(t, err, keystore.ErrConflict)
			}
		}
		info, err := stores[0].Status(t.Context(), k.uid)
		must(t, err)
		if winners != 1 || info.Present.Len() != 500 {
			t.Fatalf("%d pieces were taken, %d bytes are there", winners, info.Present.Len())
		}
	}
}

// testConcurrentLives: uploads, readers and deletions of one uid at once. Whatever the order, a reader gets the whole
// key or an error of the contract.
func testConcurrentLives(t *testing.T, b *bench) {
	stores := b.replicas(2)
	k := newKey(1_500_000)
	allowed := []error{keystore.ErrNotFound, keystore.ErrNotSealed, keystore.ErrIncomplete}
	tolerate := func(err error) error {
		for _, a := range allowed {
			if errors.Is(err, a) {
				return nil
			}
		}
		return err
	}
	for _, err := range together(8, func(i int) error {
		s := stores[i%2]
		for range 15 {
			var errs []error
			switch i / 2 {
			case 0, 1:
				_, err := s.Begin(t.Context(), k.uid, k.upload)
				errs = append(errs, err)
				for begin := 0; begin < len(k.data); begin += 500_000 {
					_, err := s.Put(t.Context(), k.uid, int64(begin), k.data[begin:begin+500_000])
					errs = append(errs, tolerate(err))
				}
				errs = append(errs, tolerate(s.Seal(t.Context(), k.uid, nil)))
			case 2:
				r, _, err := s.Open(t.Context(), k.uid)
				if err == nil {
					_, err = io.Copy(io.Discard, r)
					errs = append(errs, r.Close())
				}
				errs = append(errs, tolerate(err))
			case 3:
				errs = append(errs, tolerate(s.Delete(t.Context(), k.uid)))
			}
			if err := errors.Join(errs...); err != nil {
				return err
			}
		}
		return nil
	}) {
		must(t, err)
	}
	must(t, tolerate(stores[0].Delete(t.Context(), k.uid)))
	k.seal(t, stores[0])
	k.mustOpen(t, stores[1])
}
