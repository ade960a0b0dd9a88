package kernel

import (
	"math/big"
	"math/bits"
	"slices"
)

// primitiveRoot returns the generator of the multiplicative group modulo the prime q that Lattigo chooses: the smallest
// one from 3 upwards.
func primitiveRoot(q uint64) uint64 {
	factors := primeFactors(q - 1)
	for g := uint64(3); ; g++ {
		if !slices.ContainsFunc(factors, func(f uint64) bool { return powMod(g, (q-1)/f, q) == 1 }) {
			return g
		}
	}
}

// primeFactors returns the distinct prime factors of n > 1.
func primeFactors(n uint64) []uint64 {
	var factors []uint64
	for p := uint64(2); p < 1<<10 && p*p <= n; p++ {
		if n%p == 0 {
			factors = append(factors, p)
			for n%p == 0 {
				n /= p
			}
		}
	}
	return appendPrimeFactors(factors, n)
}

func appendPrimeFactors(factors []uint64, n uint64) []uint64 {
	switch {
	case n == 1:
		return factors
	case new(big.Int).SetUint64(n).ProbablyPrime(0): // exact below 2^64
		if !slices.Contains(factors, n) {
			factors = append(factors, n)
		}
		return factors
	}
	f := divisor(n)
	return appendPrimeFactors(appendPrimeFactors(factors, f), n/f)
}

// divisor returns a proper divisor of an odd composite n (Pollard's rho with Floyd's cycle search).
func divisor(n uint64) uint64 {
	for c := uint64(1); ; c++ {
		step := func(x uint64) uint64 { return addMod(mulMod(x, x, n), c%n, n) }
		slow, fast, d := uint64(2), uint64(2), uint64(1)
		for d == 1 {
			slow, fast = step(slow), step(step(fast))
			d = gcd(max(slow, fast)-min(slow, fast), n)
		}
		if d != n {
			return d
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func addMod(a, b, n uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	_, r := bits.Div64(carry, sum, n)
	return r
}

func mulMod(a, b, n uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, r := bits.Div64(hi, lo, n)
	return r
}

func powMod(a, exponent, n uint64) uint64 {
	result := uint64(1)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			result = mulMod(result, a, n)
		}
		a = mulMod(a, a, n)
	}
	return result
}
