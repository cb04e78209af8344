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
)

// download is what stands for the name of the call by which files are read.
const download = "a download"

// hostileCall names a call.
func hostileCall(req *http.Request) string {
	if req.URL.Host == "f.test" {
		return download
	}
	return path.Base(req.URL.Path)
}

// honestly answers as a service does that has 100 bytes of x in every file. What is looked up by the call was lost.
func honestly(call string, req *http.Request) (*http.Response, error) {
	sum := hexOf(part(0, bytes.Repeat([]byte("x"), 100)).Digests[0].Sum)
	file := fmt.Sprintf(`{"action":"upload","fileId":"large","fileName":"file","contentLength":%%d,"contentSha1":"%s","fileInfo":{}}`, sum)
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
		"b2_start_large_file":            fakeAnswers["b2_start_large_file"],
		"b2_upload_file":                 fmt.Sprintf(file, 100),
		"b2_upload_part":                 fmt.Sprintf(`{"fileId":"large","partNumber":1,"contentLength":100,"contentSha1":"%s"}`, sum),
		"b2_copy_part":                   fmt.Sprintf(`{"fileId":"large","partNumber":2,"contentLength":100,"contentSha1":"%s"}`, sum),
		"b2_copy_file":                   fmt.Sprintf(file, 100),
		"b2_finish_large_file":           fmt.Sprintf(file, 200),
		"b2_list_file_versions":          `{"files":[]}`,
		"b2_cancel_large_file":           `{"fileId":"large"}`,
		"b2_list_unfinished_large_files": `{"files":[{"action":"start","fileId":"large","fileName":"file","serverSideEncryption":{"mode":"SSE-C"}}]}`,
		"b2_list_parts":                  fmt.Sprintf(`{"parts":[{"fileId":"large","partNumber":1,"contentLength":100,"contentSha1":"%s"}]}`, sum),
		download:                         strings.Repeat("x", 100),
	}[name]
	if name == "b2_get_file_info" { // it knows finished files only
		status = http.StatusNotFound
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"X-Bz-File-Id": {"large"}, "X-Bz-Content-Sha1": {sum}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// makeEveryCall makes every call there is, and returns the errors and the values.
func makeEveryCall(t *testing.T, rt http.RoundTripper, log *slog.Logger) (said []any) {
	note := func(err error) {
		if err != nil {
			said = append(said, err)
		}
	}
	encryption, err := b2backend.EncryptCustomer(customerKey)
	require.NoError(t, err)
	credentials := b2backend.Credentials{KeyID: "id", Key: "CANARY-APPLICATION-KEY"}
	options := &b2backend.Options{Transport: rt, Logger: log, Retry: sluice.Retry{Attempts: 3, MaxWait: time.Second}}
	plain, err := b2backend.New(t.Context(), credentials, "bucket", options)
	said = append(said, credentials, encryption)
	if note(err); err != nil {
		return said
	}
	b := plain.With(b2backend.FileOptions{Encryption: encryption})
	data := bytes.Repeat([]byte("x"), 100)
	said = append(said, b, *b, b.Limits())
	_, err = b.UploadFile(t.Context(), spec("file"), part(0, data))
	note(err)
	_, err = b.CopyFile(t.Context(), spec("copy"), b2backend.Source{FileID: "x", Encryption: encryption})
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
	d, err := b.Open(t.Context(), "file")
	if note(err); err == nil {
		_, err = io.ReadAll(io.LimitReader(d, 1<<10))
		note(err)
		said = append(said, d)
		_ = d.Close()
	}
	large, err := b.StartLargeFile(t.Context(), spec("file"))
	if note(err); err != nil {
		return said
	}
	said = append(said, large, large.Info())
	one, err := large.UploadPart(t.Context(), part(1, data))
	note(err)
	two, err := large.(*b2backend.LargeFile).CopyPart(t.Context(), 2, b2backend.Source{FileID: "x", Encryption: encryption})
	note(err)
	sum := part(1, data).Digests
	f, err := large.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 100, Digests: sum}, {Number: 2, Size: 100, Digests: sum}}, nil)
	note(err)
	note(large.Cancel(t.Context()))
	return append(said, one, two, f)
}

// Whatever any call answers, nothing hangs, follows, grows, or lets a secret out.
func TestAHostileServiceGetsNothing(t *testing.T) {
	s := hostile.Subject{
		Calls: append([]string{download}, fuzzedCalls...), CallOf: hostileCall, Honest: honestly, Every: makeEveryCall,
		Hosts: []string{"api.backblazeb2.com", "api.test", "pod.test", "f.test"}, Secrets: canaries, Known: canaries[0],
	}
	s.Test(t)
}

// connectTo logs in.
func connectTo(t *testing.T) hostile.Connect {
	return func(endpoint string, rt http.RoundTripper, plainHTTP bool) error {
		_, err := b2backend.New(t.Context(), b2backend.Credentials{KeyID: "id", Key: "key"}, "bucket",
			&b2backend.Options{Endpoint: endpoint, Transport: rt, AllowPlainHTTP: plainHTTP, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond}})
		return err
	}
}

func TestCertificatesAreVerified(t *testing.T) { hostile.TestCertificates(t, connectTo(t)) }

func TestPlainHTTPIsRefusedOffThisMachine(t *testing.T) { hostile.TestPlainHTTP(t, connectTo(t)) }

// The hosts that come from answers must be such that nobody listens too.
func TestNoAnswerLeadsToPlainHTTP(t *testing.T) {
	for _, call := range []string{"b2_authorize_account", "b2_get_upload_url", "b2_get_upload_part_url"} {
		real := &fake{answers: map[string]func(*http.Request) (int, string){
			call: func(*http.Request) (int, string) {
				return 200, `{"accountId":"acc","authorizationToken":"TOKEN","uploadUrl":"http://pod.test/b2_upload_part","fileId":"large",` +
					`"apiInfo":{"storageApi":{"apiUrl":"http://api.test","absoluteMinimumPartSize":100,"allowed":{"buckets":[{"id":"b","name":"bucket"}]}}}}`
			},
		}}
		errs := everyCall(t, roundTrip(func(req *http.Request) (*http.Response, error) {
			require.Equal(t, "https", req.URL.Scheme)
			return real.RoundTrip(req)
		}))
		require.NotEmpty(t, errs, call)
	}
}
