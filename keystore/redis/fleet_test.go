package redis

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"cipherpoint/internal/redistest"
	"cipherpoint/keystore"
	"cipherpoint/keystore/keystoretest"
)

// patient makes a store wait for a server on a machine that may be busy with other things.
const patient = "?timeout=1m"

func TestCluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3)
	address := "redis+cluster://" + nodes[0].Address() + "," + nodes[1].Address()
	keystoretest.Run(t, open, func(t testing.TB) keystoretest.Place {
		return keystoretest.Place{Address: address + patient + "&prefix=" + url.QueryEscape(t.Name())}
	})
	t.Run("NodeGone", func(t *testing.T) {
		s := mustOpen(t, address+patient)
		nodes[2].Kill()
		if err := s.Ping(t.Context()); !errors.Is(err, keystore.ErrUnavailable) {
			t.Errorf("ping with a node gone: %v", err)
		}
		nodes[2].Restart()
		eventually(t, func() error { return s.Ping(t.Context()) })
		eventually(t, func() error { return live(t.Context(), s) })
	})
}

// TestSentinel also fails over to a replica: the key that it has received is still there.
func TestSentinel(t *testing.T) {
	t.Parallel()
	const name = "keys"
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.Port))
	sentinel := redistest.StartSentinel(t, name, master)
	s := mustOpen(t, "redis+sentinel://"+sentinel.Address()+"/"+name+patient)
	eventually(t, func() error { return s.Ping(t.Context()) })
	eventually(t, func() error { return live(t.Context(), s) })

	watcher := sentinel.Client()
	eventually(t, func() error { // sentinel learns of the replica from the master, every ten seconds
		replicas, err := watcher.Do(t.Context(), "SENTINEL", "REPLICAS", name).Slice()
		if err == nil && len(replicas) == 0 {
			err = errors.New("sentinel knows no replica")
		}
		return err
	})
	uid := uuid.NewString()
	data := []byte("key")
	if err := upload(t.Context(), s, uid, data); err != nil {
		t.Fatal(err)
	}
	if err := master.Client().Wait(t.Context(), 1, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	copied := replica.Client()
	eventually(t, func() error {
		n, err := copied.Exists(t.Context(), defaultPrefix+"{"+uid+"}").Result()
		if err == nil && n != 1 {
			err = errors.New("the replica does not have the key")
		}
		return err
	})
	if err := watcher.Do(t.Context(), "SENTINEL", "SET", name, "down-after-milliseconds", 500).Err(); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	eventually(t, func() error { return live(t.Context(), s) })
	if err := read(t.Context(), s, uid); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, certificate, key)
	port := redistest.FreePort(t)
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	address := "rediss://127.0.0.1:" + strconv.Itoa(port)
	if err := live(t.Context(), mustOpen(t, address+patient+"&ca="+url.QueryEscape(certificate))); err != nil {
		t.Error(err)
	}
	if err := mustOpen(t, address+patient).Ping(t.Context()); !errors.Is(err, keystore.ErrUnavailable) {
		t.Errorf("a server with an unknown certificate is trusted: %v", err)
	}
}

// TestHang: a server that does not answer is unavailable after the timeout, and the store recovers with it.
func TestHang(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := mustOpen(t, server.URL()+"?timeout=500ms")
	eventually(t, func() error { return live(t.Context(), s) }) // a busy disk may take longer than the timeout, too
	server.Pause()
	if err := s.Ping(t.Context()); !errors.Is(err, keystore.ErrUnavailable) {
		t.Errorf("error %v, want %v", err, keystore.ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := live(ctx, s); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, keystore.ErrUnavailable) {
		t.Errorf("error %v, want that of the context", err)
	}
	server.Resume()
	eventually(t, func() error { return live(t.Context(), s) })
}

// TestMaxmemory: an upload that does not fit is refused on the way and leaves the memory to others.
func TestMaxmemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "32mb", "--maxmemory-policy", "noeviction")
	s, client := mustOpen(t, server.URL()+patient), server.Client()
	kept := uuid.NewString()
	if err := upload(t.Context(), s, kept, make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := upload(t.Context(), s, uuid.NewString(), make([]byte, 64<<20)); !errors.Is(err, keystore.ErrFull) {
			t.Fatalf("error %v, want %v", err, keystore.ErrFull)
		}
		if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 1 {
			t.Fatalf("%d records are left, %v", n, err)
		}
		eventually(t, func() error { return upload(t.Context(), s, uuid.NewString(), make([]byte, 1000)) })
		if err := client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		// Redis frees the memory of what was removed in the background.
		eventually(t, func() error { return upload(t.Context(), s, kept, make([]byte, 8<<20)) })
	}
	if err := read(t.Context(), s, kept); err != nil {
		t.Fatal(err)
	}
}

// TestEviction: under a policy that evicts, a key disappears as a whole.
func TestEviction(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "16mb", "--maxmemory-policy", "allkeys-lru")
	s := mustOpen(t, server.URL()+patient)
	data := make([]byte, 3<<20)
	uids := make([]string, 12)
	for i := range uids {
		uids[i] = uuid.NewString()
		if err := upload(t.Context(), s, uids[i], data); err != nil && !errors.Is(err, keystore.ErrNotFound) {
			t.Fatal(err)
		}
	}
	gone := 0
	for _, uid := range uids {
		if err := read(t.Context(), s, uid); errors.Is(err, keystore.ErrNotFound) {
			gone++
		} else if err != nil {
			t.Error(err)
		}
	}
	if gone == 0 || gone == len(uids) {
		t.Errorf("%d of %d keys were evicted", gone, len(uids))
	}
}

// TestFields: what other programs have put in place of a record is an error, not a panic.
func TestFields(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s, client := mustOpen(t, server.URL()+patient), server.Client()
	good := map[string]string{"id": "i", "size": "10", "sha256": string(make([]byte, 32)), "key_set": "", "present": "0-10"}
	for field, values := range map[string][]string{
		"size":    {"", "x", "1e3", "-"},
		"sha256":  {"", "short"},
		"present": {"x", "0", "0-", "-1-2", "0-11", "5-5", "3-2", "0-2,2-3", "4-5,0-1", "0-10,"},
	} {
		for _, value := range values {
			uid := uuid.NewString()
			if err := client.HSet(t.Context(), defaultPrefix+"{"+uid+"}", good).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Status(t.Context(), uid); err != nil {
				t.Fatal(err)
			}
			if err := client.HSet(t.Context(), defaultPrefix+"{"+uid+"}", field, value).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Status(t.Context(), uid); !errors.Is(err, keystore.ErrCorrupt) {
				t.Errorf("%s = %q: error %v, want %v", field, value, err, keystore.ErrCorrupt)
			}
		}
	}
	uid := uuid.NewString()
	if err := client.Set(t.Context(), defaultPrefix+"{"+uid+"}", "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Status(t.Context(), uid); !errors.Is(err, keystore.ErrUnavailable) {
		t.Errorf("a text in place of a hash: %v", err)
	}
}

func mustOpen(t *testing.T, address string) keystore.Store {
	t.Helper()
	s, err := Open(address, keystore.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// live brings a key from announcement to deletion.
func live(ctx context.Context, s keystore.Store) error {
	uid := uuid.NewString()
	if err := upload(ctx, s, uid, make([]byte, 100_000)); err != nil {
		return err
	}
	if err := read(ctx, s, uid); err != nil {
		return err
	}
	return s.Delete(ctx, uid)
}

func upload(ctx context.Context, s keystore.Store, uid string, data []byte) error {
	if _, err := s.Begin(ctx, uid, keystore.Upload{Size: int64(len(data)), SHA256: sha256.Sum256(data)}); err != nil {
		return err
	}
	if _, err := s.Put(ctx, uid, 0, data); err != nil {
		return err
	}
	return s.Seal(ctx, uid, nil)
}

// read reads the whole key, which compares its digest.
func read(ctx context.Context, s keystore.Store, uid string) error {
	r, _, err := s.Open(ctx, uid)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

func eventually(t *testing.T, call func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = call(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func selfSigned(t *testing.T, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: public},
		key:         {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
