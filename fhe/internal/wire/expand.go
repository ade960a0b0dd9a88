package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
)

// SeedSize is the length of a seed in bytes.
const SeedSize = 32

// Seed is what the uniform halves of keys and ciphertexts are expanded from. It is public.
type Seed [SeedSize]byte

// Domain separates what is expanded from a seed.
type Domain byte

const (
	// KeyDomain is for evaluation keys: item is the key's index in the file.
	KeyDomain Domain = 1
	// InputDomain is for ciphertexts of inputs: item is the input's index.
	InputDomain Domain = 2
	// BatchDomain is for ciphertexts of batches: item is the ciphertext's index, digit the block of BatchBlock values, so
	// that parts can be expanded in any order.
	BatchDomain Domain = 3
	// TemplateDomain is for stored templates, as BatchDomain is for batches.
	TemplateDomain Domain = 4
)

// Expander expands a seed by AES-256 in counter mode. It is safe for concurrent use.
type Expander struct{ block cipher.Block }

// NewExpander returns the expander of a seed.
func NewExpander(seed Seed) Expander {
	block, err := aes.NewCipher(seed[:])
	if err != nil {
		panic(err) // the key length is right
	}
	return Expander{block}
}

// UniformBlocks is Uniform for the ciphertexts of batches and templates, in blocks of BatchBlock values.
func (e Expander) UniformBlocks(values []uint64, modulus uint64, domain Domain, item, limb int) {
	for block := range len(values) / BatchBlock {
		e.Uniform(values[block*BatchBlock:(block+1)*BatchBlock], modulus, domain, item, block, limb)
	}
}

// BatchBlock is how many values of a batch's ciphertext are expanded at once. It divides the degree of every ring.
const BatchBlock = 512

// chunk is how much of the key stream is drawn at once.
const chunk = 4096

var zeros [chunk]byte

// Uniform fills values with uniform values below modulus: the limb'th limb of the digit'th digit of an item.
//
// The first counter block is domain (1 byte), item (4 bytes, big-endian), digit (2 bytes, big-endian), limb (1 byte),
// 0 (8 bytes). The key stream is read as little-endian 64-bit words; each word's lowest bits, as many as the modulus
// has, are the next value if they are below the modulus, and are dropped otherwise.
func (e Expander) Uniform(values []uint64, modulus uint64, domain Domain, item, digit, limb int) {
	var counter [aes.BlockSize]byte
	counter[0] = byte(domain)
	binary.BigEndian.PutUint32(counter[1:], uint32(item))
	binary.BigEndian.PutUint16(counter[5:], uint16(digit))
	counter[7] = byte(limb)
	stream := cipher.NewCTR(e.block, counter[:])
	mask := uint64(1)<<bits.Len64(modulus-1) - 1
	var buffer [chunk]byte
	for filled := 0; filled < len(values); {
		drawn := buffer[:min(chunk, 8*(len(values)-filled))]
		stream.XORKeyStream(drawn, zeros[:len(drawn)])
		for k := 0; k < len(drawn); k += 8 {
			v := binary.LittleEndian.Uint64(drawn[k:]) & mask
			values[filled] = v
			if v < modulus {
				filled++
			}
		}
	}
}
