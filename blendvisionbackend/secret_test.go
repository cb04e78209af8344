package blendvisionbackend_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
)

// Canaries: texts that stand for what nobody may see.
const (
	tokenCanary     = "canary-token-3c9f"
	orgCanary       = "canary-org-77aa"
	signatureCanary = "canary/signature+b2d1"
)

// presigned carries the signature escaped in another way than url.QueryEscape would.
const presigned = "https://objects.example/part?X-Expires=1700000000&X-Signature=canary%2fsignature%2bb2d1"

func requireNoCanary(t *testing.T, text string) {
	t.Helper()
	for _, canary := range []string{
		tokenCanary, orgCanary, signatureCanary, url.QueryEscape(signatureCanary), "canary%2fsignature",
	} {
		require.NotContains(t, text, canary)
	}
}

// requireCleanError looks at an error, at all it wraps, and at the ways to print it.
func requireCleanError(t *testing.T, err error) {
	t.Helper()
	requireNoCanary(t, fmt.Sprintf("%v\n%+v\n%#v\n%s", err, err, err, err))
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			requireCleanError(t, next)
		}
	case interface{ Unwrap() []error }:
		for _, next := range e.Unwrap() {
			requireCleanError(t, next)
		}
	}
}

// told is all that a server, or something on the way, could repeat.
func told(r *http.Request) string {
	query, _ := url.QueryUnescape(r.URL.RawQuery)
	return fmt.Sprintf("%s %s | %s | %s | %v", r.Method, r.URL, query, r.URL.Query().Get("X-Signature"), r.Header)
}

// leaks are the ways to repeat it.
var leaks = map[string]func(*http.Request) (*http.Response, error){
	"API error":            func(r *http.Request) (*http.Response, error) { return reply(400, apiError(told(r))), nil },
	"API error, passing":   func(r *http.Request) (*http.Response, error) { return reply(503, apiError(told(r))), nil },
	"store error":          func(r *http.Request) (*http.Response, error) { return reply(403, storeError(told(r))), nil },
	"store error, passing": func(r *http.Request) (*http.Response, error) { return reply(500, storeError(told(r))), nil },
	"page":                 func(r *http.Request) (*http.Response, error) { return reply(502, "<html>"+told(r)), nil },
	"unreadable":           func(r *http.Request) (*http.Response, error) { return reply(200, told(r)), nil },
	"another file": func(r *http.Request) (*http.Response, error) {
		id, _ := json.Marshal(told(r))
		return reply(200, fmt.Sprintf(`{"id": %s, "file": {"id": %s}}`, id, id)), nil
	},
	"transport": func(r *http.Request) (*http.Response, error) { return nil, errors.New(told(r)) },
	"url.Error": func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Put", URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
	},
	"broken body": func(r *http.Request) (*http.Response, error) {
		resp := reply(200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failingReader(told(r))))
		return resp, nil
	},
}

type failingReader string

func (r failingReader) Read([]byte) (int, error) { return 0, errors.New(string(r)) }

func apiError(message string) string {
	b, _ := json.Marshal(map[string]any{"code": 3, "message": message, "details": []any{map[string]any{"@type": message}}})
	return string(b)
}

func storeError(message string) string {
	var b bytes.Buffer
	b.WriteString("<Error><Code>Denied</Code><Message>")
	_ = xml.EscapeText(&b, []byte(message))
	b.WriteString("</Message></Error>")
	return b.String()
}

func TestCredentialsAppearInNoErrorAndNoLog(t *testing.T) {
	for name, leak := range leaks {
		for _, call := range []string{"files:upload", "put part", "complete-upload", "cancel-upload"} {
			t.Run(name+", "+call, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { leakIn(t, call, leak) })
			})
		}
	}
}

// leakIn runs an upload in which one call goes wrong, and looks at everything there is to see.
func leakIn(t *testing.T, call string, leak func(*http.Request) (*http.Response, error)) {
	log := new(bytes.Buffer)
	b, err := blendvisionbackend.New(
		blendvisionbackend.Credentials{Token: tokenCanary, OrgID: orgCanary},
		&blendvisionbackend.Options{
			Endpoint: "https://api.example",
			Logger:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.Method == http.MethodPut && call == "put part",
					strings.HasSuffix(r.URL.Path, call),
					strings.HasSuffix(r.URL.Path, ":download"):
					return leak(r)
				case r.Method == http.MethodPut:
					resp := reply(200, "")
					resp.Header.Set("ETag", `"e"`)
					return resp, nil
				case strings.HasSuffix(r.URL.Path, "files:upload"):
					return reply(200, `{"file": {"id": "f"}, "upload_data": {"id": "u", "parts": [{"part_number": 1, "presigned_url": "`+
						presigned+`"}]}}`), nil
				}
				return reply(200, `{"file": {"id": "f"}}`), nil
			}),
		})
	require.NoError(t, err)
	failures := 0
	look := func(err error) {
		if err != nil {
			failures++
			requireCleanError(t, err)
		}
	}
	f, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
	look(err)
	if f != nil {
		requireNoCanary(t, fmt.Sprintf("%v %+v %#v %s %d %v", f, f, f, f, f, f.Info()))
		_, err = f.UploadPart(t.Context(), sluice.NewPart(1, []byte("x"), nil))
		look(err)
		_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, Tag: `"e"`}}, sums([]byte("x")))
		look(err)
		look(f.Cancel(t.Context()))
		if call == "cancel-upload" { // after a finish there is nothing to cancel
			f, err = b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.NoError(t, err)
			look(f.Cancel(t.Context()))
		}
	}
	requireNoCanary(t, log.String())
	if failures == 0 {
		require.True(t, call == "cancel-upload" && strings.Contains(t.Name(), "another_file"), "nothing failed")
	}
}

func TestOddPresignedURLIsRefusedWithoutItsQuery(t *testing.T) {
	for name, v := range map[string]struct{ url, text string }{
		"unreadable":        {"https://objects.example/%zz?X-Signature=" + tokenCanary, `presigned URL of part number 1: "[unreadable URL]" is not a URL`},
		"without a host":    {"/part?X-Signature=" + tokenCanary, `presigned URL of part number 1: "/part" is not a URL with a host`},
		"plain http":        {"http://objects.example/part?X-Signature=" + tokenCanary, "URL http://objects.example/part: plain http"},
		"another scheme":    {"ftp://objects.example/part?X-Signature=" + tokenCanary, "URL ftp://objects.example/part: scheme"},
		"with a user in it": {"https://" + tokenCanary + "@objects.example/part", "URL https://objects.example/part carries a user"},
	} {
		t.Run(name, func(t *testing.T) {
			cancelled := false
			b := over(t, func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/f:cancel-upload") {
					cancelled = true
					return reply(200, "{}"), nil
				}
				return reply(200, `{"file": {"id": "f"}, "upload_data": {"id": "u", "parts": [{"part_number": 1, "presigned_url": "`+v.url+`"}]}}`), nil
			})
			_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
			require.ErrorContains(t, err, v.text)
			requireCleanError(t, err)
			require.True(t, cancelled)
		})
	}
}

func TestPrintingShowsNoCredentials(t *testing.T) {
	c := blendvisionbackend.Credentials{Token: tokenCanary, OrgID: orgCanary}
	b, err := blendvisionbackend.New(c, &blendvisionbackend.Options{Endpoint: "https://api.example"})
	require.NoError(t, err)
	log := new(bytes.Buffer)
	slog.New(slog.NewJSONHandler(log, nil)).Info("x", "credentials", c, "backend", b)
	slog.New(slog.NewTextHandler(log, nil)).Info("x", "credentials", c, "backend", b)
	requireNoCanary(t, log.String())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		requireNoCanary(t, fmt.Sprintf(verb+verb+verb+verb, c, &c, b, *b))
	}
}
