package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func null(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestList(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), []string{"--list"}, &out, null(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"logreg-synthetic", "logreg-cancer", "tree-spam", "forest-spam", "boosting-spam", "qnn-iris", "cnn-digits", "cnn-mnist"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("the list has no %s", name)
		}
	}
}

func TestFlagsMayFollowTheRecipe(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(context.Background(), []string{"logreg-cancer", "--out", dir, "--encrypted-samples", "3"}, &out, null(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "versions.json")); err != nil || !strings.Contains(out.String(), "encrypted label = clear label") {
		t.Errorf("%v; the summary is\n%s", err, out.String())
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"unknown"}, {"--unknown"}, {"logreg-cancer", "more"}, {"logreg-cancer", "--encrypted-samples", "0"}} {
		if err := run(context.Background(), args, new(bytes.Buffer), null(t)); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if err := run(context.Background(), []string{"--help"}, new(bytes.Buffer), null(t)); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("help: %v", err)
	}
}
