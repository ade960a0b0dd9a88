package keystore

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// FuzzCheckUID: what is taken is a version 4 UUID in the one form that the library writes.
func FuzzCheckUID(f *testing.F) {
	f.Add("f47ac10b-58cc-4372-a567-0e02b2c3d479")
	f.Add("f47ac10b-58cc-1372-a567-0e02b2c3d479")
	f.Add("F47AC10B-58CC-4372-A567-0E02B2C3D479")
	f.Add("urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479")
	f.Add("../../../../../../etc/passwd/../../x")
	f.Fuzz(func(t *testing.T, uid string) {
		parsed, err := uuid.Parse(uid)
		want := err == nil && parsed.Version() == 4 && parsed.Variant() == uuid.RFC4122 && parsed.String() == uid
		if err := CheckUID(uid); (err == nil) != want {
			t.Errorf("%q: %v", uid, err)
		}
	})
}

func TestCheckUID(t *testing.T) {
	for range 100 {
		if err := CheckUID(uuid.NewString()); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzRanges compares the ranges with a bitmap: each pair of bytes is a range that is added.
func FuzzRanges(f *testing.F) {
	f.Add([]byte{0, 10, 20, 5, 10, 10}, byte(3), byte(17))
	f.Add([]byte{5, 1, 7, 1, 6, 1, 0, 255, 255, 1}, byte(0), byte(255))
	f.Fuzz(func(t *testing.T, pairs []byte, from, length byte) {
		const size = 512
		var bitmap [size]bool
		var r Ranges
		for ; len(pairs) >= 2; pairs = pairs[2:] {
			x := Range{int64(pairs[0]), int64(pairs[0]) + max(1, int64(pairs[1]))}
			before := slices.Clone(r)
			sum := r.Add(x)
			if !slices.Equal(before, r) {
				t.Fatal("adding has changed the receiver")
			}
			r = sum
			for i := x.Begin; i < x.End; i++ {
				bitmap[i] = true
			}
		}
		window := Range{int64(from), int64(from) + int64(length)}
		check := func(name string, got Ranges, want func(i int64) bool) {
			n, last := int64(0), int64(-1)
			for _, y := range got {
				if y.Begin <= last || y.End <= y.Begin {
					t.Fatalf("%s is not canonical: %v", name, got)
				}
				last = y.End
			}
			for i := range int64(size) {
				in := slices.ContainsFunc(got, func(y Range) bool { return y.Begin <= i && i < y.End })
				if in != want(i) {
					t.Fatalf("%s: byte %d is wrong in %v", name, i, got)
				}
				if in {
					n++
				}
			}
			if n != got.Len() {
				t.Fatalf("%s: length %d, want %d", name, got.Len(), n)
			}
		}
		check("sum", r, func(i int64) bool { return bitmap[i] })
		check("missing", r.Missing(size), func(i int64) bool { return !bitmap[i] })
		check("within", r.Within(window), func(i int64) bool { return bitmap[i] && window.Begin <= i && i < window.End })
	})
}

func TestLimits(t *testing.T) {
	l, err := Limits{}.Complete()
	if err != nil || l != (Limits{MaxSize: DefaultMaxSize, UploadLifetime: DefaultUploadLifetime}) {
		t.Errorf("defaults: %+v, %v", l, err)
	}
	for _, bad := range []Limits{{MaxSize: -1}, {KeyLifetime: -1}, {UploadLifetime: -1}} {
		if _, err := bad.Complete(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	l.MaxSize = 10
	for _, test := range []struct {
		upload Upload
		want   error
	}{
		{Upload{Size: 1}, nil},
		{Upload{Size: 10, KeySet: strings.Repeat("k", MaxKeySet)}, nil},
		{Upload{Size: 0}, ErrInvalid},
		{Upload{Size: math.MinInt64}, ErrInvalid},
		{Upload{Size: 11}, ErrTooLarge},
		{Upload{Size: 1, KeySet: strings.Repeat("k", MaxKeySet+1)}, ErrInvalid},
	} {
		if err := l.CheckUpload(test.upload); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.upload, err, test.want)
		}
	}
}

func TestComplete(t *testing.T) {
	u := Upload{Size: 10}
	for _, test := range []struct {
		info Info
		want bool
	}{
		{Info{Upload: u}, false},
		{Info{Upload: u, Present: Ranges{{0, 9}}}, false},
		{Info{Upload: u, Present: Ranges{{1, 10}}}, false},
		{Info{Upload: u, Present: Ranges{{0, 4}, {5, 10}}}, false},
		{Info{Upload: u, Present: Ranges{{0, 10}}}, true},
		{Info{Upload: u, Present: Ranges{{0, 10}}, Sealed: true}, true},
	} {
		if test.info.Complete() != test.want {
			t.Errorf("%+v: want %v", test.info, test.want)
		}
	}
}
