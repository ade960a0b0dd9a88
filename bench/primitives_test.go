package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cipherpoint/bench/primitive"
	"cipherpoint/fhe/kernel"
)

func TestPrintPrimitive(t *testing.T) {
	always := func(elapsed time.Duration) primitive.Run {
		return func() (time.Duration, error) { return elapsed, nil }
	}
	plain := kernel.Features() != fullSpeed
	for _, test := range []struct {
		name    string
		lattigo primitive.Run
		want    string
	}{
		{"rotation", always(300 * time.Microsecond), "rotation|100.0|300.0|3.0|8.0|4.9 OpenFHE|"},
		{denseMap, always(200 * time.Microsecond), denseMap + "|100.0|200.0|2.0|6.0|1.8 SEAL|"},
		{"encode", always(50 * time.Microsecond), "encode|100.0|50.0|0.5||5.5 SEAL|"},
		{"parse request", nil, "parse request|100.0|||||"},
	} {
		want := test.want
		if plain {
			want = strings.NewReplacer("|8.0|", "||", "|6.0|", "|1.3|").Replace(want)
		}
		var out bytes.Buffer
		o := primitive.Operation{Name: test.name, Ours: always(100 * time.Microsecond), Lattigo: test.lattigo}
		if err := printPrimitive(t.Context(), &out, o, 0); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(out.String(), "\t", "|"); got != want+"\n" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestMarksNameOperations, so that no figure stands beside nothing.
func TestMarksNameOperations(t *testing.T) {
	shapes, err := primitive.Shapes()
	if err != nil {
		t.Fatal(err)
	}
	operations, err := primitive.Operations(t.Context(), shapes[0].Parameters)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{denseMap: true, denseFull: true}
	for _, o := range operations {
		known[o.Name] = true
	}
	for name := range marks {
		if !known[name] {
			t.Errorf("no operation is called %q", name)
		}
	}
}
