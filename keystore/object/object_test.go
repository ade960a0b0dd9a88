package object

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"cipherpoint/internal/s3server"
	"cipherpoint/keystore"
	"cipherpoint/keystore/keystoretest"
)

func open(address string, limits keystore.Limits) (keystore.Store, error) {
	return Open(context.Background(), address, limits)
}

// place is a bucket of a server that speaks S3.
func place(t testing.TB) keystoretest.Place {
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root := t.TempDir()
	s3, err := s3server.Handler(root)
	do(err)
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusForbidden) // which the client does not repeat
			return
		}
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return keystoretest.Place{
		Address: s3server.Address(server.URL),
		Secrets: []string{server.URL, strings.TrimPrefix(server.URL, "http://"), s3server.Environment["AWS_SECRET_ACCESS_KEY"]},
		Outage: func() func() {
			down.Store(true)
			return func() { down.Store(false) }
		},
		Damage: func(uid string) {
			pieces, err := filepath.Glob(filepath.Join(root, s3server.Objects, uid, "data", "*", "*"))
			do(err)
			content, err := os.ReadFile(pieces[0])
			do(err)
			content[len(content)/2] ^= 1
			do(os.WriteFile(pieces[0], content, 0o600))
		},
	}
}

func TestMain(m *testing.M) {
	for name, value := range s3server.Environment {
		_ = os.Setenv(name, value)
	}
	keystoretest.Main(m, open)
}

func TestStore(t *testing.T)      { keystoretest.Run(t, open, place) }
func BenchmarkStore(b *testing.B) { keystoretest.Benchmark(b, open, place) }
