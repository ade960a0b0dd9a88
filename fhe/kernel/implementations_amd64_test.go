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

// lazyDigits tells whether digits of sums with keys may be larger than the prime.
func (m *Modulus) lazyDigits() bool { return m.enabled && m.q>>lazyBits == 0 }
