package redis

import (
	"testing"

	"cipherpoint/internal/redistest"
	"cipherpoint/keystore"
	"cipherpoint/keystore/keystoretest"
)

func open(address string, limits keystore.Limits) (keystore.Store, error) {
	return Open(address, limits)
}

func place(t testing.TB) keystoretest.Place {
	server := redistest.Start(t, "--requirepass", password)
	return keystoretest.Place{
		Address: server.URL() + patient,
		Secrets: []string{password},
		Outage: func() func() {
			server.Kill()
			return server.Restart
		},
		Fill: func(string) func() {
			client := server.Client()
			set := func(bytes string) {
				if err := client.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
					t.Fatal(err)
				}
			}
			set("1")
			return func() { set("0") }
		},
		Damage: func(uid string) {
			if err := server.Client().HSet(t.Context(), defaultPrefix+"{"+uid+"}", "0", make([]byte, 1000)).Err(); err != nil {
				t.Fatal(err)
			}
		},
	}
}

const password = "a-password-of-redis"

func TestMain(m *testing.M)       { keystoretest.Main(m, open) }
func TestStore(t *testing.T)      { keystoretest.Run(t, open, place) }
func BenchmarkStore(b *testing.B) { keystoretest.Benchmark(b, open, place) }
