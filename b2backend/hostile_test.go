package b2backend_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/internal/hostile"
	"github.com/c1508ce4/sluice/internal/testutil"
)

// hostileCall names a call.
func hostileCall(req *http.Request) string {
	if strings.HasPrefix(req.URL.Path, "/file/") {
		return byName
	}
	return path.Base(req.URL.Path)
}

// honestly answers as a service does that has 100 bytes of x in every file.
// What is looked up by the call was lost.
func honestly(call string, req *http.Request) (*http.Response, error) {
	sum := hexOf(part(0, bytes.Repeat([]byte("x"), 100)).Digests[0].Sum)
	file := fmt.Sprintf(`{"action":"upload","fileId":"large","fileName":"file","contentLength":%%d,"contentSha1":"%s","fileInfo":{},"serverSideEncryption":{"mode":"SSE-C"}}`, sum)
	name := hostileCall(req)
	lookedUp := map[string]string{"b2_get_file_info": "b2_finish_large_file", "b2_list_file_versions": "b2_upload_file"}
	if lookedUp[call] == name {
		return nil, errors.New("the answer is lost")
	}
	status, body := http.StatusOK, map[string]string{
		"b2_authorize_account":           strings.Replace(strings.Replace(fakeAnswers["b2_authorize_account"], "TOKEN", "CANARY-ACCOUNT-TOKEN", 1), `[{"id":"bid","name":"bucket"}]`, "null", 1),
		"b2_list_buckets":                `{"buckets":[{"bucketId":"bid","bucketName":"bucket"}]}`,
		"b2_get_upload_url":              strings.Replace(fakeAnswers["b2_get_upload_url"], "UPTOKEN", "CANARY-UPLOAD-TOKEN", 1),
		"b2_get_upload_part_url":         strings.Replace(fakeAnswers["b2_get_upload_part_url"], "UPTOKEN", "CANARY-UPLOAD-TOKEN", 1),
		"b2_start_large_file":            `{"fileId":"large","fileName":"file","serverSideEncryption":{"mode":"SSE-C"}}`,
		"b2_upload_file":                 fmt.Sprintf(file, 100),
		"b2_upload_part":                 fmt.Sprintf(`{"fileId":"large","partNumber":1,"contentLength":100,"contentSha1":"%s"}`, sum),
		"b2_copy_part":                   fmt.Sprintf(`{"fileId":"large","partNumber":2,"contentLength":100,"contentSha1":"%s"}`, sum),
		"b2_copy_file":                   fmt.Sprintf(file, 100),
		"b2_finish_large_file":           fmt.Sprintf(file, 200),
		"b2_list_file_versions":          `{"files":[]}`,
		"b2_cancel_large_file":           `{"fileId":"large"}`,
		"b2_list_unfinished_large_files": `{"files":[{"action":"start","fileId":"large","fileName":"file","serverSideEncryption":{"mode":"SSE-C"}}]}`,
		"b2_list_parts":                  fmt.Sprintf(`{"parts":[{"fileId":"large","partNumber":1,"contentLength":100,"contentSha1":"%s"}]}`, sum),
		"b2_get_file_info":               strings.Replace(fmt.Sprintf(file, 100), sum, "none", 1),
		"b2_list_file_names":             `{"files":[` + fmt.Sprintf(file, 100) + `]}`,
		"b2_delete_file_version":         `{"fileId":"large","fileName":"file"}`,
		byID:                             strings.Repeat("x", 100),
	}[name]
	header := http.Header{"X-Bz-File-Id": {"large"}}
	if name == byID {
		status = http.StatusPartialContent
		header.Set("Content-Range", "bytes 0-99/100")
	}
	return &http.Response{
		StatusCode: status, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// makeEveryCall makes every call there is, and returns the errors and the
// values.
func makeEveryCall(t *testing.T, rt http.RoundTripper, log *slog.Logger) (said []any) {
	note := func(err error) {
		if err != nil {
			said = append(said, err)
		}
	}
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	credentials := b2backend.NewCredentials("id", "CANARY-APPLICATION-KEY")
	options := &b2backend.Options{Transport: rt, Logger: log, Retry: sluice.Retry{Attempts: 3, MaxWait: time.Second}}
	plain, err := b2backend.New(t.Context(), credentials, "bucket", options)
	said = append(said, credentials, encryption)
	if note(err); err != nil {
		return said
	}
	b := plain.With(b2backend.FileOptions{Encryption: encryption})
	data := bytes.Repeat([]byte("x"), 100)
	said = append(said, b, *b, b.Limits())
	_, err = b.UploadFile(t.Context(), sized("file", len(data)), part(0, data))
	note(err)
	_, err = b.CopyFile(t.Context(), spec("copy"), b2backend.CopySource{FileID: "x", Encryption: encryption})
	note(err)
	for f, err := range b.Unfinished(t.Context(), "") {
		note(err)
		said = append(said, f)
	}
	resumed, err := b.ResumeLargeFile(t.Context(), spec("file"), "")
	if note(err); err == nil {
		said = append(said, resumed, resumed.Info())
		note(resumed.Cancel(t.Context()))
	}
	stored, err := b.Stat(t.Context(), "file")
	note(err)
	said = append(said, stored)
	for f, err := range b.List(t.Context(), "") {
		note(err)
		said = append(said, f)
	}
	stored = sluice.StoredFile{File: sluice.File{ID: "large", Name: "file", Size: 100}}
	note(b.ReadRange(t.Context(), stored, sluice.NewRange(0, 100)))
	note(b.Remove(t.Context(), stored))
	large, err := b.StartLargeFile(t.Context(), spec("file"))
	if note(err); err != nil {
		return said
	}
	said = append(said, large, large.Info())
	one, err := large.UploadPart(t.Context(), part(1, data))
	note(err)
	two, err := large.(*b2backend.LargeFile).CopyPart(t.Context(), 2, b2backend.CopySource{FileID: "x", Encryption: encryption})
	note(err)
	sum := part(1, data).Digests
	f, err := large.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 100, Digests: sum}, {Number: 2, Size: 100, Digests: sum}}, nil)
	note(err)
	note(large.Cancel(t.Context()))
	return append(said, one, two, f)
}

// Whatever any call answers, nothing hangs, follows, grows, or lets a secret
// out.
func TestAHostileServiceGetsNothing(t *testing.T) {
	hostileService().Test(t)
}

func hostileService() *hostile.Subject {
	return &hostile.Subject{
		Calls: append([]string{byName, byID}, fuzzedCalls...), CallOf: hostileCall, Honest: honestly, Every: makeEveryCall,
		Hosts: []string{"api.backblazeb2.com", "api001.backblazeb2.com", "pod-000.backblaze.com", "f001.backblazeb2.com"}, Secrets: canaries, Known: canaries[0],
		Slow: func(call string) bool {
			return call == "b2_finish_large_file" || call == "b2_copy_part" || call == "b2_copy_file"
		},
		// What has a name is in the headers of the answer.
		Deaf: func(call string, a hostile.Answer) bool { return call == byName && a.Name == "cut" },
	}
}

func TestDrippingAnswers_AreGivenUpUnderARateCapToo(t *testing.T) {
	hostileService().TestRateCap(t, func(t *testing.T, rt http.RoundTripper, o *sluice.Options) error {
		b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "key"), "bucket", &b2backend.Options{
			Transport: rt, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Second},
		})
		if err != nil {
			return err
		}
		o.PartSize, o.PageSize, o.MemoryLimit = 100, 100, 400
		_, err = sluice.Upload(t.Context(), b, "file", o, func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte("x"), 200))
			return err
		})
		return err
	})
}

// connectTo logs in.
func connectTo(t *testing.T) hostile.Connect {
	return func(endpoint string, rt http.RoundTripper, plainHTTP bool) error {
		_, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "key"), "bucket",
			&b2backend.Options{Endpoint: endpoint, Transport: rt, AllowPlainHTTP: plainHTTP, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
		return err
	}
}

func TestProxies_LeaveNothingBehind(t *testing.T) { hostile.TestProxies(t, connectTo(t)) }

func TestCertificatesAreVerified(t *testing.T) { hostile.TestCertificates(t, connectTo(t)) }

func TestPlainHTTPIsRefusedOffThisMachine(t *testing.T) { hostile.TestPlainHTTP(t, connectTo(t)) }

// Hosts that come from answers get tokens, data and keys: none is asked where
// the network would see them, on this machine, which the service is not on, or
// outside the service's domains.
func TestNoAnswerLeadsElsewhere(t *testing.T) {
	const here, pod, down = "https://api001.backblazeb2.com", "https://pod-000.backblaze.com", "https://f001.backblazeb2.com"
	for _, c := range []struct {
		elsewhere string
		options   b2backend.Options
		allowed   bool
	}{
		{"http://api.test", b2backend.Options{}, false},
		{"http://127.0.0.1:8080", b2backend.Options{}, false},
		{"http://127.0.0.1:8080", b2backend.Options{AllowPlainHTTP: true}, false},
		{"https://localhost:8443", b2backend.Options{}, false},
		{"https://evil.test", b2backend.Options{}, false},
		{"https://backblaze.com.evil.test", b2backend.Options{}, false},
		{"https://evilbackblaze.com", b2backend.Options{}, false},
		{"https://evil.test", b2backend.Options{Domains: []string{"backblazeb2.com", "backblaze.com", "evil.test"}}, true},
		{"https://evil.test", b2backend.Options{Endpoint: "https://proxy.test"}, true},
		{"http://127.0.0.1:8080", b2backend.Options{Endpoint: "https://proxy.test"}, false},
		{"https://127.0.0.1:8080", b2backend.Options{Endpoint: "https://proxy.test", AllowPlainHTTP: true}, false},
		{"http://127.0.0.1:8080", b2backend.Options{Endpoint: "http://127.0.0.1:1"}, true},
		{"https://api009.backblazeb2.com", b2backend.Options{}, true},
	} {
		host := strings.TrimPrefix(strings.TrimPrefix(c.elsewhere, "http://"), "https://")
		for _, from := range []string{here, pod, down} {
			asked := false
			o := c.options
			o.Retry = sluice.Retry{Attempts: 2, MaxWait: time.Microsecond}
			o.Transport = testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
				asked = asked || req.URL.Host == host
				if req.URL.Host == host { // as the host that it stands for
					req.URL.Host = strings.TrimPrefix(from, "https://")
				}
				resp, err := honestly("", req)
				if err == nil {
					body, _ := io.ReadAll(resp.Body)
					body = bytes.ReplaceAll(body, []byte(from), []byte(c.elsewhere))
					resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				}
				return resp, err
			})
			b, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "key"), "bucket", &o)
			if err == nil {
				_, err = b.UploadFile(t.Context(), sized("file", 100), part(0, bytes.Repeat([]byte("x"), 100)))
			}
			if err == nil {
				_, err = b.Stat(t.Context(), "file")
			}
			if c.allowed {
				require.NoError(t, err, "%+v, %s", c, from)
			} else {
				require.Error(t, err, "%+v, %s", c, from)
			}
			require.Equal(t, c.allowed, asked, "%+v, %s", c, from)
		}
	}
}
