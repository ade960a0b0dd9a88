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

// release takes polynomials back. Nothing may use them any more.
func (a *arena) release(polys ...poly) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range polys {
		a.free = append(a.free, p...)
	}
}
