package compiler

import (
	"fmt"
	"slices"

	"cipherpoint/model"
)

// layout puts the elements of a vector into slots: element e is at every slot congruent to position[e] modulo period.
// Slots without an element hold zero.
type layout struct {
	period   int
	position []int
}

func (l layout) content() []int32 {
	content := empty(l.period)
	for e, at := range l.position {
		content[at] = int32(e)
	}
	return content
}

func empty(n int) []int32 {
	content := make([]int32, n)
	for j := range content {
		content[j] = -1
	}
	return content
}

func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// compact is the layout in the vector's own order.
func compact(size int) layout {
	l := layout{period: powerOfTwo(size), position: make([]int, size)}
	for e := range l.position {
		l.position[e] = e
	}
	return l
}

// layouts returns the layouts that are tried for a vector: its own order, and for tensors each axis padded to a power of
// two with the channels first or last, in which windows of later convolutions meet fewer diagonals.
func layouts(v vector, slots int) []layout {
	list := []layout{compact(v.shape.Size())}
	if len(v.shape) == 3 && !v.public {
		list = append(list, padded(v.shape, []int{0, 1, 2}), padded(v.shape, []int{1, 2, 0}))
	}
	return slices.DeleteFunc(list, func(l layout) bool { return l.period > slots })
}

// padded lays a tensor out with its axes in the given order, outermost first, each padded to a power of two.
func padded(shape model.Shape, order []int) layout {
	stride := make([]int, len(shape))
	period := 1
	for i := len(order) - 1; i >= 0; i-- {
		stride[order[i]] = period
		period *= powerOfTwo(shape[order[i]])
	}
	l := layout{period: period, position: make([]int, shape.Size())}
	index := make([]int, len(shape))
	for e := range l.position {
		for axis, i := range index {
			l.position[e] += i * stride[axis]
		}
		for axis := len(shape) - 1; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
	}
	return l
}

// opening is a way to pack an input and the rows of the linear map that reads it. The client fills slots in any order
// and as often as it likes for nothing, so that the first map, which runs on the most limbs, takes few rotations.
type opening struct {
	content []int32
	rows    *layout // of the first map's result; nil leaves it free
	allowed []bool  // by shift modulo min(len(content), rows.period): the diagonals to use; nil leaves them free
	name    string
}

// windows returns the openings that copy each row's inputs beside each other (im2col). Rows with the same support, as
// the filters of a convolution at one place, form a group of m ≤ u rows over t inputs; d diagonals serve d inputs a
// block, so that t/d blocks remain to be folded:
//
//	slot (k, m, w) holds input k·d + (m mod d) of group w, and row m of group w ends up at (m, w).
func windows(m *model.Sparse, slots int) []opening {
	groups := map[string]int{}
	group, member := make([]int, m.Rows), make([]int, m.Rows)
	var supports [][]int
	var sizes []int
	for r := range m.Rows {
		columns, _ := m.Row(r)
		key := fmt.Sprint(columns)
		g, known := groups[key]
		if !known {
			g = len(supports)
			groups[key] = g
			supports = append(supports, columns)
			sizes = append(sizes, 0)
		}
		group[r], member[r] = g, sizes[g]
		sizes[g]++
	}
	width := powerOfTwo(len(supports))
	members := powerOfTwo(slices.Max(sizes))
	taps := 0
	for _, s := range supports {
		taps = max(taps, len(s))
	}
	period := width * members
	var list []opening
	for d := 1; d <= members; d *= 2 {
		blocks := powerOfTwo((taps + d - 1) / d)
		if blocks*period > slots {
			continue
		}
		content := empty(blocks * period)
		for j := range content {
			w, tap := j%width, j/period*d+j/width%members%d
			if w < len(supports) && tap < len(supports[w]) {
				content[j] = int32(supports[w][tap])
			}
		}
		rows := &layout{period: period, position: make([]int, m.Rows)}
		for r := range rows.position {
			rows.position[r] = member[r]*width + group[r]
		}
		allowed := make([]bool, period)
		for i := range d {
			allowed[i*width] = true
		}
		list = append(list, opening{content, rows, allowed, fmt.Sprintf("windows, %d diagonals", d)})
	}
	return list
}
