package fhe

import (
	"fmt"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// SwitchingKey turns a ciphertext part under one secret into a ciphertext under another (hybrid key switching, Han and
// Ki, ePrint 2019/688). Digit i is an encryption under the second secret, modulo q_0 … q_level and the special primes
// p_0 … p_(s-1), of the first secret times a number that is p_0·…·p_(s-1) modulo the i-th run of s primes of Q and zero
// modulo the others, where s is the special primes in use at the key's level.
//
// The same key serves every lower level: the limbs above are left out, the digits keep their size s (the last one may
// become shorter, those beyond the level are left out) and the sum is divided by all s special primes. This is right
// because the number that belongs to a digit is fixed by its residues alone.
type SwitchingKey struct {
	level, special int
	step           int // of the rotation that the key serves; 0 for none
	permutation    *kernel.Permutation
	// limbs holds for each limb (q_0 … q_level, then the special primes) the digits' first and second parts, packed, under
	// the rotation: instead of a sum of products its factors are rotated, of which this one is the same every time.
	limbs [][2][][]uint64
}

// Level returns the highest level that the key serves.
func (k *SwitchingKey) Level() int { return k.level }

// EvaluationKeys are a user's public keys: with them and without the secret one, circuits run on ciphertexts. They are
// immutable and safe for concurrent use.
type EvaluationKeys struct {
	params          *Parameters
	set             circuit.KeySet
	file            keyFile
	relinearisation *SwitchingKey
	rotations       map[int]*SwitchingKey
	ring            *ringKey
	encryption      [2][]uint64 // of zero, modulo q_0
}

// Set returns which keys there are.
func (k *EvaluationKeys) Set() circuit.KeySet { return k.set }

// Bytes returns the memory that the keys take.
func (k *EvaluationKeys) Bytes() int64 { return KeysBytes(k.params.literal, k.set) }

// KeysBytes returns the memory that keys take once they are read.
func KeysBytes(params circuit.Parameters, set circuit.KeySet) int64 {
	total := int64(0)
	for _, level := range wire.KeyLevels(set) {
		special := params.SpecialPrimes(level)
		total += 2 * int64(params.Digits(level)) * int64(level+1+special) * int64(keyLen(params, level)) * 8
	}
	if set.RingSwitch != nil {
		total += ringKeyBytes(params, set.RingSwitch)
	}
	if set.Encryption {
		total += 2 * int64(params.N()) * 8
	}
	return total
}

// keyLen returns the words that a limb of a key takes, packed.
func keyLen(params circuit.Parameters, level int) int {
	longest := 0
	for _, q := range wire.KeyPrimes(params, level) {
		longest = max(longest, kernel.PackedLen(q, params.N()))
	}
	return longest
}

// Covers returns an error that names the first key of a set that is missing or at too low a level.
func (k *EvaluationKeys) Covers(set circuit.KeySet) error {
	if set.Relinearisation >= 0 && (k.relinearisation == nil || k.relinearisation.level < set.Relinearisation) {
		return fmt.Errorf("%w: relinearisation at level %d", ErrMissingKey, set.Relinearisation)
	}
	for _, r := range set.Rotations {
		if key := k.rotations[r.Step]; key == nil || key.level < r.Level {
			return fmt.Errorf("%w: rotation by %d at level %d", ErrMissingKey, r.Step, r.Level)
		}
	}
	if r := set.RingSwitch; r != nil && (k.ring == nil || *k.set.RingSwitch != *r) {
		return fmt.Errorf("%w: to the ring of replies", ErrMissingKey)
	}
	if set.Encryption && k.encryption[0] == nil {
		return fmt.Errorf("%w: encryption", ErrMissingKey)
	}
	return nil
}
