package s3backend

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/hostile"
)

// The secrets of a session.
const (
	canarySecret  = "canary-secret-key"
	canarySession = "canary-session-token"
	canaryKey     = "canary-customer-key-of-32-bytes!"
)

// every call whose answer is read.
var everyCall = []string{
	"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts", "ListMultipartUploads",
	"PutObject", "HeadObject", "GetObject", "ListObjectsV2", "GetObjectAttributes", "DeleteObject",
}

// everyCallOf names each call of everyCall. callOf knows those of files in parts.
func everyCallOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case q.Has("list-type"):
		return "ListObjectsV2"
	case q.Has("attributes"):
		return "GetObjectAttributes"
	case r.Method == http.MethodDelete && !q.Has("uploadId"):
		return "DeleteObject"
	default:
		return callOf(r)
	}
}

// honestly answers as a store does that has one unfinished upload. What
// HeadObject looks up was lost.
func honestly(call string, req *http.Request) (*http.Response, error) {
	name := everyCallOf(req)
	if call == "HeadObject" && (name == "PutObject" || name == "CompleteMultipartUpload") {
		return nil, errors.New("the answer is lost")
	}
	status, body := http.StatusOK, map[string]string{
		"CreateMultipartUpload":   "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>",
		"CompleteMultipartUpload": "<CompleteMultipartUploadResult><ETag>t</ETag></CompleteMultipartUploadResult>",
		"ListParts":               "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>t</ETag><Size>10</Size></Part></ListPartsResult>",
		"ListMultipartUploads": "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>u1</UploadId>" +
			"<Initiated>2026-01-02T03:04:05Z</Initiated></Upload></ListMultipartUploadsResult>",
		"GetObject": "0123456789",
		"ListObjectsV2": "<ListBucketResult><Contents><Key>a</Key><Size>10</Size><ETag>t</ETag>" +
			"<LastModified>2026-01-02T03:04:05Z</LastModified></Contents></ListBucketResult>",
		"GetObjectAttributes": "<GetObjectAttributesResponse><ObjectParts><Part><PartNumber>1</PartNumber><Size>10</Size></Part></ObjectParts></GetObjectAttributesResponse>",
	}[name]
	if name == "ListParts" && req.URL.Query().Has("max-parts") { // after it was cancelled
		status, body = http.StatusNotFound, "<Error><Code>NoSuchUpload</Code></Error>"
	}
	h := http.Header{"Etag": {"t"}, "Content-Length": {"10"}}
	if req.Header.Get("Range") != "" {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes 0-9/10")
	}
	echoEncryption(h, req.Header)
	return &http.Response{
		StatusCode: status, Header: h,
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
	customer, err := EncryptCustomer([]byte(canaryKey))
	require.NoError(t, err)
	plain, err := New(t.Context(), "data", &Options{
		Endpoint: "https://store.test", Region: "us-east-1", Retry: sluice.Retry{Attempts: 2, MaxWait: time.Second}, Transport: rt, Logger: log,
		Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession)),
	})
	require.NoError(t, err)
	b, data := plain.With(FileOptions{Encryption: customer}), []byte("0123456789")
	spec := sluice.FileSpec{Name: "a", Size: 10}
	_, err = b.UploadFile(t.Context(), spec, part(0, data))
	note(err)
	for u, err := range b.Unfinished(t.Context(), "") {
		note(err)
		said = append(said, u)
	}
	resumed, err := b.ResumeLargeFile(t.Context(), spec, "")
	if note(err); err == nil {
		said = append(said, resumed, resumed.Info())
		note(resumed.Cancel(t.Context()))
	}
	f, err := b.StartLargeFile(t.Context(), spec)
	said = append(said, b, *b, b.options, customer, &customer, b.Limits())
	if note(err); err != nil {
		return said
	}
	r, err := f.UploadPart(t.Context(), part(1, data))
	note(err)
	_, err = f.Finish(t.Context(), []sluice.Receipt{{Number: 1, Size: 10, ETag: "t", Digests: part(1, data).Digests}}, nil)
	note(err)
	_, err = b.Stat(t.Context(), "a")
	note(err)
	stored := sluice.StoredFile{File: sluice.File{ID: "t", Name: "a", Size: 10}, ETag: "t"}
	note(b.ReadRange(t.Context(), stored, sluice.NewRange(0, 10)))
	parts, err := b.attributes(t.Context(), &stored)
	note(err)
	for f, err := range b.List(t.Context(), "") {
		note(err)
		said = append(said, f)
	}
	note(b.Remove(t.Context(), stored))
	return append(said, f, f.Info(), r, parts)
}

// Whatever any call answers, nothing hangs, follows, grows, or lets a secret out.
func TestAHostileStoreGetsNothing(t *testing.T) {
	hostileStore().Test(t)
}

func hostileStore() *hostile.Subject {
	return &hostile.Subject{
		Calls: everyCall, CallOf: everyCallOf, Honest: honestly, Every: makeEveryCall, Hosts: []string{"data.store.test"}, Known: canarySecret,
		Secrets: []string{
			canarySecret, canarySession, canaryKey, url.QueryEscape(canarySession),
			base64.StdEncoding.EncodeToString([]byte(canaryKey)), hex.EncodeToString([]byte(canaryKey)), fmt.Sprint([]byte(canaryKey))[1:30],
		},
		Slow: func(call string) bool { return call == "CompleteMultipartUpload" },
		// Cancel looks whether the upload is gone. What HeadObject does not
		// find leaves the outcome unknown, which is an error too, and a
		// part is what its headers say it is. Many stores do not know the parts
		// of a file.
		Deaf: func(call string, a hostile.Answer) bool {
			return call == "AbortMultipartUpload" || call == "GetObjectAttributes" ||
				call == "DeleteObject" && (a.Name == "empty 200" || a.Name == "cut, and nothing says so") || (call == "UploadPart" || call == "PutObject") && a.Name == "cut"
		},
		Patterns: []*regexp.Regexp{regexp.MustCompile(`Signature=[0-9a-f]{16}`)},
	}
}

func TestDrippingAnswers_AreGivenUpUnderARateCapToo(t *testing.T) {
	hostileStore().TestRateCap(t, func(t *testing.T, rt http.RoundTripper, o *sluice.Options) error {
		b, err := New(t.Context(), "data", &Options{
			Endpoint: "https://store.test", Region: "us-east-1", Retry: sluice.Retry{Attempts: 2, MaxWait: time.Second}, Transport: rt,
			Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", canarySecret, canarySession)),
		})
		require.NoError(t, err)
		b.limits.MinPart = 10
		o.PartSize, o.PageSize, o.MemoryLimit = 10, 10, 40
		_, err = sluice.Upload(t.Context(), b, "a", o, func(w io.Writer) error {
			_, err := io.WriteString(w, "01234567890123456789")
			return err
		})
		return err
	})
}

func connectTo(t *testing.T) hostile.Connect {
	return connectAnd(t, func(b *Backend) error {
		_, err := b.StartLargeFile(t.Context(), sluice.FileSpec{Name: "a", Size: sluice.UnknownSize})
		return err
	})
}

func connectAnd(t *testing.T, call func(*Backend) error) hostile.Connect {
	return func(endpoint string, rt http.RoundTripper, plainHTTP bool) error {
		o := &Options{
			Endpoint: endpoint, Region: "us-east-1", Transport: rt, AllowPlainHTTP: plainHTTP, PathStyle: true, Retry: sluice.Retry{Attempts: 2, MaxWait: time.Millisecond},
			Credentials: NewCredentials(credentials.NewStaticCredentialsProvider("id", "key", "")),
		}
		b, err := New(t.Context(), "data", o)
		if err != nil {
			return err
		}
		return call(b)
	}
}

func TestProxies_LeaveNothingBehind(t *testing.T) {
	hostile.TestProxies(t, connectTo(t))
	hostile.TestProxies(t, connectAnd(t, func(b *Backend) error {
		_, err := b.Stat(t.Context(), "a")
		return err
	}))
}

func TestCertificatesAreVerified(t *testing.T) { hostile.TestCertificates(t, connectTo(t)) }

func TestPlainHTTPIsRefusedOffThisMachine(t *testing.T) { hostile.TestPlainHTTP(t, connectTo(t)) }

// An endpoint from the environment or a profile is judged like one of Options.
func TestPlainHTTPFromTheEnvironmentIsRefused(t *testing.T) {
	awsEnvironment(t, "[profile open]\nregion = r\nendpoint_url = http://store.example\n", "[open]\naws_access_key_id = a\naws_secret_access_key = b\n")
	for name, value := range map[string]string{"AWS_PROFILE": "open", "AWS_ENDPOINT_URL": "http://store.example", "AWS_ENDPOINT_URL_S3": "http://store.example"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REGION", "r")
			t.Setenv(name, value)
			_, err := New(t.Context(), "data", nil)
			require.ErrorContains(t, err, "plain http would show the credentials")
		})
	}
}
