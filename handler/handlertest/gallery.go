package handlertest

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"cipherpoint/handler"
)

// Gallery is the stand-in for a model whose users store templates.
type Gallery struct{ *Model }

var _ handler.Gallery = Gallery{}

// templatesSize is the size of any file of templates.
const templatesSize = 500

// TemplateSet differs from the key set in its last byte.
func (g Gallery) TemplateSet() [16]byte {
	set := g.Set
	set[15]++
	return set
}

func (g Gallery) CheckTemplates(size int64) error {
	if size != templatesSize {
		return fmt.Errorf("%w: templates of %d bytes", handler.ErrUnsuitable, size)
	}
	return nil
}

// NewTemplates returns valid templates; different contents have different ones.
func (g Gallery) NewTemplates(content string) []byte {
	set := g.TemplateSet()
	file := make([]byte, templatesSize)
	copy(file, set[:])
	copy(file[16:], content)
	return file
}

func (g Gallery) LoadTemplates(ctx context.Context, r io.Reader) (handler.Keys, error) {
	g.Loads.Add(1)
	content := make([]byte, templatesSize)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fmt.Errorf("reading templates: %w", err)
	}
	if set := g.TemplateSet(); !bytes.HasPrefix(content, set[:]) {
		return nil, fmt.Errorf("%w: templates of another model", handler.ErrUnsuitable)
	}
	return &templates{content}, nil
}

type templates struct{ content []byte }

func (t *templates) Bytes() int64 { return int64(len(t.content)) }

// Match answers as the model does with the templates before the input.
func (g Gallery) Match(ctx context.Context, k handler.Keys, stored []handler.Keys, input []byte) ([]byte, error) {
	if _, err := g.Infer(ctx, k, input); err != nil {
		return nil, err
	}
	var all []byte
	for _, t := range stored {
		all = append(all, t.(*templates).content...)
	}
	return g.Output(k.(*keys).content, append(all, input...)), nil
}
