package kernel

import (
	"math/bits"
	"sync"
)

// MaxRows is how many sums over the same terms are taken in one pass.
const MaxRows = 4

// rowPlaces is at how many places all sums are taken before the next: so few that hundreds of terms stay in the
// first-level cache from one sum to the next.
const rowPlaces = 32

// Factors are up to MaxRows rows of vectors to multiply the same terms by, each packed or with one word for each run of
// equal values. Where vector code serves them, or plain Go in pairs, they stand in the order in which these read them: one
// place of all terms after the other, the rows side by side.
type Factors struct {
	m                *Modulus
	rows, terms, run int
	data             []uint64
	vectors          [][]uint64 // of each row, one for each term, where they stand one after the other
	products         sync.Once  // of neighbours, where sums are taken in pairs
}

// NewFactors returns factors that are zero, modulo each of some primes, beside each other in memory. Runs are 1 for values
// that may all differ, or a power of two, at least 8.
func NewFactors(moduli []*Modulus, rows, terms, run int) []*Factors {
	all, words := make([]*Factors, len(moduli)), 0
	for i, m := range moduli {
		if rows < 1 || rows > MaxRows || run > 1 && (run < 8 || run > m.N()) || bits.OnesCount(uint(run)) != 1 {
			panic("kernel: factors of an unknown shape")
		}
		all[i] = &Factors{m: m, rows: rows, terms: terms, run: run}
		words += all[i].words()
	}
	memory := NewVectors(1, words)[0]
	for _, f := range all {
		f.data, memory = memory[:f.words()], memory[f.words():]
		if !f.interleaved() && !f.inPairs() {
			size := f.m.N() / run
			for i := range rows * terms {
				f.vectors = append(f.vectors, f.data[i*size:(i+1)*size])
			}
		}
	}
	return all
}

// interleaved tells whether vector code reads the factors.
func (f *Factors) interleaved() bool { return f.m.packedBits() < 64 }

// words is how much memory the factors take.
func (f *Factors) words() int {
	if f.run == 1 && f.interleaved() {
		return f.rows * f.rowWords()
	}
	terms := f.terms
	if f.inPairs() {
		terms++
	}
	return f.rows * terms * (f.m.N() / f.run)
}

// factorBlock is how many packed values stand together: so many that little is lost to rounding up to whole words.
const factorBlock = 128

// block returns how many packed values stand together, and in how many words.
func (f *Factors) block() (values, words int) {
	values = min(factorBlock, f.m.N())
	return values, packedLen(f.m.packedBits(), values) - 8
}

// rowWords is how much memory a packed row takes.
func (f *Factors) rowWords() int {
	block, size := f.block()
	return f.terms * (f.m.N()/block*size + 8) // the last values are read as two registers
}

// Bytes returns the memory of the factors.
func (f *Factors) Bytes() int64 { return int64(8 * f.words()) }

// Set sets the vector of a row and term to one of N values, of which one for each run is read. It may be called for
// several of them at once.
func (f *Factors) Set(row, term int, values []uint64) {
	values = values[:f.m.N()]
	switch {
	case f.inPairs():
		f.setPairs(row, term, values)
	case !f.interleaved():
		v := f.vectors[row*f.terms+term]
		for i := range v {
			v[i] = values[i*f.run]
		}
	case f.run > 1:
		for i := range len(values) / f.run {
			f.data[(i*f.terms+term)*f.rows+row] = values[i*f.run]
		}
	default:
		var packed [factorBlock + 8]uint64
		block, size := f.block()
		data := f.data[row*f.rowWords():]
		for i := 0; i < len(values); i += block {
			f.m.Pack(packed[:], values[i:i+block])
			for word := 0; word < size; word += 8 {
				copy(data[(i/block*size+word)*f.terms+8*term:], packed[word:word+8])
			}
		}
	}
}

// Sums are the sums, for each row of factors, of terms times factors, of both parts of ciphertexts.
type Sums struct {
	Factors *Factors
	Terms   [2][][]uint64 // the parts of each term, from a place on
	From    int
	Results [2][][]uint64 // the parts of each row's sum; none may be a term
}

// Sum writes the places from start to end, multiples of 8, of sums. All are taken at one place before the next, so that
// terms that several share are fetched once.
func Sum(list []Sums, start, end int) {
	for i := range list {
		s := &list[i]
		for part := range s.Terms {
			checkVectors(s.Factors.terms, end-s.From, s.Terms[part])
			checkVectors(s.Factors.rows, end, s.Results[part])
		}
		if start%8 != 0 || end%8 != 0 || s.From%8 != 0 || start < s.From || s.From < 0 || end > s.Factors.m.N() {
			panic("kernel: sums are cut unevenly")
		}
		switch {
		case s.Factors.inPairs():
			s.Factors.products.Do(s.Factors.multiplyFactors)
		case !s.Factors.interleaved():
			s.takeVectors(start, end)
		}
	}
	for ; start < end; start += rowPlaces {
		n := min(rowPlaces, end-start)
		for i := range list {
			if list[i].Factors.interleaved() {
				list[i].take(start, start+n)
			}
		}
		for place := start; place < start+n; place += 8 {
			takePairs(list, place)
		}
	}
}

// takeVectors takes the sums where vectors stand one after the other.
func (s *Sums) takeVectors(start, end int) {
	f := s.Factors
	var terms [2][][]uint64
	for part, list := range s.Terms {
		for _, v := range list {
			terms[part] = append(terms[part], v[start-s.From:])
		}
	}
	for row := range f.rows {
		b := f.vectors[row*f.terms : (row+1)*f.terms]
		f.m.sums2(s.Results[0][row][start:end], s.Results[1][row][start:end], terms[0], terms[1], b, start, f.run)
	}
}
