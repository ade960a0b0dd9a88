package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// einsum is a product of one or two tensors in Einstein's notation, made of transposes, sums and one matrix product.
func einsum(im *importer, n *node) ([]value, error) {
	equation := strings.ReplaceAll(n.text("equation", ""), " ", "")
	left, out, explicit := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if strings.Contains(equation, ".") || len(terms) != len(n.in) || len(terms) > 2 {
		return nil, fmt.Errorf("equation %q: one or two tensors without ellipsis are served", clean(equation))
	}
	if err := n.need(len(terms)); err != nil {
		return nil, err
	}
	if !explicit {
		out = onceOnly(left)
	}
	size := map[byte]int{}
	for i, term := range terms {
		if len(term) != n.in[i].rank() {
			return nil, fmt.Errorf("%q does not fit %v", clean(term), n.in[i].dims)
		}
		for k := range len(term) {
			d := n.in[i].dims[k]
			if strings.Count(term, term[k:k+1]) > 1 {
				return nil, errors.New("takes a diagonal, which is not served")
			}
			if known, ok := size[term[k]]; ok && known != d && known != 1 && d != 1 {
				return nil, fmt.Errorf("dimension %q is %d and %d", term[k], known, d)
			}
			size[term[k]] = max(size[term[k]], d)
		}
	}
	for k := range len(out) {
		if !strings.Contains(left, out[k:k+1]) || strings.Count(out, out[k:k+1]) > 1 {
			return nil, fmt.Errorf("equation %q is not known", clean(equation))
		}
	}
	in := slices.Clone(n.in)
	var err error
	for i := range terms {
		// What only one tensor has and the result has not is summed at once.
		others := out
		if len(terms) == 2 {
			others += terms[1-i]
		}
		var axes []int
		kept := ""
		for k := range len(terms[i]) {
			if strings.Contains(others, terms[i][k:k+1]) {
				kept += terms[i][k : k+1]
			} else {
				axes = append(axes, k)
			}
		}
		if axes != nil {
			if in[i], err = im.reduce(in[i], axes, false, sumOf); err != nil {
				return nil, err
			}
		}
		terms[i] = kept
	}
	if len(terms) == 1 {
		v, err := im.arranged(in[0], terms[0], out)
		return []value{v}, err
	}
	// Letters of the batch, of the rows, of the columns, and those summed over.
	var batch, rows, cols, inner string
	for k := range len(terms[0]) {
		letter := terms[0][k : k+1]
		switch both := strings.Contains(terms[1], letter); {
		case both && strings.Contains(out, letter):
			batch += letter
		case both:
			inner += letter
		default:
			rows += letter
		}
	}
	for k := range len(terms[1]) {
		if letter := terms[1][k : k+1]; !strings.Contains(terms[0], letter) {
			cols += letter
		}
	}
	count := func(letters string) int {
		c := 1
		for k := range len(letters) {
			c *= size[letters[k]]
		}
		return c
	}
	var sides [2]value
	for i, order := range []string{batch + rows + inner, batch + inner + cols} {
		if sides[i], err = im.arranged(in[i], terms[i], order); err != nil {
			return nil, err
		}
		dims := []int{count(batch), count(rows), count(inner)}
		if i == 1 {
			dims = []int{count(batch), count(inner), count(cols)}
		}
		if sides[i].size() != dims[0]*dims[1]*dims[2] {
			return nil, errors.New("stretches a dimension of 1, which is not served")
		}
		if dims[0] == 1 {
			dims = dims[1:]
		}
		if sides[i], err = im.moved(sides[i], dims); err != nil {
			return nil, err
		}
	}
	v, err := im.matMul(sides[0], sides[1])
	if err != nil {
		return nil, err
	}
	made := batch + rows + cols
	dims := make([]int, len(made))
	for k := range dims {
		dims[k] = size[made[k]]
	}
	if v, err = im.moved(v, dims); err != nil {
		return nil, err
	}
	v, err = im.arranged(v, made, out)
	return []value{v}, err
}

// onceOnly lists the letters that occur once, in alphabetical order: the result where an equation names none.
func onceOnly(terms string) string {
	var once []byte
	for k := range len(terms) {
		if terms[k] != ',' && strings.Count(terms, terms[k:k+1]) == 1 {
			once = append(once, terms[k])
		}
	}
	slices.Sort(once)
	return string(once)
}

// arranged transposes from one order of letters to another of the same.
func (im *importer) arranged(v value, have, want string) (value, error) {
	perm := make([]int, len(want))
	for k := range perm {
		if perm[k] = strings.IndexByte(have, want[k]); perm[k] < 0 || len(have) != len(want) {
			return value{}, fmt.Errorf("%q cannot be arranged as %q", clean(have), clean(want))
		}
	}
	return im.transpose(v, perm)
}
