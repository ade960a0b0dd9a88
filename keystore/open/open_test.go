package open

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cipherpoint/keystore"
	"cipherpoint/keystore/directory"
	"cipherpoint/keystore/object"
	"cipherpoint/keystore/redis"
)

func TestURL(t *testing.T) {
	t.Chdir(t.TempDir())
	absolute := filepath.Join(t.TempDir(), "a b")
	for address, want := range map[string]keystore.Store{
		"file://" + strings.ReplaceAll(absolute, " ", "%20"): (*directory.Store)(nil),
		"file://relative/keys":                               (*directory.Store)(nil),
		"redis://localhost:1":                                (*redis.Store)(nil),
		"rediss+cluster://u:p@h:1,i:2":                       (*redis.Store)(nil),
		"redis+sentinel://h:1,i:2/m/2":                       (*redis.Store)(nil),
		"redis://localhost:1?timeout=10ms":                   (*redis.Store)(nil),
		"s3://bucket?region=here&prefix=keys/":               (*object.Store)(nil),
	} {
		store, err := URL(address, keystore.Limits{})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if reflect.TypeOf(store) != reflect.TypeOf(want) {
			t.Errorf("%s: got a %T", address, store)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, folder := range []string{absolute, "relative/keys"} {
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("folder: %v, %v", info, err)
		}
	}
	for _, address := range []string{
		"", "keys", "/keys", "file:", "file://", "file://%zz", "http://h", "http://b", "redis://", "redis://:hunter22@h:x", "redis://h?y=1",
	} {
		store, err := URL(address, keystore.Limits{})
		if !errors.Is(err, keystore.ErrInvalid) || store != nil {
			t.Errorf("%q: got %v, %v", address, store, err)
		} else if strings.Contains(err.Error(), "hunter22") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
	if _, err := URL("file://keys", keystore.Limits{KeyLifetime: -1}); !errors.Is(err, keystore.ErrInvalid) {
		t.Errorf("negative lifetime: %v", err)
	}
}
