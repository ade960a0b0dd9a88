// Package matching compiles a gallery of templates to a circuit that compares an encrypted one with all of them: 1:N
// matching of faces, fingerprints or embeddings of any kind, nearest centroids, nearest neighbours. The gallery is the
// publisher's, in clear at the endpoint (Compile, CompileNeighbours), or its users', each of whom enrols templates encrypted
// under the key of the queries (CompileStored).
//
//	gallery, err := matching.Compile("faces", templates)           // unit vectors of one dimension
//	deployment.FHEModelDev{Name: "faces", Kind: "gallery", Circuit: gallery.Circuit, Pipeline: gallery.Pipeline}.Save(dir)
//
// The client sends one unit vector and gets its inner product with every template, in the templates' order; the largest,
// and whatever is done with them, it looks for itself (Best). For unit vectors |q − t|² = 2 − 2·q·t, so that the order is
// that of distances as well.
//
// # How
//
// A dimension that is a power of two (others are filled up with zeros) divides the slots: the client repeats its vector
// in them. A block of as many templates as there are slots takes one diagonal for each dimension and one ciphertext of the
// reply. Few blocks run baby-step giant-step (Halevi and Shoup, ePrint 2018/244, section 4); many share all rotations of
// the query. Either takes the same two keys. There is a single level, so ciphertexts have one limb and the ring degree can
// be the smallest.
//
// Templates have signs at random, which the client takes off. A reply ciphertext, whose coefficients are sums of all scores
// of a block, then has none near the largest possible, and its modulus has three bits less.
//
// What users enrol is compared by products of ciphertexts (circuit.Match).
//
// # Dangers
//
// The client learns its score against every template, and with as many questions as dimensions the whole gallery: this
// protects the client's vector from the endpoint, not the gallery from the client. Scores are wrong by up to MaxError.
// The client's side scales its vector to length one, and Compile refuses longer templates: scores are at most one.
//
// Of a gallery of its users an endpoint learns how many templates there are, to the next power of two, and when they are
// asked about. It learns no score; whoever decrypts must not tell it the best match either, if that is to stay unknown.
package matching

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"cipherpoint/circuit"
	"cipherpoint/model"
	"cipherpoint/pipeline"
)

// MaxDimensions of a template.
const MaxDimensions = 1024

// MaxError is what scores may be wrong by: more than ten deviations of the noise of the parameters below, since one part of
// it, a rounding error times the secret, is several times as wide in some slots as in others.
const MaxError = 0.005

// The parameters: one ciphertext prime and one special prime at the smallest ring degree, 91 of 106 bits. The scale of a
// score is above the prime: with signs at random the coefficients of a block's scores have deviations of at most 2^-6.5,
// the first 2^-6, and the prime has room for eight of them.
const (
	logN         = circuit.MinLogN
	qBits, pBits = 42, 49
	inputScale   = 26
	scoreScale   = 44
	replyBits    = 22
	firstBits    = 16
)

// precision is what templates are rounded to: far below the noise, and zeros pack well.
const precision = 1 << 13

// Gallery is a compiled gallery.
type Gallery struct {
	Circuit  *circuit.Circuit
	Pipeline *pipeline.Pipeline
}

// Compile compiles templates: vectors of one dimension, at most MaxDimensions, and of length one at most.
func Compile(name string, templates [][]float64) (*Gallery, error) {
	if len(templates) == 0 {
		return nil, errors.New("a gallery has at least one template")
	}
	dimensions := len(templates[0])
	if dimensions == 0 || dimensions > MaxDimensions {
		return nil, fmt.Errorf("templates of %d dimensions: want 1 to %d", dimensions, MaxDimensions)
	}
	for i, t := range templates {
		sum := 0.0
		for _, x := range t {
			sum += x * x
		}
		if len(t) != dimensions || !(sum <= 1+1e-6) {
			return nil, fmt.Errorf("template %d: want %d dimensions and a length of one at most", i, dimensions)
		}
	}
	prefix, err := unit(model.New(name+" vector", model.Shape{dimensions}))
	if err != nil {
		return nil, err
	}
	return compile(name, templates, prefix)
}

// compile compiles templates of length one at most, with what the client makes of its vector, of length one too.
func compile(name string, templates [][]float64, prefix *model.Graph) (*Gallery, error) {
	parameters, err := circuit.NewParameters(logN, circuit.ConjugateInvariant, []int{qBits}, []int{pBits})
	if err != nil {
		return nil, err
	}
	dimensions := len(templates[0])
	period := 1 << bits.Len(uint(dimensions-1))
	c := &circuit.Circuit{Name: name, Parameters: parameters, Packing: circuit.Slots,
		Inputs: []circuit.Input{{Name: "vector", Scale: math.Exp2(inputScale)}}}
	p := &pipeline.Pipeline{Prefix: prefix, Inputs: []pipeline.Gather{{Elements: make([]int32, period)}}}
	for i := range p.Inputs[0].Elements {
		if p.Inputs[0].Elements[i] = int32(i); i >= dimensions {
			p.Inputs[0].Elements[i] = -1
		}
	}
	n := parameters.Slots()
	babies := 1 << ((bits.Len(uint(period-1)) + 1) / 2)
	if blocks := (len(templates) + n - 1) / n; babies-1+blocks*(period/babies-1) > period-1 {
		babies = period
	}
	var joined []string
	suffix := &model.Graph{Name: name + " scores"}
	for block := 0; block*n < len(templates); block++ {
		rows := templates[block*n : min((block+1)*n, len(templates))]
		c.Nodes = append(c.Nodes, circuit.Node{Name: fmt.Sprintf("templates %d", block), In: []int{0},
			Scale: math.Exp2(scoreScale), Linear: linear(rows, n, period, babies)})
		output := fmt.Sprintf("scores %d", block)
		c.Outputs = append(c.Outputs, circuit.Output{Name: output, Value: block + 1, Period: n, ModulusBits: replyBits, FirstBits: firstBits})
		answer := pipeline.Answer{Shape: model.Shape{len(rows)}, Positions: make([]int32, len(rows)), Factor: 1, Factors: make([]float64, len(rows))}
		for i := range rows {
			answer.Positions[i], answer.Factors[i] = int32(i), circuit.Sign(i)
		}
		p.Outputs = append(p.Outputs, answer)
		suffix.Inputs = append(suffix.Inputs, model.Port{Name: output, Shape: answer.Shape})
		joined = append(joined, output)
	}
	suffix.Outputs = joined
	if len(joined) > 1 {
		suffix.Nodes = []model.Node{{Name: "join", Op: &model.Concat{}, Inputs: joined, Output: "scores"}}
		suffix.Outputs = []string{"scores"}
	}
	p.Suffix = suffix
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Gallery{c, p}, p.Validate(n, c.Inputs, c.Outputs)
}

// unit scales the client's vector to length one.
func unit(b *model.Builder) (*model.Graph, error) { return b.Normalizer(model.NormL2).Graph() }

// linear is the product of the block's templates by a vector that repeats with the period. Slot j of the result is
// Σ_k t_j[(j+k) mod period]·x_(j+k), so the diagonal of shift k = baby + giant holds at j, rotated by -giant, what
// template j - giant has at (j + baby) mod period. Where there are fewer templates than slots they are repeated, with other
// signs: most coefficients of a few values are below one half, and encoding would lose them.
func linear(rows [][]float64, n, period, babies int) *circuit.Linear {
	l := &circuit.Linear{Bias: circuit.NewVector([]float64{0})}
	root := 1 << ((bits.Len(uint(period-1)) + 1) / 2)
	for shift := root; shift < babies; shift += root {
		l.Babies = append(l.Babies, circuit.Rotation{Shift: shift, From: shift - root})
	}
	for step := 1; step < root; step++ {
		for shift := step; shift < babies; shift += root {
			l.Babies = append(l.Babies, circuit.Rotation{Shift: shift, From: shift - 1})
		}
	}
	// Horner's scheme: the sum that waits at a shift is rotated to the one before.
	for shift := babies; shift < period; shift += babies {
		l.Giants = append(l.Giants, circuit.Rotation{Shift: shift, From: shift - babies})
	}
	for giant := 0; giant < period; giant += babies {
		for baby := range babies {
			values := make([]float64, n)
			for j := range values {
				place := (j - giant + n) % n
				row := rows[place%len(rows)]
				if at := (j + baby) % period; at < len(row) {
					values[j] = circuit.Sign(place) * math.Round(precision*row[at]) / precision
				}
			}
			l.Diagonals = append(l.Diagonals, circuit.Diagonal{Baby: baby, Giant: giant, Values: circuit.Vector{Period: n, Values: values}})
		}
	}
	return l
}

// Match is a template and its score.
type Match struct {
	Template int
	Score    float64
}

// Best returns the k templates with the largest scores, the best first; of equals the first comes first.
func Best(scores []float64, k int) []Match {
	best := make([]Match, 0, min(k, len(scores))+1)
	for i, s := range scores {
		if len(best) == k && !(k > 0 && s > best[k-1].Score) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(m Match, s float64) int {
			if m.Score >= s {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, Match{i, s})[:min(k, len(best)+1)]
	}
	return best
}

// Vote returns the label that most of the matches have, of equals that of the best match: k nearest neighbours.
func Vote(matches []Match, labels []int) int {
	votes := map[int]int{}
	for _, m := range matches {
		votes[labels[m.Template]]++
	}
	best := labels[matches[0].Template]
	for _, m := range matches {
		if label := labels[m.Template]; votes[label] > votes[best] {
			best = label
		}
	}
	return best
}
