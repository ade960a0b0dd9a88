package circuit

import (
	"fmt"
	"math"
)

// Vector is a plaintext vector of n reals in compact form: either Values repeated with period len(Values), which
// divides n, or Values at the ascending Index and zero elsewhere. The zero Vector is zero.
type Vector struct {
	Index  []uint32
	Values []float64

	pending vectorShape // while decoding: what is to be read from weights.bin
}

// NewVector returns the compact form of a full vector: its shortest power-of-two period, or its non-zero entries where
// these are few.
func NewVector(full []float64) Vector {
	period := len(full)
	for period%2 == 0 && periodic(full, period/2) {
		period /= 2
	}
	var v Vector
	for j, x := range full {
		if x != 0 {
			v.Index = append(v.Index, uint32(j))
			v.Values = append(v.Values, x)
		}
	}
	// An index costs half a value.
	if len(v.Values)*3 > period*2 {
		return Vector{Values: append([]float64(nil), full[:period]...)}
	}
	return v
}

func periodic(full []float64, period int) bool {
	for j := period; j < len(full); j++ {
		if full[j] != full[j-period] {
			return false
		}
	}
	return true
}

// IsZero reports whether the vector has no entry at all.
func (v Vector) IsZero() bool { return len(v.Values) == 0 }

// Full returns the vector's n values.
func (v Vector) Full(n int) []float64 {
	full := make([]float64, n)
	if v.IsZero() {
		return full
	}
	if v.Index == nil {
		for j := range full {
			full[j] = v.Values[j%len(v.Values)]
		}
		return full
	}
	for k, j := range v.Index {
		full[j] = v.Values[k]
	}
	return full
}

// Norm2 returns the mean square of the vector's n values.
func (v Vector) Norm2(n int) float64 {
	sum := 0.0
	for _, x := range v.Values {
		sum += x * x
	}
	if v.Index == nil && len(v.Values) > 0 {
		return sum / float64(len(v.Values))
	}
	return sum / float64(n)
}

// addProduct adds v ⊙ rot(x, shift) to y.
func (v Vector) addProduct(y, x []float64, shift int) {
	n := len(y)
	if v.Index != nil {
		for k, j := range v.Index {
			y[j] += v.Values[k] * x[(int(j)+shift)%n]
		}
		return
	}
	for start := 0; start < n && len(v.Values) > 0; start += len(v.Values) {
		for k, value := range v.Values {
			y[start+k] += value * x[(start+k+shift)%n]
		}
	}
}

func (v Vector) validate(n int) error {
	for _, x := range v.Values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("vector has a value that is not finite")
		}
	}
	if v.Index == nil {
		if len(v.Values) > 0 && n%len(v.Values) != 0 {
			return fmt.Errorf("vector of period %d does not divide %d slots", len(v.Values), n)
		}
		return nil
	}
	if len(v.Index) != len(v.Values) {
		return fmt.Errorf("vector has %d indexes for %d values", len(v.Index), len(v.Values))
	}
	for k, j := range v.Index {
		if int(j) >= n || k > 0 && j <= v.Index[k-1] {
			return fmt.Errorf("vector's indexes are not ascending below %d", n)
		}
	}
	return nil
}
