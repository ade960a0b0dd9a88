package wire

import (
	"bytes"
	"crypto/aes"
	"errors"
	"math/rand/v2"
	"testing"

	"cipherpoint/circuit"
)

// bitByBit is the plainest way to pack.
func bitByBit(values []uint64, bitSize int) []byte {
	packed := make([]byte, PackedSize(len(values), bitSize))
	for i, v := range values {
		for b := range bitSize {
			at := i*bitSize + b
			packed[at/8] |= byte(v>>b&1) << (at % 8)
		}
	}
	return packed
}

func TestPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for bitSize := 1; bitSize <= 56; bitSize++ {
		for _, count := range []int{0, 1, 2, 7, 8, 9, 63, 64, 100} {
			values := make([]uint64, count)
			for i := range values {
				values[i] = rng.Uint64() & (1<<bitSize - 1)
			}
			packed := make([]byte, PackedSize(count, bitSize))
			Pack(packed, values, bitSize)
			if want := bitByBit(values, bitSize); !bytes.Equal(packed, want) {
				t.Fatalf("%d values of %d bits: %x, want %x", count, bitSize, packed, want)
			}
			back := make([]uint64, count)
			if err := Unpack(back, packed, bitSize, 1<<bitSize); err != nil {
				t.Fatal(err)
			}
			for i := range values {
				if back[i] != values[i] {
					t.Fatalf("%d bits: value %d comes back as %d", bitSize, values[i], back[i])
				}
			}
			for i := range values {
				if values[i] == 0 {
					continue
				}
				err := Unpack(back, packed, bitSize, values[i])
				if !errors.Is(err, ErrRange) {
					t.Fatalf("%d bits: value %d passes for one below itself: %v", bitSize, values[i], err)
				}
			}
			if used := count * bitSize % 8; used != 0 {
				for b := used; b < 8; b++ {
					packed[len(packed)-1] ^= 1 << b
					if err := Unpack(back, packed, bitSize, 1<<bitSize); !errors.Is(err, ErrPadding) {
						t.Fatalf("%d values of %d bits: padding bit %d: %v", count, bitSize, b, err)
					}
					packed[len(packed)-1] ^= 1 << b
				}
			}
		}
	}
}

// TestUniformIsAsSpecified expands by single AES blocks.
func TestUniformIsAsSpecified(t *testing.T) {
	seed := Seed{1, 2, 3, 4}
	block, err := aes.NewCipher(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	const q = 5<<40 + 1 // three of eight candidates are dropped
	want := make([]uint64, 0, 5000)
	for counter := uint64(0); len(want) < 5000; counter++ {
		in := [16]byte{0: byte(KeyDomain), 1: 0x01, 2: 0x02, 3: 0x03, 4: 0x04, 5: 0x05, 6: 0x06, 7: 0x07}
		for b := range 8 {
			in[15-b] = byte(counter >> (8 * b))
		}
		var out [16]byte
		block.Encrypt(out[:], in[:])
		for half := 0; half < 16 && len(want) < 5000; half += 8 {
			v := uint64(0)
			for b := range 8 {
				v |= uint64(out[half+b]) << (8 * b)
			}
			if v &= 1<<43 - 1; v < q {
				want = append(want, v)
			}
		}
	}
	got := make([]uint64, 5000)
	NewExpander(seed).Uniform(got, q, KeyDomain, 0x01020304, 0x0506, 0x07)
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("value %d is %d, want %d", i, got[i], want[i])
		}
	}
}

func TestCheckHeader(t *testing.T) {
	id := ID{7}
	good := AppendHeader(nil, Inputs, id, 258)
	if err := CheckHeader(good, Inputs, id, 258); err != nil {
		t.Fatal(err)
	}
	if len(good) != HeaderSize || good[24] != 2 || good[25] != 1 {
		t.Fatalf("header %x", good)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		want := ErrFormat
		if i >= 8 && i < 24 {
			want = ErrForeign
		}
		if err := CheckHeader(bad, Inputs, id, 258); !errors.Is(err, want) {
			t.Errorf("byte %d changed: got %v, want %v", i, err, want)
		}
		if err := CheckHeader(good[:i], Inputs, id, 258); !errors.Is(err, ErrFormat) {
			t.Errorf("cut to %d bytes: got %v", i, err)
		}
	}
}

func TestCheckKeySet(t *testing.T) {
	p, err := circuit.NewParameters(12, circuit.ConjugateInvariant, []int{40, 30}, []int{30})
	if err != nil {
		t.Fatal(err)
	}
	key := func(step, level int) circuit.RotationKey { return circuit.RotationKey{Step: step, Level: level} }
	for _, test := range []struct {
		set   circuit.KeySet
		valid bool
	}{
		{circuit.KeySet{Relinearisation: -1}, true},
		{circuit.KeySet{Relinearisation: 1, Rotations: []circuit.RotationKey{key(1, 0), key(4095, 1)}}, true},
		{circuit.KeySet{Relinearisation: 2}, false},
		{circuit.KeySet{Relinearisation: -2}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(0, 0)}}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(4096, 0)}}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(2, 0), key(1, 0)}}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(2, 0), key(2, 0)}}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(2, -1)}}, false},
		{circuit.KeySet{Relinearisation: -1, Rotations: []circuit.RotationKey{key(2, 2)}}, false},
	} {
		if err := CheckKeySet(p, test.set); (err == nil) != test.valid {
			t.Errorf("%+v: %v", test.set, err)
		}
	}
	p.P = nil
	if err := CheckKeySet(p, circuit.KeySet{Relinearisation: 1}); err == nil {
		t.Error("keys without a special prime: no error")
	}
}
