package fhe

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// ID is the 16-byte name of a key set or model, which its encodings carry so that a foreign one is told apart.
type ID = wire.ID

var (
	// ErrFormat is returned for bytes that are not the encoding asked for: truncated, too long, of another kind or
	// version, or with values out of range.
	ErrFormat = wire.ErrFormat
	// ErrForeign is returned for an encoding that carries the name of another model or key set.
	ErrForeign = wire.ErrForeign
	// ErrMissingKey is returned where evaluation keys do not cover a circuit.
	ErrMissingKey = errors.New("missing evaluation key")
)

// keyFile is what a key file holds beside the keys' second parts.
type keyFile struct {
	id   ID
	seed wire.Seed
}

// KeysSize returns the exact length in bytes of a file of evaluation keys.
func KeysSize(params circuit.Parameters, set circuit.KeySet) int64 { return wire.KeysSize(params, set) }

// CheckKeySet checks that parameters can have such keys, and that these are secure.
func CheckKeySet(params circuit.Parameters, set circuit.KeySet) error {
	return wire.CheckKeySet(params, set)
}

// ReadKeys reads a file of evaluation keys (FORMAT.md) to its end. The set and the name are what the file must hold.
// Beyond the keys themselves, EvaluationKeys.Bytes, it takes the memory of one digit of one key. It borrows idle workers
// of the pool, of which the caller holds one (Pool.Enter).
func ReadKeys(r io.Reader, params *Parameters, set circuit.KeySet, id ID, pool *Pool) (*EvaluationKeys, error) {
	if err := wire.CheckKeySet(params.literal, set); err != nil {
		return nil, err
	}
	head := make([]byte, wire.HeaderSize+wire.SeedSize)
	if err := readFull(r, head); err != nil {
		return nil, err
	}
	if err := wire.CheckHeader(head, wire.Keys, id, set.Count()); err != nil {
		return nil, err
	}
	keys := &EvaluationKeys{
		params:    params,
		set:       set,
		file:      keyFile{id, wire.Seed(head[wire.HeaderSize:])},
		rotations: make(map[int]*SwitchingKey, len(set.Rotations)),
	}
	expander := wire.NewExpander(keys.file.seed)
	var room keyDigit
	for item, level := range wire.KeyLevels(set) {
		key, err := readKey(r, params, level, stepOf(set, item), item, expander, pool, &room)
		if err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", item+1, set.Count(), err)
		}
		keys.put(item, key)
	}
	if set.RingSwitch != nil {
		var err error
		if keys.ring, err = readRingKey(r, params, *set.RingSwitch, len(wire.KeyLevels(set)), expander); err != nil {
			return nil, fmt.Errorf("key to the ring of replies: %w", err)
		}
	}
	if set.Encryption {
		if err := keys.readEncryption(r, expander); err != nil {
			return nil, fmt.Errorf("encryption key: %w", err)
		}
	}
	if n, err := io.ReadFull(r, head[:1]); n != 0 {
		return nil, fmt.Errorf("%w: bytes after the last key", ErrFormat)
	} else if err != io.EOF {
		return nil, err
	}
	return keys, nil
}

// put stores the item'th key of the set.
func (k *EvaluationKeys) put(item int, key *SwitchingKey) {
	if k.set.Relinearisation >= 0 {
		if item == 0 {
			k.relinearisation = key
			return
		}
		item--
	}
	k.rotations[k.set.Rotations[item].Step] = key
}

// get returns the item'th key of the set.
func (k *EvaluationKeys) get(item int) *SwitchingKey {
	if k.set.Relinearisation >= 0 {
		if item == 0 {
			return k.relinearisation
		}
		item--
	}
	return k.rotations[k.set.Rotations[item].Step]
}

func newSwitchingKey(params *Parameters, level, step int) (*SwitchingKey, error) {
	key := &SwitchingKey{level: level, special: params.literal.SpecialPrimes(level), step: step}
	var err error
	if key.permutation, err = params.Permutation(step); err != nil {
		return nil, err
	}
	digits, limbs := params.literal.Digits(level), level+1+key.special
	vectors := kernel.NewVectors(2*digits*limbs, keyLen(params.literal, level))
	key.limbs = make([][2][][]uint64, limbs)
	for limb := range key.limbs {
		for part := range key.limbs[limb] {
			key.limbs[limb][part], vectors = vectors[:digits:digits], vectors[digits:]
		}
	}
	return key, nil
}

// stepOf returns the step of the item'th key of a set, 0 for relinearisation.
func stepOf(set circuit.KeySet, item int) int {
	if set.Relinearisation >= 0 {
		item--
	}
	if item < 0 {
		return 0
	}
	return set.Rotations[item].Step
}

// keyDigit is the memory for one digit of a key. The keys of a file share it: endpoints that are short of memory read
// keys all the time.
type keyDigit struct {
	packed  []byte
	vectors [][]uint64
}

// resize makes room for a digit of so many bytes and vectors of n values.
func (d *keyDigit) resize(size int64, vectors, n int) {
	if int64(cap(d.packed)) < size {
		d.packed = make([]byte, size)
	}
	d.packed = d.packed[:size]
	if len(d.vectors) < vectors {
		d.vectors = kernel.NewVectors(vectors, n)
	}
}

func readKey(r io.Reader, params *Parameters, level, step, item int, expander wire.Expander, pool *Pool, room *keyDigit) (*SwitchingKey, error) {
	key, err := newSwitchingKey(params, level, step)
	if err != nil {
		return nil, err
	}
	moduli := params.Moduli(level, key.special)
	room.resize(wire.PolySize(params.N(), wire.KeyPrimes(params.literal, level)...), 2*len(moduli), params.N())
	packed := room.packed
	errs := make([]error, len(moduli))
	for digit := range params.literal.Digits(level) {
		if err := readFull(r, packed); err != nil {
			return nil, err
		}
		pool.Do(len(moduli), func(limb int) {
			m := moduli[limb]
			start := wire.PolySize(params.N(), primes(moduli[:limb])...)
			size := wire.PackedSize(params.N(), bits.Len64(m.Q()))
			rows := &key.limbs[limb]
			values, turned := room.vectors[2*limb], room.vectors[2*limb+1]
			errs[limb] = wire.Unpack(values, packed[start:start+int64(size)], bits.Len64(m.Q()), m.Q())
			key.permutation.Apply(turned, values)
			m.Pack(rows[0][digit], turned)
			expander.Uniform(values, m.Q(), wire.KeyDomain, item, digit, limb)
			key.permutation.Apply(turned, values)
			m.Pack(rows[1][digit], turned)
		})
		if err := cmp.Or(errs...); err != nil { // the first: each limb may have its own
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	return key, nil
}

func (k *EvaluationKeys) readEncryption(r io.Reader, expander wire.Expander) error {
	m, bitSize := k.params.q[0], bits.Len64(k.params.q[0].Q())
	packed := make([]byte, wire.PackedSize(k.params.N(), bitSize))
	if err := readFull(r, packed); err != nil {
		return err
	}
	vectors := kernel.NewVectors(2, k.params.N())
	k.encryption = [2][]uint64{vectors[0], vectors[1]}
	if err := wire.Unpack(k.encryption[0], packed, bitSize, m.Q()); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	expander.Uniform(k.encryption[1], m.Q(), wire.KeyDomain, k.set.Count()-1, 0, 0)
	return nil
}

func primes(moduli []*kernel.Modulus) []uint64 {
	list := make([]uint64, len(moduli))
	for i, m := range moduli {
		list[i] = m.Q()
	}
	return list
}

// readFull fills b. The end of the input before that is a format error.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: truncated", ErrFormat)
	}
	return err
}

// WriteTo writes the file that the keys were read from.
func (k *EvaluationKeys) WriteTo(w io.Writer) (int64, error) {
	head := wire.AppendHeader(nil, wire.Keys, k.file.id, k.set.Count())
	n, err := w.Write(append(head, k.file.seed[:]...))
	total := int64(n)
	values, turned := kernel.NewVector(k.params.N()), kernel.NewVector(k.params.N())
	for item, level := range wire.KeyLevels(k.set) {
		key := k.get(item)
		moduli := k.params.Moduli(level, key.special)
		back, failed := k.params.Permutation(-key.step)
		err = cmp.Or(err, failed)
		for digit := range k.params.literal.Digits(level) {
			for limb, m := range moduli {
				if err != nil {
					return total, err
				}
				packed := make([]byte, wire.PackedSize(k.params.N(), bits.Len64(m.Q())))
				m.Unpack(turned, key.limbs[limb][0][digit])
				back.Apply(values, turned)
				wire.Pack(packed, values, bits.Len64(m.Q()))
				n, err = w.Write(packed)
				total += int64(n)
			}
		}
	}
	if k.set.RingSwitch != nil && err == nil {
		var packed []byte
		if packed, err = k.appendRingKey(nil); err == nil {
			n, err = w.Write(packed)
			total += int64(n)
		}
	}
	if k.set.Encryption && err == nil {
		n, err = w.Write(appendPacked(nil, k.encryption[0], bits.Len64(k.params.q[0].Q())))
		total += int64(n)
	}
	return total, err
}
