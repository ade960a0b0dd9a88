package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cipherpoint/compiler"
	"cipherpoint/compiler/approximation"
	"cipherpoint/deployment"
	"cipherpoint/model"
)

// RecordFile lies beside the artifact. Neither endpoint nor user needs it. It holds the weights, as server.zip does.
const RecordFile = "model.json"

// recordVersion is the version of RecordFile.
const recordVersion = 1

// Record is what was compiled: the model as it was trained or imported, the one that runs encrypted in its place, and
// what is promised of the answers.
type Record struct {
	Format int     `json:"format"`
	Model  string  `json:"model"`           // ID of the artifact, hexadecimal
	Bound  float64 `json:"max_score_error"` // of an encrypted score
	// LabelChanges is the share of labels that polynomials may change, of a classifier.
	LabelChanges float64 `json:"max_label_changes"`
	// Graph is null where the model has numbers that JSON cannot hold (infinite thresholds).
	Graph *model.Graph `json:"graph"`
	// Polynomial is the model with polynomials in the place of activations; null where it is Graph.
	Polynomial   *model.Graph                `json:"polynomial"`
	Replacements []approximation.Replacement `json:"replacements"`
	Refitted     []string                    `json:"refitted"` // nodes of Polynomial with weights other than in Graph
}

// NewRecord describes a compiled model.
func NewRecord(g *model.Graph, compiled *compiler.Result) *Record {
	r := &Record{Format: recordVersion, Bound: compiled.MaxScoreError}
	if _, err := g.MarshalJSON(); err != nil {
		return r
	}
	r.Graph = g
	if a := compiled.Approximation; len(a.Replacements) > 0 {
		r.Polynomial, r.Replacements, r.Refitted = a.Graph, a.Replacements, a.Refitted
		if len(compiled.Pipeline.Classes) > 0 {
			r.LabelChanges = a.Limit
		}
	}
	return r
}

// Save writes the record into the folder of its artifact.
func (r *Record) Save(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, deployment.VersionsFile))
	if err != nil {
		return err
	}
	var versions deployment.Versions
	if err := json.Unmarshal(text, &versions); err != nil {
		return fmt.Errorf("%s: %w", deployment.VersionsFile, err)
	}
	r.Model = versions.Model
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, RecordFile), append(data, '\n'), 0o644)
}

// errNoRecord says that a folder was not made by creating_models, or by an older one.
var errNoRecord = errors.New("no " + RecordFile + " beside the artifact: nothing says what is promised")

// ReadRecord reads the record of an artifact with this ID.
func ReadRecord(dir, id string) (*Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, RecordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoRecord
	}
	if err != nil {
		return nil, err
	}
	r := new(Record)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", RecordFile, err)
	}
	if r.Format != recordVersion {
		return nil, fmt.Errorf("%s: format %d: this program reads format %d", RecordFile, r.Format, recordVersion)
	}
	if r.Model != id {
		return nil, fmt.Errorf("%s is of another model than the artifact", RecordFile)
	}
	if !(r.Bound > 0) {
		return nil, fmt.Errorf("%s: no bound on the error of a score", RecordFile)
	}
	return r, nil
}
