package compiler

import (
	"fmt"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// mostElements is the number of elements that the largest ciphertext holds.
const mostElements = 1 << circuit.MaxLogN

// tooLarge refuses a model whose activations or max pools take more elements than a ciphertext has slots, before polynomials
// are looked for. Linear layers are folded first and checked after; see program.servable.
func tooLarge(g *model.Graph) error {
	shapes, err := g.Shapes()
	if err != nil {
		return err
	}
	for i, side := range assign(g) {
		node := g.Nodes[i]
		if side != onServer || len(node.Inputs) == 0 {
			continue
		}
		in := shapes[node.Inputs[0]]
		size := in.Size()
		switch op := node.Op.(type) {
		case *model.TreeEnsemble, model.Affine, model.MultiAffine:
			continue
		case *model.MaxPool:
			windows, err := op.Windows(in)
			if err != nil {
				return err
			}
			widest := 0
			for _, w := range windows {
				widest = max(widest, len(w))
			}
			size = powerOfTwo(widest) * len(windows)
		}
		if size > mostElements {
			return fmt.Errorf("node %q (%s of shape %v) takes %d elements side by side, and a ciphertext holds %d: use smaller inputs, or larger strides before it",
				node.Name, node.Op.Kind(), []int(in), size, mostElements)
		}
	}
	return nil
}

// servable refuses values that no ciphertext holds, and ones that depend on no input.
func (p *program) servable() error {
	for v := range len(p.inputs) + len(p.ops) {
		value := p.value(v)
		if value.shape.Size() > mostElements {
			return fmt.Errorf("value %q has %d elements, and a ciphertext holds %d: use smaller inputs or layers, or fewer trees", value.name, value.shape.Size(), mostElements)
		}
		if o := p.producer(v); o != nil && len(o.maps) == 1 && isZero(o.maps[0]) {
			return fmt.Errorf("value %q is the same for all inputs: there is nothing to compute encrypted", value.name)
		}
	}
	return nil
}

func isZero(m *model.Sparse) bool {
	return !slices.ContainsFunc(m.Value, func(v float64) bool { return v != 0 })
}

// dropZeros leaves out operands that count for nothing, as where a tensor was only stretched to another's shape.
func (o *op) dropZeros() bool {
	for k, m := range o.maps {
		if len(o.in) > 1 && isZero(m) {
			o.in, o.maps = slices.Delete(o.in, k, k+1), slices.Delete(o.maps, k, k+1)
			o.dropZeros()
			return true
		}
	}
	return false
}
