package kernel

import (
	"math/bits"
	"unsafe"
)

// Plain Go takes sums of several rows over the same terms with half of the multiplications (Winograd, "A new algorithm for
// inner products", 1968): a*f + b*g = (a+g)*(b+f) - a*b - f*g. The products of terms serve all rows, and those of factors
// all sums that are ever taken with them.
//
// Factors stand in the order in which they are read: at each run of places, the factors of all terms of a row, and the sum
// of the products of neighbours, row after row. At runs of one place they do so eight places at a time.

// wideSums are sums at eight places, in two words each.
type wideSums struct{ lo, hi [8]uint64 }

// inPairs tells whether sums are taken in pairs: where they have room for that and the terms' products are shared.
func (f *Factors) inPairs() bool {
	return f.m.plainSums() && f.rows > 1 && 2*(f.terms+1) <= f.m.terms
}

// places returns how many factors stand side by side.
func (f *Factors) places() int {
	if f.run == 1 {
		return 8
	}
	return 1
}

// at returns the factors of a row at a place and those after it.
func (f *Factors) at(place, row int) []uint64 {
	size := f.places()
	return f.data[(place/(size*f.run)*f.rows+row)*(f.terms+1)*size:]
}

func (f *Factors) setPairs(row, term int, values []uint64) {
	size := f.places()
	for i := 0; i < len(values); i += size * f.run {
		copy(f.at(i, row)[term*size:], values[i:i+size])
	}
}

// multiplyFactors writes the sums of the products of neighbouring factors.
func (f *Factors) multiplyFactors() {
	size := f.places()
	for place := 0; place < f.m.N(); place += size * f.run {
		for row := range f.rows {
			var sums wideSums
			v := f.at(place, row)
			for k := 0; k+1 < f.terms; k += 2 {
				for i := range size {
					sums.add(i, v[k*size+i], v[(k+1)*size+i])
				}
			}
			f.m.reduceWide(v[f.terms*size:][:size], &sums)
		}
	}
}

// multiplyTerms writes the sums of the products of neighbouring terms, of both parts, at eight places.
func (s *Sums) multiplyTerms(dst *[2][8]uint64, start int) {
	for part, terms := range s.Terms {
		var sums wideSums
		for k := 0; k+1 < len(terms); k += 2 {
			a, b := (*[8]uint64)(terms[k][start-s.From:]), (*[8]uint64)(terms[k+1][start-s.From:])
			for i := range a {
				sums.add(i, a[i], b[i])
			}
		}
		s.Factors.m.reduceWide(dst[part][:], &sums)
	}
}

// takePairs takes the sums of a list that are taken in pairs, at eight places.
func takePairs(list []Sums, start int) {
	var ofTerms [2][8]uint64
	var last *Sums
	for i := range list {
		s := &list[i]
		if !s.Factors.inPairs() {
			continue
		}
		if last == nil || !s.sameTerms(last) {
			s.multiplyTerms(&ofTerms, start)
		}
		s.takePairs(&ofTerms, start)
		last = s
	}
}

// sameTerms tells whether two sums of the same modulus share all terms.
func (s *Sums) sameTerms(other *Sums) bool {
	if s.Factors.m != other.Factors.m || s.From != other.From || len(s.Terms[0]) != len(other.Terms[0]) {
		return false
	}
	for part, terms := range s.Terms {
		for i, v := range terms {
			if unsafe.SliceData(v) != unsafe.SliceData(other.Terms[part][i]) {
				return false
			}
		}
	}
	return true
}

// takePairs takes the sums at eight places, given those of the products of neighbouring terms there.
func (s *Sums) takePairs(ofTerms *[2][8]uint64, start int) {
	f, q := s.Factors, s.Factors.m.q
	for row := range f.rows {
		factors := f.at(start, row)
		for part, terms := range s.Terms {
			var sums wideSums
			if f.run == 1 {
				sums.addPairs(terms, start-s.From, factors)
			} else {
				sums.addRunPairs(terms, start-s.From, factors)
			}
			dst := s.Results[part][row][start : start+8]
			f.m.reduceWide(dst, &sums)
			ofFactors := factors[f.terms*f.places():]
			for i := range dst {
				own := ofFactors[i&(f.places()-1)]
				dst[i] = subOnce(dst[i], reduceOnce(ofTerms[part][i]+own, q), q)
			}
		}
	}
}

// reduceWide writes residues.
func (m *Modulus) reduceWide(dst []uint64, s *wideSums) {
	for i := range dst {
		dst[i] = reduceOnce(m.barrett.remainder(s.hi[i&7], s.lo[i&7], m.q), m.q)
	}
}

// add adds a product. There are eight calls for eight places, instead of a loop, where it matters.
func (s *wideSums) add(i int, x, y uint64) {
	hi, lo := bits.Mul64(x, y)
	var carry uint64
	s.lo[i&7], carry = bits.Add64(s.lo[i&7], lo, 0)
	s.hi[i&7], _ = bits.Add64(s.hi[i&7], hi, carry)
}

// addPairs adds the products of pairs of terms and factors, and of a last one alone.
func (s *wideSums) addPairs(terms [][]uint64, at int, factors []uint64) {
	for ; len(terms) > 1; terms, factors = terms[2:], factors[16:] {
		a, b, f, g := (*[8]uint64)(terms[0][at:]), (*[8]uint64)(terms[1][at:]), (*[8]uint64)(factors), (*[8]uint64)(factors[8:])
		s.add(0, a[0]+g[0], b[0]+f[0])
		s.add(1, a[1]+g[1], b[1]+f[1])
		s.add(2, a[2]+g[2], b[2]+f[2])
		s.add(3, a[3]+g[3], b[3]+f[3])
		s.add(4, a[4]+g[4], b[4]+f[4])
		s.add(5, a[5]+g[5], b[5]+f[5])
		s.add(6, a[6]+g[6], b[6]+f[6])
		s.add(7, a[7]+g[7], b[7]+f[7])
	}
	for _, a := range terms {
		for i, f := range factors[:8] {
			s.add(i, a[at+i], f)
		}
	}
}

// addRunPairs is addPairs with the same factors at eight places.
func (s *wideSums) addRunPairs(terms [][]uint64, at int, factors []uint64) {
	for ; len(terms) > 1; terms, factors = terms[2:], factors[2:] {
		a, b, f, g := (*[8]uint64)(terms[0][at:]), (*[8]uint64)(terms[1][at:]), factors[0], factors[1]
		s.add(0, a[0]+g, b[0]+f)
		s.add(1, a[1]+g, b[1]+f)
		s.add(2, a[2]+g, b[2]+f)
		s.add(3, a[3]+g, b[3]+f)
		s.add(4, a[4]+g, b[4]+f)
		s.add(5, a[5]+g, b[5]+f)
		s.add(6, a[6]+g, b[6]+f)
		s.add(7, a[7]+g, b[7]+f)
	}
	for _, a := range terms {
		for i := range 8 {
			s.add(i, a[at+i], factors[0])
		}
	}
}
