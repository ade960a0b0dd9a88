package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"math"
)

// deviation is the standard deviation of the errors of all encryptions, bound the largest one: six deviations.
const (
	deviation = 3.2
	bound     = 19
)

// stream is a cryptographic random stream: AES-256 in counter mode under a fresh key from crypto/rand. It is for one
// goroutine.
type stream struct {
	cipher cipher.Stream
	buffer [2048]byte
	at     int
}

func newStream() *stream {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return keyedStream(key)
}

func keyedStream(key [32]byte) *stream {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key length is right
	}
	s := &stream{cipher: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
	s.at = len(s.buffer)
	return s
}

func (s *stream) uint64() uint64 {
	if s.at == len(s.buffer) {
		clear(s.buffer[:])
		s.cipher.XORKeyStream(s.buffer[:], s.buffer[:])
		s.at = 0
	}
	v := binary.LittleEndian.Uint64(s.buffer[s.at:])
	s.at += 8
	return v
}

// ternary fills v with uniform values of -1, 0 and 1.
func (s *stream) ternary(v []int8) {
	for i := 0; i < len(v); {
		word := s.uint64()
		for b := 0; b < 8 && i < len(v); b, word = b+1, word>>8 {
			if x := byte(word); x < 255 { // a multiple of three
				v[i] = int8(x%3) - 1
				i++
			}
		}
	}
}

// thresholds[k] is 2^63 times the probability of an absolute value of at most k.
var thresholds = func() (t [bound]uint64) {
	weight := func(k int) float64 { return math.Exp(-float64(k*k) / (2 * deviation * deviation)) }
	total := weight(0)
	for k := 1; k <= bound; k++ {
		total += 2 * weight(k)
	}
	sum := weight(0)
	for k := range t {
		t[k] = uint64(math.Ldexp(sum/total, 63))
		sum += 2 * weight(k+1)
	}
	return t
}()

// gaussian fills v with discrete Gaussian errors by inversion of the cumulative distribution, in constant time: 63 bits
// choose the absolute value, one the sign.
func (s *stream) gaussian(v []int8) {
	for i := range v {
		word := s.uint64()
		u := word >> 1
		size := uint64(0)
		for _, t := range thresholds {
			size += (t - 1 - u) >> 63 // 1 where u >= t
		}
		sign := word & 1
		v[i] = int8((size ^ -sign) + sign)
	}
}
