package fleet

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cipherpoint/internal/redisserver"
	"cipherpoint/internal/redistest"
	"cipherpoint/internal/testmodel"
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fleet-endpoint")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "endpoint")
	return path, exec.Command("go", "build", "-o", path, "cipherpoint/endpoint").Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func needsRedis(t *testing.T) {
	if _, err := exec.LookPath(redisserver.Binary); err != nil {
		if os.Getenv(redistest.Required) != "" {
			t.Fatal("there is no redis-server")
		}
		t.Skip("needs redis-server in the path")
	}
}

func TestChaosOnEachStore(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for some seconds")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := testmodel.Small(t).Save(t)
	for _, name := range Stores {
		t.Run(name, func(t *testing.T) {
			if name == "redis" {
				needsRedis(t)
			}
			f, err := Chaos(t.Context(), ChaosOptions{Binary: path, Model: dir, Store: name, Kills: 5, Clients: 3, Seed: 7})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range f.Violations {
				t.Errorf("%s: %s", v.Kind, v.Detail)
			}
			if f.Kills != 5 || f.Keys < 3 || f.Right < 3 || f.Last != f.Keys {
				t.Errorf("%d kills, %d keys, %d right answers, %d at the end: want 5 kills, from each of 3 clients a key and an answer, and one of each key at the end",
					f.Kills, f.Keys, f.Right, f.Last)
			}
		})
	}
}

func TestReplicasWithoutAFailure(t *testing.T) {
	if testing.Short() {
		t.Skip("runs endpoints for some seconds")
	}
	needsRedis(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := testmodel.Small(t).Save(t)
	for duration := 6 * time.Second; ; duration *= 3 {
		f, err := Replicas(t.Context(), ReplicasOptions{
			Binary: path, Model: dir, Replicas: 2, Clients: 6, Duration: duration,
			Every: 2 * time.Second, Away: 500 * time.Millisecond, MemoryMB: 128, Seed: 7,
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, failure := range f.Failures {
			t.Error(failure)
		}
		if f.Kills >= 2 && len(f.Uploads) >= 6 && len(f.Inferences) >= 30 {
			return
		}
		if duration > time.Minute {
			t.Fatalf("%d kills, %d uploads, %d inferences", f.Kills, len(f.Uploads), len(f.Inferences))
		}
		t.Logf("a slow machine: %d kills, %d uploads, %d inferences", f.Kills, len(f.Uploads), len(f.Inferences))
	}
}

// TestRoundRobinKnowsNothingOfHealth: of two requests one goes to who is not there.
func TestRoundRobinKnowsNothingOfHealth(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer here.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var targets []*url.URL
	for _, address := range []string{here.URL, gone.URL} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, u)
	}
	address, stop, err := roundRobin(targets)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	statuses := map[int]int{}
	for range 4 {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		statuses[r.StatusCode]++
	}
	if statuses[http.StatusOK] != 2 || statuses[http.StatusBadGateway] != 2 {
		t.Errorf("statuses %v: want two of each", statuses)
	}
}
