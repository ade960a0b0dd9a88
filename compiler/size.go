package compiler

import (
	"fmt"

	"cipherpoint/circuit"
	"cipherpoint/model"
)

// mostElements is the number of elements that the largest ciphertext holds.
const mostElements = 1 << circuit.MaxLogN

// tooLarge refuses a model whose activations or max pools take more elements than a ciphertext has slots, before polynomials
// are looked for. Linear layers are folded first and checked after; see program.tooLarge.
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

// tooLarge refuses a value that no ciphertext holds.
func (p *program) tooLarge() error {
	for v := range len(p.inputs) + len(p.ops) {
		if value := p.value(v); value.shape.Size() > mostElements {
			return fmt.Errorf("value %q has %d elements, and a ciphertext holds %d: use smaller inputs or layers, or fewer trees", value.name, value.shape.Size(), mostElements)
		}
	}
	return nil
}
