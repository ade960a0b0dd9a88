package directory

import (
	"os"
	"path/filepath"
	"testing"

	"cipherpoint/keystore"
	"cipherpoint/keystore/keystoretest"
)

func open(address string, limits keystore.Limits) (keystore.Store, error) {
	return Open(address, limits)
}

func place(t testing.TB) keystoretest.Place {
	root := filepath.Join(t.TempDir(), "store")
	do := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return keystoretest.Place{
		Address: root,
		Secrets: []string{root},
		Outage: func() func() {
			do(os.Rename(root, root+" elsewhere"))
			return func() { do(os.Rename(root+" elsewhere", root)) }
		},
		Fill: func(uid string) func() {
			data := filepath.Join(root, uploads, uid, dataFile)
			do(os.Remove(data))
			do(os.Symlink("/dev/full", data))
			return func() {}
		},
		Damage: func(uid string) {
			data := filepath.Join(root, keys, uid, dataFile)
			content, err := os.ReadFile(data)
			do(err)
			content[len(content)/2] ^= 1
			do(os.WriteFile(data, content, 0o600))
		},
	}
}

func TestMain(m *testing.M)       { keystoretest.Main(m, open) }
func TestStore(t *testing.T)      { keystoretest.Run(t, open, place) }
func BenchmarkStore(b *testing.B) { keystoretest.Benchmark(b, open, place) }
