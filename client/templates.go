package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"cipherpoint/fhe"
	"cipherpoint/matching"
	"cipherpoint/model"
)

var (
	errGallery    = errors.New("the model compares with templates that its users store: use Match")
	errNoGallery  = errors.New("the model keeps no templates of its users")
	errNoTemplate = errors.New("there is no template of this name")
)

// Enrolment is templates that an endpoint keeps, encrypted under the user's key, and whose they are. It is the user's: the
// endpoint knows no names, and without the uid nobody finds the templates again.
type Enrolment struct {
	UID    string            `json:"uid"`
	SHA256 [sha256.Size]byte `json:"sha256"` // of the file
	IDs    []string          `json:"ids"`
}

// Match is an enrolled template and its score: the inner product of unit vectors.
type Match struct {
	ID    string
	Score float64
}

// EncryptTemplates turns templates, vectors of the model's features, into a file for an endpoint. Its size is that of the
// next power of two of templates, or of the next multiple of the ring's slots.
func (m *FHEModelClient) EncryptTemplates(ctx context.Context, templates [][]float64) ([]byte, error) {
	switch {
	case m.key == nil:
		return nil, errNoKey
	case m.spec.Dimensions() == 0:
		return nil, errNoGallery
	}
	scaled := make([][]float64, len(templates))
	features := m.spec.Pipeline.Features()
	for i, t := range templates {
		if len(t) != features {
			return nil, fmt.Errorf("template %d has %d values: want %d", i, len(t), features)
		}
		unit, err := m.spec.Pipeline.Prefix.Run(model.Tensor{Shape: model.Shape{features}, Data: t})
		if err != nil {
			return nil, fmt.Errorf("template %d: %w", i, err)
		}
		scaled[i] = make([]float64, m.spec.Dimensions())
		copy(scaled[i], unit[0].Data)
	}
	pool := fhe.NewPool(runtime.GOMAXPROCS(0))
	if err := pool.Enter(ctx); err != nil {
		return nil, err
	}
	defer pool.Leave()
	return m.key.EncryptTemplates(m.spec.Signature, m.spec.TemplateSet(), scaled, pool)
}

// Enrol encrypts templates and stores them at the endpoint. Few at a time cost little: a file has the size of what is in
// it, and a question may be about many.
func (m *FHEModelClient) Enrol(ctx context.Context, c *Connection, ids []string, templates [][]float64) (Enrolment, error) {
	if len(ids) != len(templates) {
		return Enrolment{}, fmt.Errorf("%d names for %d templates", len(ids), len(templates))
	}
	file, err := m.EncryptTemplates(ctx, templates)
	if err != nil {
		return Enrolment{}, err
	}
	set := m.spec.TemplateSet()
	uid, err := c.Upload(ctx, hex.EncodeToString(set[:]), bytes.NewReader(file), Upload{})
	return Enrolment{uid, sha256.Sum256(file), slices.Clone(ids)}, err
}

// Withdraw removes one template: it fetches the others of the enrolment, stores them anew and deletes the old file. What
// it returns takes the enrolment's place; it has no uid where nobody is left. The others keep the noise of the encryption
// that they had: after n times their scores are wrong by up to the root of n times as much.
func (m *FHEModelClient) Withdraw(ctx context.Context, c *Connection, e Enrolment, id string) (Enrolment, error) {
	at := slices.Index(e.IDs, id)
	if at < 0 {
		return e, errNoTemplate
	}
	var rest Enrolment
	if len(e.IDs) > 1 {
		templates, err := m.fetch(ctx, c, e)
		if err != nil {
			return e, err
		}
		ids := slices.Delete(slices.Clone(e.IDs), at, at+1)
		if rest, err = m.Enrol(ctx, c, ids, slices.Delete(templates, at, at+1)); err != nil {
			return e, err
		}
	}
	return rest, c.DeleteKey(ctx, e.UID)
}

// Merge stores the templates of several enrolments in one file, which is answered faster and shorter than many small ones,
// and deletes the old files. Noise grows as for Withdraw.
func (m *FHEModelClient) Merge(ctx context.Context, c *Connection, enrolments []Enrolment) (Enrolment, error) {
	var ids []string
	var templates [][]float64
	for _, e := range enrolments {
		part, err := m.fetch(ctx, c, e)
		if err != nil {
			return Enrolment{}, err
		}
		ids, templates = append(ids, e.IDs...), append(templates, part...)
	}
	merged, err := m.Enrol(ctx, c, ids, templates)
	if err != nil {
		return Enrolment{}, err
	}
	for _, e := range enrolments {
		err = errors.Join(err, c.DeleteKey(ctx, e.UID))
	}
	return merged, err
}

// fetch returns the templates of an enrolment.
func (m *FHEModelClient) fetch(ctx context.Context, c *Connection, e Enrolment) ([][]float64, error) {
	p := m.spec.Signature.Parameters
	file, err := c.fetchTemplates(ctx, e.UID, fhe.TemplatesSize(p, fhe.TemplateCiphertexts(p, m.spec.Dimensions(), len(e.IDs))))
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(file) != e.SHA256 {
		return nil, badReply("the templates are not those that were enrolled")
	}
	templates, err := m.key.DecryptTemplates(m.spec.Signature, m.spec.TemplateSet(), file)
	if err != nil {
		return nil, err
	}
	templates = templates[:len(e.IDs)]
	for i, t := range templates {
		templates[i] = t[:m.spec.Pipeline.Features()]
	}
	return templates, nil
}

func (c *Connection) fetchTemplates(ctx context.Context, uid string, size int64) ([]byte, error) {
	var file bytes.Buffer
	for int64(file.Len()) < size {
		body, err := c.call(ctx, newMessage("fetch_templates", field{"uid", uid}, field{"offset", int64(file.Len())}), maxPiece+smallReply)
		if err != nil {
			return nil, err
		}
		piece, err := decodeOutput(body)
		if err != nil {
			return nil, err
		}
		if len(piece) == 0 || int64(file.Len()+len(piece)) > size {
			return nil, badReply("%d bytes of templates are too many or too few", len(piece))
		}
		file.Write(piece)
	}
	return file.Bytes(), nil
}

// Match compares a vector with the templates of enrolments under the keys that uid names, and returns the k with the
// largest scores, the best first.
func (m *FHEModelClient) Match(ctx context.Context, c *Connection, uid string, enrolments []Enrolment, vector []float64, k int) ([]Match, error) {
	scores, ids, err := m.Scores(ctx, c, uid, enrolments, vector)
	if err != nil {
		return nil, err
	}
	var matches []Match
	for _, best := range matching.Best(scores, k) {
		matches = append(matches, Match{ids[best.Template], best.Score})
	}
	return matches, nil
}

// Scores is Match with the scores of all templates, beside their names.
func (m *FHEModelClient) Scores(ctx context.Context, c *Connection, uid string, enrolments []Enrolment, vector []float64) (scores []float64, ids []string, err error) {
	input, err := m.QuantizeEncryptSerialize(vector)
	if err != nil {
		return nil, nil, err
	}
	for part := range slices.Chunk(enrolments, maxTemplates) {
		reply, err := m.Compare(ctx, c, uid, part, input)
		if err != nil {
			return nil, nil, err
		}
		some, names, err := m.DecryptScores(part, reply)
		if err != nil {
			return nil, nil, err
		}
		scores, ids = append(scores, some...), append(ids, names...)
	}
	return scores, ids, nil
}

// maxTemplates is how many files of templates a request may name, as the protocol says.
const maxTemplates = 64

// Compare sends one encrypted input, to be compared with the templates of up to 64 enrolments, and returns the encrypted
// scores.
func (m *FHEModelClient) Compare(ctx context.Context, c *Connection, uid string, enrolments []Enrolment, input []byte) ([]byte, error) {
	blocks, err := m.blocks(enrolments)
	if err != nil {
		return nil, err
	}
	uids := make([]string, len(enrolments))
	for i, e := range enrolments {
		uids[i] = e.UID
	}
	message := newMessage("inference", field{"uid", uid}, field{"encrypted_inputs", input}, field{"templates", uids})
	body, err := c.call(ctx, message, m.spec.Signature.ScoresSize(blocks)+smallReply)
	if err != nil {
		return nil, err
	}
	return decodeOutput(body)
}

// blocks returns how many templates each block of the enrolments has room for.
func (m *FHEModelClient) blocks(enrolments []Enrolment) (blocks []int, err error) {
	if m.spec.Dimensions() == 0 {
		return nil, errNoGallery
	}
	p := m.spec.Signature.Parameters
	for _, e := range enrolments {
		sizes, err := fhe.TemplateBlocks(p, m.spec.Dimensions(), fhe.TemplateCiphertexts(p, m.spec.Dimensions(), len(e.IDs)))
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, sizes...)
	}
	return blocks, nil
}

// DecryptScores decrypts what Compare returned for enrolments: the scores of their templates, beside their names.
func (m *FHEModelClient) DecryptScores(enrolments []Enrolment, reply []byte) (scores []float64, ids []string, err error) {
	if m.key == nil {
		return nil, nil, errNoKey
	}
	blocks, err := m.blocks(enrolments)
	if err != nil {
		return nil, nil, err
	}
	decrypted, err := m.key.DecryptScores(m.spec.Signature, m.spec.ModelID(), blocks, reply)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range enrolments {
		for left := e.IDs; len(left) > 0; {
			n := min(len(left), len(decrypted[0]))
			scores, ids = append(scores, decrypted[0][:n]...), append(ids, left[:n]...)
			left, decrypted = left[n:], decrypted[1:]
		}
	}
	return scores, ids, nil
}
