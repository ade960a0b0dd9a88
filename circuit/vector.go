package circuit

import (
	"fmt"
	"math"
)

// Vector is a plaintext vector of n reals in compact form: a period, repeated until n, that is either written out in
// Values, or given by Values at the ascending Index and zero elsewhere. The zero Vector is zero.
type Vector struct {
	Period int // divides n; len(Values) where Index is nil
	Index  []uint32
	Values []float64

	pending int // while decoding: how many values are to be read from weights.bin
}

// NewVector returns the compact form of a vector that repeats with period len(full): its shortest period, a power of
// two times smaller, and of that only the non-zero entries where these are few.
func NewVector(full []float64) Vector {
	v := Vector{Period: len(full)}
	for v.Period%2 == 0 && periodic(full[:v.Period], v.Period/2) {
		v.Period /= 2
	}
	for j, x := range full[:v.Period] {
		if x != 0 {
			v.Index = append(v.Index, uint32(j))
			v.Values = append(v.Values, x)
		}
	}
	switch {
	case len(v.Values) == 0:
		return Vector{}
	case len(v.Values)*3 > v.Period*2: // an index costs half a value
		v.Index, v.Values = nil, append([]float64(nil), full[:v.Period]...)
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
	v.Each(n, func(j int, value float64) { full[j] = value })
	return full
}

// Each calls f with every entry, over all periods, that may not be zero.
func (v Vector) Each(n int, f func(j int, value float64)) {
	if v.IsZero() {
		return
	}
	for start := 0; start < n; start += v.Period {
		if v.Index == nil {
			for k, value := range v.Values {
				f(start+k, value)
			}
		}
		for k, j := range v.Index {
			f(start+int(j), v.Values[k])
		}
	}
}

// MeanSquare returns the mean of the squares of the vector's values.
func (v Vector) MeanSquare() float64 {
	sum := 0.0
	for _, x := range v.Values {
		sum += x * x
	}
	return sum / float64(max(v.Period, 1))
}

// addProduct adds v ⊙ rot(x, shift) to y.
func (v Vector) addProduct(y, x []float64, shift int) {
	if v.IsZero() {
		return
	}
	n := len(y)
	for start := 0; start < n; start += v.Period {
		if v.Index == nil {
			for k, value := range v.Values {
				y[start+k] += value * x[turned(start+k+shift, n)]
			}
			continue
		}
		for k, j := range v.Index {
			y[start+int(j)] += v.Values[k] * x[turned(start+int(j)+shift, n)]
		}
	}
}

func turned(at, n int) int {
	if at >= n {
		return at - n
	}
	return at
}

func (v Vector) validate(n int) error {
	for _, x := range v.Values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("vector has a value that is not finite")
		}
	}
	switch {
	case v.IsZero():
		if v.Period != 0 || v.Index != nil {
			return fmt.Errorf("zero vector has a period or indexes")
		}
		return nil
	case v.Period < 1 || n%v.Period != 0:
		return fmt.Errorf("vector of period %d does not divide %d slots", v.Period, n)
	case v.Index == nil && len(v.Values) != v.Period:
		return fmt.Errorf("vector has %d values for a period of %d", len(v.Values), v.Period)
	case v.Index != nil && len(v.Index) != len(v.Values):
		return fmt.Errorf("vector has %d indexes for %d values", len(v.Index), len(v.Values))
	}
	for k, j := range v.Index {
		if int(j) >= v.Period || k > 0 && j <= v.Index[k-1] {
			return fmt.Errorf("vector's indexes are not ascending below its period %d", v.Period)
		}
	}
	return nil
}
