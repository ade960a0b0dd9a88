package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"cipherpoint/circuit"
	"cipherpoint/deployment"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
	"cipherpoint/pipeline"
)

// maxClientZip bounds client.zip, from a folder and from an endpoint.
const maxClientZip = 64 << 20

// FHEModelClient is a compiled model in a user's hands, with the user's secret key. It is safe for concurrent use once
// it has keys.
type FHEModelClient struct {
	spec   *deployment.Client
	params *fhe.Parameters
	key    *secret.Key
}

// Load reads client.zip from a compiled model's folder.
func Load(dir string) (*FHEModelClient, error) {
	f, err := os.Open(filepath.Join(dir, deployment.ClientFile))
	if err != nil {
		return nil, fmt.Errorf("no compiled model in the folder: %w", err)
	}
	defer f.Close()
	archive, err := io.ReadAll(io.LimitReader(f, maxClientZip+1))
	if err != nil {
		return nil, err
	}
	return Read(archive)
}

// Read reads the bytes of a client.zip. They may come from an endpoint that is not trusted: everything is checked, the
// security of the parameters too.
func Read(archive []byte) (*FHEModelClient, error) {
	if len(archive) > maxClientZip {
		return nil, fmt.Errorf("%s: larger than %d bytes", deployment.ClientFile, maxClientZip)
	}
	spec, err := deployment.ReadClient(archive)
	if err != nil {
		return nil, err
	}
	params, err := fhe.NewParameters(spec.Signature.Parameters)
	if err != nil {
		return nil, err
	}
	return &FHEModelClient{spec: spec, params: params}, nil
}

// Spec is what client.zip says. It must not be changed.
func (m *FHEModelClient) Spec() *deployment.Client { return m.spec }

// KeySet names the keys that this model takes, in hexadecimal.
func (m *FHEModelClient) KeySet() string { return m.spec.KeySetID }

// GenerateKeys makes a fresh secret key.
func (m *FHEModelClient) GenerateKeys() (err error) {
	m.key, err = secret.GenerateKey(m.params)
	return err
}

// SecretKey returns the secret key in clear, for the user's own storage.
func (m *FHEModelClient) SecretKey() ([]byte, error) {
	if m.key == nil {
		return nil, errNoKey
	}
	return m.key.MarshalBinary()
}

// SetSecretKey takes a key that SecretKey returned.
func (m *FHEModelClient) SetSecretKey(b []byte) (err error) {
	m.key, err = secret.ParseKey(m.params, b)
	return err
}

var errNoKey = errors.New("there is no secret key: generate or set one first")

// WriteEvaluationKeys makes the keys that the endpoint needs on all cores and writes them, spec.KeyBytes() bytes. It
// keeps no more than a few of them in memory. Progress, which may be nil, is told the bytes made so far.
func (m *FHEModelClient) WriteEvaluationKeys(ctx context.Context, w io.Writer, progress func(done int64)) error {
	if m.key == nil {
		return errNoKey
	}
	pool := fhe.NewPool(runtime.GOMAXPROCS(0))
	return m.key.WriteEvaluationKeys(ctx, w, m.spec.Keys, m.spec.KeySet(), pool, progress)
}

// EvaluationKeys returns what WriteEvaluationKeys writes.
func (m *FHEModelClient) EvaluationKeys(ctx context.Context, progress func(done int64)) ([]byte, error) {
	var file bytes.Buffer
	file.Grow(int(m.spec.KeyBytes()))
	err := m.WriteEvaluationKeys(ctx, &file, progress)
	return file.Bytes(), err
}

// QuantizeEncryptSerialize turns a row of features into an encrypted input of spec.RequestBytes() bytes.
func (m *FHEModelClient) QuantizeEncryptSerialize(row []float64) ([]byte, error) {
	if m.key == nil {
		return nil, errNoKey
	}
	if m.BatchSize() > 1 {
		return nil, errBatch
	}
	vectors, err := m.spec.Pipeline.Encode(row)
	if err != nil {
		return nil, err
	}
	for i, v := range vectors {
		vectors[i] = circuit.Vector{Period: len(v), Values: v}.Full(m.spec.Signature.Parameters.Slots())
	}
	return m.key.Encrypt(m.spec.Signature, m.spec.ModelID(), vectors)
}

// ReadRow turns the cells of a row of a table, as users have it, into the row that is encrypted. Models of numbers read
// none.
func (m *FHEModelClient) ReadRow(cells []string) ([]float64, error) {
	if len(m.spec.Pipeline.Columns) == 0 {
		return nil, errors.New("the model takes numbers, no cells of text")
	}
	return m.spec.Pipeline.Columns.Encode(cells)
}

// Answer is a decrypted answer: a secret of the user's.
type Answer struct {
	Scores []float64 // of the last encrypted layer
	Values []float64 // what the model's end makes of them: probabilities, a value
	Label  int       // index of the class; 0 where the model is no classifier
	Class  string    // its name, where the model names classes
}

// DeserializeDecryptDequantize turns the reply to an encrypted input into the answer.
func (m *FHEModelClient) DeserializeDecryptDequantize(reply []byte) (Answer, error) {
	if m.key == nil {
		return Answer{}, errNoKey
	}
	if m.BatchSize() > 1 {
		return Answer{}, errBatch
	}
	if m.spec.Dimensions() > 0 {
		return Answer{}, errGallery
	}
	out, err := m.key.Decrypt(m.spec.Signature, m.spec.ModelID(), reply)
	if err != nil {
		return Answer{}, err
	}
	return decode(m.spec.Pipeline, out)
}

func decode(p *pipeline.Pipeline, out [][]float64) (a Answer, err error) {
	if a.Scores, a.Values, err = p.Decode(out); err != nil {
		return Answer{}, err
	}
	if len(p.Classes) > 0 {
		a.Label = pipeline.Label(a.Values)
		if a.Label < len(p.Classes) {
			a.Class = p.Classes[a.Label]
		}
	}
	return a, nil
}

// Clear answers a row in clear, by a circuit that the caller has: what an endpoint with the same circuit would answer
// without the noise of encryption.
func (m *FHEModelClient) Clear(c *circuit.Circuit, row []float64) (Answer, error) {
	vectors, err := m.spec.Pipeline.Encode(row)
	if err != nil {
		return Answer{}, err
	}
	for i, v := range vectors {
		vectors[i] = circuit.Vector{Period: len(v), Values: v}.Full(c.Width(i))
	}
	out, err := c.Run(vectors...)
	if err != nil {
		return Answer{}, err
	}
	return decode(m.spec.Pipeline, out)
}
