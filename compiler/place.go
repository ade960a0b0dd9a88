package compiler

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sync"

	"cipherpoint/model"
)

// Nominal costs in full rotations, by which placements are compared before levels are known.
const (
	nominalHoisted  = 0.6
	nominalDiagonal = 0.02
)

// placements returns the best openings for a sparse map over an input whose order of slots is public, such as the
// conditions of trees over thermometer bits: where the rows stand is free, and it is chosen so that few diagonals and
// rotations are met.
//
// The input is packed in its own order, as often as the rows are long; where the slots hold several copies of that, copy
// κ is shifted by κ·d so that the diagonals 0 … d−1 meet every column in some copy, at the price of one fold for each
// doubling. A row at position p needs, for each of its columns c, the diagonal (c − p) mod d. Starting from all baby and
// giant steps, steps are taken away one by one as long as every row still finds a position of its own (a bipartite
// matching).
func placements(m *model.Sparse, slots int) []opening {
	period := powerOfTwo(m.Cols)
	least := powerOfTwo(m.Rows)
	if max(period, least) > slots || len(m.Value) > maxPlaced {
		return nil
	}
	type candidate struct {
		placement
		cost float64
	}
	var (
		list []candidate
		lock sync.Mutex
		wait sync.WaitGroup
	)
	for rows := least; rows <= max(least, min(period, 2*least)); rows *= 2 {
		for copies := 1; copies*max(period, rows) <= slots && copies < min(period, rows); copies *= 2 {
			diagonals := min(period, rows) / copies
			for babies := 1; babies <= diagonals; babies *= 2 {
				if babies*babies > 8*diagonals || 4*babies*babies < diagonals {
					continue // far from the balance of baby and giant steps
				}
				wait.Go(func() {
					p := placement{m: m, period: period, rows: rows, copies: copies, babies: babies}
					p.search()
					lock.Lock()
					defer lock.Unlock()
					list = append(list, candidate{p, p.cost()})
				})
			}
		}
	}
	wait.Wait()
	slices.SortFunc(list, func(a, b candidate) int {
		switch {
		case a.cost != b.cost:
			if a.cost < b.cost {
				return -1
			}
			return 1
		case a.rows != b.rows:
			return a.rows - b.rows
		case a.copies != b.copies:
			return a.copies - b.copies
		}
		return a.babies - b.babies
	})
	var openings []opening
	for _, c := range list[:min(placementsTried, len(list))] {
		openings = append(openings, c.opening())
	}
	return openings
}

// placementsTried is the number of placements, out of all by nominal cost, that are packed.
const placementsTried = 6

// maxPlaced is the number of entries up to which rows are placed one by one.
const maxPlaced = 1 << 16

type placement struct {
	m                    *model.Sparse
	period, rows, copies int
	babies               int // shifts below this are baby steps
	baby, giant          []bool
	seats
}

// seats says where the rows stand: each at a residue modulo the number of diagonals at which all its diagonals are
// allowed, and which has room for as many rows as lie so far apart.
type seats struct {
	free    [][]uint64 // of each row: the residues at which it may stand, as bits
	residue []int      // of each row
	owners  [][]int    // of each residue: the rows there
}

func (p *placement) diagonals() int { return min(p.rows, p.period) / p.copies }

// width is how many slots a copy takes.
func (p *placement) width() int { return max(p.rows, p.period) }

func (p *placement) search() {
	d := p.diagonals()
	p.baby, p.giant = all(p.babies), all(d/p.babies)
	p.free, p.residue, p.owners = make([][]uint64, p.m.Rows), make([]int, p.m.Rows), make([][]int, d)
	anywhere := make([]uint64, (d+63)/64)
	for at := range d {
		anywhere[at/64] |= 1 << (at % 64)
	}
	for r := range p.free {
		p.free[r], p.residue[r] = anywhere, r%d
		p.owners[r%d] = append(p.owners[r%d], r)
	}
	for i := len(p.giant) - 1; i > 0; i-- {
		p.giant[i] = !p.without(i*p.babies, 1, p.babies)
	}
	for i := len(p.baby) - 1; i > 0; i-- {
		p.baby[i] = !p.without(i, p.babies, len(p.giant))
	}
}

func all(n int) []bool {
	b := make([]bool, n)
	for i := range b {
		b[i] = true
	}
	return b
}

func (p *placement) cost() float64 {
	babies, giants := count(p.baby), count(p.giant)
	folds := 0
	for s := p.rows; s < p.width()*p.copies; s *= 2 {
		folds++
	}
	return nominalHoisted*float64(babies-1) + float64(giants-1) + float64(folds) + nominalDiagonal*float64(babies*giants)
}

func count(b []bool) int {
	n := 0
	for _, x := range b {
		if x {
			n++
		}
	}
	return n
}

func (p *placement) allowed() []bool {
	d := p.diagonals()
	allowed := make([]bool, d)
	for shift := range allowed {
		allowed[shift] = p.baby[shift%p.babies] && p.giant[shift/p.babies]
	}
	return allowed
}

// without forbids the diagonals first, first + step, … and seats the rows anew that have to move. It reports false, and
// changes nothing, where not all of them find a seat.
func (p *placement) without(first, step, count int) bool {
	d := p.diagonals()
	words := len(p.free[0])
	flat := make([]uint64, len(p.free)*words)
	next := seats{free: make([][]uint64, len(p.free)), residue: slices.Clone(p.residue), owners: make([][]int, d)}
	var standing []int
	for r, free := range p.free {
		next.free[r] = flat[r*words : (r+1)*words]
		copy(next.free[r], free)
		columns, _ := p.m.Row(r)
		for _, c := range columns {
			for k := range count {
				at := (c - first - k*step) & (d - 1)
				next.free[r][at/64] &^= 1 << (at % 64)
			}
		}
		if at := p.residue[r]; next.free[r][at/64]>>(at%64)&1 == 1 {
			next.owners[at] = append(next.owners[at], r)
		} else {
			standing = append(standing, r)
		}
	}
	seen := make([]int, d)
	for i, r := range standing {
		if !next.seat(r, p.rows/d, seen, i+1) {
			return false
		}
	}
	p.seats = next
	return true
}

// seat finds a residue for a row, and others for the rows that have to make way: a step of Kuhn's algorithm. Seen holds
// the last attempt at which each residue was looked at.
func (s *seats) seat(row, room int, seen []int, attempt int) bool {
	for at := range ones(s.free[row]) {
		if len(s.owners[at]) < room {
			s.owners[at] = append(s.owners[at], row)
			s.residue[row] = at
			return true
		}
	}
	for at := range ones(s.free[row]) {
		if seen[at] == attempt {
			continue
		}
		seen[at] = attempt
		for k, other := range s.owners[at] {
			if s.seat(other, room, seen, attempt) {
				s.owners[at][k], s.residue[row] = row, at
				return true
			}
		}
	}
	return false
}

// ones lists the places of the bits that are set.
func ones(words []uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range words {
			for ; w != 0; w &= w - 1 {
				if !yield(64*i + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

func (p *placement) positions() []int {
	list := make([]int, p.m.Rows)
	for at, rows := range p.owners {
		for k, r := range rows {
			list[r] = at + k*p.diagonals()
		}
	}
	return list
}

func (p *placement) opening() opening {
	d := p.diagonals()
	content := empty(p.width() * p.copies)
	for i := range content {
		if e := (i + i/p.width()*d) % p.period; e < p.m.Cols {
			content[i] = int32(e)
		}
	}
	return opening{
		content: content,
		rows:    &layout{period: p.rows, position: p.positions()},
		allowed: append(p.allowed(), make([]bool, p.rows-d)...),
		name:    fmt.Sprintf("%d copies, rows placed in %d", p.copies, p.rows),
	}
}
