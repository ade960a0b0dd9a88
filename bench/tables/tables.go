// Package tables prepares public tables for a comparison of models: each becomes train.csv and test.csv, which any
// language reads, and baseline.py trains scikit-learn's and XGBoost's models on the very same rows.
//
//	set, err := tables.Find("adult")
//	digests, err := set.Export(dataFolder, 1, "split/adult/1")
//
// A file has a header; the last column, target, is what is to be predicted. Missing values are empty. Codes that are
// names and not amounts are written so that no reader takes them for numbers.
//
// All rows of a data set are divided several times, each time by another seed. A row goes to the test file where the first
// eight bytes of the SHA-256 of "seed:name:" and its fields, joined by commas, are below that share of 2^64 that is held
// out: no order of the rows matters, and rows that occur twice, as wines do, are never on both sides. Images keep the two
// files that they are published in.
package tables

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	_ "embed"
)

// Seed is that of all that is drawn when models are trained and measured.
const Seed = 1

// firstSeed is that of the first division, the next have the numbers after it. What fit tries was never chosen by the test
// rows of these.
const firstSeed = 101

// Target is the name of the last column.
const Target = "target"

// Names of the files of a division.
const (
	TrainFile = "train.csv"
	TestFile  = "test.csv"
)

// Set is one data set.
type Set struct {
	Name string
	// Predicts says what the target is.
	Predicts   string
	Regression bool
	// Unbalanced classes are judged by the area under the ROC curve, others by accuracy.
	Unbalanced bool
	// Divisions is how often the rows are divided, HeldOut the share of rows for testing; 0 where the published division
	// stays, the only one.
	Divisions int
	HeldOut   float64
	// Text is true where the one feature is a sentence, Image its shape where the features are pixels.
	Text  bool
	Image []int

	columns func() []string
	read    func(dir string, emit emit) error
}

// part says where a row belongs.
type part int

const (
	byHash part = iota
	train
	test
)

// emit takes a row, whose slice the caller may use again.
type emit func(p part, fields []string) error

// Find returns a data set by its name.
func Find(name string) (*Set, error) {
	var names []string
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("no data set %q: there are %s", name, strings.Join(names, ", "))
}

// Numbers lists the divisions of the data set.
func (s *Set) Numbers() []int {
	list := make([]int, max(1, s.Divisions))
	for i := range list {
		list[i] = i + 1
	}
	return list
}

// Digests are the SHA-256 of a division's files and their rows.
type Digests struct {
	Train     string `json:"train_sha256"`
	Test      string `json:"test_sha256"`
	TrainRows int    `json:"train_rows"`
	TestRows  int    `json:"test_rows"`
}

// Export reads the data set from a folder that holds one folder for each and writes a division, by its number from 1.
func (s *Set) Export(data string, division int, out string) (*Digests, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	var files [2]*os.File
	for i, name := range []string{TrainFile, TestFile} {
		f, err := os.Create(filepath.Join(out, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		files[i] = f
	}
	digests, err := s.Write(data, division, files[0], files[1])
	return digests, errors.Join(err, files[0].Close(), files[1].Close())
}

// Write is Export to anything that takes bytes.
func (s *Set) Write(data string, division int, toTrain, toTest io.Writer) (*Digests, error) {
	header := append(s.columns(), Target)
	outs := map[part]*output{train: newOutput(toTrain), test: newOutput(toTest)}
	for _, o := range outs {
		if err := o.csv.Write(header); err != nil {
			return nil, err
		}
	}
	err := s.read(filepath.Join(data, s.Name), func(p part, fields []string) error {
		if len(fields) != len(header) {
			return fmt.Errorf("a row has %d fields in the place of %d", len(fields), len(header))
		}
		if p == byHash {
			p = s.side(division, fields)
		}
		outs[p].rows++
		return outs[p].csv.Write(fields)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	d := &Digests{TrainRows: outs[train].rows, TestRows: outs[test].rows}
	if d.Train, err = outs[train].close(); err != nil {
		return nil, err
	}
	if d.Test, err = outs[test].close(); err != nil {
		return nil, err
	}
	return d, nil
}

func (s *Set) side(division int, fields []string) part {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s", firstSeed+division-1, s.Name, strings.Join(fields, ",")))
	if float64(binary.BigEndian.Uint64(sum[:])) < s.HeldOut*math.Exp2(64) {
		return test
	}
	return train
}

// output is one file of a division.
type output struct {
	buffer *bufio.Writer
	csv    *csv.Writer
	digest hash.Hash
	rows   int
}

func newOutput(w io.Writer) *output {
	o := &output{digest: sha256.New()}
	o.buffer = bufio.NewWriterSize(io.MultiWriter(w, o.digest), 1<<16)
	o.csv = csv.NewWriter(o.buffer)
	return o
}

func (o *output) close() (digest string, err error) {
	o.csv.Flush()
	if err := errors.Join(o.csv.Error(), o.buffer.Flush()); err != nil {
		return "", err
	}
	return hex.EncodeToString(o.digest.Sum(nil)), nil
}

// Baseline is what baseline.py measured, the file baseline.json.
type Baseline struct {
	Seed     int               `json:"seed"`
	Versions map[string]string `json:"versions"`
	// Sets holds the divisions of each data set, by their number.
	Sets map[string]map[int]BaselineDivision `json:"sets"`
}

// BaselineDivision is what other libraries make of one division of a data set.
type BaselineDivision struct {
	Digests
	Models []BaselineModel `json:"models"`
}

// BaselineModel is one tuned model of another library.
type BaselineModel struct {
	Kind       string             `json:"kind"` // linear, forest, boosting, network
	Model      string             `json:"model"`
	Parameters map[string]any     `json:"parameters"`
	Validation float64            `json:"validation"` // the mean over the folds by which parameters were chosen
	Metrics    map[string]float64 `json:"metrics"`    // on the test rows
}

//go:embed baseline.json
var baseline []byte

// LoadBaseline returns what was measured of other libraries.
func LoadBaseline() (*Baseline, error) {
	b := new(Baseline)
	return b, json.Unmarshal(baseline, b)
}
