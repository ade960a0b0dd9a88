package redis

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"cipherpoint/keystore"
)

func TestAddress(t *testing.T) {
	for _, test := range []struct {
		address          string
		hosts            string
		user, password   string
		database         int
		master           string
		cluster, secured bool
		prefix           string
	}{
		{address: "redis://localhost", hosts: "localhost:6379"},
		{address: "redis://localhost/", hosts: "localhost:6379"},
		{address: "redis://localhost:1/2", hosts: "localhost:1", database: 2},
		{address: "redis://[::1]", hosts: "[::1]:6379"},
		{address: "rediss://u:p%40%2F@h:1?prefix=x/y", hosts: "h:1", user: "u", password: "p@/", secured: true, prefix: "x/y"},
		{address: "redis://:p@h", hosts: "h:6379", password: "p"},
		{address: "redis+cluster://a", hosts: "a:6379", cluster: true},
		{address: "rediss+cluster://u:p@a:1,b,[::1]:3?prefix=", hosts: "a:1 b:6379 [::1]:3", user: "u", password: "p", cluster: true, secured: true},
		{address: "redis+sentinel://a,b:2/m", hosts: "a:26379 b:2", master: "m"},
		{address: "redis+sentinel://a/m/3?sentinel_user=v&sentinel_password=w", hosts: "a:26379", master: "m", database: 3},
	} {
		o, prefix, err := parseAddress(test.address)
		if err != nil {
			t.Errorf("%s: %v", test.address, err)
			continue
		}
		if test.prefix == "" && !strings.Contains(test.address, "prefix=") {
			test.prefix = defaultPrefix
		}
		if got := strings.Join(o.Addrs, " "); got != test.hosts || o.Username != test.user || o.Password != test.password ||
			o.DB != test.database || o.MasterName != test.master || o.IsClusterMode != test.cluster ||
			(o.TLSConfig != nil) != test.secured || prefix != test.prefix {
			t.Errorf("%s: got %+v with prefix %q", test.address, o, prefix)
		}
	}

	o, _, err := parseAddress("redis+sentinel://a/m?timeout=3s&connections=7&sentinel_user=v&sentinel_password=w")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolSize, o.SentinelUsername, o.SentinelPassword}
	if want := []any{3 * time.Second, 3 * time.Second, 3 * time.Second, 7, "v", "w"}; !reflect.DeepEqual(got, want) {
		t.Errorf("options %v, want %v", got, want)
	}
}

func TestAddressRefused(t *testing.T) {
	for _, address := range []string{
		"", "localhost:6379", "http://h", "redis:h", "redis+tls://h", "redis://", "redis:///1", "redis://h/x", "redis://h/-1",
		"redis://h/1/2", "redis://h:port", "redis://h:65536", "redis://h:1:2", "redis://a,b", "redis://h#1", "redis://h?x=1",
		"redis://:hunter22%zz@h", "redis://:hunter22@h:x", "redis://:hunter22@h?hunter=%zz", "redis://:hunter22 \x7f@h",
		"redis+cluster://h/1", "redis+cluster://h,,i", "redis+sentinel://h", "redis+sentinel://h/m/x",
		"redis://h?timeout=5", "redis://h?timeout=-1s", "redis://h?connections=0", "redis://h?timeout=1s&timeout=2s",
		"redis://h?prefix={a}", "redis://h?ca=/etc/hosts", "rediss://h?ca=/nowhere", "rediss://h?ca=address_test.go",
		"redis://h?sentinel_user=a",
	} {
		store, err := Open(address, keystore.Limits{})
		if err == nil {
			_ = store.Close()
			t.Errorf("%q is taken", address)
		} else if strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: the error contains the password: %v", address, err)
		}
	}
	if _, err := Open("redis://h", keystore.Limits{MaxSize: -1}); err == nil {
		t.Error("a negative limit is taken")
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("rediss+cluster://u:p@a:1,b,[::1]:3?prefix=x")
	f.Add("redis+sentinel://a/m/3?sentinel_user=v&timeout=1s")
	f.Fuzz(func(t *testing.T, address string) {
		o, _, err := parseAddress(address)
		if (o == nil) == (err == nil) && err == nil {
			t.Error("neither options nor an error")
		}
	})
}
