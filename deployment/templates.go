package deployment

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
)

// Dimensions is how many values the templates have that users of the model store encrypted; 0 where it is no such model.
func (c *Client) Dimensions() int {
	if stored := circuit.Stored(c.Signature.Inputs); stored != nil {
		return stored.Dimensions
	}
	return 0
}

// TemplateSet is the name under which templates are stored: the first half of the SHA-256 of the parameters, the
// dimensions and the scale in JSON. Templates made under it serve every model that has the same.
func (c *Client) TemplateSet() (id fhe.ID) {
	stored := circuit.Stored(c.Signature.Inputs)
	if stored == nil {
		return id
	}
	// Finite numbers and strings can be written.
	b, _ := json.Marshal(struct {
		Parameters circuit.Parameters `json:"parameters"`
		Dimensions int                `json:"dimensions"`
		Scale      float64            `json:"scale"`
	}{c.Signature.Parameters, stored.Dimensions, stored.Scale})
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

var errNoTemplates = errors.New("the model keeps no templates of its users")

// LoadTemplates reads encrypted templates of a user, checks them and makes them ready. It fails with fhe.ErrFormat or
// fhe.ErrForeign for bytes that are no templates of this model's set.
func (s *FHEModelServer) LoadTemplates(ctx context.Context, r io.Reader) (*fhe.Templates, error) {
	if s.client.Dimensions() == 0 {
		return nil, errNoTemplates
	}
	if err := s.pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.pool.Leave()
	return fhe.ReadTemplates(r, s.program.Parameters(), s.client.Dimensions(), s.client.TemplateSet(), s.pool)
}

// Match answers one encrypted input with its scores with all of a user's templates.
func (s *FHEModelServer) Match(ctx context.Context, keys *fhe.EvaluationKeys, templates []*fhe.Templates, input []byte) ([]byte, error) {
	m, ok := s.program.(matcher)
	if !ok {
		return nil, errNoTemplates
	}
	return m.Matcher.Run(ctx, keys, s.client.ModelID(), input, templates)
}

// matcher is a program that has nothing to say without templates.
type matcher struct{ *fhe.Matcher }

func (m matcher) PlaintextBytes() int64 { return 0 }

func (m matcher) Run(ctx context.Context, keys *fhe.EvaluationKeys, model fhe.ID, request []byte, _ fhe.Observer) ([]byte, error) {
	return m.Matcher.Run(ctx, keys, model, request, nil)
}
