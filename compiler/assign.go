package compiler

import (
	"slices"

	"cipherpoint/model"
)

// Place says where an operator of a model runs.
type Place string

const (
	Encrypted        Place = "encrypted, on the server"
	BeforeEncryption Place = "on the client before encryption"
	AfterDecryption  Place = "on the client after decryption"
)

// Places says for every node of a valid graph where it will run, before activations are replaced by polynomials.
func Places(g *model.Graph) ([]Place, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	places := make([]Place, len(g.Nodes))
	for i, s := range assign(g) {
		places[i] = map[side]Place{onServer: Encrypted, before: BeforeEncryption, after: AfterDecryption}[s]
	}
	return places, nil
}

// side says where a node runs.
type side int

const (
	onServer side = iota
	before
	after
)

// weightless holds for operators on several elements that have no parameters to hide.
func weightless(op model.Op) bool {
	switch op.(type) {
	case *model.Add, *model.Sub, *model.Multiply, *model.ReduceSum, *model.ReduceMean:
		return true
	}
	return false
}

// clientOnly holds for operators that cannot run encrypted, or hardly, and can in clear.
func clientOnly(op model.Op) bool {
	switch op.(type) {
	case *model.Softmax, *model.LogSoftmax, *model.ArgMax, *model.Normalizer, *model.Map, *model.TopK, *model.Coupling, *model.ReduceMax,
		*model.MaxPool, *model.Imputer, *model.OneHot, *model.Thermometer, *model.Embedding, *model.Where:
		return true
	}
	return false
}

// canEnd holds for operators that are cheap on the answers and tell no more than these.
func canEnd(op model.Op) bool {
	switch op.(type) {
	case *model.Softmax, *model.LogSoftmax, *model.ArgMax, *model.Normalizer, *model.Compare, *model.Map, *model.Scale, *model.TopK,
		*model.Coupling, *model.ReduceMax, *model.MaxPool, *model.Embedding, *model.Where, model.Pointwise:
		return true
	}
	return model.MovesOnly(op)
}

// exact holds for operators that run encrypted as they are.
func exact(op model.Op) bool {
	switch op := op.(type) {
	case model.Affine, model.MultiAffine, *model.Multiply:
		return true
	case model.Pointwise:
		_, polynomial := op.Polynomial()
		return polynomial
	}
	return false
}

// starts puts before what the client can start with; everything else is on the server.
func starts(g *model.Graph) []side {
	sides := make([]side, len(g.Nodes))
	clear := map[string]bool{}
	for _, port := range g.Inputs {
		clear[port.Name] = true
	}
	for i, node := range g.Nodes {
		all := !slices.ContainsFunc(node.Inputs, func(name string) bool { return !clear[name] })
		if all && model.OfFeatures(node.Op) {
			sides[i] = before
			clear[node.Output] = true
		}
	}
	return sides
}

// assign says for every node where it runs: the longest starts and ends that the client can take. If these are all,
// everything that can run encrypted does.
func assign(g *model.Graph) []side {
	sides := starts(g)
	// Ends: operators that the client can run, all of whose readers it can.
	ends := make([]bool, len(g.Nodes))
	readByServer := map[string]bool{}
	for i, node := range slices.Backward(g.Nodes) {
		ends[i] = sides[i] == onServer && (canEnd(node.Op) || weightless(node.Op)) && !readByServer[node.Output]
		if !ends[i] {
			for _, name := range node.Inputs {
				readByServer[name] = true
			}
		}
	}
	// What has no parameters stays encrypted, to keep replies short, unless it follows what cannot run so as it is.
	follows := map[string]bool{}
	for i, node := range g.Nodes {
		if ends[i] && (!exact(node.Op) || slices.ContainsFunc(node.Inputs, func(name string) bool { return follows[name] })) {
			follows[node.Output] = true
		}
	}
	readByServer = map[string]bool{}
	for i, node := range slices.Backward(g.Nodes) {
		if ends[i] && !readByServer[node.Output] && (canEnd(node.Op) || follows[node.Output]) {
			sides[i] = after
			continue
		}
		for _, name := range node.Inputs {
			readByServer[name] = true
		}
	}
	// What only the end uses may still need a value from the start: the client has it.
	if !slices.Contains(sides, onServer) {
		return assignAll(g)
	}
	return sides
}

// assignAll leaves only those operators to the client that cannot run encrypted.
func assignAll(g *model.Graph) []side {
	sides := make([]side, len(g.Nodes))
	of := map[string]side{}
	for _, port := range g.Inputs {
		of[port.Name] = before
	}
	for i, node := range g.Nodes {
		has := func(s side) bool {
			return slices.ContainsFunc(node.Inputs, func(name string) bool { return of[name] == s })
		}
		switch {
		case has(after), clientOnly(node.Op) && has(onServer):
			sides[i] = after
		case clientOnly(node.Op):
			sides[i] = before
		}
		of[node.Output] = sides[i]
	}
	return sides
}
