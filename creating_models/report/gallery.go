package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"cipherpoint/internal/format"
)

//go:embed gallery.md
var gallerySource string

var galleryCard = template.Must(template.New("gallery").Parse(gallerySource))

// Gallery is what is known of a published gallery of templates.
type Gallery struct {
	Name, License string
	Dimensions    int
	Templates     int  // those tried with, where users enrol their own
	Enrolled      bool // users do
	Named         bool // templates have names of the publisher's

	Samples, Same  int     // queries, and those whose best match encrypted is the one in clear
	Largest, Bound float64 // error of an encrypted score, and the largest one promised
	Median         time.Duration
	Machine        Machine

	Parameters                         Parameters
	KeyBytes, RequestBytes, ReplyBytes int64
	PerReply                           int     // templates that ReplyBytes are for
	TemplateBytes                      float64 // of one that a user enrols
}

// WriteCard writes the README.md of a repository that holds the gallery.
func (g *Gallery) WriteCard(w io.Writer) error {
	front := frontMatter{License: g.License, LibraryName: "cipherpoint", Tags: []string{"fhe", "ckks", "encrypted-inference", "gallery", "similarity-search"}}
	if front.License == "" {
		front.License = unknownLicense
	}
	var head bytes.Buffer
	if err := yaml.NewEncoder(&head).Encode(front); err != nil {
		return err
	}
	return galleryCard.Execute(w, map[string]any{
		"FrontMatter": head.String(), "Name": markdown(g.Name), "Enrolled": g.Enrolled, "Named": g.Named, "Dimensions": g.Dimensions,
		"Templates": format.Integer(int64(g.Templates)), "Quality": g.quality().markdown(), "Sizes": g.sizes().markdown(), "Median": format.Duration(g.Median),
		"Samples": g.Samples, "Machine": markdown(fmt.Sprintf("%s, %d cores", g.Machine.CPU, g.Machine.Cores)), "Security": g.Parameters.level(), "Deploy": deploySource,
	})
}

func (g *Gallery) quality() table {
	t := table{Head: []column{{Text: true}, {Name: "value"}}}
	t.add("templates", format.Integer(int64(g.Templates)))
	t.add("queries", format.Integer(int64(g.Samples)))
	t.add("best match encrypted = best match in clear", fmt.Sprintf("%d of %d", g.Same, g.Samples)).Strong = true
	t.add("largest error of a score", fmt.Sprintf("%.4f", g.Largest))
	t.add("largest error promised", fmt.Sprintf("%.3f", g.Bound))
	return t
}

func (g *Gallery) sizes() table {
	t := table{Head: []column{{Text: true}, {Name: "size"}}}
	t.add("evaluation keys, once", format.Bytes(float64(g.KeyBytes)))
	t.add("question", format.Bytes(float64(g.RequestBytes)))
	t.add(fmt.Sprintf("reply for %s templates", format.Integer(int64(g.PerReply))), format.Bytes(float64(g.ReplyBytes)))
	if g.Enrolled {
		t.add("a template that is enrolled", format.Bytes(g.TemplateBytes))
	}
	return t
}
