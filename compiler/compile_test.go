package compiler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"cipherpoint/model"
)

func randomTensor(r *rand.Rand, std float64, shape ...int) model.Tensor {
	t := model.NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = std * r.NormFloat64()
	}
	return t
}

func randomRows(r *rand.Rand, n, size int) [][]float64 {
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = randomTensor(r, 1, size).Data
	}
	return rows
}

