package dataset

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"
)

// Classification describes a generated problem in the manner of scikit-learn's make_classification (after I. Guyon,
// "Design of experiments for the NIPS 2003 variable selection benchmark", 2003); the numbers drawn are our own.
type Classification struct {
	// Samples and Features are the size of the table. The columns are shuffled.
	Samples, Features int
	// Informative columns place each cluster around its own vertex of the hypercube {-Separation, +Separation}^n,
	// normally distributed with a random covariance.
	Informative int
	// Redundant columns are random linear combinations of the informative ones. All others are standard normal noise.
	Redundant int
	// Classes share the clusters evenly. Classes * Clusters <= 2^Informative.
	Classes int
	// Clusters is the number of clusters of each class.
	Clusters int
	// Separation is half the edge of the hypercube: larger is easier.
	Separation float64
	// Noise is the fraction of samples whose class is drawn at random.
	Noise float64
	// Seed determines everything.
	Seed uint64
}

const maxGenerated = 1 << 26 // values

func (c Classification) check() error {
	switch {
	case c.Samples < 1 || c.Features < 1 || c.Samples > maxGenerated/c.Features:
		return fmt.Errorf("dataset: cannot generate %d x %d values", c.Samples, c.Features)
	case c.Informative < 1 || c.Redundant < 0 || c.Informative+c.Redundant > c.Features:
		return fmt.Errorf("dataset: %d informative and %d redundant of %d features", c.Informative, c.Redundant, c.Features)
	case c.Classes < 2 || c.Clusters < 1 || c.Classes > maxGenerated || c.Clusters > maxGenerated:
		return fmt.Errorf("dataset: %d classes of %d clusters", c.Classes, c.Clusters)
	case bits.Len(uint(c.Classes*c.Clusters-1)) > c.Informative:
		return fmt.Errorf("dataset: %d clusters need more than %d informative features", c.Classes*c.Clusters, c.Informative)
	case !(c.Noise >= 0 && c.Noise <= 1):
		return errors.New("dataset: noise is a fraction between 0 and 1")
	}
	return nil
}

// Generate draws the problem.
func (c Classification) Generate() (*Set, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(c.Seed, streamGenerate))
	s := &Set{X: newRows(c.Samples, c.Features), Y: make([]float64, c.Samples), Shape: []int{c.Features}}
	clusters := c.Classes * c.Clusters
	vertices := drawVertices(rng, clusters, c.Informative)
	spread := make([][][]float64, clusters)
	for k := range spread {
		spread[k] = uniformMatrix(rng, c.Informative, c.Informative)
	}
	redundant := uniformMatrix(rng, c.Informative, c.Redundant)
	columns := rng.Perm(c.Features)
	rows := rng.Perm(c.Samples)

	z := make([]float64, c.Informative)
	values := make([]float64, c.Features)
	for n := range c.Samples {
		k := n % clusters
		for i := range z {
			z[i] = rng.NormFloat64()
		}
		informative := values[:c.Informative]
		multiply(informative, z, spread[k])
		for i := range informative {
			informative[i] += c.Separation * vertices[k][i]
		}
		multiply(values[c.Informative:c.Informative+c.Redundant], informative, redundant)
		for i := c.Informative + c.Redundant; i < c.Features; i++ {
			values[i] = rng.NormFloat64()
		}
		class := k % c.Classes
		if rng.Float64() < c.Noise {
			class = rng.IntN(c.Classes)
		}
		for i, v := range values {
			s.X[rows[n]][columns[i]] = v
		}
		s.Y[rows[n]] = float64(class)
	}
	for class := range c.Classes {
		s.Labels = append(s.Labels, strconv.Itoa(class))
	}
	return s, nil
}

// drawVertices returns n distinct vertices of the hypercube {-1, 1}^dim.
func drawVertices(rng *rand.Rand, n, dim int) [][]float64 {
	seen := make(map[string]bool, n)
	vertices := make([][]float64, 0, n)
	for len(vertices) < n {
		vertex := make([]float64, dim)
		key := make([]byte, dim)
		for i := range vertex {
			key[i] = byte(rng.IntN(2))
			vertex[i] = 2*float64(key[i]) - 1
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			vertices = append(vertices, vertex)
		}
	}
	return vertices
}

// uniformMatrix draws entries from [-1, 1).
func uniformMatrix(rng *rand.Rand, rows, columns int) [][]float64 {
	m := newRows(rows, columns)
	for _, row := range m {
		for j := range row {
			row[j] = 2*rng.Float64() - 1
		}
	}
	return m
}

// multiply sets y = x * m.
func multiply(y, x []float64, m [][]float64) {
	for j := range y {
		y[j] = 0
		for i, v := range x {
			y[j] += v * m[i][j]
		}
	}
}
