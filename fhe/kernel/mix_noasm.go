//go:build !amd64 || purego

package kernel

func (m *Modulus) mix(dst, src []uint64, g *mixGroup, start, end int, shift uint64, offsets *[mixRows]uint64) {
	m.mixGeneric(dst, src, g, start, end, shift, offsets)
}
