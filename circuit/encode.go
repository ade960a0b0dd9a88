package circuit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// vectorShape is what circuit.json says of a vector; its numbers are in weights.bin.
type vectorShape struct {
	Period int `json:"period"`
	Sparse int `json:"sparse,omitempty"` // number of entries, if not the whole period is written
}

// MarshalJSON writes the vector's shape only.
func (v Vector) MarshalJSON() ([]byte, error) {
	return json.Marshal(vectorShape{Period: v.Period, Sparse: len(v.Index)})
}

// UnmarshalJSON makes a vector that waits for its numbers. It allocates nothing for them.
func (v *Vector) UnmarshalJSON(data []byte) error {
	var shape vectorShape
	if err := strictJSON(data, &shape); err != nil {
		return err
	}
	if shape.Period < 0 || shape.Period > MaxWidth*MaxWidth || shape.Sparse < 0 || shape.Sparse > shape.Period {
		return fmt.Errorf("vector of period %d with %d entries", shape.Period, shape.Sparse)
	}
	*v = Vector{Period: shape.Period, pending: shape.Sparse}
	return nil
}

func strictJSON(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON value")
	}
	return nil
}

// vectors lists the circuit's vectors in the order in which weights.bin holds them.
func (c *Circuit) vectors() []*Vector {
	var list []*Vector
	for i := range c.Nodes {
		node := &c.Nodes[i]
		if node.Linear != nil {
			for d := range node.Linear.Diagonals {
				list = append(list, &node.Linear.Diagonals[d].Values)
			}
			list = append(list, &node.Linear.Bias)
		}
		if node.Dot != nil {
			list = append(list, &node.Dot.Weights, &node.Dot.Bias)
		}
		if node.Mix != nil {
			for k := range node.Mix.Maps {
				list = append(list, &node.Mix.Maps[k])
			}
			list = append(list, &node.Mix.Bias)
		}
	}
	return list
}

// Encode returns the circuit's two files: circuit.json, its structure, and weights.bin, the vectors' numbers one
// after the other: for a sparse vector its indexes (uint32) and then, for any, its values (IEEE 754 binary64), all
// little-endian. The encoding is canonical: equal circuits have equal files.
func (c *Circuit) Encode() (structure, weights []byte, err error) {
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	structure, err = json.Marshal(c)
	if err != nil {
		return nil, nil, err
	}
	size := 0
	for _, v := range c.vectors() {
		size += 4*len(v.Index) + 8*len(v.Values)
	}
	weights = make([]byte, 0, size)
	for _, v := range c.vectors() {
		for _, j := range v.Index {
			weights = binary.LittleEndian.AppendUint32(weights, j)
		}
		for _, x := range v.Values {
			weights = binary.LittleEndian.AppendUint64(weights, math.Float64bits(x))
		}
	}
	return structure, weights, nil
}

// Decode reads what Encode wrote and validates it. It takes memory in proportion to the files' lengths only.
func Decode(structure, weights []byte) (*Circuit, error) {
	c := new(Circuit)
	if err := strictJSON(structure, c); err != nil {
		return nil, fmt.Errorf("circuit.json: %w", err)
	}
	for i := range c.Nodes {
		// A vector that is not in the JSON keeps a zero shape, which is a zero vector.
		if l := c.Nodes[i].Linear; l != nil && len(l.Diagonals) > 1<<MaxLogN {
			return nil, fmt.Errorf("circuit.json: %d diagonals", len(l.Diagonals))
		}
	}
	for _, v := range c.vectors() {
		sparse, count := v.pending, v.pending
		v.pending = 0
		if sparse == 0 {
			count = v.Period
		}
		if 4*sparse+8*count > len(weights) {
			return nil, errors.New("weights.bin is shorter than circuit.json says")
		}
		if sparse > 0 {
			v.Index = make([]uint32, sparse)
		}
		for k := range v.Index {
			v.Index[k] = binary.LittleEndian.Uint32(weights[4*k:])
		}
		weights = weights[4*sparse:]
		if count > 0 {
			v.Values = make([]float64, count)
		}
		for k := range v.Values {
			v.Values[k] = math.Float64frombits(binary.LittleEndian.Uint64(weights[8*k:]))
		}
		weights = weights[8*count:]
	}
	if len(weights) > 0 {
		return nil, errors.New("weights.bin is longer than circuit.json says")
	}
	return c, c.Validate()
}
