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
}

// Output is a circuit.Output with the scale of its value.
type Output struct {
	Name         string  `json:"name"`
	Scale        float64 `json:"scale"`
	Period       int     `json:"period,omitempty"`
	Coefficients []int   `json:"coefficients,omitempty"`
	ModulusBits  int     `json:"modulus_bits"`
}

// SignatureOf returns a circuit's signature.
func SignatureOf(c *circuit.Circuit) *Signature {
	s := &Signature{Parameters: c.Parameters, Packing: c.Packing, Inputs: c.Inputs}
	for _, out := range c.Outputs {
		s.Outputs = append(s.Outputs, Output{out.Name, c.Scale(out.Value), out.Period, out.Coefficients, out.ModulusBits})
	}
	return s
}

// Validate checks a signature. It bounds what is allocated for its messages.
func (s *Signature) Validate() error {
	// A signature is what a circuit without nodes shows, but for the level and scale of its outputs.
	c := &circuit.Circuit{Parameters: s.Parameters, Packing: s.Packing, Inputs: s.Inputs}
	for i, out := range s.Outputs {
		if !(out.Scale > 0) || math.IsInf(out.Scale, 1) {
			return fmt.Errorf("output %d: scale %g out of range", i, out.Scale)
		}
		c.Inputs = append(c.Inputs[:len(c.Inputs):len(c.Inputs)], circuit.Input{Scale: 1})
		c.Outputs = append(c.Outputs, circuit.Output{Value: len(c.Inputs) - 1, Period: out.Period, Coefficients: out.Coefficients,
			ModulusBits: out.ModulusBits})
	}
	if len(s.Inputs) == 0 {
		return fmt.Errorf("no inputs")
	}
	return c.Validate()
}

// Kept returns the indexes of the message's coefficients that the reply of an output holds: those that the output lists,
// or those of the subring whose degree is the output's period.
func (s *Signature) Kept(output int) []int {
	out := &s.Outputs[output]
	if out.Coefficients != nil {
		return out.Coefficients
	}
	kept := make([]int, out.Period)
	for i := range kept {
		kept[i] = i * (s.Parameters.N() / out.Period)
	}
	return kept
}

// InputSize returns the exact length in bytes of the encrypted inputs.
func (s *Signature) InputSize() int64 {
	total := int64(HeaderSize)
	for _, in := range s.Inputs {
		total += SeedSize + PolySize(s.Parameters.N(), s.Parameters.Q[:in.Level+1]...)
	}
	return total
}

// ReplySize returns the exact length in bytes of the encrypted replies.
func (s *Signature) ReplySize() int64 {
	total := int64(HeaderSize)
	for i, out := range s.Outputs {
		total += int64(PackedSize(s.Parameters.N(), out.ModulusBits)) + int64(PackedSize(len(s.Kept(i)), out.ModulusBits))
	}
	return total
}
