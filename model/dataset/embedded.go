package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

//go:embed data/iris.csv
var irisCSV []byte

//go:embed data/breast_cancer.csv
var breastCancerCSV []byte

//go:embed data/digits.csv.gz
var digitsGzip []byte

// Iris returns 150 flowers of three species, four lengths in cm (0..10) each.
func Iris() (*Set, error) {
	s, err := readEmbedded(bytes.NewReader(irisCSV), true, []string{"0", "1", "2"})
	if err != nil {
		return nil, fmt.Errorf("iris: %w", err)
	}
	s.Labels = []string{"setosa", "versicolor", "virginica"}
	s.Features = []string{"sepal length", "sepal width", "petal length", "petal width"}
	s.Ranges = repeat(Range{Min: 0, Max: 10}, 4)
	return s, nil
}

// BreastCancer returns 569 masses, malignant (212) or benign (357): the mean, the standard error and the worst value
// of ten measures of their cell nuclei.
func BreastCancer() (*Set, error) {
	s, err := readEmbedded(bytes.NewReader(breastCancerCSV), true, []string{"0", "1"})
	if err != nil {
		return nil, fmt.Errorf("breast cancer: %w", err)
	}
	s.Labels = []string{"malignant", "benign"}
	for _, kind := range []string{"mean ", "error of ", "worst "} {
		for _, measure := range []string{
			"radius", "texture", "perimeter", "area", "smoothness",
			"compactness", "concavity", "concave points", "symmetry", "fractal dimension",
		} {
			s.Features = append(s.Features, kind+measure)
		}
	}
	return s, nil
}

// Digits returns 1797 handwritten digits as images (1, 8, 8) with ink 0..16 in each pixel.
func Digits() (*Set, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(digitsGzip))
	if err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	s, err := readEmbedded(unzipped, false, digitLabels())
	if err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	s.Shape = []int{1, 8, 8}
	s.Ranges = repeat(Range{Min: 0, Max: 16}, 64)
	return s, nil
}

// readEmbedded reads scikit-learn's layout: a line of counts and names in some files, then rows with the class last.
func readEmbedded(r io.Reader, counts bool, classes []string) (*Set, error) {
	lines := bufio.NewReader(r)
	if counts {
		if _, err := lines.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	return CSV{Target: "-1", Labels: classes}.Read(lines)
}

func digitLabels() []string {
	return []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
}

func repeat(r Range, n int) []Range {
	ranges := make([]Range, n)
	for i := range ranges {
		ranges[i] = r
	}
	return ranges
}
