package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a transport that answers as told, the last answer again and again.
type scripted struct {
	answers []answer
	asked   []time.Time
}

type answer struct {
	status int // 0: the connection breaks
	header http.Header
	body   string
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	a := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, time.Now())
	if a.status == 0 {
		return nil, errors.New("broken pipe")
	}
	header := a.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", mediaType)
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

const deleted = "\x81\xa7deleted\xc3"

// failure is a reply with a code.
func failure(status int, code string, header ...string) answer {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return answer{status, h, string(newFailure(code))}
}

func newFailure(code string) []byte {
	b := []byte("\x82\xa5error\xa4text\xa4code")
	return append(append(b, 0xa0|byte(len(code))), code...)
}

func TestRepeats(t *testing.T) {
	html := answer{503, http.Header{"Content-Type": {"text/html"}}, "<html>"}
	done := answer{status: 200, body: deleted}
	for _, test := range []struct {
		name     string
		answers  []answer
		requests int
		least    time.Duration
		most     time.Duration
		code     Code
		text     string // of the error
	}{
		{"at once", []answer{done}, 1, 0, 0, "", ""},
		{"busy", []answer{failure(429, "busy", "Retry-After", "3"), done}, 2, 3 * time.Second, 5 * time.Second, "", ""},
		{"not ready", []answer{failure(503, "not_ready"), done}, 2, firstWait, 2 * firstWait, "", ""},
		{"store unavailable", []answer{failure(503, "store_unavailable", "Retry-After", "1"), done}, 2, time.Second, 2 * time.Second, "", ""},
		{"proxy", []answer{html, html, done}, 3, 3 * firstWait, 5 * firstWait, "", ""},
		{"lost", []answer{{}, {}, done}, 3, 3 * firstWait, 5 * firstWait, "", ""},
		{"lost for good", []answer{{}}, maxLosses, 15 * firstWait, 23 * firstWait, NoConnection, "broken pipe"},
		{"loading for good", []answer{failure(503, "not_ready", "Retry-After", "2")}, 0, defaultPatience - 13*time.Second, defaultPatience, NotReady, "gave up"},
		{"told to come back tomorrow", []answer{failure(429, "busy", "Retry-After", "86400")}, 1, 0, 0, Busy, "gave up"},
		{"unauthorized", []answer{failure(401, "unauthorized")}, 1, 0, 0, Unauthorized, "text"},
		{"forbidden by a proxy", []answer{{status: 403}}, 1, 0, 0, Unauthorized, "403"},
		{"internal", []answer{failure(500, "internal")}, 1, 0, 0, "internal", "text"},
		{"json of a proxy", []answer{{400, http.Header{"Content-Type": {"application/json"}}, `{"error":"no\u001b[2J"}`}}, 1, 0, 0, "status_400", "no\ufffd"},
		{"redirect", []answer{{status: 307, header: http.Header{"Location": {"http://elsewhere.example/"}}}}, 1, 0, 0, "status_307", "redirects"},
		{"page", []answer{{200, http.Header{"Content-Type": {"text/html"}}, "<html>"}}, 1, 0, 0, BadReply, "address"},
		{"endless", []answer{{status: 200, body: strings.Repeat("x", smallReply+1)}}, 1, 0, 0, BadReply, "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := &scripted{answers: test.answers}
				waits := 0
				c, err := New("http://endpoint.example", "", Options{Transport: script, OnWait: func(error, time.Duration) { waits++ }})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				_, err = c.call(t.Context(), newMessage("delete_key"), smallReply)
				took := time.Since(begin)
				if took < test.least || took > test.most {
					t.Errorf("took %v: want %v to %v", took, test.least, test.most)
				}
				if test.requests > 0 && len(script.asked) != test.requests || waits != len(script.asked)-1 {
					t.Errorf("%d requests, %d waits: want %d requests", len(script.asked), waits, test.requests)
				}
				if (err == nil) != (test.text == "") || err != nil && !strings.Contains(err.Error(), test.text) || CodeOf(err) != test.code {
					t.Errorf("error %v with code %q", err, CodeOf(err))
				}
			})
		})
	}
}

func TestContextEndsRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		c, err := New("http://endpoint.example", "", Options{Transport: &scripted{answers: []answer{failure(503, "not_ready", "Retry-After", "5")}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := c.DeleteKey(ctx, "uid"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		address, token string
		plain, ok      bool
	}{
		{"http://127.0.0.1:8080", "secret", false, true},
		{"http://localhost", "secret", false, true},
		{"http://[::1]:80/predict", "secret", false, true},
		{"https://endpoint.example", "secret", false, true},
		{"http://endpoint.example", "", false, true},
		{"http://endpoint.example", "secret", false, false},
		{"http://endpoint.example", "secret", true, true},
		{"https://user:password@endpoint.example", "", false, false},
		{"endpoint.example", "", false, false},
		{"ftp://endpoint.example", "", false, false},
		{"http://", "", false, false},
		{"%", "", false, false},
	} {
		if _, err := New(test.address, test.token, Options{PlainHTTP: test.plain}); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.address, err)
		}
	}
}
