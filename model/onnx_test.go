package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cipherpoint/internal/testdata"
)

// onnxCases are operator cases published by the ONNX project, with the operators and attributes of their models
// written by hand; w holds the model's initialisers.
var onnxCases = map[string]func(b *Builder, w map[string]Tensor) *Builder{
	"AvgPool1d": func(b *Builder, _ map[string]Tensor) *Builder {
		return b.AveragePool([]int{2}, Window{Stride: []int{2}})
	},
	"AvgPool2d": func(b *Builder, _ map[string]Tensor) *Builder {
		return b.AveragePool([]int{2, 2}, Window{Stride: []int{2, 2}})
	},
	"BatchNorm2d_eval": func(b *Builder, w map[string]Tensor) *Builder {
		return b.BatchNorm(w["1"].Data, w["2"].Data, w["3"].Data, w["4"].Data, float64(float32(1e-5)))
	},
	"Conv1d":           conv(1, Window{}),
	"Conv2d":           conv(1, Window{}),
	"Conv2d_no_bias":   conv(1, Window{}),
	"Conv2d_depthwise": conv(4, Window{}),
	"Conv2d_groups":    conv(2, Window{}),
	"Conv2d_dilated":   conv(1, Window{Stride: []int{2, 2}, Pads: []int{1, 1, 1, 1}, Dilation: []int{2, 2}}),
	"Conv2d_padding":   conv(1, Window{Stride: []int{2, 2}, Pads: []int{1, 1, 1, 1}}),
	"Conv2d_strided":   conv(1, Window{Stride: []int{2, 2}}),
	"ELU":              activation(ELU, 2, 0),
	"Embedding":        func(b *Builder, w map[string]Tensor) *Builder { return b.Apply(&Embedding{Table: w["1"]}) },
	"LeakyReLU":        activation(LeakyReLU, 0.01, 0),
	"Linear":           func(b *Builder, w map[string]Tensor) *Builder { return b.Dense(w["1"], w["2"].Data) },
	"Linear_no_bias":   func(b *Builder, w map[string]Tensor) *Builder { return b.Dense(w["1"], nil) },
	"LogSoftmax":       func(b *Builder, _ map[string]Tensor) *Builder { return b.LogSoftmax() },
	"MaxPool2d": func(b *Builder, _ map[string]Tensor) *Builder {
		return b.MaxPool([]int{3, 3}, Window{Stride: []int{2, 2}, Pads: []int{1, 1, 1, 1}})
	},
	"PReLU_1d": func(b *Builder, w map[string]Tensor) *Builder {
		return b.LeakyReLU(w["1"].Data[0])
	},
	"ReLU":     activation(ReLU, 0, 0),
	"SELU":     activation(SELU, 1.6732631921768188, 1.0507010221481323),
	"Sigmoid":  activation(Sigmoid, 0, 0),
	"Softmax":  func(b *Builder, _ map[string]Tensor) *Builder { return b.Softmax() },
	"Softplus": activation(Softplus, 0, 0),
	"Softsign": activation(Softsign, 0, 0),
	"Tanh":     activation(Tanh, 0, 0),
	"ZeroPad2d": func(b *Builder, _ map[string]Tensor) *Builder {
		return b.Pad([]int{0, 3, 1}, []int{0, 4, 2}, 0)
	},
	"operator_clip":    func(b *Builder, _ map[string]Tensor) *Builder { return b.Clip(-0.5, 0.5) },
	"operator_exp":     activation(Exp, 0, 0),
	"operator_flatten": func(b *Builder, _ map[string]Tensor) *Builder { return b.Flatten() },
	"operator_mm": func(b *Builder, w map[string]Tensor) *Builder {
		return b.MatMul(w["input_1"])
	},
	"operator_addmm": func(b *Builder, w map[string]Tensor) *Builder {
		// The model adds the product of the same matrices twice.
		x := b.Value()
		sum := b.MatMul(w["input_1"]).Scale([]float64{1}, w["input_2"].Data).Value()
		return b.From(x).MatMul(w["input_1"]).Add(sum)
	},
	"operator_reduced_mean": func(b *Builder, _ map[string]Tensor) *Builder { return b.ReduceMean(1) },
}

func conv(groups int, window Window) func(*Builder, map[string]Tensor) *Builder {
	return func(b *Builder, w map[string]Tensor) *Builder {
		return b.Apply(&Conv{Weight: w["1"], Bias: w["2"].Data, Groups: groups, Window: window})
	}
}

func activation(f Function, alpha, beta float64) func(*Builder, map[string]Tensor) *Builder {
	return func(b *Builder, _ map[string]Tensor) *Builder {
		return b.Apply(&Activation{Function: f, Alpha: alpha, Beta: beta})
	}
}

func TestOnnxCases(t *testing.T) {
	folder := filepath.Join(testdata.Dir(t), "onnx", "conformance")
	for name, build := range onnxCases {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(folder, "test_"+name)
			weights, err := onnxInitializers(mustRead(t, filepath.Join(dir, "model.onnx")))
			if err != nil {
				t.Fatal(err)
			}
			for _, extra := range []string{"input_1", "input_2"} {
				if data, err := os.ReadFile(filepath.Join(dir, "test_data_set_0", extra+".pb")); err == nil {
					if _, weights[extra], err = onnxTensor(data); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, input, err := onnxTensor(mustRead(t, filepath.Join(dir, "test_data_set_0", "input_0.pb")))
			if err != nil {
				t.Fatal(err)
			}
			_, want, err := onnxTensor(mustRead(t, filepath.Join(dir, "test_data_set_0", "output_0.pb")))
			if err != nil {
				t.Fatal(err)
			}
			g, err := build(New(name, input.Shape[1:]), weights).Graph()
			if err != nil {
				t.Fatal(err)
			}
			got, err := g.RunRows(samples(input))
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range samples(want) {
				if !near(got[i], row, 1e-4, 1e-5) {
					t.Errorf("sample %d: got %v, want %v", i, got[i], row)
				}
			}
		})
	}
}

// samples splits a tensor at its first dimension, the batch.
func samples(t Tensor) [][]float64 {
	rows := make([][]float64, t.Shape[0])
	each := len(t.Data) / len(rows)
	for i := range rows {
		rows[i] = t.Data[i*each : (i+1)*each]
	}
	return rows
}

func near(got, want []float64, relative, absolute float64) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= absolute+relative*math.Abs(want[i])) {
			return false
		}
	}
	return true
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// onnxInitializers reads ModelProto.graph.initializer.
func onnxInitializers(data []byte) (map[string]Tensor, error) {
	tensors := map[string]Tensor{}
	return tensors, protoFields(data, func(number int, _ uint64, data []byte) error {
		if number != 7 {
			return nil
		}
		return protoFields(data, func(number int, _ uint64, data []byte) error {
			if number != 5 {
				return nil
			}
			name, t, err := onnxTensor(data)
			tensors[name] = t
			return err
		})
	})
}

// onnxTensor reads a TensorProto of type float (1) or int64 (7) with raw data.
func onnxTensor(data []byte) (name string, t Tensor, err error) {
	t.Shape = Shape{}
	kind := uint64(0)
	var raw []byte
	err = protoFields(data, func(number int, v uint64, data []byte) error {
		switch number {
		case 1:
			t.Shape = append(t.Shape, int(v))
		case 2:
			kind = v
		case 8:
			name = string(data)
		case 9:
			raw = data
		}
		return nil
	})
	for len(raw) >= 4 {
		switch kind {
		case 1:
			t.Data, raw = append(t.Data, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))), raw[4:]
		case 7:
			t.Data, raw = append(t.Data, float64(int64(binary.LittleEndian.Uint64(raw)))), raw[8:]
		default:
			return "", t, fmt.Errorf("tensor type %d", kind)
		}
	}
	if err == nil {
		err = t.check()
	}
	return name, t, err
}

// protoFields calls f for every field of a protobuf message: with v for a number, with data for bytes.
func protoFields(data []byte, f func(number int, v uint64, data []byte) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		data = data[max(n, 0):]
		v, m := binary.Uvarint(data)
		var payload []byte
		switch {
		case n <= 0:
			return errors.New("bad tag")
		case tag&7 == 0 && m > 0:
			data = data[m:]
		case tag&7 == 2 && m > 0 && v <= uint64(len(data)-m):
			payload, data = data[m:m+int(v)], data[m+int(v):]
		case tag&7 == 5 && len(data) >= 4:
			data = data[4:]
		default:
			return fmt.Errorf("bad field of wire type %d", tag&7)
		}
		if err := f(int(tag>>3), v, payload); err != nil {
			return err
		}
	}
	return nil
}
