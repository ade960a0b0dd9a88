package client

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"cipherpoint/fhe"
)

// BatchSize is how many rows an encrypted input holds: thousands for a model that was compiled for batches, else one.
func (m *FHEModelClient) BatchSize() int { return m.spec.BatchSize() }

var (
	errBatch    = errors.New("the model takes batches: use EncryptBatch, DecryptBatch and InferBatch")
	errNoBatch  = errors.New("the model takes one row at a time")
	errNoAnswer = errors.New("the reply is to fewer rows")
)

// EncryptBatch turns up to BatchSize rows into one encrypted input of spec.RequestBytes() bytes, which does not show how
// many they are.
func (m *FHEModelClient) EncryptBatch(ctx context.Context, rows [][]float64) ([]byte, error) {
	switch {
	case m.key == nil:
		return nil, errNoKey
	case m.BatchSize() == 1:
		return nil, errNoBatch
	case len(rows) == 0 || len(rows) > m.BatchSize():
		return nil, fmt.Errorf("%d rows in a batch: want 1 to %d", len(rows), m.BatchSize())
	}
	inputs := make([][][]float64, len(m.spec.Signature.Inputs))
	for i, in := range m.spec.Signature.Inputs {
		inputs[i] = make([][]float64, in.Width)
		for e := range inputs[i] {
			inputs[i][e] = make([]float64, len(rows))
		}
	}
	for j, row := range rows {
		vectors, err := m.spec.Pipeline.Encode(row)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", j, err)
		}
		for i, v := range vectors {
			for e, x := range v {
				inputs[i][e][j] = x
			}
		}
	}
	pool := fhe.NewPool(runtime.GOMAXPROCS(0))
	if err := pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer pool.Leave()
	return m.key.EncryptBatch(m.spec.Signature, m.spec.ModelID(), inputs, pool)
}

// DecryptBatch turns the reply to a batch of that many rows into their answers.
func (m *FHEModelClient) DecryptBatch(ctx context.Context, reply []byte, rows int) ([]Answer, error) {
	switch {
	case m.key == nil:
		return nil, errNoKey
	case m.BatchSize() == 1:
		return nil, errNoBatch
	case rows > m.BatchSize():
		return nil, errNoAnswer
	}
	pool := fhe.NewPool(runtime.GOMAXPROCS(0))
	if err := pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer pool.Leave()
	columns, err := m.key.DecryptBatch(m.spec.Signature, m.spec.ModelID(), reply, pool)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, rows)
	out := make([][]float64, len(columns))
	for j := range answers {
		for i, list := range columns {
			out[i] = make([]float64, len(list))
			for e, v := range list {
				out[i][e] = v[j]
			}
		}
		if answers[j], err = decode(m.spec.Pipeline, out); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// InferBatch asks an endpoint about any number of rows, with the keys that uid names: in batches where the model was
// compiled for them, else as many at once as the protocol allows. A batch that is not full costs as much as a full one.
func (m *FHEModelClient) InferBatch(ctx context.Context, c *Connection, uid string, rows [][]float64) ([]Answer, error) {
	answers := make([]Answer, 0, len(rows))
	if m.BatchSize() == 1 {
		for len(rows) > 0 {
			part, err := m.inferRows(ctx, c, uid, rows[:min(inferenceInputs, len(rows))])
			if err != nil {
				return nil, err
			}
			answers, rows = append(answers, part...), rows[len(part):]
		}
		return answers, nil
	}
	for len(rows) > 0 {
		batch := rows[:min(m.BatchSize(), len(rows))]
		input, err := m.EncryptBatch(ctx, batch)
		if err != nil {
			return nil, err
		}
		reply, err := c.infer(ctx, uid, input, int64(m.spec.ReplyBytes()))
		if err != nil {
			return nil, err
		}
		part, err := m.DecryptBatch(ctx, reply, len(batch))
		if err != nil {
			return nil, err
		}
		answers, rows = append(answers, part...), rows[len(batch):]
	}
	return answers, nil
}

func (m *FHEModelClient) inferRows(ctx context.Context, c *Connection, uid string, rows [][]float64) ([]Answer, error) {
	inputs := make([][]byte, len(rows))
	for i, row := range rows {
		var err error
		if inputs[i], err = m.QuantizeEncryptSerialize(row); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
	}
	replies, err := c.InferMany(ctx, uid, inputs)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(rows))
	for i, reply := range replies {
		if answers[i], err = m.DeserializeDecryptDequantize(reply); err != nil {
			return nil, err
		}
	}
	return answers, nil
}
