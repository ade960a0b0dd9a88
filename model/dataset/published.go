package dataset

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// UCI's archive spells the line ends CRLF; the sum is that of the file as published.
var spambaseFile = file{
	path:   "spambase/spambase.data",
	sha256: "b1ef93de71f97714d3d7d4f58fc9f718da7bbc8ac8a150eff2778616a8097b12",
	size:   702942,
	urls:   []string{"https://archive.ics.uci.edu/static/public/94/spambase.zip"},
	member: "spambase.data",
}

// Spambase returns 4601 e-mails in the published order, which has all spam first: 48 word and 6 character frequencies
// in percent and 3 lengths of runs of capital letters; class 1 is spam (M. Hopkins, E. Reeber, G. Forman, J. Suermondt,
// 1999; UCI 94, CC BY 4.0).
func (s Source) Spambase(ctx context.Context) (*Set, error) {
	data, err := s.read(ctx, spambaseFile)
	if err != nil {
		return nil, fmt.Errorf("spambase: %w", err)
	}
	set, err := CSV{Target: "-1", Labels: []string{"0", "1"}}.Read(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("spambase: %w", err)
	}
	set.Labels = []string{"not spam", "spam"}
	set.Features = spambaseFeatures()
	set.Ranges = spambaseRanges()
	return set, set.Validate()
}

const spambaseWords = `make address all 3d our over remove internet order mail receive will people report addresses
free business email you credit your font 000 money hp hpl george 650 lab labs telnet 857 data 415 85 technology 1999
parts pm direct cs meeting original project re edu table conference`

func spambaseFeatures() []string {
	var names []string
	for _, word := range strings.Fields(spambaseWords) {
		names = append(names, "word_freq_"+word)
	}
	for _, char := range ";([!$#" {
		names = append(names, "char_freq_"+string(char))
	}
	return append(names, "capital_run_length_average", "capital_run_length_longest", "capital_run_length_total")
}

// spambaseRanges follows spambase.names: percentages 0..100, published with two decimals for words and three for
// characters, and lengths from 1 up without a bound. An average run is a word or a line, the longest run a paragraph,
// and all capitals together at most a long text.
func spambaseRanges() []Range {
	ranges := repeat(Range{Min: 0.01, Max: 100, Log: true}, 48)
	ranges = append(ranges, repeat(Range{Min: 0.001, Max: 100, Log: true}, 6)...)
	return append(ranges,
		Range{Min: 1, Max: 100, Log: true},
		Range{Min: 1, Max: 1_000, Log: true},
		Range{Min: 1, Max: 10_000, Log: true},
	)
}

// MNIST's own site no longer serves the files. Both addresses hold them unchanged.
func mnistFile(name, sha256 string, size int64) file {
	return file{path: "mnist/" + name, sha256: sha256, size: size, urls: []string{
		"https://ossci-datasets.s3.amazonaws.com/mnist/" + name,
		"https://storage.googleapis.com/cvdf-datasets/mnist/" + name,
	}}
}

var (
	mnistTrainImages = mnistFile("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9912422)
	mnistTrainLabels = mnistFile("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28881)
	mnistTestImages  = mnistFile("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1648877)
	mnistTestLabels  = mnistFile("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4542)
)

// MNISTTrain returns the 60,000 training images (1, 28, 28) of handwritten digits, grey 0..255 (Y. LeCun, C. Cortes,
// C. Burges, 1998). The set takes 380 MB.
func (s Source) MNISTTrain(ctx context.Context) (*Set, error) {
	return s.images(ctx, mnistTrainImages, mnistTrainLabels)
}

// MNISTTest returns the 10,000 test images, laid out as those of MNISTTrain.
func (s Source) MNISTTest(ctx context.Context) (*Set, error) {
	return s.images(ctx, mnistTestImages, mnistTestLabels)
}

func (s Source) images(ctx context.Context, images, labels file) (*Set, error) {
	pixels, err := s.idx(ctx, images)
	if err != nil {
		return nil, err
	}
	classes, err := s.idx(ctx, labels)
	if err != nil {
		return nil, err
	}
	if len(pixels.Dims) != 3 || len(classes.Dims) != 1 || pixels.Dims[0] != classes.Dims[0] {
		return nil, fmt.Errorf("mnist: images %v do not match labels %v", pixels.Dims, classes.Dims)
	}
	n, width := pixels.Dims[0], pixels.Dims[1]*pixels.Dims[2]
	set := &Set{
		X:      newRows(n, width),
		Y:      make([]float64, n),
		Labels: digitLabels(),
		Shape:  []int{1, pixels.Dims[1], pixels.Dims[2]},
		Ranges: repeat(Range{Min: 0, Max: 255}, width),
	}
	for i, row := range set.X {
		for j := range row {
			row[j] = float64(pixels.Data[i*width+j])
		}
		set.Y[i] = float64(classes.Data[i])
	}
	return set, set.Validate()
}

func (s Source) idx(ctx context.Context, f file) (*IDX, error) {
	data, err := s.read(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("mnist: %w", err)
	}
	idx, err := ReadIDX(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("mnist: %s: %w", f.path, err)
	}
	return idx, nil
}
