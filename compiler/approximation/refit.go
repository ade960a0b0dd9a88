package approximation

import (
	"cipherpoint/model"
)

// ridge keeps fitted weights near the old ones as far as the rows do not ask for others, relative to how much each
// weight counts in them.
const ridge = 1e-3

// maxPatches bounds the equations of one fit.
const maxPatches = 1 << 16

// refit returns the operator with the weights, in the least squares sense, that make of its inputs what it should
// make: the original layer's results on the original inputs.
func refit(op model.Weighted, in, want []model.Tensor) (model.Weighted, error) {
	patches, err := op.Patches(in[0].Shape)
	if err != nil {
		return nil, err
	}
	matrices, bias := op.Weights()
	each := patches.Rows * patches.Columns
	used := min(len(in), max(1, maxPatches/patches.Places))
	// Rows are dropped before places: places of one row are alike.
	step := float64(len(in)) / float64(used)
	err = parallel(patches.Groups, func(g int) error {
		weights := matrices[g*each : (g+1)*each]
		prior := make([][]float64, patches.Rows)
		for r := range prior {
			prior[r] = append(append([]float64(nil), weights[r*patches.Columns:(r+1)*patches.Columns]...), bias[g*patches.Rows+r])
		}
		e := newEquations(patches.Columns+1, patches.Rows)
		row, targets := make([]float64, patches.Columns+1), make([]float64, patches.Rows)
		row[patches.Columns] = 1
		for i := range used {
			at := int(float64(i) * step)
			for place := range patches.Places {
				patches.Read(row[:patches.Columns], in[at].Data, g, place)
				for r := range targets {
					targets[r] = want[at].Data[(g*patches.Rows+r)*patches.RowStride+place*patches.PlaceStride]
				}
				e.add(row, targets, 1)
			}
		}
		solution, err := e.solve(ridge, prior)
		if err != nil {
			return err
		}
		for r, s := range solution {
			copy(weights[r*patches.Columns:], s[:patches.Columns])
			bias[g*patches.Rows+r] = s[patches.Columns]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return op.WithWeights(matrices, bias), nil
}

// refittable lists the nodes whose weights can make up for what a replacement before them changed: those that read it
// directly or after a change of order.
func refittable(g *model.Graph, encrypted []bool, units []unit) map[int]bool {
	replaced := map[string]bool{}
	for _, u := range units {
		replaced[g.Nodes[u.last].Output] = true
	}
	list := map[int]bool{}
	for i, node := range g.Nodes {
		if !encrypted[i] || len(node.Inputs) != 1 || !replaced[node.Inputs[0]] {
			continue
		}
		switch node.Op.(type) {
		case model.Weighted:
			list[i] = true
		case *model.Flatten, *model.Reshape, *model.Transpose:
			replaced[node.Output] = true
		}
	}
	return list
}
