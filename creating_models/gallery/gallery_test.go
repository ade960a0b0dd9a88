package gallery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/client"
	"cipherpoint/endpoint/server"
	"cipherpoint/matching"
)

// TestPublishedGalleryIsServed asks for the best matches by name, through an endpoint.
func TestPublishedGalleryIsServed(t *testing.T) {
	const dimensions = 48
	r := rand.New(rand.NewPCG(5, 6))
	o := Options{Name: "birds", Out: t.TempDir(), Samples: 3}
	for i := range 5000 {
		v := matching.RandomUnit(r, dimensions)
		for k := range v {
			v[k] *= 7
		}
		o.Templates, o.Names = append(o.Templates, v), append(o.Names, fmt.Sprintf("bird %d", i))
	}
	report, err := Publish(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "5000 templates of 48 values") || !strings.Contains(text.String(), "for 3 of 3 samples") {
		t.Errorf("report: %v\n%s", err, text.String())
	}
	card, err := os.ReadFile(filepath.Join(o.Out, "README.md"))
	for _, want := range []string{"license: unknown", "- similarity-search", "# birds", "5,000 templates of 48 values", "| **3 of 3** |", "## Deploy", "matching.Best"} {
		if err != nil || !strings.Contains(string(card), want) {
			t.Errorf("the card has no %q (%v):\n%s", want, err, card)
		}
	}
	c := server.Defaults()
	c.Listen, c.Model = "127.0.0.1:0", o.Out
	c.Keystore = (&url.URL{Scheme: "file", Path: filepath.ToSlash(t.TempDir())}).String()
	s, err := server.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-s.Ready()
	connection, err := client.New(s.URL(), "", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	description, err := connection.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user, err := client.Read(description.ClientZip)
	if err != nil {
		t.Fatal(err)
	}
	if err := user.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	keys, err := user.EvaluationKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := connection.Upload(t.Context(), user.KeySet(), bytes.NewReader(keys), client.Upload{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{0, 4095, 4096, 4999} {
		query := matching.RandomUnit(r, dimensions)
		for k, x := range o.Templates[want] {
			query[k] += 7 * x // as long as it was
		}
		question, err := user.QuantizeEncryptSerialize(query)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := connection.Infer(t.Context(), uid, question)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := user.DeserializeDecryptDequantize(reply)
		if err != nil {
			t.Fatal(err)
		}
		best := matching.Best(answer.Values, 10)
		if answer.Class != o.Names[want] || best[0].Template != want || len(best) != 10 || best[0].Score < 0.9 {
			t.Errorf("%s: the best match is %s, %v", o.Names[want], answer.Class, best)
		}
	}
}

func TestUsersGalleryIsPublished(t *testing.T) {
	report, err := Publish(t.Context(), Options{Name: "faces", Dimensions: 20, Out: t.TempDir(), Samples: 2})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "Users enrol templates of 20 values") {
		t.Errorf("report: %v\n%s", err, text.String())
	}
}

func TestPublishRefuses(t *testing.T) {
	for what, o := range map[string]Options{
		"no templates":   {},
		"no length":      {Templates: [][]float64{{0, 0}}},
		"missing names":  {Templates: [][]float64{{1}, {2}}, Names: []string{"one"}},
		"too wide":       {Dimensions: matching.MaxDimensions + 1},
		"ragged vectors": {Templates: [][]float64{{1}, {1, 2}}},
	} {
		o.Name, o.Out, o.Samples = "gallery", t.TempDir(), 1
		if _, err := Publish(t.Context(), o); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
