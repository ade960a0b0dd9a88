// Package onnxtest finds ONNX files with their published or stored outputs and compares imports with them. Tests of the
// reader and of what compiles its models share it.
package onnxtest

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cipherpoint/model/dataset"
	"cipherpoint/model/onnx"
)

// Tolerance is how far an import's numbers may be from the stored ones, relative to them.
const Tolerance = 1e-4

// Case is a file with inputs and the outputs that belong to them.
type Case struct {
	Name    string // path of the file below the folder
	Data    []byte
	Inputs  map[string][]float64 // of all samples one after the other, by name of the input or its place
	Outputs map[string][]float64 // likewise
	Texts   map[string][]string  // inputs of text

	data           string // folder of data sets
	images, scaled bool   // rows are images of MNIST, divided by 255
}

// Find lists the cases below a folder, in order of their names: FILE.onnx with FILE.expected.json, or model.onnx with
// test_data_set_0. What has no outputs stored is a case without inputs. Images are those of MNIST's test set below data.
func Find(t testing.TB, folder, data string) []Case {
	t.Helper()
	var cases []Case
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".onnx") {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		c := Case{Name: name, data: data}
		if c.Data, err = os.ReadFile(path); err != nil {
			return err
		}
		if err := c.load(path); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cases = append(cases, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

type stored struct {
	InputName  string `json:"input_name"`
	InputDims  []int  `json:"input_dims"`
	InputRule  string `json:"input_rule"`
	OutputName string `json:"output_name"`
	Cases      []struct {
		Index   int               `json:"mnist_test_index"`
		Output  []float64         `json:"output"`
		Inputs  map[string]tensor `json:"inputs"`
		Outputs map[string]tensor `json:"outputs"`
	} `json:"cases"`
}

type tensor struct {
	Data []json.RawMessage `json:"data"`
}

// texts is nil for a tensor of numbers.
func (t tensor) texts() []string {
	list := make([]string, len(t.Data))
	for i, raw := range t.Data {
		if json.Unmarshal(raw, &list[i]) != nil {
			return nil
		}
	}
	return list
}

// numbers is nil for a tensor of text; null is a missing value.
func (t tensor) numbers() []float64 {
	list := make([]float64, len(t.Data))
	for i, raw := range t.Data {
		if string(raw) == "null" {
			list[i] = math.NaN()
		} else if json.Unmarshal(raw, &list[i]) != nil {
			return nil
		}
	}
	return list
}

// sameModel are files that hold the model of another file, or its name with other outputs beside it.
var sameModel = map[string]string{"mnist-12": "mnist-8", "opt-mnist": "mnist-8"}

func (c *Case) load(path string) error {
	c.Inputs, c.Outputs, c.Texts = map[string][]float64{}, map[string][]float64{}, map[string][]string{}
	base := strings.TrimSuffix(path, ".onnx")
	if other, ok := sameModel[filepath.Base(base)]; ok {
		base = filepath.Join(filepath.Dir(base), other)
	}
	file, err := os.ReadFile(base + ".expected.json")
	if errors.Is(err, fs.ErrNotExist) {
		return c.loadSet(filepath.Join(filepath.Dir(path), "test_data_set_0"))
	}
	if err != nil {
		return err
	}
	var s stored
	if err := json.Unmarshal(file, &s); err != nil {
		return err
	}
	for _, one := range s.Cases {
		for name, t := range one.Inputs {
			if list := t.numbers(); list != nil {
				c.Inputs[name] = append(c.Inputs[name], list...)
			} else {
				c.Texts[name] = append(c.Texts[name], t.texts()...)
			}
		}
		for name, t := range one.Outputs {
			c.Outputs[name] = append(c.Outputs[name], t.numbers()...)
		}
		if s.InputName == "" {
			continue
		}
		c.images, c.scaled = true, strings.Contains(s.InputRule, "255 as") && !strings.HasPrefix(s.InputRule, "raw")
		image, err := c.image(one.Index)
		if err != nil {
			return err
		}
		c.Inputs["0"] = append(c.Inputs["0"], image...)
		c.Outputs["0"] = append(c.Outputs["0"], one.Output...)
	}
	return nil
}

func (c *Case) loadSet(dir string) error {
	for _, kind := range []string{"input", "output"} {
		for i := 0; ; i++ {
			file, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s_%d.pb", kind, i)))
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return err
			}
			t, err := onnx.Tensor(file)
			if err != nil {
				return err
			}
			into := c.Inputs
			if kind == "output" {
				into = c.Outputs
			}
			into[fmt.Sprint(i)] = t.Data
		}
	}
	return nil
}

var images []byte

// image returns one of MNIST's test images as the model takes it.
func (c *Case) image(index int) ([]float64, error) {
	if images == nil {
		f, err := os.Open(filepath.Join(c.data, "mnist", "t10k-images-idx3-ubyte.gz"))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		all, err := io.ReadAll(z)
		if err != nil {
			return nil, err
		}
		images = all[16:]
	}
	image := make([]float64, 784)
	for i, v := range images[784*index : 784*(index+1)] {
		if image[i] = float64(v); c.scaled {
			image[i] = float64(float32(v) / 255)
		}
	}
	return image, nil
}

// Images holds for models of MNIST's images, which score the ten digits.
func (c *Case) Images() bool { return c.images }

// More returns about n further rows like the stored ones: the last images of MNIST's test set, the flowers of Iris, integers
// that are stored, or normal numbers with the mean and deviation of each column or, of fewer than eight rows, of all numbers.
func (c *Case) More(rows [][]float64, n int) ([][]float64, error) {
	more := make([][]float64, n)
	if c.images {
		for i := range more {
			var err error
			if more[i], err = c.image(10000 - n + i); err != nil {
				return nil, err
			}
		}
		return more, nil
	}
	if flowers, err := dataset.Iris(); err == nil && within(rows, flowers.X) {
		return flowers.X, nil
	}
	random := rand.New(rand.NewPCG(1, 2))
	if all := slices.Concat(rows...); !slices.ContainsFunc(all, func(x float64) bool { return x != math.Trunc(x) }) {
		for i := range more {
			for range rows[0] {
				more[i] = append(more[i], all[random.IntN(len(all))])
			}
		}
		return more, nil
	}
	mean, deviation := make([]float64, len(rows[0])), make([]float64, len(rows[0]))
	for k := range mean {
		var column []float64
		for _, row := range rows {
			column = append(column, row[k])
		}
		if len(rows) < 8 {
			column = slices.Concat(rows...)
		}
		mean[k], deviation[k] = moments(column)
	}
	for i := range more {
		for k := range mean {
			more[i] = append(more[i], mean[k]+deviation[k]*random.NormFloat64())
		}
	}
	return more, nil
}

// within holds if every row is one of a set, to single precision.
func within(rows, set [][]float64) bool {
	for _, row := range rows {
		if !slices.ContainsFunc(set, func(other []float64) bool {
			return slices.EqualFunc(row, other, func(a, b float64) bool { return math.Abs(a-b) < 1e-5 })
		}) {
			return false
		}
	}
	return true
}

func moments(list []float64) (mean, deviation float64) {
	for _, x := range list {
		mean += x / float64(len(list))
	}
	for _, x := range list {
		deviation += (x - mean) * (x - mean) / float64(len(list))
	}
	return mean, math.Sqrt(deviation)
}

// Features is the number of values in a row, for files that leave it open: that of all inputs over the samples, which
// outputs of one number each tell.
func (c *Case) Features() int {
	total, samples := 0, math.MaxInt
	for _, data := range c.Inputs {
		total += len(data)
	}
	for _, data := range c.Outputs {
		if len(data) > 0 {
			samples = min(samples, len(data))
		}
	}
	if samples == math.MaxInt || total%samples != 0 {
		return 0
	}
	return total / samples
}

// Rows are the case's inputs as rows of the model.
func (c *Case) Rows(m *onnx.Model) ([][]float64, error) {
	var rows [][]float64
	at := 0 // column
	for i, port := range m.Graph.Inputs {
		data, ok := c.Inputs[port.Name]
		if !ok {
			data = c.Inputs[fmt.Sprint(i)]
		}
		for _, text := range c.Texts[port.Name] {
			place, found := slices.BinarySearch(m.Columns[at].Categories, text)
			if !found {
				place = -1
			}
			data = append(data, float64(place))
		}
		size := port.Shape.Size()
		at += size
		if len(data) == 0 || len(data)%size != 0 {
			return nil, fmt.Errorf("input %q takes %d values, %d are stored", port.Name, size, len(data))
		}
		if rows == nil {
			rows = make([][]float64, len(data)/size)
		}
		if len(rows) != len(data)/size {
			return nil, fmt.Errorf("input %q has %d samples, others %d", port.Name, len(data)/size, len(rows))
		}
		for s := range rows {
			rows[s] = append(rows[s], data[s*size:(s+1)*size]...)
		}
	}
	return rows, nil
}

// Check runs the float graph and compares all outputs that are stored. It returns the largest difference relative to
// the tolerance: above 1 is too far.
func (c *Case) Check(m *onnx.Model) (float64, error) {
	rows, err := c.Rows(m)
	if err != nil {
		return 0, err
	}
	answers, err := m.Graph.RunRows(rows)
	if err != nil {
		return 0, err
	}
	shapes, err := m.Graph.Shapes()
	if err != nil {
		return 0, err
	}
	worst := 0.0
	start, compared := 0, 0
	for i, o := range m.Outputs {
		size := shapes[o.Value].Size()
		var got []float64
		for _, answer := range answers {
			got = append(got, answer[start:start+size]...)
		}
		start += size
		want := c.output(m, i)
		if want == nil {
			continue // text, or not stored
		}
		compared++
		if len(want) != len(got) {
			return 0, fmt.Errorf("output %q has %d values, %d are stored", o.Name, len(got), len(want))
		}
		worst = max(worst, Distance(got, want))
	}
	if compared == 0 {
		return 0, errors.New("no output to compare with")
	}
	return worst, nil
}

// output returns what is stored of an output: under its name, its place, or the only name that no other output has, as
// where the stored model ended before a ZipMap.
func (c *Case) output(m *onnx.Model, i int) []float64 {
	if want, ok := c.Outputs[m.Outputs[i].Name]; ok {
		return want
	}
	if want, ok := c.Outputs[fmt.Sprint(i)]; ok {
		return want
	}
	rest := maps.Clone(c.Outputs)
	for _, o := range m.Outputs {
		delete(rest, o.Name)
	}
	for _, want := range rest {
		if len(rest) == 1 {
			return want
		}
	}
	return nil
}

// Distance is the largest difference over what Tolerance allows: relative, or a hundredth of that for what is small
// beside the largest number.
func Distance(got, want []float64) float64 {
	largest := math.SmallestNonzeroFloat64
	for _, w := range want {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			largest = max(largest, math.Abs(w))
		}
	}
	worst := 0.0
	for i, w := range want {
		if math.IsNaN(w) && math.IsNaN(got[i]) || w == got[i] {
			continue
		}
		d := math.Abs(got[i]-w) / (Tolerance * max(math.Abs(w), largest/100))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}
