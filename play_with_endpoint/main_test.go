package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cipherpoint/deployment"
	"cipherpoint/endpoint/server"
	"cipherpoint/internal/testmodel"
	"cipherpoint/model/dataset"
)

// digits is an untrained model of digits: its test samples are shipped, its accuracy does not matter here.
var digits = sync.OnceValues(func() (*testmodel.Model, error) {
	set, err := dataset.Digits()
	if err != nil {
		return nil, err
	}
	return testmodel.Network("cnn-digits", 3, set.X[:200], set.Labels)
})

func saved(t *testing.T) string {
	t.Helper()
	m, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	return m.Save(t)
}

// runs runs the command with an environment and returns its exit code and output.
func runs(t *testing.T, ctx context.Context, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir()) // of the local endpoint's keys
	var out, notes bytes.Buffer
	code = run(ctx, args, func(name string) string { return env[name] }, &out, &notes)
	if left, err := fs.Glob(os.DirFS(os.TempDir()), "play_with_endpoint*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return code, out.String(), notes.String()
}

const seconds = `\d+\.\d{3} seconds`

func TestText(t *testing.T) {
	code, stdout, stderr := runs(t, t.Context(), nil, "--model", saved(t), "--samples", "5")
	if code != success || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	want := []string{
		`cnn-digits, network: ring degree 2.*, \d+ bits of modulus, 128-bit security, \d+ keys`,
		`Sending 0-th piece of the key \(remaining size is \d+\.\d\d kbytes\)`,
		`Storing the key in the database under uid=[0-9a-f]{8}…`,
		`Size of the payload: \d+\.\d\d kilobytes`,
	}
	for i := range 5 {
		want = append(want, fmt.Sprintf(`for %d-th input, prediction=\d with expected \d in %s`, i, seconds))
	}
	want = append(want, `[ ░▒▓█]*█[ ░▒▓█]*`, `decrypted: \d( +decrypted: \d){3}`,
		`Accuracy on 5 samples is (0|1|0\.\d+)`, `Total time: `+seconds, `Duration per inference: `+seconds,
		`Latency: p50 \S+ \S+, p95 \S+ \S+ \(.*\)`, `Agreement with the model in clear: \d of 5, largest score error \S+`)
	at := 0
	for _, pattern := range want {
		found := regexp.MustCompile(`(?m)^` + pattern + `$`).FindStringIndex(stdout[at:])
		if found == nil {
			t.Fatalf("no line %q in order in:\n%s", pattern, stdout)
		}
		at += found[1]
	}
}

func decoded(t *testing.T, stdout string) result {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(stdout))
	d.DisallowUnknownFields()
	var r result
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if d.More() {
		t.Fatalf("more than one object: %s", stdout)
	}
	return r
}

func TestJSON(t *testing.T) {
	dir := saved(t)
	code, stdout, stderr := runs(t, t.Context(), nil, "--model", dir, "--samples", "7", "--json")
	if code != success || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	r := decoded(t, stdout)
	_, spec, err := deployment.LoadCircuit(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "cnn-digits" || r.Model != spec.Model || r.Samples != 7 || len(r.Answers) != 7 || r.KeyBytes != spec.KeyBytes() || r.Keys != spec.Keys.Count() {
		t.Errorf("%+v", r)
	}
	if over := r.RequestBytes - int64(spec.RequestBytes()); over < 0 || over > 200 {
		t.Errorf("a request of %d bytes takes %d", spec.RequestBytes(), r.RequestBytes)
	}
	if over := r.ReplyBytes - int64(spec.ReplyBytes()); over < 0 || over > 16 {
		t.Errorf("a reply of %d bytes takes %d", spec.ReplyBytes(), r.ReplyBytes)
	}
	if r.MaxScoreError == nil || !(*r.MaxScoreError > 0 && *r.MaxScoreError <= m.MaxScoreError) {
		t.Errorf("score error %v, bound %g", r.MaxScoreError, m.MaxScoreError)
	}
	right := 0.0
	for _, a := range r.Answers {
		if len(a.Values) != 10 || a.Expected == nil || a.Class != fmt.Sprint(a.Prediction) || !(a.Seconds > 0) {
			t.Errorf("%+v", a)
		} else if *a.Expected == a.Prediction {
			right++
		}
	}
	if r.Accuracy == nil || *r.Accuracy != right/7 {
		t.Errorf("accuracy %v: want %g", r.Accuracy, right/7)
	}
	if !(r.LatencyMS.P50 > 0 && r.LatencyMS.P95 >= r.LatencyMS.P50 && r.TotalSeconds > 0 && r.EncryptMS.P50 < r.LatencyMS.P50) {
		t.Errorf("times %+v", r)
	}
}

// TestRemote talks to an endpoint with a token and has nothing but its address.
func TestRemote(t *testing.T) {
	const token = "token-of-16-characters"
	dir := testmodel.Small(t).Save(t)
	keys := t.TempDir()
	config := server.Defaults()
	config.Listen, config.Model, config.Tokens = "127.0.0.1:0", dir, []string{token}
	config.Keystore = (&url.URL{Scheme: "file", Path: keys}).String()
	endpoint, err := server.New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-endpoint.Ready()

	rows := filepath.Join(t.TempDir(), "rows.csv")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(rows, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HF_TOKEN": token}
	for name, content := range map[string]string{
		"header":    "a,b,c,d,e,f\n1,0,0,0,0,-1\n0.5,0,0,0,0,1e-1\n",
		"no header": "1,0,0,0,0,-1\n0.5,0,0,0,0,1e-1\n",
	} {
		write(content)
		code, stdout, stderr := runs(t, t.Context(), env, "--url", endpoint.URL(), "--input", rows, "--json")
		if code != success {
			t.Fatalf("%s: code %d: %s", name, code, stderr)
		}
		r := decoded(t, stdout)
		if r.Samples != 2 || r.Accuracy != nil || r.Agreement != nil || r.Answers[0].Expected != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	code, stdout, stderr := runs(t, t.Context(), env, "--url", endpoint.URL(), "--input", rows, "--samples", "1", "--model", dir)
	if line := regexp.MustCompile(`(?m)^for 0-th input, prediction=\d \((zero|one|two)\) in ` + seconds + `$`); code != success ||
		!line.MatchString(stdout) || strings.Contains(stdout, "1-th") || strings.Contains(stdout, "Accuracy") || !strings.Contains(stdout, "Agreement") {
		t.Errorf("code %d: %s%s", code, stdout, stderr)
	}

	foreign := testmodel.Foreign(t).Save(t)
	for name, test := range map[string]struct {
		rows, token, text string
		args              []string
	}{
		"no token":      {text: "[unauthorized]"},
		"wrong token":   {token: "wrong-" + token, text: "[unauthorized]"},
		"other model":   {token: token, text: "another model", args: []string{"--model", foreign}},
		"narrow":        {token: token, rows: "1,2,3\n", text: "6 features"},
		"empty":         {token: token, rows: "", text: "no row"},
		"header only":   {token: token, rows: "a,b,c,d,e,f\n", text: "no rows"},
		"not a number":  {token: token, rows: "1,2,3,4,5,6\n1,2,x,4,5,6\n", text: "row 2"},
		"missing value": {token: token, rows: "1,2,,4,5,6\n", text: "not finite"},
	} {
		write("1,2,3,4,5,6\n")
		if test.token == token && test.args == nil {
			write(test.rows)
		}
		args := append([]string{"--url", endpoint.URL(), "--input", rows}, test.args...)
		code, stdout, stderr := runs(t, t.Context(), map[string]string{"HF_TOKEN": test.token}, append(args, "--json")...)
		if code != failure || stdout != "" || !strings.HasPrefix(stderr, "play_with_endpoint: ") || !strings.Contains(stderr, test.text) || strings.Contains(stderr, token) {
			t.Errorf("%s: code %d: %s%s", name, code, stdout, stderr)
		}
	}
	if code, _, stderr := runs(t, t.Context(), env, "--url", endpoint.URL()); code != failure || !strings.Contains(stderr, "--input") {
		t.Errorf("no test samples: code %d: %s", code, stderr)
	}
	// Nobody's key is left at the endpoint.
	err = filepath.WalkDir(keys, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			if info, failed := entry.Info(); failed == nil && info.Size() > 10_000 {
				t.Errorf("%d bytes are left in the key store", info.Size())
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--samples", "0"}, misconfigured, "at least 1"},
		{[]string{"--samples", "many"}, misconfigured, "invalid value"},
		{[]string{"--nothing"}, misconfigured, "not defined"},
		{[]string{"extra"}, misconfigured, "extra"},
		{[]string{"--model", t.TempDir()}, failure, "no compiled model"},
		{[]string{"--url", "nowhere"}, failure, "must be a URL"},
	} {
		code, stdout, stderr := runs(t, t.Context(), nil, test.args...)
		if code != test.code || stdout != "" || !strings.HasPrefix(stderr, "play_with_endpoint: ") || !strings.Contains(stderr, test.text) {
			t.Errorf("%q: code %d: %s%s", test.args, code, stdout, stderr)
		}
	}
	code, stdout, stderr := runs(t, t.Context(), nil, "--help")
	if code != success || stderr != "" || !strings.Contains(stdout, "-url address") {
		t.Errorf("help: code %d: %s%s", code, stdout, stderr)
	}
}

// interrupted is an output that ends a context when it first contains a text.
type interrupted struct {
	bytes.Buffer
	text string
	end  context.CancelFunc
}

func (w *interrupted) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.end()
	}
	return w.Buffer.Write(p)
}

func TestInterruption(t *testing.T) {
	for _, moment := range []string{"Sending 0-th", "for 1-th"} {
		ctx, cancel := context.WithCancel(t.Context())
		stdout := &interrupted{text: moment, end: cancel}
		var stderr bytes.Buffer
		t.Setenv("TMPDIR", t.TempDir())
		code := run(ctx, []string{"--model", saved(t)}, func(string) string { return "" }, stdout, &stderr)
		if code != failure || stderr.String() != "play_with_endpoint: interrupted\n" {
			t.Errorf("%s: code %d: %s", moment, code, &stderr)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, %v", moment, left, err)
		}
	}
}

func TestPictures(t *testing.T) {
	large := make([]float64, 28*28)
	large[0], large[1], large[28], large[29] = 8, 8, 8, 8
	for _, test := range []struct {
		set      *dataset.Set
		captions []string
		want     string
	}{
		{&dataset.Set{Shape: []int{1, 2, 2}, X: [][]float64{{16, 0, 4, 8}, {0, 0, 0, 0}}}, []string{"a", "b"}, "██\n░░▒▒\na      b"},
		{&dataset.Set{Shape: []int{1, 28, 28}, X: [][]float64{large}}, []string{"a"}, "██" + strings.Repeat("\n", 14) + "a"},
		{&dataset.Set{Shape: []int{4}, X: [][]float64{{1, 2, 3, 4}}}, []string{"a"}, ""},
		{&dataset.Set{X: [][]float64{{1}}}, []string{"a"}, ""},
	} {
		if got := pictures(test.set, test.captions); got != test.want {
			t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
		}
	}
}

func TestPercentiles(t *testing.T) {
	times := make([]time.Duration, 20)
	for i := range times {
		times[i] = time.Duration(20-i) * time.Millisecond
	}
	if got := percentilesOf(times); got != (percentiles{10, 19}) {
		t.Errorf("got %+v", got)
	}
	if got := percentilesOf(times[:1]); got != (percentiles{1, 1}) {
		t.Errorf("of one: %+v", got)
	}
}
