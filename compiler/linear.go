package compiler

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// diagonals is a matrix in slots: for each shift d a vector v_d, so that y = Σ_d v_d ⊙ rot(x, d), to be folded to the
// rows' period where the vectors' is longer.
type diagonals struct {
	period int
	shifts []int // ascending
	// Of each entry of the matrix, row by row: the shift, the slot of the vector, the value.
	shift, slot []int32
	value       []float64
}

// diagonalise finds for each entry of the matrix a slot of the column and a shift that brings it to the row's class of
// slots. Among several it takes an allowed shift, else one that is in use already, else the smallest.
func diagonalise(m *model.Sparse, content []int32, rows layout, allowed []bool) (*diagonals, error) {
	slotsOf := make([][]int, m.Cols)
	for q, e := range content {
		if e >= 0 {
			slotsOf[e] = append(slotsOf[e], q)
		}
	}
	modulus := min(len(content), rows.period)
	used := make([]bool, modulus)
	d := &diagonals{period: max(len(content), rows.period), shift: make([]int32, m.NNZ()), slot: make([]int32, m.NNZ()), value: m.Value}
	at := 0
	for r := range m.Rows {
		columns, _ := m.Row(r)
		position := rows.position[r]
		for _, c := range columns {
			best, slot := -1, 0
			for _, q := range slotsOf[c] {
				shift := ((q-position)%modulus + modulus) % modulus
				if allowed != nil && !allowed[shift] {
					continue
				}
				if best < 0 || used[shift] && !used[best] || used[shift] == used[best] && shift < best {
					best, slot = shift, q
				}
			}
			if best < 0 {
				return nil, fmt.Errorf("no diagonal for an entry of the matrix")
			}
			used[best] = true
			d.shift[at], d.slot[at] = int32(best), int32(position)
			if len(content) > rows.period {
				d.slot[at] = int32(((slot-best)%len(content) + len(content)) % len(content))
			}
			at++
		}
	}
	for s, used := range used {
		if used {
			d.shifts = append(d.shifts, s)
		}
	}
	return d, nil
}

// vectors calls f with each shift and the entries that have it.
func (d *diagonals) vectors(f func(shift int, entries []int32)) {
	end := make([]int32, d.shifts[len(d.shifts)-1]+2)
	for _, s := range d.shift {
		end[s+1]++
	}
	for s := range end[1:] {
		end[s+1] += end[s]
	}
	order := make([]int32, len(d.shift))
	for i, s := range d.shift {
		order[end[s]] = int32(i)
		end[s]++
	}
	from := int32(0)
	for _, s := range d.shifts {
		f(s, order[from:end[s]])
		from = end[s]
	}
}

// rotationStyle says how rotations are made of keys: fewer keys cost latency.
type rotationStyle string

const (
	direct rotationStyle = "direct" // a key for each rotation
	tiered rotationStyle = "tiered" // two steps, about 2√n keys
	chain  rotationStyle = "chain"  // one key, used over and over
)

// plan is how the rotations of all linear maps are made.
type plan struct {
	babies, giants rotationStyle
	// wider is by how many powers of two there are more baby steps, and fewer giant ones, than by nominal cost: babies that
	// are hoisted twice are cheaper than these, but each has a key.
	wider int
}

func (p plan) String() string {
	text := fmt.Sprintf("babies %s, giants %s", p.babies, p.giants)
	if p.wider != 0 {
		text += fmt.Sprintf(", steps %+d", p.wider)
	}
	return text
}

// plans are tried in turn.
var plans = func() (list []plan) {
	for _, wider := range []int{0, 1, 2, -1} {
		for _, style := range [][2]rotationStyle{{direct, direct}, {tiered, direct}, {tiered, tiered}, {chain, direct}, {chain, chain}} {
			list = append(list, plan{style[0], style[1], wider})
		}
	}
	return list
}()

// linear turns diagonals into baby and giant steps over n slots, with or without the values.
func (d *diagonals) linear(n int, p plan, bias circuit.Vector, values bool) *circuit.Linear {
	unit := n
	for _, s := range d.shifts {
		unit = gcd(unit, s)
	}
	steps := func(giant int) *circuit.Linear {
		babies, giants := split2(d.shifts, giant)
		return &circuit.Linear{Babies: rotations(babies, unit, p.babies), Giants: rotations(giants, giant, p.giants)}
	}
	bestCost, bestGiant := math.Inf(1), unit
	for giant := unit; giant <= n; giant *= 2 {
		l := steps(giant)
		if cost := nominalHoisted*float64(len(l.Babies)) + float64(len(l.Giants)); cost < bestCost {
			bestCost, bestGiant = cost, giant
		}
	}
	for range p.wider {
		bestGiant = min(2*bestGiant, n)
	}
	for range -p.wider {
		bestGiant = max(bestGiant/2, unit)
	}
	best := steps(bestGiant)
	best.Diagonals = make([]circuit.Diagonal, len(d.shifts))
	for i, s := range d.shifts {
		best.Diagonals[i] = circuit.Diagonal{Baby: s % bestGiant, Giant: s - s%bestGiant}
	}
	best.Bias = bias
	if !values || len(d.shifts) == 0 {
		return best
	}
	at, turned := 0, make([]float64, d.period)
	d.vectors(func(s int, entries []int32) {
		diagonal := &best.Diagonals[at]
		giant := diagonal.Giant % d.period // a vector is multiplied before its giant step
		for _, i := range entries {
			turned[(int(d.slot[i])+giant)%d.period] += d.value[i]
		}
		diagonal.Values = circuit.NewVector(turned)
		clear(turned)
		at++
	})
	return best
}

func split2(shifts []int, giant int) (babies, giants []int) {
	for _, s := range shifts {
		babies = append(babies, s%giant)
		giants = append(giants, s-s%giant)
	}
	return distinct(babies), distinct(giants)
}

func distinct(list []int) []int {
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(s int) bool { return s == 0 })
}

// rotations lists the shifts, multiples of unit, with the steps that lead to them.
func rotations(shifts []int, unit int, style rotationStyle) []circuit.Rotation {
	var list []circuit.Rotation
	if len(shifts) == 0 {
		return nil
	}
	last := shifts[len(shifts)-1]
	switch style {
	case direct:
		for _, s := range shifts {
			list = append(list, circuit.Rotation{Shift: s})
		}
	case tiered:
		count := last/unit + 1
		tier := unit << ((bits.Len(uint(count-1)) + 1) / 2)
		var coarse []int
		for _, s := range shifts {
			coarse = append(coarse, s-s%tier)
		}
		for _, s := range distinct(coarse) {
			list = append(list, circuit.Rotation{Shift: s})
		}
		for _, s := range shifts {
			if s%tier != 0 {
				list = append(list, circuit.Rotation{Shift: s, From: s - s%tier})
			}
		}
	case chain:
		for s := unit; s <= last; s += unit {
			list = append(list, circuit.Rotation{Shift: s, From: s - unit})
		}
	}
	return list
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
