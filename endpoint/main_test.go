package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cipherpoint/client"
	"cipherpoint/internal/redistest"
	"cipherpoint/internal/testmodel"
)

// binary builds the program as the Dockerfile does.
var binary = sync.OnceValues(func() (string, error) {
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		return "", err
	}
	build := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*-o )/out/endpoint (\./endpoint)`).FindSubmatch(dockerfile)
	if build == nil {
		return "", fmt.Errorf("the Dockerfile has no line that builds the endpoint")
	}
	dir, err := os.MkdirTemp("", "endpoint")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "endpoint")
	command := exec.Command("sh", "-c", string(build[1])+path+" "+string(build[2]))
	command.Dir = ".."
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is a running endpoint.
type process struct {
	*exec.Cmd
	url string
	log *bytes.Buffer // to be read when the process has ended
}

// command is the program with arguments and exactly this environment.
func command(t testing.TB, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Env, c.Dir = append([]string{}, environ...), t.TempDir() // not nil, which would be ours
	return c
}

// start runs the program as in a container: all by the environment.
func start(t testing.TB, model, keystore string) *process {
	t.Helper()
	port := strconv.Itoa(redistest.FreePort(t))
	p := &process{url: "http://127.0.0.1:" + port, log: new(bytes.Buffer)}
	p.Cmd = command(t, []string{"PORT=" + port, "CIPHERPOINT_MODEL=" + model, "CIPHERPOINT_KEYSTORE=" + keystore})
	p.Stderr = p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.end(t, syscall.SIGKILL)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if command(t, []string{"PORT=" + port, "HOME=/"}, "check-health").Run() == nil {
			return p
		}
		if time.Now().After(deadline) {
			p.end(t, syscall.SIGKILL)
			t.Fatalf("not healthy after a minute: %s", p.log)
		}
	}
}

// end sends a signal and waits for the process.
func (p *process) end(t testing.TB, signal syscall.Signal) (code int) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

// user is someone with a key of the model.
type user struct {
	*client.FHEModelClient
	model *testmodel.Model
	key   []byte
}

func newUser(t testing.TB, m *testmodel.Model, folder string) *user {
	t.Helper()
	c, err := client.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.GenerateKeys(); err != nil {
		t.Fatal(err)
	}
	key, err := c.EvaluationKeys(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &user{c, m, key}
}

func (u *user) dial(t testing.TB, p *process) *client.Connection {
	t.Helper()
	c, err := client.New(p.url, "", client.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (u *user) upload(t testing.TB, p *process) string {
	t.Helper()
	uid, err := u.dial(t, p).Upload(t.Context(), u.KeySet(), bytes.NewReader(u.key), client.Upload{})
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

// ask sends rows encrypted and compares the answers with those of the float model.
func (u *user) ask(t testing.TB, p *process, uid string) {
	t.Helper()
	c := u.dial(t, p)
	for _, row := range u.model.Rows[:3] {
		input, err := u.QuantizeEncryptSerialize(row)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := c.Infer(t.Context(), uid, input)
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.DeserializeDecryptDequantize(reply)
		if err != nil {
			t.Fatal(err)
		}
		want, err := u.Clear(u.model.Circuit, row)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want.Scores {
			if d := got.Scores[i] - want.Scores[i]; !(d <= u.model.MaxScoreError && -d <= u.model.MaxScoreError) {
				t.Errorf("score %d is %g, want %g", i, got.Scores[i], want.Scores[i])
			}
		}
	}
}

// TestKeysSurviveKill: kill -9, start again, and the key is still there.
func TestKeysSurviveKill(t *testing.T) {
	m := testmodel.Small(t)
	folder, keys := m.Save(t), "file://"+t.TempDir()
	u := newUser(t, m, folder)
	p := start(t, folder, keys)
	uid := u.upload(t, p)
	u.ask(t, p, uid)
	p.end(t, syscall.SIGKILL)
	p = start(t, folder, keys)
	u.ask(t, p, uid)
	if code := p.end(t, syscall.SIGTERM); code != success {
		t.Errorf("exit code %d after SIGTERM: %s", code, p.log)
	}
	if log := p.log.String(); strings.Contains(log, uid) || !strings.Contains(log, "msg=stopped") {
		t.Errorf("log: %s", log)
	}
}

// TestFleet: two endpoints on one Redis serve each other's keys, also after a restart.
func TestFleet(t *testing.T) {
	redis := redistest.Start(t)
	m := testmodel.Small(t)
	folder := m.Save(t)
	one, two := start(t, folder, redis.URL()), start(t, folder, redis.URL())
	ann, bob := newUser(t, m, folder), newUser(t, m, folder)
	a, b := ann.upload(t, one), bob.upload(t, two)
	for _, p := range []*process{one, two} {
		ann.ask(t, p, a)
		bob.ask(t, p, b)
	}
	one.end(t, syscall.SIGKILL)
	one = start(t, folder, redis.URL())
	ann.ask(t, one, a)
	bob.ask(t, one, b)
	if err := ann.dial(t, one).DeleteKey(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	input, err := ann.QuantizeEncryptSerialize(m.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.dial(t, two).Infer(t.Context(), a, input); client.CodeOf(err) != client.UnknownKey {
		t.Errorf("a key deleted at one endpoint is answered by the other: %v", err)
	}
}

// TestImage: the program that goes into the image is static, and its environment there is a valid configuration.
func TestImage(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Skipf("not an ELF system: %v", err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("the program needs a dynamic linker")
		}
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	environ := regexp.MustCompile(`\b(PORT|CIPHERPOINT_\w+)=\S+`).FindAllString(string(dockerfile), -1)
	for i, variable := range environ {
		switch variable {
		case "PORT=80":
			environ[i] = "PORT=" + strconv.Itoa(redistest.FreePort(t))
		case "CIPHERPOINT_KEYSTORE=file:///keys":
			environ[i] = "CIPHERPOINT_KEYSTORE=file://" + t.TempDir()
		case "CIPHERPOINT_MODEL=/repository/compiled_model":
			environ[i] = "CIPHERPOINT_MODEL=" + testmodel.Small(t).Save(t)
		default:
			t.Errorf("unexpected %s", variable)
		}
	}
	if len(environ) != 3 {
		t.Fatalf("environment %v", environ)
	}
	c := command(t, environ)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); command(t, environ, "check-health").Run() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("not healthy")
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// TestExit: what stops the start, with one line that says why.
func TestExit(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free := []string{"--listen", "127.0.0.1:0", "--keystore", "file://" + t.TempDir()}
	for _, tt := range []struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		{nil, []string{"--help"}, success, ""},
		{nil, []string{"--prot", "80"}, misconfigured, "endpoint: flag provided but not defined: -prot"},
		{[]string{"CIPHERPOINT_PROT=80"}, nil, misconfigured, "endpoint: unknown environment variable CIPHERPOINT_PROT"},
		{nil, nil, misconfigured, "endpoint: keystore: no address given"}, // without HOME there is no default
		{nil, append([]string{"--model", "nowhere"}, free...), failure, "endpoint: model: no compiled model in the folder"},
		{nil, append(free, "--tokens-file", tokens), failure, "endpoint: token 1 of 1 has less than 16 characters"},
		{nil, append(free, "--keystore", "ftp://x"), failure, "endpoint: keystore:"},
		{nil, append(free, "--listen", taken.Addr().String()), failure, "address already in use"},
		{nil, []string{"check-health", "http://" + taken.Addr().String() + "0"}, failure, "endpoint:"},
		{nil, []string{"check-health", "a", "b"}, failure, "endpoint: check-health takes one URL"},
	} {
		c := command(t, tt.environ, append(tt.args, map[bool][]string{true: {"--log-level", "error"}}[len(tt.args) > 2]...)...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		_ = c.Run()
		if code := c.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stderr.String(), tt.want) ||
			strings.Count(stderr.String(), "\n") > 1 {
			t.Errorf("%v %v: exit code %d, %q: want %d, %q", tt.environ, tt.args, code, &stderr, tt.code, tt.want)
		}
	}
}

// TestCurl is the example in PROTOCOL.md.
func TestCurl(t *testing.T) {
	p := start(t, testmodel.Small(t).Save(t), "file://"+t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url,
		strings.NewReader(`{"method": "key_status", "uid": "8a6e0804-2bd0-4672-b79d-d97027f9071a"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"error":"there is no key with this uid: upload it first","code":"unknown_key"}`; string(body) != want {
		t.Errorf("reply %s\nwant  %s, as PROTOCOL.md says", body, want)
	}
}
