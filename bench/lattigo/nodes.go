package lattigo

import (
	"math"
	"math/big"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/he/hefloat"
	"github.com/tuneinsight/lattigo/v5/ring"

	"cipherpoint/circuit"
)

// builder prepares nodes.
type builder struct {
	*Program
	encoder *hefloat.Encoder
}

func (b *builder) build(node circuit.Node) (operation, error) {
	switch {
	case node.Linear != nil:
		op, err := b.linear(node)
		if err != nil {
			return nil, err
		}
		return b.finish(node, node.Linear.Bias, op)
	case node.Fold != nil:
		return b.finish(node, circuit.Vector{}, b.fold(node))
	case node.Dot != nil:
		weights, err := b.factor(node.Dot.Weights, b.circuit.PlaintextScale(node, 0), node.Level)
		if err != nil {
			return nil, err
		}
		return b.finish(node, node.Dot.Bias, func(_ []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
			return b.times(operands[0], weights), nil
		})
	case node.Combine != nil:
		return b.combine(node)
	default:
		return b.finish(node, circuit.Vector{}, func(evaluators []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
			return evaluators[0].MulRelinNew(operands[0], operands[1])
		})
	}
}

// finish lets an operation be followed by rescaling and the addition of a bias.
func (b *builder) finish(node circuit.Node, bias circuit.Vector, op operation) (operation, error) {
	p := b.Program
	unscaled, scale := rlwe.NewScale(node.Scale*p.circuit.Divisor(node)), rlwe.NewScale(node.Scale)
	var constant *rlwe.Plaintext
	if !bias.IsZero() {
		constant = p.plaintext(node.Level-node.Rescale, node.Scale)
		if err := b.encoder.Encode(bias.Full(p.circuit.Parameters.Slots()), constant); err != nil {
			return nil, err
		}
	}
	return func(evaluators []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
		result, err := op(evaluators, operands)
		if err != nil {
			return nil, err
		}
		result.Scale = unscaled
		if node.Rescale > 0 {
			if err := evaluators[0].RescaleTo(result, scale, result); err != nil {
				return nil, err
			}
		}
		result.Scale = scale
		if constant != nil {
			p.params.RingQ().AtLevel(result.Level()).Add(result.Value[0], constant.Value, result.Value[0])
		}
		return result, nil
	}, nil
}

// factor encodes a vector in Montgomery form.
func (b *builder) factor(v circuit.Vector, scale float64, level int) (ring.Poly, error) {
	pt := b.plaintext(level, scale)
	if err := b.encoder.Encode(v.Full(b.circuit.Parameters.Slots()), pt); err != nil {
		return ring.Poly{}, err
	}
	b.params.RingQ().AtLevel(level).MForm(pt.Value, pt.Value)
	return pt.Value, nil
}

// times multiplies by a plaintext in Montgomery form.
func (p *Program) times(ct *rlwe.Ciphertext, factor ring.Poly) *rlwe.Ciphertext {
	product := hefloat.NewCiphertext(p.params, 1, ct.Level())
	*product.MetaData = *ct.MetaData
	ringQ := p.params.RingQ().AtLevel(ct.Level())
	for part, v := range ct.Value {
		ringQ.MulCoeffsMontgomery(v, factor, product.Value[part])
	}
	return product
}

func (b *builder) fold(node circuit.Node) operation {
	p := b.Program
	for _, s := range node.Fold.Steps {
		p.galois[p.params.GaloisElement(s)] = true
	}
	return func(evaluators []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
		sum := operands[0]
		ringQ := p.params.RingQ().AtLevel(node.Level)
		for _, s := range node.Fold.Steps {
			rotated, err := evaluators[0].RotateNew(sum, s)
			if err != nil {
				return nil, err
			}
			for part := range rotated.Value {
				ringQ.Add(rotated.Value[part], sum.Value[part], rotated.Value[part])
			}
			sum = rotated
		}
		if len(node.Fold.Steps) == 0 {
			return sum.CopyNew(), nil
		}
		return sum, nil
	}
}

func (b *builder) combine(node circuit.Node) (operation, error) {
	p := b.Program
	var factors []*big.Int
	for k, f := range node.Combine.Factors {
		factors = append(factors, rounded(f*p.circuit.PlaintextScale(node, k)))
	}
	bias := circuit.Vector{}
	constant := rounded(node.Combine.Constant * node.Scale * p.circuit.Divisor(node))
	if p.circuit.Packing == circuit.Coefficients && node.Combine.Constant != 0 {
		bias, constant = circuit.Vector{Period: 1, Values: []float64{node.Combine.Constant}}, new(big.Int)
	}
	return b.finish(node, bias, func(_ []*hefloat.Evaluator, operands []*rlwe.Ciphertext) (*rlwe.Ciphertext, error) {
		ringQ := p.params.RingQ().AtLevel(node.Level)
		sum := hefloat.NewCiphertext(p.params, 1, node.Level)
		*sum.MetaData = *operands[0].MetaData
		for part := range sum.Value {
			v := sum.Value[part]
			for k, x := range operands {
				switch {
				case k > 0:
					ringQ.MulScalarBigintThenAdd(x.Value[part], factors[k], v)
				case factors[0].IsInt64() && factors[0].Int64() == 1:
					v.CopyLvl(node.Level, x.Value[part])
				default:
					ringQ.MulScalarBigint(x.Value[part], factors[0], v)
				}
			}
		}
		if constant.Sign() != 0 {
			ringQ.AddScalarBigint(sum.Value[0], constant, sum.Value[0])
		}
		return sum, nil
	})
}

func rounded(x float64) *big.Int {
	i, _ := new(big.Float).SetFloat64(math.RoundToEven(x)).Int(nil)
	return i
}
