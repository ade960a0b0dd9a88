package train

import (
	"fmt"

	"cipherpoint/model"
	"cipherpoint/model/dataset"
)

// Scaling maps each raw feature x to x·Factor + Offset. One value stands for all features; nil leaves them as they are.
type Scaling struct {
	Factor, Offset []float64
}

// Scale multiplies every feature by the same factor.
func Scale(factor float64) Scaling {
	return Scaling{Factor: []float64{factor}, Offset: []float64{0}}
}

// Standardize gives every feature of the set mean 0 and deviation 1.
func Standardize(set *dataset.Set) Scaling {
	stats := set.Stats()
	s := Scaling{Factor: make([]float64, len(stats.Mean)), Offset: make([]float64, len(stats.Mean))}
	for j := range stats.Mean {
		s.Factor[j] = 1 / stats.Std[j]
		s.Offset[j] = -stats.Mean[j] / stats.Std[j]
	}
	return s
}

func (s Scaling) check(width int) error {
	if n := len(s.Factor); n != len(s.Offset) || n > 1 && n != width {
		return fmt.Errorf("train: scaling of %d factors and %d offsets for %d features", len(s.Factor), len(s.Offset), width)
	}
	return nil
}

// apply returns the scaled features of a sample.
func (s Scaling) apply(row []float64) []float64 {
	if len(s.Factor) == 0 {
		return row
	}
	scaled := make([]float64, len(row))
	for j, v := range row {
		k := min(j, len(s.Factor)-1)
		scaled[j] = v*s.Factor[k] + s.Offset[k]
	}
	return scaled
}

// emit adds the scaling to a model.
func (s Scaling) emit(b *model.Builder) {
	if len(s.Factor) == 0 {
		return
	}
	shape := b.Shape()
	if len(s.Factor) == 1 {
		shape = model.Shape{}
	}
	b.Apply(&model.Scale{
		Factor: model.Tensor{Shape: shape, Data: s.Factor},
		Offset: model.Tensor{Shape: shape, Data: s.Offset},
	})
}
