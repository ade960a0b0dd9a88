package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cipherpoint/deployment"
	"cipherpoint/fhe"
	"cipherpoint/handler"
)

// served gives a compiled model the form that the handler asks for.
type served struct{ *deployment.FHEModelServer }

var _ handler.Model = served{}

func loadModel(folder string, workers int) (handler.Model, error) {
	model, err := deployment.LoadServer(context.Background(), folder, workers)
	if err != nil {
		return nil, err
	}
	if model.Client().Dimensions() > 0 {
		return gallery{served{model}}, nil
	}
	return served{model}, nil
}

func (s served) Summary() handler.Summary {
	c := s.Client()
	return handler.Summary{ID: c.Model, Name: c.Name, Kind: c.Kind}
}

func (s served) KeySet() [16]byte  { return s.Client().KeySet() }
func (s served) KeyBytes() int64   { return s.Client().KeyBytes() }
func (s served) RequestBytes() int { return s.Client().RequestBytes() }
func (s served) ReplyBytes() int   { return s.Client().ReplyBytes() }

func (s served) LoadKeys(ctx context.Context, r io.Reader) (handler.Keys, error) {
	keys, err := s.FHEModelServer.LoadKeys(ctx, r)
	if err != nil {
		return nil, unsuitable(err)
	}
	return keys, nil
}

func (s served) Infer(ctx context.Context, keys handler.Keys, input []byte) ([]byte, error) {
	expanded, ok := keys.(*fhe.EvaluationKeys)
	if !ok {
		return nil, fmt.Errorf("keys of type %T", keys)
	}
	reply, err := s.Run(ctx, expanded, input)
	return reply, unsuitable(err)
}

// gallery is a compiled model whose users store templates.
type gallery struct{ served }

var _ handler.Gallery = gallery{}

func (g gallery) TemplateSet() [16]byte { return g.Client().TemplateSet() }

func (g gallery) CheckTemplates(size int64) error {
	return unsuitable(fhe.CheckTemplatesSize(g.Client().Signature.Parameters, g.Client().Dimensions(), size))
}

func (g gallery) LoadTemplates(ctx context.Context, r io.Reader) (handler.Keys, error) {
	templates, err := g.FHEModelServer.LoadTemplates(ctx, r)
	if err != nil {
		return nil, unsuitable(err)
	}
	return templates, nil
}

func (g gallery) Match(ctx context.Context, keys handler.Keys, templates []handler.Keys, input []byte) ([]byte, error) {
	expanded, ok := keys.(*fhe.EvaluationKeys)
	if !ok {
		return nil, fmt.Errorf("keys of type %T", keys)
	}
	stored := make([]*fhe.Templates, len(templates))
	for i, t := range templates {
		if stored[i], ok = t.(*fhe.Templates); !ok {
			return nil, fmt.Errorf("templates of type %T", t)
		}
	}
	reply, err := g.FHEModelServer.Match(ctx, expanded, stored, input)
	return reply, unsuitable(err)
}

// unsuitable marks errors that are the sender's fault.
func unsuitable(err error) error {
	if errors.Is(err, fhe.ErrFormat) || errors.Is(err, fhe.ErrForeign) {
		return fmt.Errorf("%w: %w", handler.ErrUnsuitable, err)
	}
	return err
}
