package keystoretest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"cipherpoint/keystore"
)

func testLife(t *testing.T, b *bench) {
	s, k := b.open(), newKey(1000)
	k.upload.KeySet = "\x00\xff{}\"\r\n" + strings.Repeat("k", keystore.MaxKeySet-8)
	must(t, s.Ping(t.Context()))
	k.begin(t, s)
	k.mustBe(t, s, false)
	k.put(t, s, 0, 300)
	k.mustBe(t, s, false, 0, 300)
	k.put(t, s, 300, 1000)
	k.mustBe(t, s, false, 0, 1000)
	_, _, err := s.Open(t.Context(), k.uid)
	mustFail(t, err, keystore.ErrNotSealed)
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.mustBe(t, s, true, 0, 1000)
	k.mustOpen(t, s)
	must(t, s.Touch(t.Context(), k.uid))
	must(t, s.Delete(t.Context(), k.uid))
	k.mustBeGone(t, s)
}

// calls are all methods that take a uid, with arguments that are good for k.
func calls(t testing.TB, s keystore.Store, k key) map[string]func() error {
	ctx := t.Context()
	return map[string]func() error{
		"begin":  func() error { _, err := s.Begin(ctx, k.uid, k.upload); return err },
		"put":    func() error { _, err := s.Put(ctx, k.uid, 0, k.data); return err },
		"seal":   func() error { return s.Seal(ctx, k.uid, nil) },
		"open":   func() error { _, _, err := s.Open(ctx, k.uid); return err },
		"touch":  func() error { return s.Touch(ctx, k.uid) },
		"status": func() error { _, err := s.Status(ctx, k.uid); return err },
		"delete": func() error { return s.Delete(ctx, k.uid) },
	}
}

func testUnknown(t *testing.T, b *bench) {
	s, k := b.open(), newKey(10)
	newKey(20).seal(t, s)
	for name, call := range calls(t, s, k) {
		if name != "begin" {
			t.Run(name, func(t *testing.T) { mustFail(t, call(), keystore.ErrNotFound) })
		}
	}
}

func testUID(t *testing.T, b *bench) {
	s, k := b.open(), newKey(10)
	good := uuid.NewString()
	for _, uid := range []string{
		"", " ", "..", "/", "*", good[:35], good + "0", " " + good, strings.ToUpper("a" + good[1:]), "{" + good + "}",
		strings.ReplaceAll(good, "-", ""), good[:14] + "1" + good[15:], good[:19] + "c" + good[20:],
		"../../../../../../../../../../../tmp", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaa/../", good[:35] + "\x00", good[:35] + "\n",
		good[:35] + "}", good[:35] + "g", "00000000-0000-0000-0000-000000000000", strings.Repeat("a", 1<<20),
	} {
		k.uid = uid
		for name, call := range calls(t, s, k) {
			if err := call(); err == nil {
				t.Errorf("%s takes the uid %.40q", name, uid)
			} else {
				mustFail(t, err, keystore.ErrInvalid)
			}
		}
	}
}

func testAnnouncement(t *testing.T, b *bench) {
	s, k := b.open(), newKey(100)
	for _, test := range []struct {
		name   string
		upload keystore.Upload
		want   error
	}{
		{"empty", keystore.Upload{}, keystore.ErrInvalid},
		{"negative", keystore.Upload{Size: -1}, keystore.ErrInvalid},
		{"over the limit", keystore.Upload{Size: limits.MaxSize + 1}, keystore.ErrTooLarge},
		{"far over the limit", keystore.Upload{Size: math.MaxInt64}, keystore.ErrTooLarge},
		{"long key set", keystore.Upload{Size: 1, KeySet: strings.Repeat("k", keystore.MaxKeySet+1)}, keystore.ErrInvalid},
	} {
		_, err := s.Begin(t.Context(), k.uid, test.upload)
		mustFail(t, err, test.want)
		k.mustBeGone(t, s)
	}

	largest := newKey(1)
	largest.upload.Size = limits.MaxSize
	largest.begin(t, s)

	same := func(sealed bool, present ...int64) {
		t.Helper()
		info, err := s.Begin(t.Context(), k.uid, k.upload)
		must(t, err)
		if info.Upload != k.upload || info.Sealed != sealed {
			t.Fatalf("repeated announcement: the store says %+v", info)
		}
		for i := range 3 {
			other := k.upload
			switch i {
			case 0:
				other.Size++
			case 1:
				other.SHA256[31]++
			case 2:
				other.KeySet = ""
			}
			_, err := s.Begin(t.Context(), k.uid, other)
			mustFail(t, err, keystore.ErrConflict)
		}
		k.mustBe(t, s, sealed, present...)
	}
	k.begin(t, s)
	same(false)
	k.put(t, s, 10, 20)
	same(false, 10, 20)
	k.put(t, s, 0, 100)
	same(false, 0, 100)
	must(t, s.Seal(t.Context(), k.uid, nil))
	same(true, 0, 100)
	k.mustOpen(t, s)
}

func testPiece(t *testing.T, b *bench) {
	s, k := b.open(), newKey(100)
	k.begin(t, s)
	k.put(t, s, 20, 40)
	k.put(t, s, 60, 80)
	other := bytes.Clone(k.data)
	other[39]++
	other[60]++
	for _, test := range []struct {
		name   string
		offset int64
		piece  []byte
		want   error
	}{
		{"empty", 0, nil, keystore.ErrInvalid},
		{"empty at the end", 100, nil, keystore.ErrInvalid},
		{"negative offset", -1, k.data[:10], keystore.ErrInvalid},
		{"least offset", math.MinInt64, k.data[:10], keystore.ErrInvalid},
		{"largest offset", math.MaxInt64, k.data[:10], keystore.ErrInvalid},
		{"sum overflows", math.MaxInt64 - 5, k.data[:10], keystore.ErrInvalid},
		{"one too many", 91, k.data[:10], keystore.ErrInvalid},
		{"at the end", 100, k.data[:1], keystore.ErrInvalid},
		{"longer than all", 0, append(bytes.Clone(k.data), 0), keystore.ErrInvalid},
		{"other content", 20, other[20:40], keystore.ErrConflict},
		{"other last byte", 39, other[39:40], keystore.ErrConflict},
		{"other content in an overlap", 30, other[30:50], keystore.ErrConflict},
		{"other content behind a gap", 45, other[45:61], keystore.ErrConflict},
		{"other content over all", 0, other, keystore.ErrConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := s.Put(t.Context(), k.uid, test.offset, test.piece)
			mustFail(t, err, test.want)
			k.mustBe(t, s, false, 20, 40, 60, 80)
		})
	}
	k.put(t, s, 20, 40)
	k.put(t, s, 25, 35)
	k.mustBe(t, s, false, 20, 40, 60, 80)
	k.put(t, s, 30, 50)
	k.mustBe(t, s, false, 20, 50, 60, 80)
	k.put(t, s, 80, 90)
	k.mustBe(t, s, false, 20, 50, 60, 90)
	k.put(t, s, 10, 95)
	k.mustBe(t, s, false, 10, 95)
	k.put(t, s, 99, 100)
	k.put(t, s, 0, 10)
	if info := k.put(t, s, 95, 99); !info.Complete() {
		t.Fatalf("all was put, but the store says %+v", info)
	}
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.mustOpen(t, s)
}

// testAnyOrder compares the store with keystore.Ranges over random pieces, some of them wrong in a byte that is there
// already, around the sizes where a store may cut pieces.
func testAnyOrder(t *testing.T, b *bench) {
	const unit = 1 << 18
	s, k := b.open(), newKey(20*unit+12345)
	random := rand.New(rand.NewPCG(1, 2))
	var stored keystore.Ranges
	k.begin(t, s)
	for range 60 {
		begin := random.IntN(len(k.data))
		if random.IntN(2) == 0 {
			begin -= begin % unit
		}
		end := min(begin+1+random.IntN(4*unit), len(k.data))
		if random.IntN(2) == 0 {
			end = min((end+unit-1)/unit*unit, len(k.data))
		}
		if random.IntN(4) == 0 {
			wrong := bytes.Clone(k.data[begin:end])
			at := random.IntN(len(wrong))
			if place := int64(begin + at); stored.Within(keystore.Range{Begin: place, End: place + 1}) != nil {
				wrong[at] ^= 1
				_, err := s.Put(t.Context(), k.uid, int64(begin), wrong)
				mustFail(t, err, keystore.ErrConflict)
				continue
			}
		}
		k.put(t, s, begin, end)
		stored = stored.Add(keystore.Range{Begin: int64(begin), End: int64(end)})
		info, err := s.Status(t.Context(), k.uid)
		must(t, err)
		if !slices.Equal(info.Present, stored) {
			t.Fatalf("the store has %v, want %v", info.Present, stored)
		}
	}
	info, err := s.Status(t.Context(), k.uid)
	must(t, err)
	for _, gap := range info.Present.Missing(info.Size) {
		k.put(t, s, int(gap.Begin), int(gap.End))
	}
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.mustOpen(t, s)
}

func testManyRanges(t *testing.T, b *bench) {
	s, k := b.open(), newKey(2*keystore.MaxRanges+2)
	k.begin(t, s)
	present := []int64{}
	for i := range keystore.MaxRanges {
		k.put(t, s, 2*i, 2*i+1)
		present = append(present, int64(2*i), int64(2*i+1))
	}
	_, err := s.Put(t.Context(), k.uid, 2*keystore.MaxRanges, k.data[2*keystore.MaxRanges:][:1])
	mustFail(t, err, keystore.ErrInvalid)
	k.mustBe(t, s, false, present...)
	k.put(t, s, 0, len(k.data))
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.mustOpen(t, s)
}

func testLongPiece(t *testing.T, b *bench) {
	s, k := b.open(), newKey(2*keystore.MaxPiece+keystore.MaxPiece/3)
	last := len(k.data) - 1
	k.begin(t, s)
	_, err := s.Put(t.Context(), k.uid, 1, k.data)
	mustFail(t, err, keystore.ErrInvalid)
	k.put(t, s, last, last+1)
	wrong := bytes.Clone(k.data)
	wrong[last]++
	_, err = s.Put(t.Context(), k.uid, 0, wrong)
	mustFail(t, err, keystore.ErrConflict)
	k.mustBe(t, s, false, int64(last), int64(last)+1)
	k.put(t, s, 7, last)
	k.put(t, s, 0, last+1)
	k.put(t, s, 0, last+1)
	must(t, s.Seal(t.Context(), k.uid, nil))
	k.put(t, s, 0, last+1)
	_, err = s.Put(t.Context(), k.uid, 0, wrong)
	mustFail(t, err, keystore.ErrConflict)
	k.mustOpen(t, s)
}

func testSealed(t *testing.T, b *bench) {
	s, k := b.open(), newKey(1000)
	k.seal(t, s)
	k.put(t, s, 100, 200)
	_, err := s.Put(t.Context(), k.uid, 100, make([]byte, 100))
	mustFail(t, err, keystore.ErrConflict)
	_, err = s.Put(t.Context(), k.uid, 1000, []byte{1})
	mustFail(t, err, keystore.ErrInvalid)
	k.mustBe(t, s, true, 0, 1000)
	k.mustOpen(t, s)
}

func testDelete(t *testing.T, b *bench) {
	s := b.open()
	for _, test := range []struct {
		name  string
		reach func(k key)
	}{
		{"announced", func(k key) { k.begin(t, s) }},
		{"partly there", func(k key) { k.begin(t, s); k.put(t, s, 10, 20) }},
		{"complete", func(k key) { k.send(t, s) }},
		{"sealed", func(k key) { k.seal(t, s) }},
	} {
		k, other := newKey(50), newKey(60)
		other.seal(t, s)
		test.reach(k)
		must(t, s.Delete(t.Context(), k.uid))
		k.mustBeGone(t, s)
		mustFail(t, s.Delete(t.Context(), k.uid), keystore.ErrNotFound)
		k.upload.KeySet = "another"
		k.begin(t, s)
		k.mustBe(t, s, false)
		k.seal(t, s)
		k.mustOpen(t, s)
		other.mustOpen(t, s)
	}
}

// testDeleteWhileRead: a reader delivers all or fails; it never ends early, nor mixes two keys.
func testDeleteWhileRead(t *testing.T, b *bench) {
	s, k := b.open(), newKey(5<<20)
	k.seal(t, s)
	r, _, err := s.Open(t.Context(), k.uid)
	must(t, err)
	defer r.Close()
	first := make([]byte, 1000)
	_, err = io.ReadFull(r, first)
	must(t, err)
	must(t, s.Delete(t.Context(), k.uid))
	next := newKey(5<<20 + 1)
	next.uid = k.uid
	next.seal(t, s)
	rest, err := io.ReadAll(r)
	if err != nil {
		mustFail(t, err, keystore.ErrNotFound)
	} else if sha256.Sum256(append(first, rest...)) != k.upload.SHA256 {
		t.Fatal("a reader delivered other bytes")
	}
	next.mustOpen(t, s)
}
