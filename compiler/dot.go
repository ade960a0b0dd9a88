package compiler

import (
	"math"

	"cipherpoint/circuit"
	"cipherpoint/pipeline"
)

// dot returns the best candidate that packs the program in coefficients, if it is a single linear map that is small
// enough: for an input x of d elements and rows w_r, the product of x(X) = Σ_i x_i·X^i by
// Σ_r Σ_i w_{r,i}·X^{r·d + d−1−i} holds row r's inner product in its coefficient r·d + d−1. No key is needed.
func (k *compilation) dot() (Candidate, bool, error) {
	p := k.split.encrypted
	if k.options.Packing == PackBatch || len(p.inputs) != 1 || len(p.ops) != 1 || len(p.outputs) != 1 || p.ops[0].maps == nil || len(p.ops[0].in) != 1 {
		return Candidate{}, false, nil
	}
	packing, ok := p.packCoefficients(circuit.MinLogN)
	if !ok {
		return Candidate{}, false, nil
	}
	rows := k.spreadOut(packing)
	f := &profile{rms: make([]float64, 2), max: make([]float64, 2), means: make([]float64, 1), linear: map[int]linearProfile{}}
	m := p.ops[0].maps[0]
	norm := 0.0 // of the longest row
	for r := range m.Rows {
		_, values := m.Row(r)
		sum := 0.0
		for _, v := range values {
			sum += v * v
		}
		norm = max(norm, math.Sqrt(sum))
	}
	length := 0.0 // of the longest input
	for _, row := range rows {
		out, err := packing.circuit.Run(row...)
		if err != nil {
			return Candidate{}, false, err
		}
		sum := 0.0
		for _, x := range row[0] {
			sum += x * x
		}
		length = max(length, math.Sqrt(sum))
		for _, s := range out[0] {
			f.means[0] = max(f.means[0], math.Abs(s))
		}
		f.scores = append(f.scores, packing.scores(out))
	}
	f.spread = spread(f.scores)
	f.means[0] = max(f.means[0], k.largest[0])
	// Errors in coefficients: the fresh error times the weights, the weights' rounding times the input.
	e := newNoise(packing.circuit.Parameters)
	f.transfer = []float64{norm / e.embedding, 1 / e.embedding}
	f.repeated, f.weighted = make([]float64, 2), make([]float64, 2)
	f.linear[0] = linearProfile{encoding: length}
	alone := styled{packing: packing, profile: f}
	best, found := Candidate{}, false
	for qBits := 30; qBits <= circuit.MaxPrimeBits; qBits++ {
		for input := 10; input <= 30; input++ {
			for plaintext := 10; plaintext <= 30; plaintext++ {
				c := copyOf(packing.circuit)
				s := scales{input: input, plaintext: plaintext}
				if c.Parameters.SetPrimes([]int{qBits}, nil) != nil || !schedule(c, f, s) {
					continue
				}
				limit := math.Inf(1)
				if found {
					limit = best.objective
				}
				if candidate, ok := alone.evaluate(c, limit, demands{bound: k.target, flood: k.options.Flood, weights: k.weights}); ok {
					best, found = candidate, true
					best.LogN, best.QBits, best.scales, best.Packing = circuit.MinLogN, []int{qBits}, s, "coefficients, no keys"
				}
			}
		}
	}
	return best, found, nil
}

func (p *program) packCoefficients(logN int) (*packing, bool) {
	n := 1 << logN
	o := p.ops[0]
	m := o.maps[0]
	if m.Rows*m.Cols > n {
		return nil, false
	}
	weights, bias := make([]float64, n), make([]float64, n)
	answer := pipeline.Answer{Shape: o.shape, Positions: make([]int32, m.Rows), Factor: 1}
	at := make([]int, m.Rows)
	for r := range m.Rows {
		columns, values := m.Row(r)
		for i, c := range columns {
			weights[r*m.Cols+m.Cols-1-c] = values[i]
		}
		at[r] = r*m.Cols + m.Cols - 1
		bias[at[r]] = o.bias[r]
		answer.Positions[r] = int32(r)
	}
	content := empty(n)
	for e := range m.Cols {
		content[e] = int32(e)
	}
	c := &circuit.Circuit{
		Parameters: circuit.Parameters{LogN: logN, Ring: circuit.Standard},
		Packing:    circuit.Coefficients,
		Inputs:     []circuit.Input{{Name: p.inputs[0].name}},
		Nodes:      []circuit.Node{{Name: o.name, In: []int{0}, Dot: &circuit.Dot{Weights: circuit.NewVector(weights), Bias: circuit.NewVector(bias)}}},
		Outputs:    []circuit.Output{{Name: o.name, Value: 1, Coefficients: at}},
	}
	return &packing{circuit: c, inputs: []pipeline.Gather{{Elements: content}}, outputs: []pipeline.Answer{answer}}, true
}
