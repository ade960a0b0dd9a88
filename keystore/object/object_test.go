package object

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"

	"cipherpoint/keystore"
	"cipherpoint/keystore/keystoretest"
)

func open(address string, limits keystore.Limits) (keystore.Store, error) {
	return Open(context.Background(), address, limits)
}

// place is a bucket of a server that speaks S3 and keeps its objects in a folder.
func place(t testing.TB) keystoretest.Place {
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	objects, metadata := filepath.Join(root, "objects"), filepath.Join(root, "metadata")
	do(errors.Join(os.Mkdir(objects, 0o700), os.Mkdir(metadata, 0o700)))
	files := afero.NewBasePathFs(afero.NewOsFs(), objects)
	backend, err := s3afero.SingleBucket("keys", files, afero.NewBasePathFs(afero.NewOsFs(), metadata))
	do(err)
	s3 := gofakes3.New(backend).Server()
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusForbidden) // which the client does not repeat
			return
		}
		// Real object storage stores all of a body or nothing of it; this one would store what came before the client died.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	address := "s3://keys?region=here&hostname_immutable=true&use_path_style=true&endpoint=" + url.QueryEscape(server.URL)
	return keystoretest.Place{
		Address: address,
		Secrets: []string{server.URL, strings.TrimPrefix(server.URL, "http://"), "secret"},
		Outage: func() func() {
			down.Store(true)
			return func() { down.Store(false) }
		},
		Damage: func(uid string) {
			pieces, err := filepath.Glob(filepath.Join(objects, uid, "data", "*", "*"))
			do(err)
			content, err := os.ReadFile(pieces[0])
			do(err)
			content[len(content)/2] ^= 1
			do(os.WriteFile(pieces[0], content, 0o600))
		},
	}
}

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_MAX_ATTEMPTS": "1"} {
		_ = os.Setenv(name, value)
	}
	keystoretest.Main(m, open)
}

func TestStore(t *testing.T)      { keystoretest.Run(t, open, place) }
func BenchmarkStore(b *testing.B) { keystoretest.Benchmark(b, open, place) }
