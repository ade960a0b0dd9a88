package model

import (
	"math/rand/v2"
	"testing"
)

// mnistGraph is a convolutional network of the size that the recipes use for 28×28 images.
func mnistGraph(t testing.TB) *Graph {
	r := rand.New(rand.NewPCG(1, 2))
	g, err := New("mnist", Shape{1, 28, 28}).
		Conv(randomTensor(r, 8, 1, 5, 5), nil, Window{Stride: []int{2, 2}, Pads: []int{2, 2, 2, 2}}).Square().
		Conv(randomTensor(r, 16, 8, 3, 3), nil, Window{Pads: []int{1, 1, 1, 1}}).
		AveragePool([]int{2, 2}, Window{Stride: []int{2, 2}}).Square().
		Flatten().Dense(randomTensor(r, 64, 784), nil).Square().Dense(randomTensor(r, 10, 64), nil).Graph()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func randomTensor(r *rand.Rand, shape ...int) Tensor {
	t := NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = r.NormFloat64()
	}
	return t
}

func BenchmarkRunRows(b *testing.B) {
	g := mnistGraph(b)
	rows := make([][]float64, 1000)
	for i := range rows {
		rows[i] = randomTensor(rand.New(rand.NewPCG(uint64(i), 0)), 784).Data
	}
	for b.Loop() {
		if _, err := g.RunRows(rows); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLower(b *testing.B) {
	g := mnistGraph(b)
	conv := g.Nodes[2].Op.(Affine)
	pool := g.Nodes[3].Op.(Affine)
	for b.Loop() {
		first, err := conv.Lower(Shape{8, 14, 14})
		if err != nil {
			b.Fatal(err)
		}
		second, err := pool.Lower(Shape{16, 14, 14})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := first.Compose(second); err != nil {
			b.Fatal(err)
		}
	}
}
