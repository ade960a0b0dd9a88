package kernel

import "unsafe"

// KeySum is the inner product of a polynomial's digits with both parts of a switching key, under an automorphism. The key
// is kept under it; digits and addends are as they are before it.
type KeySum struct {
	Key         [2][][]uint64 // both parts of each digit's key, packed
	Digits      [][]uint64    // transformed
	Permutation *Permutation
	Addends     [2][]uint64 // what is added to either part, times Factor; nil for none
	Factor      uint64
	// Next is the first part of the first digit's key that will be used next at the same places, in memory of the same
	// layout, which is then fetched meanwhile; nil for none.
	Next []uint64
}

// KeySum writes len(dst0) values of a sum from place start on, multiples of 8, or adds them. What is written to must not
// overlap digits and addends.
func (m *Modulus) KeySum(dst0, dst1 []uint64, s *KeySum, start int, add bool) {
	n := len(dst0)
	dst1 = dst1[:n]
	checkVectors(len(s.Digits), m.PackedLen(m.N()), s.Key[0], s.Key[1])
	checkVectors(len(s.Digits), m.N(), s.Digits)
	for _, more := range s.Addends {
		if more != nil {
			_ = more[:m.N()]
		}
	}
	if n%8 != 0 || start%8 != 0 || start < 0 || start+n > m.N() || 8*len(s.Permutation.blocks) != m.N() {
		panic("kernel: a key's sum is cut unevenly")
	}
	if n > 0 {
		m.keySum(dst0, dst1, s, start, add)
	}
}

// keyTerms is how many digits are put in order at a time.
const keyTerms = 8

func (m *Modulus) keySumGeneric(dst0, dst1 []uint64, s *KeySum, start int, add bool) {
	var turned [keyTerms][tile]uint64
	var sums [2][tile]uint64
	for at := 0; at < len(dst0); at += tile {
		from, n := start+at, min(tile, len(dst0)-at)
		dst := [2][]uint64{dst0[at : at+n], dst1[at : at+n]}
		if !add {
			clear(dst[0])
			clear(dst[1])
		}
		for part, more := range s.Addends {
			if more != nil {
				s.Permutation.gather(turned[0][:n], more, from)
				m.MulScalarAdd(dst[part], turned[0][:n], s.Factor)
			}
		}
		for k := 0; k < len(s.Digits); k += keyTerms {
			var rows [2][keyTerms][]uint64
			var digits [keyTerms][]uint64
			terms := min(keyTerms, len(s.Digits)-k)
			for i := range terms {
				digits[i] = turned[i][:n]
				s.Permutation.gather(digits[i], s.Digits[k+i], from)
				for part := range rows {
					rows[part][i] = s.Key[part][k+i][from : from+n]
				}
			}
			m.sums2(sums[0][:n], sums[1][:n], rows[0][:terms], rows[1][:terms], digits[:terms], 0, 1)
			for part := range sums {
				m.Add(dst[part], dst[part], sums[part][:n])
			}
		}
	}
}

// ahead returns how many bytes after the key the next one stands.
func (s *KeySum) ahead() uint64 {
	if s.Next == nil {
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(s.Next))) - uintptr(unsafe.Pointer(unsafe.SliceData(s.Key[0][0]))))
}
