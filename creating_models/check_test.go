package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/model/dataset"
)

func TestCheckCommand(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	out := filepath.Join(dir, "artifact")
	if err := run(ctx, []string{"logreg-cancer", "--out", out, "--encrypted-samples", "1"}, new(bytes.Buffer), null(t)); err != nil {
		t.Fatal(err)
	}
	set, err := dataset.BreastCancer()
	if err != nil {
		t.Fatal(err)
	}
	var data, labels strings.Builder
	for i, row := range set.X[:60] {
		for k, v := range row {
			if k > 0 {
				data.WriteByte(',')
			}
			fmt.Fprint(&data, v)
		}
		data.WriteByte('\n')
		fmt.Fprintln(&labels, set.Labels[set.Class(i)])
	}
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rows, truth := file("rows.csv", data.String()), file("labels.csv", labels.String())
	for _, test := range []struct {
		args []string
		want string // of the answer or, if empty, of the error
		fail string
	}{
		{[]string{out, "--samples", "20"}, "143 rows, 20 of them encrypted", ""}, // the recipe's own test set
		{[]string{"--samples", "0", out, "--data", rows, "--labels", truth}, "60 rows, 60 of them encrypted", ""},
		{[]string{out, "--data", file("narrow.csv", "1,2\n3,4\n")}, "", "row 1 has 2 values, the model takes 30"},
		{[]string{out, "--data", rows, "--labels", file("few.csv", "benign\n")}, "", "1 labels for 60 rows"},
		{[]string{filepath.Join(dir, "none")}, "", "no such file"},
	} {
		var text bytes.Buffer
		err := run(ctx, append([]string{"check"}, test.args...), &text, null(t))
		if test.fail != "" {
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%q: want an error about %q, got %v", test.args, test.fail, err)
			}
			continue
		}
		for _, want := range []string{test.want, "right labels, encrypted", "disagreements", "measured over predicted"} {
			if err != nil || !strings.Contains(text.String(), want) {
				t.Errorf("%q: %v, no %q in\n%s", test.args, err, want, text.String())
			}
		}
	}
	for _, args := range [][]string{{}, {out, "more"}, {out, "--samples", "-1"}, {out, "--labels", truth}} {
		if err := run(ctx, append([]string{"check"}, args...), new(bytes.Buffer), null(t)); !errors.Is(err, errUsage) {
			t.Errorf("check %q: %v", args, err)
		}
	}
}

// TestShippedArtifactKeepsWhatItStates replays the artifact that the sources come with, which has its card.
func TestShippedArtifactKeepsWhatItStates(t *testing.T) {
	const dir = "../compiled_model"
	var text bytes.Buffer
	if err := run(context.Background(), []string{"check", dir, "--samples", "20"}, &text, null(t)); err != nil {
		t.Errorf("%v\n%s", err, text.String())
	}
	card, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil || !strings.HasPrefix(string(card), "---\nlicense: apache-2.0\n") {
		t.Errorf("no card: %v", err)
	}
}
