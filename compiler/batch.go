package compiler

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"cipherpoint/circuit"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// Packing says how many samples a ciphertext holds.
type Packing string

const (
	// PackSample has the whole sample in one ciphertext, or a few: the shortest answer to one question.
	PackSample Packing = ""
	// PackBatch has one feature of thousands of samples in each ciphertext: the most answers a second.
	PackBatch Packing = "batch"
)

// batchable refuses what batches cannot do.
func (k *compilation) batchable() error {
	if k.options.Flood > 0 {
		return errors.New("replies to batches cannot be flooded yet: leave out either")
	}
	p := k.split.encrypted
	total := 0
	for v := range len(p.inputs) + len(p.ops) {
		width := p.value(v).shape.Size()
		if v < len(p.inputs) {
			total += width
		}
		if max(width, total) > circuit.MaxWidth {
			return fmt.Errorf("%s: %d values of a sample are more ciphertexts than the %d of a batch", p.value(v).name, max(width, total), circuit.MaxWidth)
		}
	}
	return nil
}

// packBatch lays the program out for batches: value by value, with nothing to decide.
func (p *program) packBatch(logN int) *packing {
	c := &circuit.Circuit{Parameters: circuit.Parameters{LogN: logN, Ring: circuit.ConjugateInvariant}, Packing: circuit.Batch}
	result := &packing{circuit: c}
	for i, v := range p.inputs {
		width := v.shape.Size()
		c.Inputs = append(c.Inputs, circuit.Input{Name: v.name, Width: width})
		result.inputs = append(result.inputs, pipeline.Gather{Output: i, Elements: identity(width)})
	}
	for _, o := range p.ops {
		node := circuit.Node{Name: o.name, In: o.in}
		switch {
		case o.product:
			node.Multiply = &circuit.Multiply{}
		case o.factors != nil:
			node.Combine = &circuit.Combine{Factors: o.factors, Constant: o.constant}
		default:
			node.Mix = &circuit.Mix{Rows: o.shape.Size()}
			if bias := (circuit.Vector{Period: len(o.bias), Values: o.bias}); bias.MeanSquare() > 0 {
				node.Mix.Bias = bias
			}
			for _, m := range o.maps {
				node.Mix.Maps = append(node.Mix.Maps, entries(m))
			}
		}
		c.Nodes = append(c.Nodes, node)
	}
	for _, v := range p.outputs {
		shape := p.value(v).shape
		c.Outputs = append(c.Outputs, circuit.Output{Name: p.value(v).name, Value: v, Width: shape.Size()})
		result.outputs = append(result.outputs, pipeline.Answer{Shape: shape, Positions: identity(shape.Size()), Factor: 1})
	}
	return result
}

func identity(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// entries lists a matrix row by row.
func entries(m *model.Sparse) circuit.Vector {
	v := circuit.Vector{Period: m.Rows * m.Cols}
	for r := range m.Rows {
		columns, values := m.Row(r)
		for i, c := range columns {
			if values[i] != 0 {
				v.Index = append(v.Index, uint32(r*m.Cols+c))
				v.Values = append(v.Values, values[i])
			}
		}
	}
	if len(v.Values) == 0 {
		return circuit.Vector{}
	}
	return v
}

// mixProfile is what costs and errors of one map of a Mix depend on.
type mixProfile struct {
	largest float64 // weight
	terms   float64 // of the longest row
}

// profileMixes takes in what the maps of a batch are.
func profileMixes(c *circuit.Circuit) map[int][]mixProfile {
	profiles := map[int][]mixProfile{}
	for i, node := range c.Nodes {
		if node.Mix == nil {
			continue
		}
		for k, m := range node.Mix.Maps {
			p := mixProfile{}
			terms := make([]float64, node.Mix.Rows)
			for j, w := range m.Values {
				p.largest = max(p.largest, math.Abs(w))
				terms[int(m.Index[j])/c.Width(node.In[k])]++
			}
			for _, t := range terms {
				p.terms = max(p.terms, t)
			}
			profiles[i] = append(profiles[i], p)
		}
	}
	return profiles
}

// mixFits reports whether the scalars of a scheduled Mix fit its primes, as circuit.MixFits does.
func (f *profile) mixFits(c *circuit.Circuit, i int) bool {
	node := c.Nodes[i]
	prime := 0
	for _, q := range c.Parameters.Q[:node.Level+1] {
		prime = max(prime, bits.Len64(q))
	}
	for k, p := range f.mixes[i] {
		scalar := p.largest * c.PlaintextScale(node, k)
		if !(scalar < 1<<circuit.ScalarBits) || bits.Len64(uint64(math.RoundToEven(scalar)))+1+prime > circuit.ScalarBits {
			return false
		}
	}
	return true
}

// largestPrime is how many bits a prime may have beside the scalars of a batch.
func (f *profile) largestPrime(s scales) int {
	size := circuit.MaxPrimeBits
	for i, maps := range f.mixes {
		for _, p := range maps {
			size = min(size, circuit.ScalarBits-2-s.of(i)-int(math.Floor(math.Log2(max(p.largest, 1e-9)))))
		}
	}
	return max(size, smallestPrime)
}

// mixRounding is the variance that rounding weights to scalars causes, in one element.
func (f *profile) mixRounding(c *circuit.Circuit, i int) float64 {
	variance := 0.0
	node := c.Nodes[i]
	for k, p := range f.mixes[i] {
		std := f.rms[node.In[k]] / c.PlaintextScale(node, k)
		variance += std * std * p.terms / 12
	}
	return variance
}

// relinearise says of a scheduled batch which results are relinearised: products stay of degree 2 through sums, of
// which there are mostly fewer, until they are rescaled, multiplied or sent.
func relinearise(c *circuit.Circuit) {
	demanded := make([]bool, c.Values())
	for _, out := range c.Outputs {
		demanded[out.Value] = true
	}
	for _, node := range c.Nodes {
		if node.Multiply != nil {
			demanded[node.In[0]], demanded[node.In[1]] = true, true
		}
	}
	degree := make([]int, c.Values())
	for i := range c.Nodes {
		node, v := &c.Nodes[i], len(c.Inputs)+i
		for _, operand := range node.In {
			degree[v] = max(degree[v], degree[operand])
		}
		if node.Multiply != nil {
			degree[v] = 1
		}
		node.Relinearise = degree[v] > 0 && (demanded[v] || node.Rescale > 0)
		if node.Relinearise {
			degree[v] = 0
		}
	}
}

// Cost of what batches are made of, in nanoseconds a point of one limb of one polynomial.
const (
	costScalar  = 0.04 // product by a scalar of a Mix
	costOpening = 4.5  // unpacking and expanding
)

// batchLatency estimates the time of a node of a batch in nanoseconds a coefficient.
func batchLatency(c *circuit.Circuit, node circuit.Node) float64 {
	p := c.Parameters
	l := float64(node.Level + 1)
	width := float64(c.Width(node.In[0]))
	if node.Mix != nil {
		width = float64(node.Mix.Rows)
	}
	parts := float64(2)
	for _, v := range node.In {
		if c.Degree(v) == 2 {
			parts = 3
		}
	}
	ns := 0.0
	switch {
	case node.Mix != nil:
		weights := 0.0
		for k, m := range node.Mix.Maps {
			weights += float64(len(m.Values))
			if v := node.In[k]; v < len(c.Inputs) { // of which what has no weight stays closed
				ns += 2 * l * costOpening * float64(min(c.Inputs[v].Width, len(m.Values)))
			}
		}
		ns += parts * l * costScalar * weights * math.Ceil(width/8) * 8 / width
	case node.Multiply != nil:
		ns += width * 4 * l * IFMA.Move
	default:
		ns += width * parts * l * IFMA.Move * float64(len(node.In))
	}
	if node.Relinearise {
		ns += width * IFMA.Of(circuit.Switching(node.Level+1, p.SpecialPrimes(node.Level)), p.LogN)
	}
	return ns + width*IFMA.Of(circuit.Division(node.Level+1-node.Rescale, node.Rescale), p.LogN)
}
