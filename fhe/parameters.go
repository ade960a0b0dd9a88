package fhe

import (
	"fmt"
	"slices"
	"sync"

	"cipherpoint/circuit"
	"cipherpoint/fhe/kernel"
)

// Parameters are validated circuit.Parameters with everything precomputed that the arithmetic needs: one kernel.Modulus
// a prime at once, base conversions and permutations when they are first used. They are safe for concurrent use and
// are meant to be shared.
type Parameters struct {
	literal circuit.Parameters
	q, p    []*kernel.Modulus
	encoder *Encoder

	mu           sync.Mutex
	gadgets      map[gadgetShape]*gadget
	divisions    map[divisionShape]*division
	permutations map[int]*kernel.Permutation
	switches     map[circuit.RingSwitch]*RingSwitch
}

// NewParameters prepares parameters. It refuses those that circuit.Parameters.Validate refuses, the insecure ones among
// them.
func NewParameters(literal circuit.Parameters) (*Parameters, error) {
	if err := literal.Validate(); err != nil {
		return nil, err
	}
	p := &Parameters{
		literal:      literal,
		gadgets:      map[gadgetShape]*gadget{},
		divisions:    map[divisionShape]*division{},
		permutations: map[int]*kernel.Permutation{},
		switches:     map[circuit.RingSwitch]*RingSwitch{},
	}
	invariant := literal.Ring == circuit.ConjugateInvariant
	for _, list := range []struct {
		primes []uint64
		moduli *[]*kernel.Modulus
	}{{literal.Q, &p.q}, {literal.P, &p.p}} {
		for _, prime := range list.primes {
			m, err := kernel.NewModulus(prime, literal.LogN, invariant)
			if err != nil {
				return nil, err
			}
			*list.moduli = append(*list.moduli, m)
		}
	}
	p.encoder = newEncoder(literal.LogN, literal.Ring)
	return p, nil
}

// Literal returns the parameters as plain data.
func (p *Parameters) Literal() circuit.Parameters { return p.literal }

// N returns the ring degree.
func (p *Parameters) N() int { return p.literal.N() }

// Encoder returns the encoder of the ring.
func (p *Parameters) Encoder() *Encoder { return p.encoder }

// Moduli returns the primes q_0 … q_level followed by the first special primes, as many as asked for.
func (p *Parameters) Moduli(level, special int) []*kernel.Modulus {
	moduli := make([]*kernel.Modulus, 0, level+1+special)
	return append(append(moduli, p.q[:level+1]...), p.p[:special]...)
}

// Permutation returns the automorphism that rotates slots by a step.
func (p *Parameters) Permutation(step int) (*kernel.Permutation, error) {
	step = ((step % p.N()) + p.N()) % p.N()
	p.mu.Lock()
	defer p.mu.Unlock()
	if permutation := p.permutations[step]; permutation != nil {
		return permutation, nil
	}
	invariant := p.literal.Ring == circuit.ConjugateInvariant
	permutation, err := kernel.NewPermutation(p.literal.LogN, invariant, kernel.GaloisElement(p.literal.LogN, invariant, step))
	if err != nil {
		return nil, fmt.Errorf("rotation by %d: %w", step, err)
	}
	p.permutations[step] = permutation
	return permutation, nil
}

// gadgetShape says how key switching decomposes: a polynomial at a level into digits of that many primes, as many as
// there are special primes in the key.
type gadgetShape struct{ level, special int }

// gadget is a gadgetShape's precomputation. Limbs are numbered q_0 … q_level, then the special primes.
type gadget struct {
	gadgetShape
	moduli []*kernel.Modulus
	digits []digit
}

// digit is a run of consecutive primes of Q. Its residues, read as one centred number, are extended to all other limbs.
type digit struct {
	first, end int
	extension  *kernel.Extension // to all other limbs; nil for a single prime, whose residues are lifted
}

// target returns which of the extension's targets a limb outside the digit is.
func (d *digit) target(limb int) int {
	if limb < d.first {
		return limb
	}
	return limb - (d.end - d.first)
}

func (p *Parameters) gadget(level, special int) (*gadget, error) {
	shape := gadgetShape{level, special}
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.gadgets[shape]; g != nil {
		return g, nil
	}
	g := &gadget{gadgetShape: shape, moduli: p.Moduli(level, special)}
	for first := 0; first <= level; first += special {
		d := digit{first: first, end: min(first+special, level+1)}
		var targets []*kernel.Modulus
		for limb, m := range g.moduli {
			if limb < d.first || limb >= d.end {
				targets = append(targets, m)
			}
		}
		if d.end-d.first > 1 {
			var err error
			if d.extension, err = kernel.NewExtension(g.moduli[d.first:d.end], targets); err != nil {
				return nil, err
			}
		}
		g.digits = append(g.digits, d)
	}
	p.gadgets[shape] = g
	return g, nil
}

// divisionShape says by what a polynomial is divided: by the special primes that it is over, and by the last primes of
// its level.
type divisionShape struct{ level, special, rescale int }

// division is a divisionShape's precomputation: the divisor's residues are extended to the limbs that stay, subtracted
// there, and the difference, a multiple of the divisor, is multiplied by its inverse.
type division struct {
	divisionShape
	moduli    []*kernel.Modulus
	divisor   []*kernel.Modulus // the last limbs
	extension *kernel.Extension // nil for a single prime
	inverse   []uint64          // of the divisor, for each limb that stays
	product   []uint64          // of the special primes, for each limb of Q: what a sum without them is lifted by
}

func (p *Parameters) division(level, special, rescale int) (*division, error) {
	shape := divisionShape{level, special, rescale}
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.divisions[shape]; d != nil {
		return d, nil
	}
	d := &division{divisionShape: shape, moduli: p.Moduli(level, special)}
	stay := d.moduli[:level+1-rescale]
	d.divisor = d.moduli[level+1-rescale:]
	if len(d.divisor) > 1 {
		var err error
		if d.extension, err = kernel.NewExtension(d.divisor, stay); err != nil {
			return nil, err
		}
	}
	for _, m := range stay {
		d.inverse = append(d.inverse, m.Inverted(product(m, d.divisor)))
	}
	for _, m := range d.moduli[:level+1] {
		d.product = append(d.product, product(m, p.p[:special]))
	}
	p.divisions[shape] = d
	return d, nil
}

// product returns the product of primes modulo another.
func product(m *kernel.Modulus, primes []*kernel.Modulus) uint64 {
	result := uint64(1)
	for _, prime := range primes {
		result = m.Product(result, m.Reduce(prime.Q()))
	}
	return result
}

// Same reports whether ciphertexts and keys of one set of parameters go with the other.
func (p *Parameters) Same(other circuit.Parameters) bool {
	own := &p.literal
	return own.LogN == other.LogN && own.Ring == other.Ring && slices.Equal(own.Q, other.Q) && slices.Equal(own.P, other.P)
}
