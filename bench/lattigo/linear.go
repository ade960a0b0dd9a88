package lattigo

import (
	"maps"
	"slices"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring/ringqp"
	"golang.org/x/sync/errgroup"

	"cipherpoint/circuit"
)

// giantCost is what a giant step costs where a baby step costs one: a rotation beside a hoisted one, as Lattigo runs
// them.
const giantCost = 2.6

// linear multiplies by a matrix. A circuit's diagonals are put back to where they stand in the matrix, since Lattigo has
// its own way to divide them into baby and giant steps.
func (b *builder) linear(node circuit.Node) (operation, error) {
	n := b.circuit.Parameters.Slots()
	scale := b.circuit.PlaintextScale(node, 0)
	diagonals := hefloat.Diagonals[float64]{}
	for _, d := range node.Linear.Diagonals {
		if d.Values.IsZero() {
			continue
		}
		at := (d.Baby + d.Giant) % n
		if diagonals[at] == nil {
			diagonals[at] = make([]float64, n)
		}
		for j, v := range d.Values.Full(n) {
			diagonals[at][(j+n-d.Giant)%n] += v
		}
	}
	p := b.Program
	if len(diagonals) == 0 {
		return func([]*hefloat.Evaluator, []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
			return hefloat.NewCiphertext(p.params, 1, node.Level), nil
		}, nil
	}
	if diagonals[0] != nil && len(diagonals) == 1 {
		factor, err := b.factor(circuit.Vector{Period: n, Values: diagonals[0]}, scale, node.Level)
		return func(_ []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
			return p.times(operands[0], factor), nil
		}, err
	}
	places := slices.Sorted(maps.Keys(diagonals))
	m := &matrix{program: p, level: node.Level}
	babies := cheapest(places, n)
	whole := m.share(babies, scale)
	index, giants, shifts := he.BSGSIndex(places, n, babies)
	levelP := p.params.MaxLevelP()
	ringQP := p.params.RingQP().AtLevel(node.Level, levelP)
	for _, place := range places {
		whole.Vec[place] = ringQP.NewPoly()
	}
	if err := hefloat.EncodeLinearTransformation(b.encoder, diagonals, hefloat.LinearTransformation(whole)); err != nil {
		return nil, err
	}
	for _, shift := range slices.Concat(giants, shifts) {
		if shift != 0 {
			p.galois[p.params.GaloisElement(shift)] = true
		}
	}
	m.babies = deal(shifts, p.threads)
	for _, share := range deal(giants, p.threads) {
		part := m.share(babies, scale)
		for _, giant := range share {
			for _, baby := range index[giant] {
				part.Vec[giant+baby] = whole.Vec[giant+baby]
			}
		}
		m.parts = append(m.parts, part)
	}
	return m.run, nil
}

// matrix is a linear map, its giant steps shared out over threads.
type matrix struct {
	program *Program
	level   int
	babies  [][]int // a thread's baby steps
	parts   []he.LinearTransformation
}

func (m *matrix) share(babies int, scale float64) he.LinearTransformation {
	return he.LinearTransformation{
		MetaData: &rlwe.MetaData{
			PlaintextMetaData:  rlwe.PlaintextMetaData{LogDimensions: m.program.params.LogMaxDimensions(), Scale: rlwe.NewScale(scale), IsBatched: true},
			CiphertextMetaData: rlwe.CiphertextMetaData{IsNTT: true, IsMontgomery: true},
		},
		N1: babies, Level: m.level, Vec: map[int]ringqp.Poly{},
	}
}

// cheapest returns the power of two that divides the places of diagonals into baby and giant steps at the least cost.
func cheapest(places []int, n int) int {
	best, least := 1, 0.0
	for size := 1; size <= n; size *= 2 {
		_, giants, babies := he.BSGSIndex(places, n, size)
		if cost := float64(len(babies)) + giantCost*float64(len(giants)); size == 1 || cost < least {
			best, least = size, cost
		}
	}
	return best
}

// deal shares a list out to at most that many threads.
func deal(list []int, threads int) [][]int {
	shares := make([][]int, min(threads, len(list)))
	for i, x := range list {
		shares[i%len(shares)] = append(shares[i%len(shares)], x)
	}
	return shares
}

// run is what hefloat.LinearTransformationEvaluator does, its two loops shared out over threads.
func (m *matrix) run(evaluators []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
	x := operands[0]
	params := m.program.params
	digits := evaluators[0].GetBuffDecompQP()
	evaluators[0].DecomposeNTT(m.level, params.MaxLevelP(), params.PCount(), x.Value[1], true, digits)

	rotated := make([]map[int]*rlwe.Element[ringqp.Poly], len(m.babies))
	var threads errgroup.Group
	for i, shifts := range m.babies {
		rotated[i] = map[int]*rlwe.Element[ringqp.Poly]{}
		threads.Go(func() error {
			return he.GetPreRotatedCiphertextForDiagonalMatrixMultiplication(m.level, evaluators[i], x, digits, shifts, rotated[i])
		})
	}
	if err := threads.Wait(); err != nil {
		return nil, err
	}
	for _, more := range rotated[1:] {
		maps.Copy(rotated[0], more)
	}

	sums := make([]*rlwe.Ciphertext, len(m.parts))
	for i, part := range m.parts {
		sums[i] = hefloat.NewCiphertext(params, 1, m.level)
		threads.Go(func() error { return he.MultiplyByDiagMatrixBSGS(evaluators[i], x, part, rotated[0], sums[i]) })
	}
	if err := threads.Wait(); err != nil {
		return nil, err
	}
	ringQ := params.RingQ().AtLevel(m.level)
	for _, more := range sums[1:] {
		for part := range more.Value {
			ringQ.Add(sums[0].Value[part], more.Value[part], sums[0].Value[part])
		}
	}
	return sums[0], nil
}
