package circuit

import (
	"fmt"
	"math"
	"math/bits"
)

// Batch is the packing of many samples at once: a value is a list of Width ciphertexts, and ciphertext i holds element
// i of Slots() samples, a sample a slot. Linear maps between such lists are sums of ciphertexts times scalars (Mix),
// which need neither rotations nor keys. Conjugate-invariant ring only.
//
// In float, a value of a batch is the vector of one sample, of Width elements.
const Batch Packing = "batch"

// MaxWidth bounds the ciphertexts of one value of a batch, and of all inputs together.
const MaxWidth = 1 << 14

// ScalarBits is how many bits a scalar of a Mix and a prime may have together: their product is one 52-bit word.
const ScalarBits = 52

// Mix is y = Σ_k M_k·x_k + Bias, on lists of ciphertexts.
type Mix struct {
	Rows int      `json:"rows"`
	Maps []Vector `json:"maps"` // for each operand, its matrix row by row: Rows times the operand's width, sparse
	Bias Vector   `json:"bias"`
}

// Width returns the length of a value in float: the elements of a batch's value, or the slots of any other.
func (c *Circuit) Width(value int) int {
	if c.Packing != Batch {
		return c.Parameters.Slots()
	}
	for value >= len(c.Inputs) {
		node := c.Nodes[value-len(c.Inputs)]
		if node.Mix != nil {
			return node.Mix.Rows
		}
		value = node.In[0]
	}
	return c.Inputs[value].Width
}

// Degree returns the degree of a value's ciphertexts in the secret: 2 for a product that was not relinearised yet.
func (c *Circuit) Degree(value int) int {
	degrees := c.degrees(value + 1)
	return degrees[value]
}

func (c *Circuit) degrees(count int) []int {
	degrees := make([]int, count)
	for v := range degrees {
		degrees[v] = 1
		if v < len(c.Inputs) {
			continue
		}
		node := c.Nodes[v-len(c.Inputs)]
		for _, operand := range node.In {
			degrees[v] = max(degrees[v], degrees[operand])
		}
		if node.Relinearise || c.Packing != Batch {
			degrees[v] = 1
		} else if node.Multiply != nil {
			degrees[v] = 2
		}
	}
	return degrees
}

// MixBits returns how many bits the scalars of a node's Mix have, the sign included.
func (c *Circuit) MixBits(node Node) int {
	size := 1
	for k, m := range node.Mix.Maps {
		scale := c.PlaintextScale(node, k)
		for _, w := range m.Values {
			scalar := math.Abs(w) * scale
			if !(scalar < 1<<ScalarBits) {
				return ScalarBits + 1
			}
			size = max(size, bits.Len64(uint64(math.RoundToEven(scalar))))
		}
	}
	return size + 1
}

// MixFits reports whether the scalars of a node's Mix fit its primes.
func (c *Circuit) MixFits(node Node) bool {
	size := 0
	for _, q := range c.Parameters.Q[:node.Level+1] {
		size = max(size, bits.Len64(q))
	}
	return c.MixBits(node)+size <= ScalarBits
}

func (c *Circuit) validateMix(node Node) error {
	m := node.Mix
	if c.Packing != Batch {
		return fmt.Errorf("operation needs batches")
	}
	if m.Rows < 1 || m.Rows > MaxWidth || len(m.Maps) == 0 || len(m.Maps) != len(node.In) {
		return fmt.Errorf("%d maps to %d rows for %d operands", len(m.Maps), m.Rows, len(node.In))
	}
	for k, v := range m.Maps {
		size := m.Rows * c.Width(node.In[k])
		if !v.IsZero() && v.Period != size {
			return fmt.Errorf("map of %d weights: want %d", v.Period, size)
		}
		if err := v.validate(size); err != nil {
			return err
		}
	}
	return m.Bias.validate(m.Rows)
}

// validateBatch checks what only batches have: widths and degrees.
func (c *Circuit) validateBatch() error {
	total := 0
	for i, in := range c.Inputs {
		if c.Packing != Batch {
			if in.Width != 0 {
				return fmt.Errorf("input %d: width of no batch", i)
			}
			continue
		}
		if in.Width < 1 || in.Width > MaxWidth {
			return fmt.Errorf("input %d: %d ciphertexts: want 1 to %d", i, in.Width, MaxWidth)
		}
		total += in.Width
	}
	if total > MaxWidth {
		return fmt.Errorf("inputs of %d ciphertexts: want at most %d", total, MaxWidth)
	}
	return nil
}

// validateDegrees checks that products are relinearised before they are multiplied, rescaled or sent.
func (c *Circuit) validateDegrees() error {
	degrees := c.degrees(c.Values())
	for i, node := range c.Nodes {
		if node.Relinearise && c.Packing != Batch {
			return fmt.Errorf("node %d (%s): relinearises by itself", i, node.Name)
		}
		if c.Packing != Batch {
			continue
		}
		width := c.Width(len(c.Inputs) + i)
		for _, v := range node.In {
			if node.Multiply != nil && degrees[v] != 1 {
				return fmt.Errorf("node %d (%s): factor is not relinearised", i, node.Name)
			}
			if node.Mix == nil && c.Width(v) != width {
				return fmt.Errorf("node %d (%s): operands of widths %d and %d", i, node.Name, c.Width(v), width)
			}
		}
		if node.Rescale > 0 && degrees[len(c.Inputs)+i] != 1 {
			return fmt.Errorf("node %d (%s): rescaled before it is relinearised", i, node.Name)
		}
	}
	for i, out := range c.Outputs {
		if degrees[out.Value] != 1 {
			return fmt.Errorf("output %d: not relinearised", i)
		}
	}
	return nil
}

func (m *Mix) run(node *Node, values [][]float64) []float64 {
	y := m.Bias.Full(m.Rows)
	for k, v := range node.In {
		x, w := values[v], m.Maps[k]
		for i, weight := range w.Values {
			at := i
			if w.Index != nil {
				at = int(w.Index[i])
			}
			y[at/len(x)] += weight * x[at%len(x)]
		}
	}
	return y
}
