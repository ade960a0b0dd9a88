// Package testdata finds the public data sets and model files that some tests and benchmarks need but that are too
// large to ship with the project.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Environment names the variable that holds the folder of data sets.
const Environment = "CIPHERPOINT_DATA"

// Dir returns the folder of data sets: $CIPHERPOINT_DATA, or ../shared/data beside the module's root.
// The test is skipped, with the reason, where there is neither.
func Dir(t testing.TB) string {
	t.Helper()
	if dir, ok := Find(); ok {
		return dir
	}
	t.Skipf("needs the data sets: set %s to their folder", Environment)
	return ""
}

// Find returns the folder of data sets and whether there is one.
func Find() (string, bool) {
	if dir := os.Getenv(Environment); dir != "" {
		return dir, isDir(dir)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", false
	}
	dir := filepath.Join(filepath.Dir(root), "shared", "data")
	return dir, isDir(dir)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// moduleRoot walks up from the working directory, which in a test is the package's folder.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}
