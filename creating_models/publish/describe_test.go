package publish

import (
	"context"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cipherpoint/client"
	"cipherpoint/deployment"
	"cipherpoint/endpoint/server"
)

// TestCardsCallsWork publishes a model, serves its folder as its card says, and runs the card's calls by curl.
func TestCardsCallsWork(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "jq", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("the card's calls need " + tool)
		}
	}
	ctx, out := context.Background(), t.TempDir()
	if _, err := Run(ctx, find(t, "logreg-cancer"), Options{Out: out, EncryptedSamples: 3}); err != nil {
		t.Fatal(err)
	}
	card, err := os.ReadFile(filepath.Join(out, CardFile))
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, part := range strings.Split(string(card), "```sh\n")[1:] {
		if block := part[:strings.Index(part, "```")]; strings.Contains(block, "curl") {
			calls = append(calls, block)
		}
	}
	if len(calls) != 2 {
		t.Fatalf("%d calls by curl in the card: want 2", len(calls))
	}
	url := serve(t, out)
	dir := t.TempDir()
	shell := func(script string, environ ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "sh", "-c", script)
		command.Dir, command.Env = dir, append(os.Environ(), append(environ, "URL="+url)...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, script, output)
		}
	}
	shell(calls[0])
	user, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := user.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	keys, err := user.EvaluationKeys(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := client.New(url, "", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	uid, err := connection.Upload(ctx, user.KeySet(), strings.NewReader(string(keys)), client.Upload{})
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float64, user.Spec().Pipeline.Features())
	question, err := user.QuantizeEncryptSerialize(row)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "question.bin"), question, 0o600); err != nil {
		t.Fatal(err)
	}
	shell(calls[1], "KEY="+uid)
	reply, err := os.ReadFile(filepath.Join(dir, "reply.bin"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := user.DeserializeDecryptDequantize(reply)
	if err != nil {
		t.Fatal(err)
	}
	circuit, _, err := deployment.LoadCircuit(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := user.Clear(circuit, row)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(got.Scores[0] - want.Scores[0]); !(d < 0.1) {
		t.Errorf("by curl the score is %g, in clear %g", got.Scores[0], want.Scores[0])
	}
}

// serve runs an endpoint on a folder until the test ends.
func serve(t *testing.T, dir string) (url string) {
	t.Helper()
	config, err := server.Parse([]string{"--model", dir, "--listen", "127.0.0.1:0", "--keystore", "file://" + t.TempDir()}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return s.URL()
}

func TestLargeFilesAreForLFS(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	attributes := func() string {
		t.Helper()
		if err := WriteAttributes(dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, attributesFile))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(b)
	}
	write("client.zip", 100)
	write("server.zip", largestInGit)
	write("model.json", 100)
	if got := attributes(); got != "" {
		t.Errorf("small files: %q", got)
	}
	write("server.zip", largestInGit+1)
	const want = "server.zip filter=lfs diff=lfs merge=lfs -text\n"
	if got := attributes(); got != want {
		t.Errorf("a large file: %q", got)
	}
	write("model.json", 2*largestInGit)
	if got := attributes(); got != want {
		t.Errorf("rules that were there are changed: %q", got)
	}
}
