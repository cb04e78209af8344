package blendvisionbackend_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/internal/hostile"
)

// Canaries: texts that stand for what must not be shown.
const (
	tokenCanary     = "canary-token-3c9f"
	orgCanary       = "canary-org-77aa"
	signatureCanary = "canary/signature+b2d1"
)

// presigned carries the signature escaped in another way than url.QueryEscape would.
const presigned = "https://objects.example/part?X-Expires=1700000000&X-Signature=canary%2fsignature%2bb2d1"

// hostileCalls are all whose answers are read.
var hostileCalls = []string{"files:upload", "put part", "complete-upload", "cancel-upload", "download", "get"}

// hostileCall names a call.
func hostileCall(req *http.Request) string {
	if req.Method == http.MethodPut {
		return "put part"
	}
	if req.Method == http.MethodGet {
		return "get"
	}
	if strings.HasSuffix(req.URL.Path, "files:upload") {
		return "files:upload"
	}
	return req.URL.Path[strings.LastIndexByte(req.URL.Path, ':')+1:]
}

// honestly answers as the service does, for a file of one part. What the
// download call looks up was lost.
func honestly(call string, req *http.Request) (*http.Response, error) {
	switch name := hostileCall(req); {
	case call == "download" && name == "complete-upload":
		return nil, errors.New("the answer is lost")
	case call == "get" && name == "download":
		return reply(200, `{"id": "f", "download_filename": "a", "download_uri": "`+presigned+`"}`), nil
	case name == "get":
		resp := reply(206, "x")
		resp.ContentLength = 1
		resp.Header = http.Header{"Etag": {`"e"`}, "Content-Range": {"bytes 0-0/2"}}
		if req.Header.Get("Range") == "bytes=0-1" {
			resp = reply(206, "xy")
			resp.ContentLength = 2
			resp.Header = http.Header{"Etag": {`"e"`}, "Content-Range": {"bytes 0-1/2"}}
		}
		return resp, nil
	case name == "download": // it is not complete
		return reply(404, `{"code":5,"message":"no such file"}`), nil
	case name == "files:upload":
		return reply(200, `{"file": {"id": "f"}, "upload_data": {"id": "u", "parts": [{"part_number": 1, "presigned_url": "`+presigned+`"}]}}`), nil
	case name == "put part":
		resp := reply(200, "")
		resp.Header.Set("ETag", `"e"`)
		return resp, nil
	case name == "cancel-upload":
		return reply(200, `{}`), nil
	}
	return reply(200, `{"file": {"id": "f"}}`), nil
}

// makeEveryCall makes every call there is, and returns the errors and the values.
func makeEveryCall(t *testing.T, rt http.RoundTripper, log *slog.Logger) (said []any) {
	note := func(err error) {
		if err != nil {
			said = append(said, err)
		}
	}
	credentials := blendvisionbackend.NewCredentials(tokenCanary, orgCanary)
	b, err := blendvisionbackend.New(credentials, &blendvisionbackend.Options{
		Endpoint: "https://api.example", Transport: rt, Logger: log, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Second},
	})
	require.NoError(t, err)
	said = append(said, credentials, &credentials, b, *b, b.Limits())
	spec := sluice.FileSpec{Name: "a", Size: 1}
	if f, err := b.StartLargeFile(t.Context(), spec); err != nil {
		note(err)
	} else {
		note(f.Cancel(t.Context()))
	}
	f, err := b.StartLargeFile(t.Context(), spec)
	if note(err); err != nil {
		return said
	}
	r, err := f.UploadPart(t.Context(), sluice.NewPart(1, []byte("x"), nil))
	note(err)
	file, err := f.Finish(t.Context(), []sluice.Receipt{{Number: 1, ETag: `"e"`}}, sums([]byte("x")))
	note(err)
	note(f.Cancel(t.Context()))
	_, err = b.Stat(t.Context(), "f")
	note(err)
	stored := sluice.StoredFile{File: sluice.File{ID: "f", Name: "f", Size: 2}, ETag: `"e"`}
	note(b.ReadRange(t.Context(), stored, sluice.NewRange(0, 2)))
	return append(said, f, f.Info(), r, file, stored)
}

// Whatever any call answers, be it the API or the object store, nothing hangs,
// follows, grows, or lets a secret out.
func TestAHostileServiceGetsNothing(t *testing.T) {
	hostileService().Test(t)
}

func hostileService() *hostile.Subject {
	return &hostile.Subject{
		Calls: hostileCalls, CallOf: hostileCall, Honest: honestly, Every: makeEveryCall, Hosts: []string{"api.example", "objects.example"},
		Secrets: []string{tokenCanary, orgCanary, signatureCanary, url.QueryEscape(signatureCanary), "canary%2fsignature"},
		Slow:    func(call string) bool { return call == "complete-upload" },
		// The ETag is the receipt, whatever else the object store says;
		// cancelling answers any object; and what the download call does not
		// find leaves the outcome unknown, which is an error of its own.
		Deaf: func(call string, a hostile.Answer) bool {
			return call == "put part" && a.Name == "cut" || call == "cancel-upload" && a.Name == "numbers 200"
		},
	}
}

func TestDrippingAnswers_AreGivenUpUnderARateCapToo(t *testing.T) {
	hostileService().TestRateCap(t, func(t *testing.T, rt http.RoundTripper, o *sluice.Options) error {
		b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("token", "org"), &blendvisionbackend.Options{
			Endpoint: "https://api.example", Transport: rt, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Second},
		})
		require.NoError(t, err)
		o.Size = 1
		_, err = sluice.Upload(t.Context(), b, "a", o, func(w io.Writer) error {
			_, err := io.WriteString(w, "x")
			return err
		})
		return err
	})
}

func connectTo(t *testing.T) hostile.Connect {
	return func(endpoint string, rt http.RoundTripper, plainHTTP bool) error {
		b, err := blendvisionbackend.New(blendvisionbackend.NewCredentials("token", "org"), &blendvisionbackend.Options{
			Endpoint: endpoint, Transport: rt, AllowPlainHTTP: plainHTTP, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond},
		})
		if err == nil {
			_, err = b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: 1})
		}
		return err
	}
}

func TestProxies_LeaveNothingBehind(t *testing.T) { hostile.TestProxies(t, connectTo(t)) }

func TestCertificatesAreVerified(t *testing.T) { hostile.TestCertificates(t, connectTo(t)) }

func TestPlainHTTPIsRefusedOffThisMachine(t *testing.T) { hostile.TestPlainHTTP(t, connectTo(t)) }

func TestOddPresignedURLIsRefusedWithoutItsQuery(t *testing.T) {
	for name, v := range map[string]struct{ url, text string }{
		"unreadable":        {"https://objects.example/%zz?X-Signature=" + tokenCanary, `presigned URL of part number 1: "[unreadable URL]" is not a URL`},
		"without a host":    {"/part?X-Signature=" + tokenCanary, `presigned URL of part number 1: "/part" is not a URL with a host`},
		"plain http":        {"http://objects.example/part?X-Signature=" + tokenCanary, "URL http://objects.example/part: plain http"},
		"another scheme":    {"ftp://objects.example/part?X-Signature=" + tokenCanary, "URL ftp://objects.example/part: scheme"},
		"this machine":      {"http://127.0.0.1:9000/part?X-Signature=" + tokenCanary, "URL http://127.0.0.1:9000/part: a service elsewhere must not send requests to this machine"},
		"this machine, TLS": {"https://localhost/part?X-Signature=" + tokenCanary, "URL https://localhost/part: a service elsewhere must not send requests to this machine"},
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
			require.NotContains(t, err.Error(), tokenCanary)
			require.True(t, cancelled)
		})
	}
}

// Neither does a download go where an upload must not.
func TestOddDownloadURLIsRefused(t *testing.T) {
	for raw, want := range map[string]string{
		"http://objects.example/file": "plain http", "http://127.0.0.1:9000/file": "must not send requests to this machine", "ftp://objects.example": "scheme",
	} {
		b := over(t, func(r *http.Request) (*http.Response, error) {
			require.Equal(t, http.MethodPost, r.Method)
			return reply(200, `{"id": "f", "download_uri": "`+raw+`"}`), nil
		})
		_, err := b.Stat(t.Context(), "f")
		require.ErrorContains(t, err, want)
	}
}
