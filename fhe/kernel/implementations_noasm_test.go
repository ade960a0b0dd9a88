//go:build !amd64 || purego

package kernel

// implementations returns the modulus in plain Go, all there is.
func implementations(m *Modulus) map[string]*Modulus { return map[string]*Modulus{Features(): m} }

// lazyBound returns what values that lazy transforms leave are below.
func (m *Modulus) lazyBound() uint64 {
	if m.q>>lazyPrimeBits == 0 {
		return lazyMultiple * m.q
	}
	return m.q
}
