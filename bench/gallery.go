package main

import (
	"bytes"
	"context"
	"runtime"

	"cipherpoint/circuit"
	"cipherpoint/fhe"
	"cipherpoint/fhe/secret"
	"cipherpoint/matching"
)

// gallery is both ends of a question about templates.
type gallery interface {
	encrypt(query []float64) ([]byte, error)
	run(ctx context.Context, request []byte, oneCore bool) ([]byte, error)
	decrypt(reply []byte) ([]float64, error)
}

// galleryKeys are what both kinds of galleries have.
type galleryKeys struct {
	*matching.Gallery
	params *fhe.Parameters
	key    *secret.Key
	keys   *fhe.EvaluationKeys
}

func newGalleryKeys(ctx context.Context, g *matching.Gallery, pool *fhe.Pool, f *matchFigures) (*galleryKeys, error) {
	k := &galleryKeys{Gallery: g}
	var err error
	if k.params, err = fhe.NewParameters(g.Circuit.Parameters); err != nil {
		return nil, err
	}
	if k.key, err = secret.GenerateKey(k.params); err != nil {
		return nil, err
	}
	var file bytes.Buffer
	if err := k.key.WriteEvaluationKeys(ctx, &file, g.Circuit.Keys(), fhe.ID{}, pool, nil); err != nil {
		return nil, err
	}
	f.keys = int64(file.Len())
	k.keys, err = fhe.ReadKeys(&file, k.params, g.Circuit.Keys(), fhe.ID{}, nil)
	return k, err
}

func (k *galleryKeys) encrypt(query []float64) ([]byte, error) {
	vectors, err := k.Pipeline.Encode(query)
	if err != nil {
		return nil, err
	}
	full := circuit.Vector{Period: len(vectors[0]), Values: vectors[0]}.Full(k.params.N())
	return k.key.Encrypt(fhe.SignatureOf(k.Circuit), fhe.ID{}, [][]float64{full})
}

// clearGallery is in clear at the endpoint.
type clearGallery struct {
	*galleryKeys
	program, alone *fhe.Program
}

func newClearGallery(ctx context.Context, templates [][]float64, f *matchFigures) (gallery, error) {
	compiled, err := matching.Compile("gallery", templates)
	if err != nil {
		return nil, err
	}
	g, pool := &clearGallery{}, fhe.NewPool(runtime.GOMAXPROCS(0))
	if g.galleryKeys, err = newGalleryKeys(ctx, compiled, pool, f); err != nil {
		return nil, err
	}
	if g.program, err = fhe.NewProgram(ctx, compiled.Circuit, pool); err != nil {
		return nil, err
	}
	f.memory = g.program.PlaintextBytes()
	g.alone = g.program.On(fhe.NewPool(1))
	return g, nil
}

func (g *clearGallery) run(ctx context.Context, request []byte, oneCore bool) ([]byte, error) {
	program := g.program
	if oneCore {
		program = g.alone
	}
	return program.Answer(ctx, g.keys, fhe.ID{}, request, nil)
}

func (g *clearGallery) decrypt(reply []byte) ([]float64, error) {
	out, err := g.key.Decrypt(g.program.Signature(), fhe.ID{}, reply)
	if err != nil {
		return nil, err
	}
	_, scores, err := g.Pipeline.Decode(out)
	return scores, err
}

// enrolledGallery is encrypted at the endpoint.
type enrolledGallery struct {
	*galleryKeys
	matcher, alone *fhe.Matcher
	templates      []*fhe.Templates
	blocks         []int
	size           int
}

// maxEnrolled bounds a file of templates, as key stores do by default.
const maxEnrolled = 256 << 20

func newEnrolledGallery(ctx context.Context, templates [][]float64, f *matchFigures) (gallery, error) {
	compiled, err := matching.CompileStored("gallery", len(templates[0]))
	if err != nil {
		return nil, err
	}
	g, pool := &enrolledGallery{size: len(templates)}, fhe.NewPool(runtime.GOMAXPROCS(0))
	if g.galleryKeys, err = newGalleryKeys(ctx, compiled, pool, f); err != nil {
		return nil, err
	}
	if g.matcher, err = fhe.NewMatcher(compiled.Circuit, pool); err != nil {
		return nil, err
	}
	if g.alone, err = fhe.NewMatcher(compiled.Circuit, fhe.NewPool(1)); err != nil {
		return nil, err
	}
	parameters, dimensions := compiled.Circuit.Parameters, circuit.Stored(compiled.Circuit.Inputs).Dimensions
	most := int(maxEnrolled/fhe.TemplatesSize(parameters, dimensions)) * parameters.Slots()
	for len(templates) > 0 {
		part := templates[:min(most, len(templates))]
		padded := make([][]float64, len(part))
		for i, v := range part {
			padded[i] = append(v[:len(v):len(v)], make([]float64, dimensions-len(v))...)
		}
		file, err := g.key.EncryptTemplates(g.matcher.Signature(), fhe.ID{}, padded, pool)
		if err != nil {
			return nil, err
		}
		read, err := fhe.ReadTemplates(bytes.NewReader(file), g.params, dimensions, fhe.ID{}, pool)
		if err != nil {
			return nil, err
		}
		blocks, err := fhe.TemplateBlocks(parameters, dimensions, fhe.TemplateCiphertexts(parameters, dimensions, len(part)))
		if err != nil {
			return nil, err
		}
		g.templates, g.blocks = append(g.templates, read), append(g.blocks, blocks...)
		f.enrolled, f.memory = f.enrolled+int64(len(file)), f.memory+read.Bytes()
		templates = templates[len(part):]
	}
	return g, nil
}

func (g *enrolledGallery) run(ctx context.Context, request []byte, oneCore bool) ([]byte, error) {
	matcher := g.matcher
	if oneCore {
		matcher = g.alone
	}
	return matcher.Run(ctx, g.keys, fhe.ID{}, request, g.templates)
}

// decrypt returns the scores of the templates that are there: only a file's last block has room for more.
func (g *enrolledGallery) decrypt(reply []byte) ([]float64, error) {
	blocks, err := g.key.DecryptScores(g.matcher.Signature(), fhe.ID{}, g.blocks, reply)
	if err != nil {
		return nil, err
	}
	var scores []float64
	for _, block := range blocks {
		scores = append(scores, block[:min(len(block), g.size-len(scores))]...)
	}
	return scores, nil
}
