package compiler

import (
	"fmt"
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
	for _, c := range list[:min(3, len(list))] {
		openings = append(openings, c.opening())
	}
	return openings
}

// maxPlaced is the number of entries up to which rows are placed one by one.
const maxPlaced = 1 << 16

type placement struct {
	m                    *model.Sparse
	period, rows, copies int
	babies               int // shifts below this are baby steps
	baby, giant          []bool
	position             []int
}

func (p *placement) diagonals() int { return min(p.rows, p.period) / p.copies }

// width is how many slots a copy takes.
func (p *placement) width() int { return max(p.rows, p.period) }

func (p *placement) search() {
	p.baby, p.giant = all(p.babies), all(p.diagonals()/p.babies)
	p.position = p.match()
	for _, steps := range [][]bool{p.giant, p.baby} {
		for i := len(steps) - 1; i > 0; i-- {
			steps[i] = false
			if found := p.match(); found != nil {
				p.position = found
			} else {
				steps[i] = true
			}
		}
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

// match gives each row a position at which all its diagonals are allowed, or returns nil. It is Kuhn's algorithm with a
// greedy start over residues modulo the number of diagonals, each of which has room for as many rows as lie so far apart.
func (p *placement) match() []int {
	d := p.diagonals()
	allowed := p.allowed()
	free := make([][]int32, p.m.Rows)
	for r := range free {
		columns, _ := p.m.Row(r)
	residues:
		for at := range d {
			for _, c := range columns {
				if !allowed[((c-at)%d+d)%d] {
					continue residues
				}
			}
			free[r] = append(free[r], int32(at))
		}
		if len(free[r]) == 0 {
			return nil
		}
	}
	room := p.rows / d
	owner := make([][]int, d)
	residue := make([]int, p.m.Rows)
	seen := make([]int, d) // the attempt that last looked at a residue
	var seat func(r, attempt int) bool
	seat = func(r, attempt int) bool {
		for _, at := range free[r] {
			if len(owner[at]) < room {
				owner[at] = append(owner[at], r)
				residue[r] = int(at)
				return true
			}
		}
		for _, at := range free[r] {
			if seen[at] == attempt {
				continue
			}
			seen[at] = attempt
			for k, other := range owner[at] {
				if seat(other, attempt) {
					owner[at][k] = r
					residue[r] = int(at)
					return true
				}
			}
		}
		return false
	}
	order := make([]int, p.m.Rows)
	for r := range order {
		order[r] = r
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(free[a]) - len(free[b]) })
	for i, r := range order {
		if !seat(r, i+1) {
			return nil
		}
	}
	position := make([]int, p.m.Rows)
	for at, rows := range owner {
		for k, r := range rows {
			position[r] = at + k*d
		}
	}
	return position
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
		rows:    &layout{period: p.rows, position: p.position},
		allowed: append(p.allowed(), make([]bool, p.rows-d)...),
		name:    fmt.Sprintf("%d copies, rows placed in %d", p.copies, p.rows),
	}
}
