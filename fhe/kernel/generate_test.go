package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedAssembly runs the generator and demands the committed files. It is skipped where the generator's modules
// are neither in the module cache nor to be had.
func TestGeneratedAssembly(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generator")
	}
	goCommand := func(arguments ...string) ([]byte, error) {
		return exec.Command("go", append([]string{"-C", "_asm"}, arguments...)...).CombinedOutput()
	}
	if output, err := goCommand("mod", "download"); err != nil {
		t.Skipf("the generator's modules cannot be had: %v: %s", err, output)
	}
	// The header of the files repeats the command, so it is the one of go:generate, run in a copy of the folder.
	folder := t.TempDir()
	generator := filepath.Join(folder, "_asm")
	if err := os.CopyFS(generator, os.DirFS("_asm")); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", ".", "-out", "../kernels_amd64.s", "-stubs", "../kernels_amd64.go", "-pkg", "kernel")
	command.Dir = generator
	command.Env = append(os.Environ(), "GOOS=", "GOARCH=") // the generator runs here, whatever the tests are built for
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("generator: %v: %s", err, output)
	}
	for _, name := range []string{"kernels_amd64.s", "kernels_amd64.go"} {
		want, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate", name)
		}
	}
}
