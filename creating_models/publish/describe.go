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
	ReportFile     = "report.html"
	CardFile       = "README.md"
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
	if err := os.WriteFile(filepath.Join(dir, ReportFile), page.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, CardFile), card.Bytes(), 0o644)
}

// WriteAttributes tells git which files of an artifact are large, unless it was told before: a clone of a repository of
// the hub comes with rules of its own.
func WriteAttributes(dir string) error {
	path := filepath.Join(dir, attributesFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b strings.Builder
	for _, name := range []string{deployment.ClientFile, deployment.ServerFile, check.RecordFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // galleries have no record
		}
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
