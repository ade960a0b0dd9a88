// Package random draws what encryption needs: ternary polynomials, errors, and the wide noise that floods replies.
//
// Danger: streams under a given key are for test vectors; what is secret or hides something comes from New.
package random

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"math"
)

// Deviation is the standard deviation of the errors of all encryptions, Bound the largest one: six deviations.
const (
	Deviation = 3.2
	Bound     = 19
)

// Stream is a cryptographic random stream: AES-256 in counter mode. It is for one goroutine.
type Stream struct {
	cipher cipher.Stream
	buffer [2048]byte
	at     int
}

// New returns a stream under a fresh key from crypto/rand.
func New() *Stream {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return Keyed(key)
}

// Keyed returns the stream of a key.
func Keyed(key [32]byte) *Stream {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key length is right
	}
	s := &Stream{cipher: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
	s.at = len(s.buffer)
	return s
}

// Uint64 returns the next 64 bits.
func (s *Stream) Uint64() uint64 {
	if s.at == len(s.buffer) {
		clear(s.buffer[:])
		s.cipher.XORKeyStream(s.buffer[:], s.buffer[:])
		s.at = 0
	}
	v := binary.LittleEndian.Uint64(s.buffer[s.at:])
	s.at += 8
	return v
}

// Ternary fills v with uniform values of -1, 0 and 1.
func (s *Stream) Ternary(v []int8) {
	for i := 0; i < len(v); {
		word := s.Uint64()
		for b := 0; b < 8 && i < len(v); b, word = b+1, word>>8 {
			if x := byte(word); x < 255 { // a multiple of three
				v[i] = int8(x%3) - 1
				i++
			}
		}
	}
}

// thresholds[k] is 2^63 times the probability of an absolute value of at most k.
var thresholds = func() (t [Bound]uint64) {
	weight := func(k int) float64 { return math.Exp(-float64(k*k) / (2 * Deviation * Deviation)) }
	total := weight(0)
	for k := 1; k <= Bound; k++ {
		total += 2 * weight(k)
	}
	sum := weight(0)
	for k := range t {
		t[k] = uint64(math.Ldexp(sum/total, 63))
		sum += 2 * weight(k+1)
	}
	return t
}()

// Gaussian fills v with discrete Gaussian errors by inversion of the cumulative distribution, in constant time: 63 bits
// choose the absolute value, one the sign.
func (s *Stream) Gaussian(v []int8) {
	for i := range v {
		word := s.Uint64()
		u := word >> 1
		size := uint64(0)
		for _, t := range thresholds {
			size += (t - 1 - u) >> 63 // 1 where u >= t
		}
		sign := word & 1
		v[i] = int8((size ^ -sign) + sign)
	}
}

// Wide fills v with normal values of a large standard deviation, at least 2^6 and below 2^40, rounded to integers: by Box and
// Muller's transform of two 53-bit numbers, which reaches 8.5 deviations. Its time depends on the values drawn, so it is for
// noise that is added to what is no secret of its user.
func (s *Stream) Wide(v []int64, deviation float64) {
	unit := func() float64 { return (float64(s.Uint64()>>11) + 0.5) / (1 << 53) }
	for i := range v {
		v[i] = int64(math.Round(deviation * math.Sqrt(-2*math.Log(unit())) * math.Cos(2*math.Pi*unit())))
	}
}
