package model

import "fmt"

// AffineMap is y = Matrix·x + Bias.
type AffineMap struct {
	Matrix *Sparse
	Bias   []float64 // Matrix.Rows values
}

// Identity returns the map y = x on n elements.
func Identity(n int) *AffineMap {
	return &AffineMap{Matrix: identity(n), Bias: make([]float64, n)}
}

// Apply returns Matrix·x + Bias.
func (m *AffineMap) Apply(x []float64) ([]float64, error) {
	if len(m.Bias) != m.Matrix.Rows {
		return nil, fmt.Errorf("bias of %d for a matrix of %d rows", len(m.Bias), m.Matrix.Rows)
	}
	y, err := m.Matrix.Apply(x)
	if err != nil {
		return nil, err
	}
	for i, b := range m.Bias {
		y[i] += b
	}
	return y, nil
}

// Compose returns the one map that does this map first and then after: after.Matrix·(Matrix·x + Bias) + after.Bias.
func (m *AffineMap) Compose(after *AffineMap) (*AffineMap, error) {
	matrix, err := after.Matrix.Multiply(m.Matrix)
	if err != nil {
		return nil, err
	}
	bias, err := after.Apply(m.Bias)
	if err != nil {
		return nil, err
	}
	return &AffineMap{Matrix: matrix, Bias: bias}, nil
}
