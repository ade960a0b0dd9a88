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

// keySumGeneric adds at most nine products at a time, which leaves room for digits that are lazyMultiple times the prime.
func (m *Modulus) keySumGeneric(dst0, dst1 []uint64, s *KeySum, start int, add bool) {
	var turned [tiles + 1][tile]uint64
	var factor [tile]uint64
	var sums runningSums
	for i := range factor {
		factor[i] = s.Factor
	}
	for at := 0; at < len(dst0); at += tile {
		from, n := start+at, min(tile, len(dst0)-at)
		dst := [2][]uint64{dst0[at : at+n], dst1[at : at+n]}
		more := s.Addends
		for k := 0; k == 0 || k < len(s.Digits); k += tiles {
			var rows, digits [tiles + 1][]uint64
			terms := min(tiles, len(s.Digits)-k)
			for i := range terms {
				digits[i] = turned[i][:n]
				s.Permutation.gather(digits[i], s.Digits[k+i], from)
			}
			for part, key := range s.Key {
				terms := terms
				for i := range terms {
					rows[i] = key[k+i][from : from+n]
				}
				if more[part] != nil {
					rows[terms], digits[terms] = turned[tiles][:n], factor[:n]
					s.Permutation.gather(rows[terms], more[part], from)
					terms++
				}
				sums.held = -1
				if add || k > 0 {
					sums.set(dst[part])
				}
				m.addProducts(&sums, rows[:terms], digits[:terms])
				m.store(dst[part], &sums)
			}
			more = [2][]uint64{}
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
