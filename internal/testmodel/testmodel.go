// Package testmodel gives tests a small compiled model: a network of two layers that compiles in a moment, once a test
// binary.
package testmodel

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"cipherpoint/compiler"
	"cipherpoint/deployment"
	"cipherpoint/model"
)

// Model is a compiled model, its float graph, and rows to ask it about.
type Model struct {
	deployment.FHEModelDev
	Graph *model.Graph
	Rows  [][]float64
	// MaxScoreError is the bound on the error of a score that it was compiled for.
	MaxScoreError float64
}

// Classes are the names of its labels.
var Classes = []string{"zero", "one", "two"}

var small = sync.OnceValues(func() (*Model, error) { return Network("small", 1, rows(1, 6), Classes) })

// foreign differs in everything.
var foreign = sync.OnceValues(func() (*Model, error) { return Network("foreign", 2, rows(2, 4), Classes) })

// Small returns a classifier of three classes with six features.
func Small(t testing.TB) *Model { return get(t, small) }

// Foreign returns another model, with other evaluation keys.
func Foreign(t testing.TB) *Model { return get(t, foreign) }

func get(t testing.TB, compiled func() (*Model, error)) *Model {
	t.Helper()
	m, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Save writes the model into a folder that is removed after the test, and returns it.
func (m *Model) Save(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := m.FHEModelDev.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rows(seed uint64, features int) [][]float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([][]float64, 64)
	for i := range rows {
		rows[i] = normal(r, 1, features).Data
	}
	return rows
}

func normal(r *rand.Rand, deviation float64, shape ...int) model.Tensor {
	t := model.NewTensor(shape)
	for i := range t.Data {
		t.Data[i] = deviation * r.NormFloat64()
	}
	return t
}

// Network compiles a network with random weights for rows, which it is calibrated on.
func Network(name string, seed uint64, rows [][]float64, classes []string) (*Model, error) {
	const hidden = 12
	r := rand.New(rand.NewPCG(seed, 0))
	features := len(rows[0])
	square := 0.0
	for _, row := range rows {
		for _, x := range row {
			square += x * x / float64(len(rows))
		}
	}
	b := model.New(name, model.Shape{features})
	b.Dense(normal(r, 1/math.Sqrt(square), hidden, features), nil).Square().Dense(normal(r, 0.5, len(classes), hidden), nil).Softmax()
	graph, err := b.Graph()
	if err != nil {
		return nil, err
	}
	result, err := compiler.Compile(graph, rows, compiler.Options{Classes: classes})
	if err != nil {
		return nil, err
	}
	return &Model{
		FHEModelDev:   deployment.FHEModelDev{Name: name, Kind: "network", Circuit: result.Circuit, Pipeline: result.Pipeline},
		Graph:         graph,
		Rows:          rows,
		MaxScoreError: result.MaxScoreError,
	}, nil
}
