package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/x448/float16"

	"cipherpoint/model"
)

// Element types of onnx.TensorProto that are read.
const (
	float32Type  = 1
	uint8Type    = 2
	int8Type     = 3
	uint16Type   = 4
	int16Type    = 5
	int32Type    = 6
	int64Type    = 7
	stringType   = 8
	boolType     = 9
	float16Type  = 10
	float64Type  = 11
	uint32Type   = 12
	uint64Type   = 13
	bfloat16Type = 16
)

var typeNames = map[int64]string{
	float32Type: "float", uint8Type: "uint8", int8Type: "int8", uint16Type: "uint16", int16Type: "int16", int32Type: "int32",
	int64Type: "int64", stringType: "string", boolType: "bool", float16Type: "float16", float64Type: "double",
	uint32Type: "uint32", uint64Type: "uint64", bfloat16Type: "bfloat16", 14: "complex64", 15: "complex128",
	17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
}

func typeName(kind int64) string {
	if name, ok := typeNames[kind]; ok {
		return name
	}
	return fmt.Sprintf("type %d", kind)
}

func isFloat(kind int64) bool {
	return kind == float32Type || kind == float64Type || kind == float16Type || kind == bfloat16Type
}

func isInteger(kind int64) bool {
	switch kind {
	case uint8Type, int8Type, uint16Type, int16Type, int32Type, int64Type, uint32Type, uint64Type:
		return true
	}
	return false
}

// widths are the bytes of an element in raw_data.
var widths = map[int64]int{
	float32Type: 4, uint8Type: 1, int8Type: 1, uint16Type: 2, int16Type: 2, int32Type: 4, int64Type: 8, boolType: 1,
	float16Type: 2, float64Type: 8, uint32Type: 4, uint64Type: 8, bfloat16Type: 2,
}

// value decodes a tensor, whose dimensions have to fit the data that is there.
func (t *tensorProto) value() (value, error) {
	if t.external {
		return value{}, errors.New("its numbers are in another file: save the model as one file (onnx.save_model with save_as_external_data=False)")
	}
	if t.segment {
		return value{}, errors.New("it is stored in segments: save the model as one file")
	}
	if t.kind != stringType && widths[t.kind] == 0 {
		return value{}, fmt.Errorf("elements of %s are not read: store it as float", typeName(t.kind))
	}
	if len(t.dims) > model.MaxRank {
		return value{}, fmt.Errorf("has %d dimensions: at most %d are read", len(t.dims), model.MaxRank)
	}
	held := t.held()
	dims, size := make([]int, len(t.dims)), 1
	for i, d := range t.dims {
		if d < 0 || size > 0 && d > int64(held/size) && d != 0 {
			return value{}, fmt.Errorf("dimensions %v do not fit its %d numbers", t.dims, held)
		}
		dims[i] = int(d)
		size *= dims[i]
	}
	if size != held {
		return value{}, fmt.Errorf("dimensions %v do not fit its %d numbers", t.dims, held)
	}
	v := value{kind: t.kind, dims: dims, shape: canonical(dims), known: true}
	if t.kind == stringType {
		for i, s := range t.strings {
			v.data, v.labels = append(v.data, float64(i)), append(v.labels, string(s))
		}
		return v, nil
	}
	v.data = make([]float64, size)
	for i := range v.data {
		v.data[i] = t.element(i)
	}
	return v, nil
}

// held is the number of elements that the tensor holds.
func (t *tensorProto) held() int {
	switch {
	case t.kind == stringType:
		return len(t.strings)
	case t.hasRaw:
		if len(t.raw)%widths[t.kind] != 0 {
			return -1
		}
		return len(t.raw) / widths[t.kind]
	case t.kind == float32Type:
		return len(t.floats) / 4
	case t.kind == float64Type:
		return len(t.doubles) / 8
	default:
		return len(t.ints)
	}
}

func (t *tensorProto) element(i int) float64 {
	order := binary.LittleEndian
	if !t.hasRaw {
		switch t.kind {
		case float32Type:
			return float64(math.Float32frombits(order.Uint32(t.floats[4*i:])))
		case float64Type:
			return math.Float64frombits(order.Uint64(t.doubles[8*i:]))
		case float16Type:
			return float64(float16.Frombits(uint16(t.ints[i])).Float32())
		case bfloat16Type:
			return float64(math.Float32frombits(uint32(uint16(t.ints[i])) << 16))
		case uint64Type:
			return float64(uint64(t.ints[i]))
		default:
			return float64(t.ints[i])
		}
	}
	b := t.raw[i*widths[t.kind]:]
	switch t.kind {
	case float32Type:
		return float64(math.Float32frombits(order.Uint32(b)))
	case float64Type:
		return math.Float64frombits(order.Uint64(b))
	case float16Type:
		return float64(float16.Frombits(order.Uint16(b)).Float32())
	case bfloat16Type:
		return float64(math.Float32frombits(uint32(order.Uint16(b)) << 16))
	case uint8Type:
		return float64(b[0])
	case int8Type:
		return float64(int8(b[0]))
	case boolType:
		if b[0] != 0 {
			return 1
		}
		return 0
	case uint16Type:
		return float64(order.Uint16(b))
	case int16Type:
		return float64(int16(order.Uint16(b)))
	case int32Type:
		return float64(int32(order.Uint32(b)))
	case uint32Type:
		return float64(order.Uint32(b))
	case int64Type:
		return float64(int64(order.Uint64(b)))
	default:
		return float64(order.Uint64(b))
	}
}

// Tensor reads a serialised onnx.TensorProto of numbers, as the inputs and outputs beside published models are.
func Tensor(data []byte) (model.Tensor, error) {
	if len(data) > maxBytes {
		return model.Tensor{}, fmt.Errorf("tensor of %d bytes: at most %d are read", len(data), maxBytes)
	}
	t, err := new(decoder).tensor(data)
	if err != nil {
		return model.Tensor{}, err
	}
	v, err := t.value()
	if err != nil {
		return model.Tensor{}, err
	}
	if v.kind == stringType {
		return model.Tensor{}, errors.New("tensor holds text")
	}
	return model.Tensor{Shape: model.Shape(v.dims), Data: v.data}, nil
}
