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
	Version int               `json:"version"`
	Name    string            `json:"name"`
	Inputs  []Port            `json:"inputs"`
	Nodes   []json.RawMessage `json:"nodes"` // of nodeJSON, decoded one by one to stop at the first that is wrong
	Outputs []string          `json:"outputs"`
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
	form := graphJSON{Version: FormatVersion, Name: g.Name, Inputs: g.Inputs, Nodes: make([]json.RawMessage, len(g.Nodes)), Outputs: g.Outputs}
	for i, n := range g.Nodes {
		data, err := n.encode()
		if err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", n.Name, n.Op.Kind(), err)
		}
		form.Nodes[i] = data
	}
	return json.Marshal(form)
}

func (n Node) encode() ([]byte, error) {
	op, err := json.Marshal(n.Op)
	if err != nil {
		return nil, err
	}
	return json.Marshal(nodeJSON{Name: n.Name, Kind: n.Op.Kind(), Op: op, Inputs: n.Inputs, Output: n.Output})
}

func (n *Node) decode(data []byte) error {
	var form nodeJSON
	if err := decodeStrict(data, &form); err != nil {
		return err
	}
	construct, ok := registry[form.Kind]
	if !ok {
		return fmt.Errorf("unknown kind %q", form.Kind)
	}
	op := construct()
	if err := decodeStrict(form.Op, op); err != nil {
		return fmt.Errorf("%s: %w", form.Kind, err)
	}
	*n = Node{Name: form.Name, Op: op, Inputs: form.Inputs, Output: form.Output}
	return nil
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
	decoded := Graph{Name: form.Name, Inputs: form.Inputs, Outputs: form.Outputs}
	for i, data := range form.Nodes {
		var n Node
		if err := n.decode(data); err != nil {
			return fmt.Errorf("decode node %d: %w", i, err)
		}
		decoded.Nodes = append(decoded.Nodes, n)
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
