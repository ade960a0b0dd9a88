// Package recipes holds the models that ship with the project. A recipe is one short file: where the data comes from,
// how the model is trained, what accuracy it must reach. Copy one, change it, and add it to All.
package recipes

import (
	"context"
	"fmt"
	"strings"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
	"cipherpoint/pipeline"
)

// Recipe makes one model. It is deterministic: the same data give the same model.
type Recipe struct {
	Name        string
	Kind        string // of model, a few words
	Description string // one sentence
	Data        string // where the data comes from
	Seed        uint64 // of the split and of training
	MinAccuracy float64
	MaxKeyBytes float64          // that users send before their first question; 0 leaves it to the compiler
	Columns     pipeline.Columns // of tables of text: how the client reads a row; the sets hold what it makes of them
	// Load returns the training and the test set.
	Load func(ctx context.Context, source dataset.Source) (known, test *dataset.Set, err error)
	// Train returns the model, and for trees the public grid that it was trained on. Progress may be nil; it is told
	// how much of the training is done.
	Train func(ctx context.Context, known *dataset.Set, progress func(done, of int)) (*model.Graph, [][]float64, error)
}

// All lists the recipes.
func All() []Recipe {
	return []Recipe{logregSynthetic, logregCancer, treeSpam, forestSpam, boostingSpam, qnnIris, cnnDigits, cnnMNIST}
}

// Find returns a recipe by its name.
func Find(name string) (Recipe, error) {
	var names []string
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return Recipe{}, fmt.Errorf("no recipe %q: there are %s", name, strings.Join(names, ", "))
}

// epochs adapts a training's progress.
func epochs(progress func(done, of int), of int) func(epoch int, loss, accuracy float64) {
	if progress == nil {
		return nil
	}
	return func(epoch int, _, _ float64) { progress(epoch, of) }
}
