//go:build amd64 && !purego

package kernel

// implementations returns the modulus as this machine runs it, as one without IFMA does, and in plain Go.
func implementations(m *Modulus) map[string]*Modulus {
	plain := *m
	plain.acceleration = acceleration{}
	all := map[string]*Modulus{Features(): m, "purego": &plain}
	if hasFMA {
		fused := plain
		fused.accelerateDoubles()
		all["avx2"] = &fused
	}
	return all
}

// lazyBound returns what values that lazy transforms leave are below.
func (m *Modulus) lazyBound() uint64 {
	switch {
	case m.enabled && m.q>>lazyBits == 0:
		return (1<<51 - 1) / m.q * m.q
	case m.plainSums() && m.q>>lazyPrimeBits == 0:
		return lazyMultiple * m.q
	}
	return m.q
}
