package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cipherpoint/internal/testdata"
)

var content = []byte("1,2\r\n3,4\r\n")

// published is a file with the content above, at the given paths of a server.
func published(server *httptest.Server, member string, paths ...string) file {
	sum := sha256.Sum256(content)
	f := file{path: "some/file.data", sha256: hex.EncodeToString(sum[:]), size: int64(len(content)), member: member}
	for _, path := range paths {
		f.urls = append(f.urls, server.URL+path)
	}
	return f
}

func archive(t *testing.T, name string, content []byte) []byte {
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	member, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	member.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// serve counts the requests it answers.
func serve(t *testing.T, requests *atomic.Int32) *httptest.Server {
	answers := map[string][]byte{
		"/file":      content,
		"/other":     []byte("1,2\r\n3,5\r\n"),
		"/longer":    append(slices.Clone(content), "more"...),
		"/zip":       archive(t, "file.data", content),
		"/foreign":   archive(t, "file.txt", content),
		"/bomb":      archive(t, "file.data", make([]byte, 1<<20)),
		"/not-a-zip": content,
		"/huge":      make([]byte, maxArchiveBytes+1),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if answer, ok := answers[r.URL.Path]; ok {
			w.Write(answer)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestDownload(t *testing.T) {
	var requests atomic.Int32
	server := serve(t, &requests)
	for _, test := range []struct {
		name     string
		f        file
		requests int32
		message  string // empty on success
	}{
		{"file", published(server, "", "/file"), 1, ""},
		{"second address", published(server, "", "/absent", "/other", "/file"), 3, ""},
		{"archive", published(server, "file.data", "/zip"), 1, ""},
		{"absent", published(server, "", "/absent"), 1, "404 Not Found"},
		{"changed content", published(server, "", "/other"), 1, "differs from the published file"},
		{"longer content", published(server, "", "/longer"), 1, "differs from the published file"},
		{"no such member", published(server, "file.data", "/foreign"), 1, "file does not exist"},
		{"inflating member", published(server, "file.data", "/bomb"), 1, "differs from the published file"},
		{"no archive", published(server, "file.data", "/not-a-zip"), 1, "not a valid zip file"},
		{"huge archive", published(server, "file.data", "/huge"), 1, "exceeds"},
	} {
		requests.Store(0)
		source := Source{Cache: t.TempDir()}
		data, err := source.read(context.Background(), test.f)
		if n := requests.Load(); n != test.requests {
			t.Errorf("%s: %d requests, want %d", test.name, n, test.requests)
		}
		stored, _ := filepath.Glob(filepath.Join(source.Cache, "some", "*"))
		if test.message != "" {
			if err == nil || !strings.Contains(err.Error(), test.message) || !strings.Contains(err.Error(), "--data DIR that holds some/file.data") {
				t.Errorf("%s: error %v, want %q and what to do", test.name, err, test.message)
			}
			if data != nil || len(stored) != 0 {
				t.Errorf("%s: returned %d bytes, stored %q", test.name, len(data), stored)
			}
			continue
		}
		if err != nil || !bytes.Equal(data, content) {
			t.Errorf("%s: %q, %v", test.name, data, err)
		}
		if want := []string{filepath.Join(source.Cache, "some", "file.data")}; !slices.Equal(stored, want) {
			t.Errorf("%s: stored %q, want %q", test.name, stored, want)
		}
		if _, err := source.read(context.Background(), test.f); err != nil || requests.Load() != test.requests {
			t.Errorf("%s: the cache was not used: %v", test.name, err)
		}
	}
}

func TestDownloadReplacesSpoiltCache(t *testing.T) {
	var requests atomic.Int32
	f := published(serve(t, &requests), "", "/file")
	source := Source{Cache: t.TempDir()}
	path := filepath.Join(source.Cache, "some", "file.data")
	if err := writeAtomic(path, []byte("half")); err != nil {
		t.Fatal(err)
	}
	data, err := source.read(context.Background(), f)
	if err != nil || !bytes.Equal(data, content) {
		t.Fatalf("%q, %v", data, err)
	}
	if stored, _ := os.ReadFile(path); !bytes.Equal(stored, content) {
		t.Errorf("cache holds %q", stored)
	}
}

func TestDownloadWithoutNetwork(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	f := published(server, "", "/file")
	server.Close()
	_, err := Source{Cache: t.TempDir()}.read(context.Background(), f)
	if err == nil || !strings.Contains(err.Error(), "without a network, give a folder with --data DIR") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (Source{Cache: t.TempDir()}).read(ctx, f); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestDirIsNeverDownloadedInto(t *testing.T) {
	var requests atomic.Int32
	f := published(serve(t, &requests), "", "/file")
	source := Source{Dir: t.TempDir()}
	if _, err := source.read(context.Background(), f); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("absent: %v", err)
	}
	path := filepath.Join(source.Dir, "some", "file.data")
	for _, test := range []struct {
		content []byte
		ok      bool
	}{{content, true}, {[]byte("other"), false}} {
		if err := writeAtomic(path, test.content); err != nil {
			t.Fatal(err)
		}
		if _, err := source.read(context.Background(), f); (err == nil) != test.ok {
			t.Errorf("%q: %v", test.content, err)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestSpambase(t *testing.T) {
	s, err := Source{Dir: testdata.Dir(t)}.Spambase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 4601 || s.Width() != 57 || !slices.Equal(s.ClassCounts(), []int{2788, 1813}) {
		t.Errorf("%d x %d, classes %v", s.Len(), s.Width(), s.ClassCounts())
	}
	for name, value := range map[string]float64{"word_freq_address": 0.64, "char_freq_!": 0.778, "capital_run_length_total": 278} {
		if i := slices.Index(s.Features, name); i < 0 || s.X[0][i] != value {
			t.Errorf("%s: column %d of the first e-mail is not %v", name, i, value)
		}
	}
}

func TestMNISTTest(t *testing.T) {
	s, err := Source{Dir: testdata.Dir(t)}.MNISTTest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}
	if !slices.Equal(s.Shape, []int{1, 28, 28}) || !slices.Equal(s.ClassCounts(), want) || s.Class(0) != 7 {
		t.Errorf("shape %v, classes %v, first %d", s.Shape, s.ClassCounts(), s.Class(0))
	}
	if s.X[0][7*28+6] != 84 || s.X[0][7*28+7] != 185 {
		t.Error("the first image is not the published one")
	}
}
