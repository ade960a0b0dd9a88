package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// FormatVersion is the version of the JSON form.
const FormatVersion = 1

// graphJSON is the JSON form of a graph:
//
//	{"version":1,"name":…,"inputs":[{"name":…,"shape":[…]}],"nodes":[{"name":…,"kind":…,"op":{…},"inputs":[…],"output":…}],
//	 "outputs":[…]}
//
// with the operator's own fields in "op".
type graphJSON struct {
	Version int        `json:"version"`
	Name    string     `json:"name"`
	Inputs  []Port     `json:"inputs"`
	Nodes   []nodeJSON `json:"nodes"`
	Outputs []string   `json:"outputs"`
}

type nodeJSON struct {
	Name   string          `json:"name"`
	Kind   string          `json:"kind"`
	Op     json.RawMessage `json:"op"`
	Inputs []string        `json:"inputs"`
	Output string          `json:"output"`
}

// MarshalJSON writes a valid graph in its one canonical form: fixed order of fields, no space, numbers in the shortest
// form that reads back as the same float64. NaN and infinite parameters are refused.
func (g *Graph) MarshalJSON() ([]byte, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g.encode()
}

func (g *Graph) encode() ([]byte, error) {
	form := graphJSON{Version: FormatVersion, Name: g.Name, Inputs: g.Inputs, Nodes: make([]nodeJSON, len(g.Nodes)), Outputs: g.Outputs}
	for i, n := range g.Nodes {
		op, err := json.Marshal(n.Op)
		if err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op.Kind(), err)
		}
		form.Nodes[i] = nodeJSON{Name: n.Name, Kind: n.Op.Kind(), Op: op, Inputs: n.Inputs, Output: n.Output}
		if n.Inputs == nil {
			form.Nodes[i].Inputs = []string{}
		}
	}
	return json.Marshal(form)
}

// UnmarshalJSON reads and validates a graph. It accepts what MarshalJSON writes and nothing else, space between tokens
// aside: unknown or repeated fields, other orders and other spellings of a number are refused, so that a graph has one
// form. It takes memory in proportion to the length of data, which the caller has to bound.
func (g *Graph) UnmarshalJSON(data []byte) error {
	var form graphJSON
	if err := decodeStrict(data, &form); err != nil {
		return fmt.Errorf("decode graph: %w", err)
	}
	if form.Version != FormatVersion {
		return fmt.Errorf("graph has format version %d, want %d", form.Version, FormatVersion)
	}
	decoded := Graph{Name: form.Name, Inputs: form.Inputs, Nodes: make([]Node, len(form.Nodes)), Outputs: form.Outputs}
	for i, n := range form.Nodes {
		construct, ok := registry[n.Kind]
		if !ok {
			return fmt.Errorf("node %d has unknown kind %q", i, n.Kind)
		}
		op := construct()
		if err := decodeStrict(n.Op, op); err != nil {
			return fmt.Errorf("decode node %d (%s): %w", i, n.Kind, err)
		}
		decoded.Nodes[i] = Node{Name: n.Name, Op: op, Inputs: n.Inputs, Output: n.Output}
	}
	if err := decoded.Validate(); err != nil {
		return err
	}
	if err := checkCanonical(&decoded, data); err != nil {
		return err
	}
	*g = decoded
	return nil
}

func decodeStrict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("data after the end")
	}
	return nil
}

func checkCanonical(g *Graph, data []byte) error {
	want, err := g.encode()
	if err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return err
	}
	if !bytes.Equal(compact.Bytes(), want) {
		return errors.New("graph is not in canonical form")
	}
	return nil
}
