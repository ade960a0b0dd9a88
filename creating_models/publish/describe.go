package publish

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cipherpoint/creating_models/check"
	"cipherpoint/creating_models/report"
	"cipherpoint/deployment"
)

// What lies beside an artifact for people, and for Hugging Face's hub.
const (
	reportFile     = "report.html"
	cardFile       = "README.md"
	attributesFile = ".gitattributes"
)

// largestInGit is the size above which the hub wants a file in Git LFS.
const largestInGit = 10 << 20

// describe writes the report and the model card.
func describe(r *report.Report, dir string) error {
	var page, card bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		return err
	}
	if err := r.WriteCard(&card); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, reportFile), page.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, cardFile), card.Bytes(), 0o644)
}

// writeAttributes tells git which files of an artifact are large, unless it was told before: a clone of a repository of
// the hub comes with rules of its own.
func writeAttributes(dir string) error {
	path := filepath.Join(dir, attributesFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b strings.Builder
	for _, name := range []string{deployment.ClientFile, deployment.ServerFile, check.RecordFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if info.Size() > largestInGit {
			b.WriteString(name + " filter=lfs diff=lfs merge=lfs -text\n")
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
