package server

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"cipherpoint/handler"
)

// requestForm returns the form of the body.
func requestForm(header http.Header) (*form, error) {
	if encoding := header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, handler.Errorf(handler.UnsupportedMediaType, "without Content-Encoding")
	}
	name, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err == nil {
		if f := formOf(name); f != nil {
			return f, nil
		}
	}
	return nil, &handler.Error{Code: handler.UnsupportedMediaType}
}

func formOf(mediaType string) *form {
	switch mediaType {
	case "application/json":
		return formJSON
	case "application/msgpack", "application/x-msgpack", "application/vnd.msgpack":
		return formMsgpack
	}
	return nil
}

// replyForm returns the form that Accept prefers; preferred, where it leaves the choice to us.
func replyForm(header http.Header, preferred *form) (*form, error) {
	ranges := strings.Split(strings.Join(header.Values("Accept"), ","), ",")
	best, bestQuality, given := (*form)(nil), 0.0, false
	for _, r := range ranges {
		if strings.TrimSpace(r) == "" {
			continue
		}
		given = true
		name, parameters, err := mime.ParseMediaType(r)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, ok := parameters["q"]; ok {
			if quality, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		f := formOf(name)
		if name == "*/*" || name == "application/*" {
			f = preferred
		}
		// Of equals, the preferred form.
		if f != nil && (quality > bestQuality || quality == bestQuality && best != nil && f == preferred) {
			best, bestQuality = f, quality
		}
	}
	switch {
	case !given:
		return preferred, nil
	case best == nil:
		return nil, &handler.Error{Code: handler.NotAcceptable}
	}
	return best, nil
}
