package onnx

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds on a file, so that one made to harm takes no more memory than some times its own length. A message of two
// bytes becomes a struct of a hundred: their number is bounded apart from the length.
const (
	maxBytes      = 1 << 29
	maxMessages   = 1 << 20 // nodes, attributes, tensors, inputs, functions
	maxGraphDepth = 4       // graphs within attributes
)

// The parts of onnx.proto that an import reads; byte slices are parts of the file.
type (
	modelProto struct {
		irVersion                 int64
		producer, producerVersion string
		opsets                    map[string]int64
		graph                     *graphProto
		functions                 []*functionProto
	}
	graphProto struct {
		name            string
		nodes           []*nodeProto
		initializers    []*tensorProto
		sparse          int
		inputs, outputs []*portProto
	}
	functionProto struct {
		domain, name    string
		inputs, outputs []string
		attributes      []string
		defaults        []*attributeProto
		nodes           []*nodeProto
		opsets          map[string]int64
	}
	nodeProto struct {
		name, kind, domain string
		inputs, outputs    []string
		attributes         []*attributeProto
	}
	attributeProto struct {
		name, reference string
		f               float32
		i               int64
		s               []byte
		t               *tensorProto
		g               *graphProto
		floats          []float64
		ints            []int64
		strings         [][]byte
	}
	tensorProto struct {
		name     string
		dims     []int64
		kind     int64
		floats   []byte // fixed 32-bit, as they stand in the file
		doubles  []byte
		ints     []int64 // int32_data, int64_data and uint64_data
		strings  [][]byte
		raw      []byte
		hasRaw   bool
		external bool
		segment  bool
	}
	portProto struct {
		name     string
		kind     int64 // of the elements; 0 for what is no tensor
		ranked   bool
		dims     []dimension
		sequence bool
	}
	// dimension is a size or, where that is 0, a name.
	dimension struct {
		size int64
		name string
	}
)

// field is one field of a message: number is of a varint or fixed field, data of one with a length.
type field struct {
	id     protowire.Number
	wire   protowire.Type
	number uint64
	data   []byte
}

var errWire = errors.New("is no protobuf message of ONNX")

// each calls f for every field of a message.
func each(data []byte, f func(field) error) error {
	for len(data) > 0 {
		id, wire, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errWire
		}
		data = data[n:]
		v := field{id: id, wire: wire}
		switch wire {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(data)
			v.number = uint64(bits)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			v.data, n = protowire.ConsumeBytes(data)
		default:
			return errWire
		}
		if n < 0 {
			return errWire
		}
		data = data[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// appendInts adds the values of a repeated integer, packed or not.
func appendInts(list []int64, f field) ([]int64, error) {
	if f.wire == protowire.VarintType {
		return append(list, int64(f.number)), nil
	}
	data := f.data
	for len(data) > 0 {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return nil, errWire
		}
		list, data = append(list, int64(v)), data[n:]
	}
	return list, nil
}

// appendFloats adds the values of a repeated float, packed or not.
func appendFloats(list []float64, f field) ([]float64, error) {
	if f.wire == protowire.Fixed32Type {
		return append(list, float64(math.Float32frombits(uint32(f.number)))), nil
	}
	if len(f.data)%4 != 0 {
		return nil, errWire
	}
	for data := f.data; len(data) > 0; data = data[4:] {
		bits, _ := protowire.ConsumeFixed32(data)
		list = append(list, float64(math.Float32frombits(bits)))
	}
	return list, nil
}

// appendFixed adds to the bytes of a repeated fixed-width number, packed or not.
func appendFixed(list []byte, f field) []byte {
	switch {
	case f.wire == protowire.Fixed32Type:
		return protowire.AppendFixed32(list, uint32(f.number))
	case f.wire == protowire.Fixed64Type:
		return protowire.AppendFixed64(list, f.number)
	case list == nil:
		return f.data
	default:
		return append(list[:len(list):len(list)], f.data...)
	}
}

// decoder counts messages.
type decoder struct{ messages int }

func (d *decoder) count() error {
	if d.messages++; d.messages > maxMessages {
		return fmt.Errorf("has more than %d nodes, attributes and tensors", maxMessages)
	}
	return nil
}

func decodeModel(data []byte) (*modelProto, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("has %d bytes: at most %d are read", len(data), maxBytes)
	}
	d := new(decoder)
	m := &modelProto{opsets: map[string]int64{}}
	err := each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			m.irVersion = int64(f.number)
		case 2:
			m.producer = string(f.data)
		case 3:
			m.producerVersion = string(f.data)
		case 7:
			if m.graph != nil {
				return errors.New("has two graphs")
			}
			m.graph, err = d.graph(f.data, 0)
		case 8:
			err = d.opset(m.opsets, f.data)
		case 25:
			var function *functionProto
			function, err = d.function(f.data)
			m.functions = append(m.functions, function)
		}
		return err
	})
	if err == nil && m.graph == nil {
		err = errWire
	}
	return m, err
}

func (d *decoder) opset(into map[string]int64, data []byte) error {
	domain, version := "", int64(0)
	err := each(data, func(f field) error {
		switch f.id {
		case 1:
			domain = string(f.data)
		case 2:
			version = int64(f.number)
		}
		return nil
	})
	if domain == "ai.onnx" {
		domain = ""
	}
	into[domain] = version
	if err == nil {
		err = d.count()
	}
	return err
}

func (d *decoder) graph(data []byte, depth int) (*graphProto, error) {
	if depth > maxGraphDepth {
		return nil, fmt.Errorf("has graphs nested more than %d deep", maxGraphDepth)
	}
	g := new(graphProto)
	return g, each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			var n *nodeProto
			n, err = d.node(f.data, depth)
			g.nodes = append(g.nodes, n)
		case 2:
			g.name = string(f.data)
		case 5:
			var t *tensorProto
			t, err = d.tensor(f.data)
			g.initializers = append(g.initializers, t)
		case 11:
			var p *portProto
			p, err = d.port(f.data)
			g.inputs = append(g.inputs, p)
		case 12:
			var p *portProto
			p, err = d.port(f.data)
			g.outputs = append(g.outputs, p)
		case 15:
			g.sparse++
		}
		return err
	})
}

func (d *decoder) function(data []byte) (*functionProto, error) {
	p := &functionProto{opsets: map[string]int64{}}
	if err := d.count(); err != nil {
		return nil, err
	}
	return p, each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			p.name = string(f.data)
		case 4:
			p.inputs = append(p.inputs, string(f.data))
		case 5:
			p.outputs = append(p.outputs, string(f.data))
		case 6:
			p.attributes = append(p.attributes, string(f.data))
		case 7:
			var n *nodeProto
			n, err = d.node(f.data, 0)
			p.nodes = append(p.nodes, n)
		case 9:
			err = d.opset(p.opsets, f.data)
		case 10:
			p.domain = string(f.data)
		case 11:
			var a *attributeProto
			a, err = d.attribute(f.data, 0)
			p.defaults = append(p.defaults, a)
		}
		return err
	})
}

func (d *decoder) node(data []byte, depth int) (*nodeProto, error) {
	n := new(nodeProto)
	if err := d.count(); err != nil {
		return nil, err
	}
	return n, each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			n.inputs = append(n.inputs, string(f.data))
		case 2:
			n.outputs = append(n.outputs, string(f.data))
		case 3:
			n.name = string(f.data)
		case 4:
			n.kind = string(f.data)
		case 5:
			var a *attributeProto
			a, err = d.attribute(f.data, depth)
			n.attributes = append(n.attributes, a)
		case 7:
			n.domain = string(f.data)
			if n.domain == "ai.onnx" {
				n.domain = ""
			}
		}
		return err
	})
}

func (d *decoder) attribute(data []byte, depth int) (*attributeProto, error) {
	a := new(attributeProto)
	if err := d.count(); err != nil {
		return nil, err
	}
	return a, each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			a.name = string(f.data)
		case 2:
			a.f = math.Float32frombits(uint32(f.number))
		case 3:
			a.i = int64(f.number)
		case 4:
			a.s = f.data
		case 5:
			a.t, err = d.tensor(f.data)
		case 6:
			a.g, err = d.graph(f.data, depth+1)
		case 7:
			a.floats, err = appendFloats(a.floats, f)
		case 8:
			a.ints, err = appendInts(a.ints, f)
		case 9:
			a.strings = append(a.strings, f.data)
		case 21:
			a.reference = string(f.data)
		}
		return err
	})
}

func (d *decoder) tensor(data []byte) (*tensorProto, error) {
	t := new(tensorProto)
	if err := d.count(); err != nil {
		return nil, err
	}
	return t, each(data, func(f field) (err error) {
		switch f.id {
		case 1:
			t.dims, err = appendInts(t.dims, f)
		case 2:
			t.kind = int64(f.number)
		case 3:
			t.segment = true
		case 4:
			t.floats = appendFixed(t.floats, f)
		case 5, 7, 11:
			t.ints, err = appendInts(t.ints, f)
		case 6:
			t.strings = append(t.strings, f.data)
		case 8:
			t.name = string(f.data)
		case 9:
			t.raw, t.hasRaw = f.data, true
		case 10:
			t.doubles = appendFixed(t.doubles, f)
		case 13:
			t.external = true
		case 14:
			t.external = t.external || f.number == 1
		}
		return err
	})
}

func (d *decoder) port(data []byte) (*portProto, error) {
	p := new(portProto)
	if err := d.count(); err != nil {
		return nil, err
	}
	// ValueInfoProto.type.tensor_type, or sequence_type for the maps that ZipMap makes.
	return p, each(data, func(f field) error {
		switch f.id {
		case 1:
			p.name = string(f.data)
		case 2:
			return each(f.data, func(f field) error {
				switch f.id {
				case 1:
					return d.tensorType(p, f.data)
				case 4:
					p.sequence = true
				}
				return nil
			})
		}
		return nil
	})
}

func (d *decoder) tensorType(p *portProto, data []byte) error {
	return each(data, func(f field) error {
		switch f.id {
		case 1:
			p.kind = int64(f.number)
		case 2:
			p.ranked = true
			return each(f.data, func(f field) error {
				if f.id != 1 {
					return nil
				}
				var dim dimension
				if err := each(f.data, func(f field) error {
					switch f.id {
					case 1:
						dim.size = int64(f.number)
					case 2:
						dim.name = string(f.data)
					}
					return nil
				}); err != nil {
					return err
				}
				p.dims = append(p.dims, dim)
				return d.count()
			})
		}
		return nil
	})
}
