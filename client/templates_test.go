package client_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cipherpoint/client"
	"cipherpoint/deployment"
	"cipherpoint/internal/testmodel"
	"cipherpoint/matching"
)

// people returns vectors of any length with names.
func people(r *rand.Rand, from, count, dimensions int) (ids []string, vectors [][]float64) {
	for i := range count {
		ids = append(ids, fmt.Sprintf("person %d", from+i))
		v := make([]float64, dimensions)
		for k := range v {
			v[k] = 3 * r.NormFloat64()
		}
		vectors = append(vectors, v)
	}
	return ids, vectors
}

func cosine(a, b []float64) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for k := range a {
		ab, aa, bb = ab+a[k]*b[k], aa+a[k]*a[k], bb+b[k]*b[k]
	}
	return ab / math.Sqrt(aa*bb)
}

func TestEnrolledTemplatesAreMatched(t *testing.T) {
	const dimensions = 100
	g, err := matching.CompileStored("faces", dimensions)
	if err != nil {
		t.Fatal(err)
	}
	dir, keys := t.TempDir(), t.TempDir()
	if err := (deployment.FHEModelDev{Name: "faces", Kind: "encrypted gallery", Circuit: g.Circuit, Pipeline: g.Pipeline}).Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	file, err := m.EvaluationKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, dir, keys)
	c := dial(t, e.url, "", client.Options{})
	u := user{m, file}
	uid := u.upload(t, c, client.Upload{})

	r := rand.New(rand.NewPCG(3, 4))
	var enrolments []client.Enrolment
	clear := map[string][]float64{}
	for _, count := range []int{200, 1, 40} {
		ids, vectors := people(r, len(clear), count, dimensions)
		for i, id := range ids {
			clear[id] = vectors[i]
		}
		enrolment, err := m.Enrol(t.Context(), c, ids, vectors)
		if err != nil {
			t.Fatal(err)
		}
		enrolments = append(enrolments, enrolment)
	}
	ask := func(c *client.Connection, id string) []client.Match {
		t.Helper()
		query := slices.Clone(clear[id])
		for k := range query {
			query[k] = 2*query[k] + 4*r.NormFloat64()
		}
		scores, ids, err := m.Scores(t.Context(), c, uid, enrolments, query)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			if want := cosine(query, clear[id]); math.Abs(scores[i]-want) > matching.MaxError {
				t.Errorf("score with %s is %.4f, want %.4f", id, scores[i], want)
			}
		}
		matches, err := m.Match(t.Context(), c, uid, enrolments, query, 10)
		if err != nil {
			t.Fatal(err)
		}
		return matches
	}
	for _, id := range []string{"person 0", "person 150", "person 200", "person 240"} {
		if got := ask(c, id); got[0].ID != id || len(got) != 10 {
			t.Errorf("the best of %d matches for %s is %s", len(got), id, got[0].ID)
		}
	}

	// Templates outlast the endpoint.
	e.stop()
	e = start(t, dir, keys)
	c = dial(t, e.url, "", client.Options{})
	for at, id := range map[int]string{0: "person 7", 1: "person 200"} {
		if enrolments[at], err = m.Withdraw(t.Context(), c, enrolments[at], id); err != nil {
			t.Fatal(err)
		}
	}
	if enrolments[1].UID != "" {
		t.Error("an empty enrolment is still stored")
	}
	enrolments = slices.Delete(enrolments, 1, 2)
	for _, id := range []string{"person 7", "person 200"} {
		for _, match := range ask(c, id) {
			if match.ID == id {
				t.Errorf("%s is matched after being withdrawn", id)
			}
		}
	}
	if got := ask(c, "person 8"); got[0].ID != "person 8" {
		t.Errorf("the best match for person 8 is %s", got[0].ID)
	}
	if _, err := m.Withdraw(t.Context(), c, enrolments[0], "person 7"); err == nil {
		t.Error("a template was withdrawn twice")
	}
	foreign := enrolments[0]
	foreign.SHA256[0]++
	if _, err := m.Withdraw(t.Context(), c, foreign, "person 8"); client.CodeOf(err) != client.BadReply {
		t.Errorf("templates that are not those enrolled: %v", err)
	}

	var small []client.Enrolment
	for i := range 3 {
		ids, vectors := people(r, 1000+i, 1, dimensions)
		clear[ids[0]] = vectors[0]
		enrolment, err := m.Enrol(t.Context(), c, ids, vectors)
		if err != nil {
			t.Fatal(err)
		}
		small = append(small, enrolment)
	}
	merged, err := m.Merge(t.Context(), c, small)
	if err != nil {
		t.Fatal(err)
	}
	enrolments = append(enrolments, merged)
	if got := ask(c, "person 1001"); got[0].ID != "person 1001" {
		t.Errorf("the best match for person 1001 is %s", got[0].ID)
	}
	if _, err := m.Match(t.Context(), c, uid, small, clear["person 1001"], 1); client.CodeOf(err) != client.UnknownKey {
		t.Errorf("merged files are still there: %v", err)
	}

	// What does not belong together.
	refused := func(what string, want client.Code, err error) {
		t.Helper()
		if client.CodeOf(err) != want {
			t.Errorf("%s: %v, want the code %s", what, err, want)
		}
	}
	_, vectors := people(r, 0, 1, dimensions)
	_, err = m.Match(t.Context(), c, enrolments[0].UID, enrolments, vectors[0], 1)
	refused("templates for keys", client.UnknownKey, err)
	_, err = m.Match(t.Context(), c, uid, []client.Enrolment{{UID: uid, IDs: []string{"nobody"}}}, vectors[0], 1)
	refused("keys for templates", client.UnknownKey, err)
	_, err = m.Match(t.Context(), c, uid, []client.Enrolment{{UID: "nobody", IDs: []string{"nobody"}}}, vectors[0], 1)
	refused("no uid", client.UnknownKey, err)
	_, err = c.Infer(t.Context(), uid, u.encrypt(t, vectors[0]))
	refused("no templates", "missing_field", err)
	templates, err := m.EncryptTemplates(t.Context(), vectors)
	if err != nil {
		t.Fatal(err)
	}
	for i := range templates[len(templates)-100:] {
		templates[len(templates)-1-i] = 0xff
	}
	set := m.Spec().TemplateSet()
	_, err = c.Upload(t.Context(), hex.EncodeToString(set[:]), bytes.NewReader(templates), client.Upload{})
	refused("coefficients over the modulus", "invalid_key", err)
	_, err = c.Upload(t.Context(), hex.EncodeToString(set[:]), bytes.NewReader(templates[1:]), client.Upload{})
	refused("a size that no templates have", "invalid_key", err)

	e = start(t, testmodel.Small(t).Save(t), t.TempDir())
	c = dial(t, e.url, "", client.Options{})
	_, err = m.Enrol(t.Context(), c, []string{"somebody"}, vectors)
	refused("templates for a model that takes none", "wrong_key_set", err)
}
