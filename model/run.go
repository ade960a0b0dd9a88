package model

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Run computes the graph's outputs for one sample, one tensor for each input port, in order.
func (g *Graph) Run(inputs ...Tensor) ([]Tensor, error) {
	p, err := g.plan()
	if err != nil {
		return nil, err
	}
	if len(inputs) != len(g.Inputs) {
		return nil, fmt.Errorf("graph takes %d inputs, got %d", len(g.Inputs), len(inputs))
	}
	for i, t := range inputs {
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("input %q: %w", g.Inputs[i].Name, err)
		}
		if !t.Shape.Equal(g.Inputs[i].Shape) {
			return nil, fmt.Errorf("input %q has shape %v, want %v", g.Inputs[i].Name, []int(t.Shape), []int(g.Inputs[i].Shape))
		}
	}
	return p.run(inputs)
}

// RunRows computes the graph for many samples on all cores. A row holds the flattened inputs one after the other, a
// row of the result the flattened outputs.
func (g *Graph) RunRows(rows [][]float64) ([][]float64, error) {
	p, err := g.plan()
	if err != nil {
		return nil, err
	}
	var (
		results = make([][]float64, len(rows))
		next    atomic.Int64
		failed  atomic.Bool
		once    sync.Once
		failure error
		wait    sync.WaitGroup
	)
	for range min(runtime.GOMAXPROCS(0), len(rows)) {
		wait.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(rows) {
					return
				}
				result, err := p.runRow(rows[i])
				if err != nil {
					once.Do(func() { failure = fmt.Errorf("row %d: %w", i, err) })
					failed.Store(true)
					return
				}
				results[i] = result
			}
		})
	}
	wait.Wait()
	if failure != nil {
		return nil, failure
	}
	return results, nil
}

func (p *plan) runRow(row []float64) ([]float64, error) {
	inputs := make([]Tensor, len(p.graph.Inputs))
	offset := 0
	for i, port := range p.graph.Inputs {
		size := port.Shape.Size()
		if offset+size > len(row) {
			return nil, fmt.Errorf("has %d values, input %q ends at %d", len(row), port.Name, offset+size)
		}
		inputs[i] = Tensor{Shape: port.Shape, Data: row[offset : offset+size : offset+size]}
		offset += size
	}
	if offset != len(row) {
		return nil, fmt.Errorf("has %d values, want %d", len(row), offset)
	}
	outputs, err := p.run(inputs)
	if err != nil {
		return nil, err
	}
	var result []float64
	for _, t := range outputs {
		result = append(result, t.Data...)
	}
	return result, nil
}

func (p *plan) run(inputs []Tensor) ([]Tensor, error) {
	values := make([]Tensor, len(p.shapes))
	copy(values, inputs)
	for i, node := range p.graph.Nodes {
		in := make([]Tensor, len(p.inputs[i]))
		for k, v := range p.inputs[i] {
			in[k] = values[v]
		}
		out, err := node.Op.Eval(in)
		if err != nil {
			return nil, fmt.Errorf("node %q (%s): %w", node.Name, node.Op.Kind(), err)
		}
		values[len(inputs)+i] = out
	}
	outputs := make([]Tensor, len(p.outputs))
	for i, v := range p.outputs {
		outputs[i] = values[v]
	}
	return outputs, nil
}
