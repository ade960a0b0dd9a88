package approximation

import (
	"cipherpoint/model"
)

// unit is what polynomials are put in the place of: an activation, a max pool, or both in either order. An activation
// that never falls may change places with the maximum.
type unit struct {
	first, last int // nodes
	input       string
	name        string
	pool        *model.MaxPool
	common      model.Pointwise        // the same function for all elements, or nil
	channels    model.ChannelPointwise // one for each channel, or nil
}

// isPolynomial holds for operators that run encrypted as they are.
func isPolynomial(op model.Op) bool {
	switch op := op.(type) {
	case *Series:
		return true
	case model.Pointwise:
		_, exact := op.Polynomial()
		return exact
	case model.ChannelPointwise:
		for i := range op.Channels() {
			if _, exact := op.Channel(i).Polynomial(); !exact {
				return false
			}
		}
	}
	return true
}

// findUnits lists what has to be replaced among the encrypted nodes, in the graph's order.
func findUnits(g *model.Graph, encrypted []bool) []unit {
	readers := map[string][]int{}
	for i, node := range g.Nodes {
		for _, name := range node.Inputs {
			readers[name] = append(readers[name], i)
		}
	}
	for _, name := range g.Outputs {
		readers[name] = append(readers[name], -1)
	}
	// next is the node that alone reads a node's result, or -1.
	next := func(i int) int {
		if list := readers[g.Nodes[i].Output]; len(list) == 1 && list[0] >= 0 && encrypted[list[0]] {
			return list[0]
		}
		return -1
	}
	var units []unit
	taken := make([]bool, len(g.Nodes))
	for i, node := range g.Nodes {
		if !encrypted[i] || taken[i] {
			continue
		}
		u := unit{first: i, last: i, input: firstOf(node.Inputs), name: node.Name}
		if pool, ok := node.Op.(*model.MaxPool); ok {
			u.pool = pool
			if k := next(i); k >= 0 && !isPolynomial(g.Nodes[k].Op) {
				u.last = k
				u.function(g.Nodes[k].Op)
			}
		} else if !isPolynomial(node.Op) {
			u.function(node.Op)
			if k := next(i); k >= 0 && u.common != nil && rising(u.common) {
				if pool, ok := g.Nodes[k].Op.(*model.MaxPool); ok {
					u.pool, u.last = pool, k
				}
			}
		} else {
			continue
		}
		taken[u.first], taken[u.last] = true, true
		units = append(units, u)
	}
	return units
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (u *unit) function(op model.Op) {
	switch op := op.(type) {
	case model.Pointwise:
		u.common = op
	case model.ChannelPointwise:
		u.channels = op
	}
}

// rising holds for functions that are known never to fall.
func rising(op model.Pointwise) bool {
	switch op := op.(type) {
	case *model.Clip:
		return true
	case *model.Compare:
		return op.Operator == ">" || op.Operator == ">="
	case *model.Activation:
		switch op.Function {
		case model.LeakyReLU, model.ELU:
			return op.Alpha >= 0
		case model.SELU:
			return op.Alpha >= 0 && op.Beta >= 0
		case model.CELU:
			return op.Alpha > 0
		case model.HardSigmoid:
			return op.Alpha >= 0
		case model.ReLU, model.Sigmoid, model.Tanh, model.Softplus, model.Softsign, model.Exp, model.Log, model.Erf,
			model.NormalCDF, model.CLogLog, model.Sqrt, model.Sign, model.Atan, model.SignedSquare:
			return true
		}
	}
	return false
}
