package model_test

import (
	"encoding/json"
	"fmt"

	"cipherpoint/model"
)

// A linear model with its link function, run, written and read again.
func ExampleNew() {
	b := model.New("risk", model.Shape{2})
	b.Scale([]float64{0.5, 0.1}, []float64{-1, 0}) // the scaler
	b.Dense(model.Tensor{Shape: model.Shape{1, 2}, Data: []float64{2, -1}}, []float64{0.5})
	b.Sigmoid()
	graph, err := b.Graph()
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := json.Marshal(graph)
	if err != nil {
		fmt.Println(err)
		return
	}
	var read model.Graph
	if err := json.Unmarshal(data, &read); err != nil {
		fmt.Println(err)
		return
	}
	scores, err := read.RunRows([][]float64{{2, 5}, {4, 0}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", scores)
	// Output: [[0.5000] [0.9241]]
}

// Two dense layers are one affine map.
func ExampleAffineMap_Compose() {
	first := &model.Dense{Weight: model.Tensor{Shape: model.Shape{2, 2}, Data: []float64{1, 1, 0, 1}}}
	second := &model.Dense{Weight: model.Tensor{Shape: model.Shape{1, 2}, Data: []float64{1, -1}}, Bias: []float64{3}}
	a, err := first.Lower(model.Shape{2})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := second.Lower(model.Shape{2})
	if err != nil {
		fmt.Println(err)
		return
	}
	both, err := a.Compose(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(both.Matrix.NNZ(), both.Matrix.Column, both.Matrix.Value, both.Bias)
	// Output: 1 [0] [1] [3]
}
