package circuit

import (
	"errors"
	"fmt"
	"slices"
)

var errStored = errors.New("the circuit compares with what its users have stored, and computes nothing without")

// Run runs the circuit in float on its inputs' vectors, each of Slots() values, and returns for each output what the
// client would learn: Period sums, or the listed coefficients. A batch runs on one sample, vectors of Width values.
func (c *Circuit) Run(inputs ...[]float64) ([][]float64, error) {
	return c.RunObserved(nil, inputs...)
}

// RunObserved is Run with a look at every value, inputs included, as soon as it is there. What observe writes to the
// vector is what the circuit goes on with: this is how noise is simulated.
func (c *Circuit) RunObserved(observe func(value int, vector []float64), inputs ...[]float64) ([][]float64, error) {
	if len(inputs) != len(c.Inputs) {
		return nil, fmt.Errorf("%d input vectors: want %d", len(inputs), len(c.Inputs))
	}
	if Stored(c.Inputs) != nil {
		return nil, errStored
	}
	values := make([][]float64, c.Values())
	for i, x := range inputs {
		if len(x) != c.Width(i) {
			return nil, fmt.Errorf("input vector %d has %d values: want %d", i, len(x), c.Width(i))
		}
		values[i] = append([]float64(nil), x...)
		if observe != nil {
			observe(i, values[i])
		}
	}
	for i, node := range c.Nodes {
		at := len(c.Inputs) + i
		values[at] = node.run(values)
		if observe != nil {
			observe(at, values[at])
		}
	}
	return c.read(values), nil
}

// Vary returns the outputs for another vector in the place of one value. Values are those of a run (RunObserved), of which
// only what depends on that one is computed again.
func (c *Circuit) Vary(values [][]float64, value int, vector []float64) [][]float64 {
	varied := slices.Clone(values)
	varied[value] = vector
	changed := make([]bool, len(values))
	changed[value] = true
	for i, node := range c.Nodes {
		at := len(c.Inputs) + i
		if at > value && slices.ContainsFunc(node.In, func(v int) bool { return changed[v] }) {
			changed[at], varied[at] = true, node.run(varied)
		}
	}
	return c.read(varied)
}

func (c *Circuit) read(values [][]float64) [][]float64 {
	outputs := make([][]float64, len(c.Outputs))
	for i, out := range c.Outputs {
		outputs[i] = out.read(values[out.Value])
	}
	return outputs
}

func (node *Node) run(values [][]float64) []float64 {
	x := values[node.In[0]]
	n := len(x)
	switch {
	case node.Mix != nil:
		return node.Mix.run(node, values)
	case node.Linear != nil:
		return node.Linear.run(x)
	case node.Fold != nil:
		y, before := slices.Clone(x), make([]float64, n)
		for _, s := range node.Fold.Steps {
			copy(before, y)
			addRotated(y, before, s)
		}
		return y
	case node.Dot != nil:
		return node.Dot.run(x)
	case node.Combine != nil:
		y := make([]float64, n)
		for j := range y {
			y[j] = node.Combine.Constant
		}
		for k, v := range node.In {
			f := node.Combine.Factors[k]
			for j, xj := range values[v] {
				y[j] += f * xj
			}
		}
		return y
	default:
		y := make([]float64, n)
		for j := range y {
			y[j] = x[j] * values[node.In[1]][j]
		}
		return y
	}
}

func (l *Linear) run(x []float64) []float64 {
	y, sum := l.Bias.Full(len(x)), make([]float64, len(x))
	for i, d := range l.Diagonals {
		d.Values.addProduct(sum, x, d.Baby)
		if i+1 == len(l.Diagonals) || l.Diagonals[i+1].Giant != d.Giant {
			addRotated(y, sum, d.Giant)
			clear(sum)
		}
	}
	return y
}

// run multiplies by the non-zero weights one by one: weights are few, or the caller is a test.
func (d *Dot) run(x []float64) []float64 {
	n := len(x)
	y := d.Bias.Full(n)
	for k, w := range d.Weights.Full(n) {
		if w == 0 {
			continue
		}
		for j, xj := range x {
			if at := j + k; at < n {
				y[at] += w * xj
			} else {
				y[at-n] -= w * xj
			}
		}
	}
	return y
}

func (out *Output) read(x []float64) []float64 {
	if out.Width > 0 {
		return append([]float64(nil), x...)
	}
	if out.Coefficients != nil {
		y := make([]float64, len(out.Coefficients))
		for i, k := range out.Coefficients {
			y[i] = x[k]
		}
		return y
	}
	y := make([]float64, out.Period)
	for j, v := range x {
		y[j%out.Period] += v
	}
	return y
}

// addRotated adds rot(x, shift) to y.
func addRotated(y, x []float64, shift int) {
	shift = mod(shift, len(x))
	for j, v := range x[shift:] {
		y[j] += v
	}
	for j, v := range x[:shift] {
		y[len(x)-shift+j] += v
	}
}
