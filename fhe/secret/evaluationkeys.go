package secret

import (
	"context"
	"crypto/rand"
	"io"
	"math/bits"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/internal/random"
	"cipherpoint/fhe/internal/wire"
	"cipherpoint/fhe/kernel"
)

// WriteEvaluationKeys makes a set of evaluation keys and writes it as a file of fhe.KeysSize bytes, under the name that
// the server will ask for. It works on the pool's workers, keeps no more than a few keys in memory, and calls progress,
// which may be nil, with the bytes written so far. Two calls give different, equally good keys.
func (k *Key) WriteEvaluationKeys(ctx context.Context, w io.Writer, set circuit.KeySet, id fhe.ID, pool *fhe.Pool, progress func(written int64)) error {
	var seed wire.Seed
	rand.Read(seed[:])
	return k.writeEvaluationKeys(ctx, w, set, id, pool, progress, seed, func(int) *random.Stream { return random.New() })
}

// writeEvaluationKeys is WriteEvaluationKeys with the seed of the uniform halves and the streams of errors given.
func (k *Key) writeEvaluationKeys(ctx context.Context, w io.Writer, set circuit.KeySet, id fhe.ID, pool *fhe.Pool,
	progress func(written int64), seed wire.Seed, errors func(item int) *random.Stream) error {
	literal := k.params.Literal()
	if err := wire.CheckKeySet(literal, set); err != nil {
		return err
	}
	if err := pool.Enter(ctx); err != nil {
		return err
	}
	defer pool.Leave()

	head := append(wire.AppendHeader(nil, wire.Keys, id, set.Count()), seed[:]...)
	written := int64(0)
	write := func(b []byte) error {
		n, err := w.Write(b)
		written += int64(n)
		if err == nil && progress != nil {
			progress(written)
		}
		return err
	}
	if err := write(head); err != nil {
		return err
	}
	g := &generator{key: k, expander: wire.NewExpander(seed)}
	g.scratch.New = func() any { return kernel.NewVectors(4, k.params.N()) }
	levels := wire.KeyLevels(set)
	// As many keys at a time as there are workers: they are made side by side and written in order.
	for start := 0; start < len(levels); start += pool.Workers() {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch := levels[start:min(start+pool.Workers(), len(levels))]
		files := make([][]byte, len(batch))
		failed := make([]error, len(batch))
		pool.Do(len(batch), func(i int) {
			files[i], failed[i] = g.generate(start+i, set, batch[i], errors(start+i), pool)
		})
		for i, b := range files {
			if failed[i] != nil {
				return failed[i]
			}
			if err := write(b); err != nil {
				return err
			}
		}
	}
	if set.RingSwitch != nil {
		packed, err := g.ringSwitch(*set.RingSwitch, len(levels), errors(len(levels)))
		if err != nil {
			return err
		}
		if err := write(packed); err != nil {
			return err
		}
	}
	if set.Encryption {
		return write(g.encryption(set.Count()-1, errors(set.Count()-1)))
	}
	return nil
}

// generator makes the keys of one file.
type generator struct {
	key      *Key
	expander wire.Expander
	scratch  sync.Pool // [][]uint64: four vectors
}

// generate returns the packed second halves of a key: for each digit, -a·to + e + P·from on the digit's own primes.
func (g *generator) generate(item int, set circuit.KeySet, level int, errors *random.Stream, pool *fhe.Pool) ([]byte, error) {
	k := g.key
	literal := k.params.Literal()
	special := literal.SpecialPrimes(level)
	moduli := k.params.Moduli(level, special)
	// The relinearisation key leads from s² to s. The key of the rotation φ leads from s to φ⁻¹(s): the server switches
	// first and turns the result, under φ⁻¹(s), into one under s.
	var permutation *kernel.Permutation
	if set.Relinearisation < 0 || item > 0 {
		r := item
		if set.Relinearisation >= 0 {
			r--
		}
		var err error
		if permutation, err = k.params.Permutation(-set.Rotations[r].Step); err != nil {
			return nil, err
		}
	}
	digits := literal.Digits(level)
	offsets := make([]int64, len(moduli)+1)
	for limb, m := range moduli {
		offsets[limb+1] = offsets[limb] + int64(wire.PackedSize(k.params.N(), bits.Len64(m.Q())))
	}
	packed := make([]byte, int64(digits)*offsets[len(moduli)])
	noise := make([][]int8, digits)
	for digit := range noise {
		noise[digit] = make([]int8, k.params.N())
		errors.Gaussian(noise[digit])
	}
	pool.Do(len(moduli), func(limb int) {
		m := moduli[limb]
		scratch := g.scratch.Get().([][]uint64)
		defer g.scratch.Put(scratch)
		a, b, from, to := scratch[0], scratch[1], k.limb(level, limb), k.limb(level, limb)
		if permutation != nil {
			permutation.Apply(scratch[2], to)
			to = scratch[2]
		} else {
			m.Mul(scratch[2], from, from)
			from = scratch[2]
		}
		m.MulScalar(scratch[3], from, specialProduct(m, moduli[level+1:]))
		for digit := range digits {
			g.expander.Uniform(a, m.Q(), wire.KeyDomain, item, digit, limb)
			residues(b, noise[digit], m)
			m.Forward(b, b)
			m.Mul(a, a, to)
			m.Sub(b, b, a)
			if limb/special == digit && limb <= level {
				m.Add(b, b, scratch[3])
			}
			start := int64(digit)*offsets[len(moduli)] + offsets[limb]
			wire.Pack(packed[start:start+offsets[limb+1]-offsets[limb]], b, bits.Len64(m.Q()))
		}
	})
	for _, e := range noise {
		clear(e)
	}
	return packed, nil
}

// encryption returns the packed second half of the public encryption key: -a·s + e modulo q_0.
func (g *generator) encryption(item int, errors *random.Stream) []byte {
	m := g.key.params.Moduli(0, 0)[0]
	scratch := g.scratch.Get().([][]uint64)
	defer g.scratch.Put(scratch)
	a, b := scratch[0], scratch[1]
	noise := make([]int8, g.key.params.N())
	errors.Gaussian(noise)
	g.expander.Uniform(a, m.Q(), wire.KeyDomain, item, 0, 0)
	residues(b, noise, m)
	clear(noise)
	m.Forward(b, b)
	m.Mul(a, a, g.key.limb(0, 0))
	m.Sub(b, b, a)
	packed := make([]byte, wire.PackedSize(len(b), bits.Len64(m.Q())))
	wire.Pack(packed, b, bits.Len64(m.Q()))
	return packed
}

// specialProduct returns the product of the special primes modulo q.
func specialProduct(m *kernel.Modulus, special []*kernel.Modulus) uint64 {
	product := uint64(1)
	for _, p := range special {
		product = m.Product(product, m.Reduce(p.Q()))
	}
	return product
}
