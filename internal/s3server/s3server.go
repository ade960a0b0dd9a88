// Package s3server answers S3's protocol for tests and benchmarks, with one bucket whose objects are files in a folder.
package s3server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"
)

// Bucket is the name of the bucket.
const Bucket = "keys"

// Objects is where in the folder the objects are.
const Objects = "objects"

// Environment is what a client needs beside the address: the server looks at no credentials.
var Environment = map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}

// Handler serves the bucket. Real object storage stores all of a body or nothing of it; so a body is read to its end first.
func Handler(dir string) (http.Handler, error) {
	objects, metadata := filepath.Join(dir, Objects), filepath.Join(dir, "metadata")
	if err := errors.Join(os.MkdirAll(objects, 0o700), os.MkdirAll(metadata, 0o700)); err != nil {
		return nil, err
	}
	files := afero.NewBasePathFs(afero.NewOsFs(), objects)
	backend, err := s3afero.SingleBucket(Bucket, files, afero.NewBasePathFs(afero.NewOsFs(), metadata))
	if err != nil {
		return nil, err
	}
	s3 := gofakes3.New(backend).Server()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s3.ServeHTTP(w, r)
	}), nil
}

// Address is that of the bucket for a key store, where the handler is at a URL.
func Address(server string) string {
	return "s3://" + Bucket + "?region=here&hostname_immutable=true&use_path_style=true&endpoint=" + url.QueryEscape(server)
}
