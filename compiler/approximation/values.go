package approximation

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"cipherpoint/model"
)

// values holds named values of a model on many rows.
type values map[string][]model.Tensor

// inputs cuts rows into the tensors of a graph's inputs.
func inputs(g *model.Graph, rows [][]float64) values {
	v := values{}
	offset := 0
	for _, port := range g.Inputs {
		n := port.Shape.Size()
		tensors := make([]model.Tensor, len(rows))
		for i, row := range rows {
			tensors[i] = model.Tensor{Shape: port.Shape, Data: row[offset : offset+n : offset+n]}
		}
		v[port.Name] = tensors
		offset += n
	}
	return v
}

// run adds the result of the last of some nodes; those of the others are not kept.
func (v values) run(nodes ...model.Node) error {
	rows := len(v[nodes[0].Inputs[0]])
	results := make([]model.Tensor, rows)
	err := parallel(rows, func(i int) error {
		own := map[string]model.Tensor{}
		for _, node := range nodes {
			in := make([]model.Tensor, len(node.Inputs))
			for k, name := range node.Inputs {
				if t, known := own[name]; known {
					in[k] = t
				} else {
					in[k] = v[name][i]
				}
			}
			result, err := node.Op.Eval(in)
			if err != nil {
				return fmt.Errorf("node %q (%s): %w", node.Name, node.Op.Kind(), err)
			}
			own[node.Output], results[i] = result, result
		}
		return nil
	})
	v[nodes[len(nodes)-1].Output] = results
	return err
}

// parallel calls f for 0 … n-1 on all cores and returns the error of the lowest index that it met.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = f(i)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// lastReader returns for each value the last node that reads it, so that it can be dropped after.
func lastReader(nodes []model.Node) map[string]int {
	last := map[string]int{}
	for i, node := range nodes {
		for _, name := range node.Inputs {
			last[name] = i
		}
	}
	return last
}
