package fit

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strconv"

	"cipherpoint/model/dataset"
)

// ReadIDX reads images and their labels from files of the kind that MNIST comes in, compressed by gzip or not. Classes are
// the numbers from 0 to the largest label.
func ReadIDX(images, labels string) (*dataset.Set, error) {
	x, err := readIDX(images)
	if err != nil {
		return nil, err
	}
	y, err := readIDX(labels)
	if err != nil {
		return nil, err
	}
	if len(x.Dims) < 3 || len(y.Dims) != 1 || x.Dims[0] != y.Dims[0] {
		return nil, fmt.Errorf("images of dimensions %v and labels of dimensions %v do not fit", x.Dims, y.Dims)
	}
	set := &dataset.Set{Shape: x.Dims[1:]}
	if len(set.Shape) == 2 {
		set.Shape = []int{1, x.Dims[1], x.Dims[2]}
	}
	for class := range int(slices.Max(y.Data)) + 1 {
		set.Labels = append(set.Labels, strconv.Itoa(class))
	}
	width := set.Width()
	for i, label := range y.Data {
		row := make([]float64, width)
		for k, v := range x.Data[i*width : (i+1)*width] {
			row[k] = float64(v)
		}
		set.X, set.Y = append(set.X, row), append(set.Y, float64(label))
	}
	return set, set.Validate()
}

func readIDX(path string) (*dataset.IDX, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		data = b.Bytes()
	}
	idx, err := dataset.ReadIDX(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return idx, nil
}
