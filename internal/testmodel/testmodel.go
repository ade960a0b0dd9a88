// Package testmodel gives tests a small compiled model: a network of two layers that compiles in a moment, once a test
// binary.
package testmodel

import (
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

var small = sync.OnceValues(func() (*Model, error) { return compile(1, 6) })

// foreign differs in everything.
var foreign = sync.OnceValues(func() (*Model, error) { return compile(2, 4) })

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

func compile(seed uint64, features int) (*Model, error) {
	r := rand.New(rand.NewPCG(seed, 0))
	normal := func(std float64, shape ...int) model.Tensor {
		t := model.NewTensor(shape)
		for i := range t.Data {
			t.Data[i] = std * r.NormFloat64()
		}
		return t
	}
	hidden := 2 * features
	b := model.New("small", model.Shape{features})
	b.Dense(normal(0.4, hidden, features), nil).Square().Dense(normal(0.4, len(Classes), hidden), nil).Softmax()
	graph, err := b.Graph()
	if err != nil {
		return nil, err
	}
	rows := make([][]float64, 64)
	for i := range rows {
		rows[i] = normal(1, features).Data
	}
	result, err := compiler.Compile(graph, rows, compiler.Options{Classes: Classes})
	if err != nil {
		return nil, err
	}
	return &Model{
		FHEModelDev:   deployment.FHEModelDev{Name: "small", Kind: "network", Circuit: result.Circuit, Pipeline: result.Pipeline},
		Graph:         graph,
		Rows:          rows,
		MaxScoreError: result.MaxScoreError,
	}, nil
}
