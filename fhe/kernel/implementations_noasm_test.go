//go:build !amd64 || purego

package kernel

// implementations returns the modulus in plain Go, all there is.
func implementations(m *Modulus) map[string]*Modulus { return map[string]*Modulus{Features(): m} }

func (m *Modulus) lazyDigits() bool { return false }
