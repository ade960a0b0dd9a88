package fhe

import (
	"sync"

	"cipherpoint/fhe/kernel"
)

// poly is a polynomial in residues: one vector a limb, in the NTT domain unless said otherwise.
type poly [][]uint64

// arena hands out vectors of one length and takes them back, so that a run that follows another allocates none.
// It is safe for concurrent use.
type arena struct {
	n    int
	mu   sync.Mutex
	free [][]uint64
}

// slab is how many vectors are made at a time: those that are beside each other in memory have been laid out for the caches.
const slab = 32

// poly returns a polynomial with arbitrary content.
func (a *arena) poly(limbs int) poly {
	p := make(poly, limbs)
	a.mu.Lock()
	reused := min(limbs, len(a.free))
	copy(p, a.free[len(a.free)-reused:])
	a.free = a.free[:len(a.free)-reused]
	a.mu.Unlock()
	if missing := limbs - reused; missing > 0 {
		fresh := kernel.NewVectors(max(missing, slab), a.n)
		copy(p[reused:], fresh)
		a.release(fresh[missing:])
	}
	return p
}

// vector returns a vector with arbitrary content.
func (a *arena) vector() []uint64 {
	a.mu.Lock()
	if last := len(a.free) - 1; last >= 0 {
		v := a.free[last]
		a.free = a.free[:last]
		a.mu.Unlock()
		return v
	}
	a.mu.Unlock()
	return a.poly(1)[0]
}

// fill puts vectors with arbitrary content into a polynomial.
func (a *arena) fill(p poly) { copy(p, a.poly(len(p))) }

// releaseVector takes a vector back.
func (a *arena) releaseVector(v []uint64) {
	a.mu.Lock()
	a.free = append(a.free, v)
	a.mu.Unlock()
}

// release takes polynomials back. Nothing may use them any more.
func (a *arena) release(polys ...poly) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range polys {
		a.free = append(a.free, p...)
	}
}
