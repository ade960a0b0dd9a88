package compiler

import (
	"fmt"
	"math/bits"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// diagonals is a matrix in slots: for each shift d a vector v_d, so that y = Σ_d v_d ⊙ rot(x, d), to be folded to the
// rows' period where the vectors' is longer.
type diagonals struct {
	period  int
	byShift map[int][]float64
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
	d := &diagonals{period: max(len(content), rows.period), byShift: map[int][]float64{}}
	for r := range m.Rows {
		columns, values := m.Row(r)
		at := rows.position[r]
		for k, c := range columns {
			best, slot := -1, 0
			for _, q := range slotsOf[c] {
				shift := ((q-at)%modulus + modulus) % modulus
				if allowed != nil && !allowed[shift] {
					continue
				}
				_, used := d.byShift[shift]
				_, bestUsed := d.byShift[best]
				if best < 0 || used && !bestUsed || used == bestUsed && shift < best {
					best, slot = shift, q
				}
			}
			if best < 0 {
				return nil, fmt.Errorf("no diagonal for an entry of the matrix")
			}
			v := d.byShift[best]
			if v == nil {
				v = make([]float64, d.period)
				d.byShift[best] = v
			}
			j := at
			if len(content) > rows.period {
				j = ((slot-best)%len(content) + len(content)) % len(content)
			}
			v[j] += values[k]
		}
	}
	return d, nil
}

// rotationStyle says how rotations are made of keys: fewer keys cost latency.
type rotationStyle string

const (
	direct rotationStyle = "direct" // a key for each rotation
	tiered rotationStyle = "tiered" // two steps, about 2√n keys
	chain  rotationStyle = "chain"  // one key, used over and over
)

// rotationStyles are tried in turn, for baby and giant steps.
var rotationStyles = [][2]rotationStyle{{direct, direct}, {tiered, direct}, {tiered, tiered}, {chain, direct}, {chain, chain}}

// linear turns diagonals into a baby-step giant-step plan over n slots.
func (d *diagonals) linear(n int, style [2]rotationStyle, bias circuit.Vector) *circuit.Linear {
	shifts := make([]int, 0, len(d.byShift))
	for s := range d.byShift {
		shifts = append(shifts, s)
	}
	slices.Sort(shifts)
	unit := n
	for _, s := range shifts {
		unit = gcd(unit, s)
	}
	var best *circuit.Linear
	bestCost, bestGiant := 0.0, 0
	for giant := unit; giant <= n; giant *= 2 {
		babies, giants := split2(shifts, giant)
		l := &circuit.Linear{Babies: rotations(babies, unit, style[0]), Giants: rotations(giants, giant, style[1])}
		cost := nominalHoisted*float64(len(l.Babies)) + float64(len(l.Giants))
		if best == nil || cost < bestCost {
			best, bestCost, bestGiant = l, cost, giant
		}
	}
	for _, s := range shifts {
		baby := s % bestGiant
		best.Diagonals = append(best.Diagonals, circuit.Diagonal{Baby: baby, Giant: s - baby, Values: rotatedVector(d.byShift[s], baby-s)})
	}
	best.Bias = bias
	return best
}

// rotatedVector returns the compact form of a periodic vector rotated by a shift.
func rotatedVector(v []float64, shift int) circuit.Vector {
	n := len(v)
	shift = (shift%n + n) % n
	return circuit.NewVector(append(slices.Clone(v[shift:]), v[:shift]...))
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
