package wire

import (
	"fmt"
	"math/bits"

	"cipherpoint/circuit"
)

// PolySize returns the bytes of a polynomial packed over the given primes.
func PolySize(n int, primes ...uint64) int64 {
	total := int64(0)
	for _, q := range primes {
		total += int64(PackedSize(n, bits.Len64(q)))
	}
	return total
}

// KeyPrimes returns the primes of a key at a level: those of the level, then the special primes in use.
func KeyPrimes(p circuit.Parameters, level int) []uint64 {
	return append(append([]uint64(nil), p.Q[:level+1]...), p.P[:p.SpecialPrimes(level)]...)
}

// KeyLevels returns the levels of a set's switching keys in their order in the file: the relinearisation key, then the
// rotation keys. The key to the ring of replies and the encryption key, if there are any, come after them.
func KeyLevels(set circuit.KeySet) []int {
	var levels []int
	if set.Relinearisation >= 0 {
		levels = append(levels, set.Relinearisation)
	}
	for _, r := range set.Rotations {
		levels = append(levels, r.Level)
	}
	return levels
}

// CheckKeySet checks that parameters can have such keys. It bounds what sizes and readers compute from them.
func CheckKeySet(p circuit.Parameters, set circuit.KeySet) error {
	if set.Relinearisation < -1 || set.Relinearisation > p.MaxLevel() {
		return fmt.Errorf("relinearisation key at level %d: want at most %d, or -1", set.Relinearisation, p.MaxLevel())
	}
	last := 0
	for _, r := range set.Rotations {
		if r.Step <= last || r.Step >= p.Slots() || r.Level < 0 || r.Level > p.MaxLevel() {
			return fmt.Errorf("rotation key for step %d at level %d: out of order or range", r.Step, r.Level)
		}
		last = r.Step
	}
	if set.Switches() && len(p.P) == 0 {
		return fmt.Errorf("keys need a special prime")
	}
	if len(set.Rotations) > 0 && p.Ring != circuit.ConjugateInvariant {
		return fmt.Errorf("rotation keys are for the %s ring", circuit.ConjugateInvariant)
	}
	if set.RingSwitch != nil {
		return set.RingSwitch.Validate(p)
	}
	return nil
}

// KeysSize returns the bytes of a key file.
func KeysSize(p circuit.Parameters, set circuit.KeySet) int64 {
	total := int64(HeaderSize + SeedSize)
	for _, level := range KeyLevels(set) {
		total += int64(p.Digits(level)) * PolySize(p.N(), KeyPrimes(p, level)...)
	}
	if r := set.RingSwitch; r != nil {
		total += int64(r.Polynomials(p)) * PolySize(r.N(), p.Q[0], r.P)
	}
	if set.Encryption {
		total += PolySize(p.N(), p.Q[0])
	}
	return total
}
