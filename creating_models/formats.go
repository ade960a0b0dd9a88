package main

import (
	"errors"
	"fmt"
	"strings"

	"cipherpoint/compiler"
	"cipherpoint/model"
	"cipherpoint/model/lightgbm"
	"cipherpoint/model/onnx"
	"cipherpoint/model/xgboost"
)

// format is a kind of model file, told by its content.
type format struct {
	name string
	is   func(data []byte) bool
	// read gets the number of values in a calibration row, for files that leave it open.
	read func(data []byte, features int) (*model.Imported, error)
}

// formats are tried in this order.
var formats = []format{
	{"XGBoost", xgboost.Is, plainly(xgboost.Read)},
	{"LightGBM", lightgbm.Is, plainly(lightgbm.Read)},
	{"ONNX", onnx.Detect, readONNX},
}

func plainly(read func([]byte) (*model.Imported, error)) func([]byte, int) (*model.Imported, error) {
	return func(data []byte, _ int) (*model.Imported, error) { return read(data) }
}

func readONNX(data []byte, features int) (*model.Imported, error) {
	m, err := onnx.Read(data, onnx.Options{Features: features})
	if err != nil {
		return nil, err
	}
	return m.Serve()
}

// readModel reads a model file of any format, as far as possible in operators that can run encrypted.
func readModel(data []byte, features int) (*model.Imported, error) {
	var names []string
	for _, f := range formats {
		if f.is(data) {
			imported, err := f.read(data, features)
			if err == nil {
				imported.Graph, err = compiler.Rewrite(imported.Graph)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			return imported, nil
		}
		names = append(names, f.name)
	}
	return nil, errors.New("format is not known: files of " + strings.Join(names, ", ") + " are read")
}
