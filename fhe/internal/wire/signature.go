package wire

import (
	"fmt"
	"math"

	"cipherpoint/circuit"
)

// Signature is what a user has to know of a circuit: how its inputs are encrypted and its outputs decrypted, and
// nothing of what it computes.
type Signature struct {
	Parameters circuit.Parameters `json:"parameters"`
	Packing    circuit.Packing    `json:"packing"`
	Inputs     []circuit.Input    `json:"inputs"`
	Outputs    []Output           `json:"outputs"`

	RingSwitch *circuit.RingSwitch `json:"ring_switch,omitempty"` // of replies
}

// Output is a circuit.Output with the scale of its value.
type Output struct {
	Name         string  `json:"name"`
	Scale        float64 `json:"scale"`
	Period       int     `json:"period,omitempty"`
	Coefficients []int   `json:"coefficients,omitempty"`
	Width        int     `json:"width,omitempty"`
	ModulusBits  int     `json:"modulus_bits"`
	FirstBits    int     `json:"first_bits,omitempty"`
}

// First returns how many bits a coefficient of the first half takes.
func (out *Output) First() int {
	return (&circuit.Output{ModulusBits: out.ModulusBits, FirstBits: out.FirstBits}).First()
}

// SignatureOf returns a circuit's signature.
func SignatureOf(c *circuit.Circuit) *Signature {
	s := &Signature{Parameters: c.Parameters, Packing: c.Packing, Inputs: c.Inputs, RingSwitch: c.RingSwitch}
	for _, out := range c.Outputs {
		s.Outputs = append(s.Outputs, Output{out.Name, c.Scale(out.Value), out.Period, out.Coefficients, out.Width, out.ModulusBits, out.FirstBits})
	}
	return s
}

// Validate checks a signature. It bounds what is allocated for its messages.
func (s *Signature) Validate() error {
	// A signature is what a circuit without nodes shows, but for the level and scale of its outputs.
	c := &circuit.Circuit{Parameters: s.Parameters, Packing: s.Packing, Inputs: s.Inputs, RingSwitch: s.RingSwitch}
	for i, out := range s.Outputs {
		if !(out.Scale > 0) || math.IsInf(out.Scale, 1) {
			return fmt.Errorf("output %d: scale %g out of range", i, out.Scale)
		}
		c.Inputs = append(c.Inputs[:len(c.Inputs):len(c.Inputs)], circuit.Input{Scale: 1, Width: out.Width})
		c.Outputs = append(c.Outputs, circuit.Output{Value: len(c.Inputs) - 1, Period: out.Period, Coefficients: out.Coefficients,
			Width: out.Width, ModulusBits: out.ModulusBits, FirstBits: out.FirstBits})
	}
	if len(s.Inputs) == 0 {
		return fmt.Errorf("no inputs")
	}
	return c.Validate()
}

// ReplyN returns the degree of the ring of replies.
func (s *Signature) ReplyN() int {
	if s.RingSwitch != nil {
		return s.RingSwitch.N()
	}
	return s.Parameters.N()
}

// Kept returns the indexes of the message's coefficients, in the ring of replies, that the reply of an output holds: those
// that the output lists, or those of the subring whose degree is the output's period. Of a batch, that is all of them.
func (s *Signature) Kept(output int) []int {
	if listed := s.Outputs[output].Coefficients; listed != nil {
		return listed
	}
	kept := make([]int, s.keptCount(output))
	step := s.ReplyN() / len(kept)
	for i := range kept {
		kept[i] = i * step
	}
	return kept
}

// keptCount returns how many Kept lists.
func (s *Signature) keptCount(output int) int {
	out := &s.Outputs[output]
	switch {
	case out.Coefficients != nil:
		return len(out.Coefficients)
	case s.Packing == circuit.Batch:
		return s.ReplyN()
	}
	return out.Period
}

// InputSize returns the exact length in bytes of the encrypted inputs.
func (s *Signature) InputSize() int64 {
	total := int64(HeaderSize)
	if s.Packing == circuit.Batch {
		total += SeedSize
		for _, in := range s.Inputs {
			total += int64(in.Width) * PolySize(s.Parameters.N(), s.Parameters.Q[:in.Level+1]...)
		}
		return total
	}
	for _, in := range circuit.Fresh(s.Inputs) {
		total += SeedSize + PolySize(s.Parameters.N(), s.Parameters.Q[:in.Level+1]...)
	}
	return total
}

// ReplySize returns the exact length in bytes of the encrypted replies.
func (s *Signature) ReplySize() int64 {
	total := int64(HeaderSize)
	for i, out := range s.Outputs {
		size := int64(PackedSize(s.ReplyN(), out.ModulusBits)) + int64(PackedSize(s.keptCount(i), out.First()))
		if s.Packing == circuit.Batch {
			size *= int64(out.Width)
		}
		total += size
	}
	return total
}

// Width returns the ciphertexts of all inputs of a batch.
func (s *Signature) Width() int {
	total := 0
	for _, in := range s.Inputs {
		total += in.Width
	}
	return total
}

// ReplyWidth returns the ciphertexts of all outputs of a batch.
func (s *Signature) ReplyWidth() int {
	total := 0
	for _, out := range s.Outputs {
		total += out.Width
	}
	return total
}
