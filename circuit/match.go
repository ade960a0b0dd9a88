package circuit

import (
	"fmt"
	"math"
	"math/bits"
)

// Match compares its first operand, a query, with each of the templates of its second, which its user has stored before
// (Input.Dimensions): both are encrypted. It has an output ciphertext for each block of templates.
//
// With d dimensions and N slots, slot j of a query holds its value ⌊jd/N⌋. Templates are stored in blocks of m, a power of
// two from N/d to N, that take md/N ciphertexts: slot j of ciphertext c holds value (⌊jd/N⌋ + c) mod d of template j mod m.
// Rotated by cN/d slots the query has the same values there, so
//
//	Σ_c rot(query, cN/d) ⊙ block_c
//
// holds in each class of slots modulo m the parts of one inner product. It is relinearised once, and the sum over a class
// costs nothing (Output): a block takes one product for each of its ciphertexts, and a query d-1 rotations by two keys.
type Match struct{}

// MaxDimensions bounds Input.Dimensions.
const MaxDimensions = 1024

// Fresh returns the inputs that come with a request: all but the stored one.
func Fresh(inputs []Input) []Input {
	if Stored(inputs) != nil {
		return inputs[:1]
	}
	return inputs
}

// Stored returns the input that users store beforehand, or nil where there is none.
func Stored(inputs []Input) *Input {
	for i := range inputs {
		if inputs[i].Dimensions != 0 {
			return &inputs[i]
		}
	}
	return nil
}

// Rotations returns the steps of the two rotations that make all others of a query: by one dimension, and by the root of
// their number.
func (in *Input) Rotations(slots int) (baby, giant int) {
	baby = slots / in.Dimensions
	return baby, baby << ((bits.Len(uint(in.Dimensions-1)) + 1) / 2)
}

// Sign is 1 or -1, without a pattern in the place: a bit of the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
// Scores that are alike, with such signs, spread over all coefficients of a message, so that none of these is large.
func Sign(place int) float64 {
	x := (uint64(place) + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return 1 - 2*float64(x>>63)
}

// validateMatch checks that stored templates are compared with the one other input and nothing else.
func (c *Circuit) validateMatch() error {
	stored := Stored(c.Inputs)
	matches := 0
	for _, node := range c.Nodes {
		if node.Match != nil {
			matches++
		}
	}
	if stored == nil {
		if matches > 0 {
			return fmt.Errorf("no templates to compare with")
		}
		return nil
	}
	d := stored.Dimensions
	if c.Packing != Slots || d < 2 || d > MaxDimensions || bits.OnesCount(uint(d)) != 1 || stored.Level != 0 {
		return fmt.Errorf("templates have a power of two of dimensions up to %d, in slots, at level 0", MaxDimensions)
	}
	if len(c.Inputs) < 2 || stored != &c.Inputs[1] || c.Inputs[0].Level != 0 || len(c.Outputs) != 1 ||
		c.Outputs[0].Period != c.Parameters.Slots() || c.Outputs[0].Flood != 0 || c.RingSwitch != nil {
		return fmt.Errorf("templates are compared with one query at level 0, all slots are sent, neither flooded nor switched")
	}
	if len(c.Nodes) == 0 { // a signature
		return nil
	}
	node := c.Nodes[0]
	if len(c.Inputs) != 2 || len(c.Nodes) != 1 || matches != 1 || c.Outputs[0].Value != 2 || len(node.In) != 2 || node.In[0] != 0 ||
		node.In[1] != 1 || node.Level != 0 || math.Abs(c.Inputs[0].Scale*stored.Scale/node.Scale-1) > 1e-9 {
		return fmt.Errorf("a match takes the query and the templates, its scale is their product, and that is all")
	}
	return nil
}
