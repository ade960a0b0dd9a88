package fhe

import (
	"context"
	"errors"
	"fmt"

	"cipherpoint/circuit"
	"cipherpoint/fhe/internal/wire"
)

// Matcher is a circuit with a circuit.Match made ready to run. It is safe for concurrent use.
//
// A query is rotated once for all templates. Then every block is a sum of products of ciphertexts, taken for a piece of
// the points at a time so that the query's pieces stay in the second cache while the templates stream by, and one
// relinearisation.
type Matcher struct {
	params    *Parameters
	circuit   *circuit.Circuit
	signature *Signature
	keys      circuit.KeySet
	pool      *Pool
	arena     *arena

	dimensions  int
	baby, giant turn // the steps that make all rotations of a query
	babies      int  // rotations between two giant steps
}

// NewMatcher checks a circuit that matches and prepares it.
func NewMatcher(c *circuit.Circuit, pool *Pool) (*Matcher, error) {
	stored := circuit.Stored(c.Inputs)
	if stored == nil {
		return nil, errors.New("the circuit has no stored input")
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	params, err := NewParameters(c.Parameters)
	if err != nil {
		return nil, err
	}
	m := &Matcher{params: params, circuit: c, signature: SignatureOf(c), keys: c.Keys(), pool: pool, arena: &arena{n: params.N()},
		dimensions: stored.Dimensions}
	m.baby.step, m.giant.step = stored.Rotations(params.N())
	m.babies = m.giant.step / m.baby.step
	return m, nil
}

// Circuit returns the circuit. It must not be changed.
func (m *Matcher) Circuit() *circuit.Circuit { return m.circuit }

// Parameters returns the circuit's parameters.
func (m *Matcher) Parameters() *Parameters { return m.params }

// Signature returns the circuit's signature. It must not be changed.
func (m *Matcher) Signature() *Signature { return m.signature }

// Run answers a request under the name of the model: the scores of the query with all templates of stored, in this order.
// It fails with ErrFormat or ErrForeign for bytes that are no query for this circuit.
func (m *Matcher) Run(ctx context.Context, keys *EvaluationKeys, id ID, request []byte, stored []*Templates) ([]byte, error) {
	if err := checkKeys(m.params, m.keys, keys); err != nil {
		return nil, err
	}
	var blocks []*templateBlock
	var sizes []int
	for _, t := range stored {
		if !m.params.Same(t.params.literal) || t.dimensions != m.dimensions {
			return nil, errors.New("templates are for other parameters")
		}
		for i := range t.blocks {
			blocks, sizes = append(blocks, &t.blocks[i]), append(sizes, t.blocks[i].size)
		}
	}
	inputs, err := ParseInputs(m.params, m.signature, id, request)
	if err != nil {
		return nil, err
	}
	if err := m.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer m.pool.Leave()
	e := &evaluator{params: m.params, pool: m.pool, arena: m.arena}
	turned, err := m.turn(e, keys, inputs[0].parts, blocks)
	if err != nil {
		return nil, err
	}
	products := m.multiply(ctx, e, turned, blocks)
	e.release(turned[1:]...) // the first is the input itself
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return m.reply(e, keys, id, products, sizes)
}

// turn returns the query rotated by each number of dimensions that blocks ask for: small ones have few ciphertexts.
func (m *Matcher) turn(e *evaluator, keys *EvaluationKeys, query pair, blocks []*templateBlock) ([]pair, error) {
	count := 1
	for _, b := range blocks {
		count = max(count, m.dimensions*b.size/m.params.N())
	}
	turned, errs := make([]pair, count), make([]error, count)
	turned[0] = query
	step := func(to, from int, t turn) {
		turned[to], errs[to] = e.rotate(turned[from], keys.rotations[t.step])
	}
	for to := m.babies; to < count; to += m.babies {
		step(to, to-m.babies, m.giant)
	}
	e.pool.Do((count+m.babies-1)/m.babies, func(group int) {
		first := group * m.babies
		for to := first + 1; to < min(first+m.babies, count); to++ {
			step(to, to-1, m.baby)
		}
	})
	return turned, errors.Join(errs...)
}

// square is a sum of products of ciphertexts, of degree 2 in the secret.
type square [3]poly

// blocksATime is how many blocks are multiplied by a piece of the query while that is in the cache.
const blocksATime = 8

// multiply returns the products of all blocks, or after the end of the context anything.
func (m *Matcher) multiply(ctx context.Context, e *evaluator, turned []pair, blocks []*templateBlock) []square {
	products := make([]square, len(blocks))
	for i := range products {
		products[i] = square{e.arena.poly(1), e.arena.poly(1), e.arena.poly(1)}
	}
	modulus := m.params.q[0]
	groups := (len(blocks) + blocksATime - 1) / blocksATime
	e.pool.Do(groups*(m.params.N()/templatePiece), func(task int) {
		if ctx.Err() != nil {
			return
		}
		group, piece := task%groups, task/groups
		start, end := piece*templatePiece, (piece+1)*templatePiece
		var query [2][][]uint64
		for _, c := range turned {
			for part := range query {
				query[part] = append(query[part], c[part][0][start:end])
			}
		}
		var cross [templatePiece]uint64
		for i := group * blocksATime; i < min((group+1)*blocksATime, len(blocks)); i++ {
			rows, p := &blocks[i].pieces[piece], products[i]
			count := len(rows[0])
			d1 := p[1][0][start:end]
			modulus.Packed2InnerProduct(p[0][0][start:end], d1, rows[0], rows[1], query[0][:count])
			modulus.Packed2InnerProduct(cross[:], p[2][0][start:end], rows[0], rows[1], query[1][:count])
			modulus.Add(d1, d1, cross[:])
		}
	})
	return products
}

// reply relinearises the products, which it consumes, and writes them (FORMAT.md).
func (m *Matcher) reply(e *evaluator, keys *EvaluationKeys, id ID, products []square, sizes []int) ([]byte, error) {
	special := keys.relinearisation.special
	g, err := m.params.gadget(0, special)
	if err != nil {
		return nil, err
	}
	division, err := m.params.division(0, special, 0)
	if err != nil {
		return nil, err
	}
	n, out, modulus := m.params.N(), &m.signature.Outputs[0], m.params.q[0]
	bits := [2]int{out.ModulusBits, out.First()} // of the second and the first part
	reply := wire.AppendHeader(make([]byte, 0, m.signature.ScoresSize(sizes)), wire.Replies, id, len(sizes))
	places := make([][2][]byte, len(sizes))
	for i, size := range sizes {
		for part, count := range []int{n, size} {
			bytes := wire.PackedSize(count, bits[part])
			places[i][part] = reply[len(reply) : len(reply)+bytes]
			reply = reply[:len(reply)+bytes]
		}
	}
	e.pool.Do(len(products), func(i int) {
		alone := &evaluator{params: m.params, arena: m.arena}
		w := alone.flow()
		c := w.relinearise(g, division, keys.relinearisation, products[i], always)
		w.run()
		alone.arena.release(products[i][:]...)
		for part := range c {
			v := c[part][0]
			modulus.MulScalar(v, v, wire.TemplateLift(n, sizes[i]))
			modulus.Inverse(v, v)
		}
		step := n / sizes[i]
		first := c[0][0][:sizes[i]]
		for k := range first {
			first[k] = c[0][0][k*step]
		}
		for part, v := range [][]uint64{c[1][0], first} {
			switchModulus(v, v, modulus, bits[part])
			wire.Pack(places[i][part], v, bits[part])
		}
		alone.release(c)
	})
	return reply, nil
}

// ParseScores reads the encrypted reply to a query about blocks of templates (FORMAT.md).
func ParseScores(s *Signature, id ID, blocks []int, data []byte) ([]*Reply, error) {
	if err := wire.CheckHeader(data, wire.Replies, id, len(blocks)); err != nil {
		return nil, err
	}
	if want := s.ScoresSize(blocks); int64(len(data)) != want {
		return nil, fmt.Errorf("%w: %d bytes of %s where %d are wanted", ErrFormat, len(data), wire.Replies, want)
	}
	data = data[wire.HeaderSize:]
	replies := make([]*Reply, len(blocks))
	for i, size := range blocks {
		replies[i] = &Reply{make([]uint64, size), make([]uint64, s.Parameters.N())}
		var err error
		if data, err = replies[i].unpack(&s.Outputs[0], data); err != nil {
			return nil, fmt.Errorf("%w: block %d: %w", ErrFormat, i, err)
		}
	}
	return replies, nil
}
