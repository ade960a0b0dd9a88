package kernel

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// mixPrimes returns the largest prime of the ring below 2^bits.
func mixModulus(t testing.TB, bits int) *Modulus {
	for q := uint64(1)<<bits - 1<<14 + 1; ; q -= 1 << 14 {
		if new(big.Int).SetUint64(q).ProbablyPrime(0) {
			m, err := NewModulus(q, 12, true)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
}

func TestMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name                               string
		primeBits, bits, rows, columns, in int // in each row, about
		extreme                            bool
	}{
		{"dense", 36, 12, 10, 100, 100, false},
		{"sparse", 40, 12, 33, 200, 7, false},
		{"one row", 22, 30, 1, 5, 5, false},
		{"more terms than a sum holds", 40, 12, 9, 5000, 5000, true},
		{"largest words", 49, 3, 8, 2048, 2048, true},
		{"empty rows", 30, 20, 12, 40, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mixModulus(t, test.primeBits)
			rows := make([][]Scalar, test.rows)
			limit := int64(1)<<(test.bits-1) - 1
			for r := range rows {
				for c := range test.columns {
					if test.in < test.columns && rng.IntN(test.columns) >= test.in || r == 3 {
						continue
					}
					v := rng.Int64N(2*limit+1) - limit
					if test.extreme {
						v = limit * (1 - 2*int64(r%2))
					}
					rows[r] = append(rows[r], Scalar{c, v})
				}
			}
			src := make([]uint64, test.columns*MixPoints)
			for i := range src {
				src[i] = rng.Uint64N(m.q)
				if test.extreme {
					src[i] = m.q - 1
				}
			}
			constants := make([]uint64, test.rows)
			for i := range constants {
				constants[i] = rng.Uint64N(m.q)
			}
			mix, err := NewMix(rows, test.columns, test.bits)
			if err != nil {
				t.Fatal(err)
			}
			got, plain := make([]uint64, (test.rows+1)*MixPoints), make([]uint64, (test.rows+1)*MixPoints)
			m.Mix(mix, got, src, constants)
			slow := *m
			slow.acceleration = acceleration{}
			slow.Mix(mix, plain, src, constants)
			q := new(big.Int).SetUint64(m.q)
			for r, row := range rows {
				for i := range MixPoints {
					sum := new(big.Int).SetUint64(constants[r])
					for _, s := range row {
						sum.Add(sum, new(big.Int).Mul(big.NewInt(s.Value), new(big.Int).SetUint64(src[s.Column*MixPoints+i])))
					}
					want := sum.Mod(sum, q).Uint64()
					if at := r*MixPoints + i; got[at] != want || plain[at] != want {
						t.Fatalf("row %d, point %d: %d, in plain Go %d, want %d", r, i, got[at], plain[at], want)
					}
				}
			}
		})
	}
}

func TestNewMixRefuses(t *testing.T) {
	for name, rows := range map[string][][]Scalar{
		"column out of range":  {{{5, 1}}},
		"negative column":      {{{-1, 1}}},
		"columns out of order": {{{2, 1}, {1, 1}}},
		"scalar too large":     {{{0, 8}}},
		"scalar too small":     {{{0, -8}}},
	} {
		if _, err := NewMix(rows, 5, 4); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkMix(b *testing.B) {
	m := mixModulus(b, 36)
	const rows, columns = 128, 512
	list := make([][]Scalar, rows)
	for r := range list {
		for c := range columns {
			list[r] = append(list[r], Scalar{c, int64(c*r%2000 - 1000)})
		}
	}
	mix, err := NewMix(list, columns, 12)
	if err != nil {
		b.Fatal(err)
	}
	dst, src := NewVector((rows+1)*MixPoints), NewVector(columns*MixPoints)
	for b.Loop() {
		m.Mix(mix, dst, src, nil)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(rows*columns*MixPoints), "ns/product")
}
