package keystoretest

import (
	"crypto/sha256"
	"io"
	"runtime"
	"testing"

	"github.com/google/uuid"

	"cipherpoint/keystore"
)

// testLarge uploads, seals and reads a key that is never in memory as a whole, and measures that the store does not
// hold it either: the memory in use, garbage excluded, stays within a few pieces at every stage.
func testLarge(t *testing.T, b *bench) {
	const allowed = 3 * keystore.MaxPiece
	size := *largeKey
	s := b.openWith(keystore.Limits{MaxSize: size})
	uid, upload := uuid.NewString(), keystore.Upload{Size: size, SHA256: streamDigest(size)}

	base, peak := inUse(), int64(0)
	measure := func() { peak = max(peak, inUse()-base) }
	_, err := s.Begin(t.Context(), uid, upload)
	must(t, err)
	source, piece := content(int(size)), make([]byte, keystore.MaxPiece)
	for offset := int64(0); offset < size; offset += int64(len(piece)) {
		piece = piece[:min(int64(len(piece)), size-offset)]
		_, _ = source.Read(piece)
		_, err := s.Put(t.Context(), uid, offset, piece)
		must(t, err)
		measure()
	}
	must(t, s.Seal(t.Context(), uid, func(r io.Reader) error {
		_, err := io.Copy(&gauge{measure: measure}, r)
		return err
	}))
	measure()
	r, info, err := s.Open(t.Context(), uid)
	must(t, err)
	defer r.Close()
	if info.Size != size {
		t.Fatalf("size %d, want %d", info.Size, size)
	}
	g := &gauge{measure: measure}
	n, err := io.Copy(g, r)
	must(t, err)
	if n != size {
		t.Fatalf("read %d bytes, want %d", n, size)
	}
	t.Logf("key of %d MiB, at most %.1f MiB of memory in use", size>>20, float64(peak)/(1<<20))
	if peak > allowed {
		t.Fatalf("%d bytes of memory in use for a key of %d bytes, want at most %d", peak, size, allowed)
	}
}

// gauge measures now and then while it takes a stream.
type gauge struct {
	measure func()
	taken   int
}

func (g *gauge) Write(p []byte) (int, error) {
	const step = 8 << 20
	if g.taken/step != (g.taken+len(p))/step {
		g.measure()
	}
	g.taken += len(p)
	return len(p), nil
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func streamDigest(size int64) (sum [sha256.Size]byte) {
	digest := sha256.New()
	_, _ = io.CopyN(digest, content(int(size)), size)
	return [sha256.Size]byte(digest.Sum(nil))
}

// Benchmark measures the calls that a user or an inference waits for.
func Benchmark(b *testing.B, open Opener, place func(testing.TB) Place) {
	const size = 8 << 20
	on := &bench{b, open, place(b)}
	s := on.openWith(keystore.Limits{})
	k := newKey(size)
	k.seal(b, s)
	b.Run("Upload8MiB", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			k := key{uuid.NewString(), k.upload, k.data}
			k.begin(b, s)
			for begin := 0; begin < size; begin += 1 << 20 {
				k.put(b, s, begin, begin+1<<20)
			}
			must(b, s.Seal(b.Context(), k.uid, nil))
			must(b, s.Delete(b.Context(), k.uid))
		}
	})
	b.Run("Open8MiB", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			r, _, err := s.Open(b.Context(), k.uid)
			must(b, err)
			_, err = io.Copy(io.Discard, r)
			must(b, err)
			must(b, r.Close())
		}
	})
	b.Run("Touch", func(b *testing.B) {
		for b.Loop() {
			must(b, s.Touch(b.Context(), k.uid))
		}
	})
	b.Run("Status", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Status(b.Context(), k.uid)
			must(b, err)
		}
	})
}
