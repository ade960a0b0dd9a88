package deployment

import (
	"context"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

// program is a circuit made ready to run, whatever its packing.
type program interface {
	Circuit() *circuit.Circuit
	Parameters() *fhe.Parameters
	PlaintextBytes() int64
	// Run answers a request under the name of the model.
	Run(ctx context.Context, keys *fhe.EvaluationKeys, model fhe.ID, request []byte, observe fhe.Observer) ([]byte, error)
}

func newProgram(ctx context.Context, c *circuit.Circuit, pool *fhe.Pool) (program, error) {
	if c.Packing == circuit.Batch {
		return fhe.NewBatchProgram(c, pool)
	}
	if circuit.Stored(c.Inputs) != nil {
		m, err := fhe.NewMatcher(c, pool)
		return matcher{m}, err
	}
	p, err := fhe.NewProgram(ctx, c, pool)
	return single{p}, err
}

// single is a program for one sample at a time.
type single struct{ *fhe.Program }

func (p single) Run(ctx context.Context, keys *fhe.EvaluationKeys, model fhe.ID, request []byte, observe fhe.Observer) ([]byte, error) {
	return p.Answer(ctx, keys, model, request, observe)
}
