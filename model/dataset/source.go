package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Source finds the data sets that are too large to ship. The zero value downloads into the user's cache.
type Source struct {
	// Dir is a folder of data sets, laid out as the cache is: spambase/spambase.data, mnist/*.gz. Where it is set,
	// nothing is downloaded.
	Dir string
	// Cache is the folder for downloads; empty is cipherpoint in os.UserCacheDir.
	Cache string
	// Client downloads; nil is a client that gives up on a file after five minutes.
	Client *http.Client
}

// file is one published file.
type file struct {
	path   string   // in Dir and in the cache
	sha256 string   // of the content
	size   int64    // of the content, in bytes
	urls   []string // tried in order
	// member is the name of the file in the zip archives at urls, empty where they are the file itself.
	member string
}

const (
	downloadTimeout = 5 * time.Minute
	maxArchiveBytes = 16 << 20
)

// read returns the content of a file, which has the size and the SHA-256 stated.
func (s Source) read(ctx context.Context, f file) ([]byte, error) {
	if s.Dir != "" {
		path := filepath.Join(s.Dir, filepath.FromSlash(f.path))
		data, err := f.readLocal(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return data, nil
	}
	cache := s.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for downloads: %w; %s", err, f.hint())
		}
		cache = filepath.Join(user, "cipherpoint")
	}
	path := filepath.Join(cache, filepath.FromSlash(f.path))
	if data, err := f.readLocal(path); err == nil {
		return data, nil
	}
	data, err := s.download(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, f.hint())
	}
	if err := writeAtomic(path, data); err != nil {
		return nil, fmt.Errorf("keep the download: %w", err)
	}
	return data, nil
}

func (f file) hint() string {
	return fmt.Sprintf("without a network, give a folder with --data DIR that holds %s (SHA-256 %s)", f.path, f.sha256)
}

func (f file) check(data []byte) error {
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.sha256 {
		return fmt.Errorf("the content differs from the published file (SHA-256 %s)", f.sha256)
	}
	return nil
}

func (f file) readLocal(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller names the path
	}
	defer in.Close()
	return f.readFrom(in)
}

// readFrom reads at most one byte more than the file has.
func (f file) readFrom(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, f.size+1))
	if err != nil {
		return nil, err
	}
	return data, f.check(data)
}

func (s Source) download(ctx context.Context, f file) ([]byte, error) {
	client := s.Client
	if client == nil {
		client = &http.Client{Timeout: downloadTimeout}
	}
	var failures []error
	for _, url := range f.urls {
		data, err := f.get(ctx, client, url)
		if err == nil {
			return data, nil
		}
		failures = append(failures, fmt.Errorf("download %s: %w", url, err))
	}
	return nil, errors.Join(failures...)
}

func (f file) get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller names the address
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	if f.member == "" {
		return f.readFrom(response.Body)
	}
	archive, err := io.ReadAll(io.LimitReader(response.Body, maxArchiveBytes+1))
	if err != nil {
		return nil, err
	}
	if len(archive) > maxArchiveBytes {
		return nil, fmt.Errorf("the archive exceeds %d bytes", maxArchiveBytes)
	}
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	member, err := files.Open(f.member)
	if err != nil {
		return nil, err
	}
	defer member.Close()
	return f.readFrom(member)
}

// writeAtomic makes the file appear whole or not at all, also to a second process that downloads at the same time.
func writeAtomic(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // fails once it is renamed
	_, err = out.Write(data)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
