package client_test

import (
	"math"
	"testing"

	"cipherpoint/client"
	"cipherpoint/compiler"
	"cipherpoint/deployment"
	"cipherpoint/internal/race"
	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/model/train"
)

// saveBatch trains a small network on digits and writes it, compiled for batches, to a folder.
func saveBatch(t testing.TB) (dir string, graph *model.Graph, test *dataset.Set) {
	t.Helper()
	if race.Enabled {
		t.Skip("the training library's pointer arithmetic stops under the race detector")
	}
	digits, err := dataset.Digits()
	if err != nil {
		t.Fatal(err)
	}
	graph, err = train.Network{Input: digits.Shape, Scaling: train.Scale(1.0 / 16), Layers: []train.Layer{train.Dense{Units: 12}, train.Square{}, train.Dense{Units: 10}}}.
		Fit(digits, train.Options{Epochs: 8, Batch: 64, LearningRate: 0.01, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(graph, digits.X[:256], compiler.Options{Packing: compiler.PackBatch, Classes: digits.Labels})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	artifact := deployment.FHEModelDev{Name: "digits", Kind: "network", Circuit: compiled.Circuit, Pipeline: compiled.Pipeline}
	if err := artifact.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir, graph, digits
}

func TestInferBatch(t *testing.T) {
	dir, graph, digits := saveBatch(t)
	e := start(t, dir, t.TempDir())
	c := dial(t, e.url, "", client.Options{})
	description, err := c.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := client.Read(description.ClientZip)
	if err != nil {
		t.Fatal(err)
	}
	size := m.BatchSize()
	if size < 4096 || description.BatchSize != int64(size) {
		t.Fatalf("batches of %d, described as %d", size, description.BatchSize)
	}
	if err := m.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	keys, err := m.EvaluationKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	uid := user{m, keys}.upload(t, c, client.Upload{})
	// The second batch is not full.
	rows := digits.X
	for len(rows) <= size {
		rows = append(rows[:len(rows):len(rows)], digits.X...)
	}
	answers, err := m.InferBatch(t.Context(), c, uid, rows[:size+3])
	if err != nil {
		t.Fatal(err)
	}
	clear, err := graph.RunRows(digits.X)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != size+3 {
		t.Fatalf("%d answers to %d rows", len(answers), size+3)
	}
	differ := 0
	for i, a := range answers {
		want, largest := clear[i%len(clear)], 0.0
		best := 0
		for k, v := range want {
			largest = max(largest, math.Abs(v-a.Values[k]))
			if v > want[best] {
				best = k
			}
		}
		if best != a.Label {
			differ++
		}
		if !(largest < 0.1) {
			t.Fatalf("row %d: %v, in clear %v", i, a.Values, want)
		}
	}
	if differ > len(answers)/500 {
		t.Errorf("%d of %d labels differ", differ, len(answers))
	}

	// Hostile requests.
	batch, err := m.EncryptBatch(t.Context(), rows[:1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.InferMany(t.Context(), uid, [][]byte{batch, batch}); client.CodeOf(err) != client.TooLarge {
		t.Errorf("two batches in a request: %v", err)
	}
	if _, err := c.Infer(t.Context(), uid, batch[:len(batch)-1]); client.CodeOf(err) != client.InvalidInput {
		t.Errorf("a batch cut short: %v", err)
	}
	for i := range 16 {
		batch[len(batch)-1-i] = 0xff
	}
	if _, err := c.Infer(t.Context(), uid, batch); client.CodeOf(err) != client.InvalidInput {
		t.Errorf("a batch out of range: %v", err)
	}
	if _, err := m.EncryptBatch(t.Context(), rows[:size+1]); err == nil {
		t.Error("too many rows are encrypted")
	}
	if _, err := m.QuantizeEncryptSerialize(rows[0]); err == nil {
		t.Error("a row is encrypted without its batch")
	}
	if _, err := m.DeserializeDecryptDequantize(nil); err == nil {
		t.Error("a batch is decrypted as a row")
	}
}
