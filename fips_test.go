package sluice_test

import (
	"bytes"
	"crypto/fips140"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/b2backend"
	"github.com/c1508ce4/sluice/blendvisionbackend"
	"github.com/c1508ce4/sluice/s3backend"
)

// In strict FIPS 140-3 mode SHA-1 and MD5 panic. It is a program's for life, so
// the test is run again in one.
func TestStrictFIPSModeIsRefusedOrServed(t *testing.T) {
	if !fips140.Enforced() {
		program, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		require.Contains(t, string(said), "--- PASS: "+t.Name())
		return
	}
	_, err := b2backend.New(t.Context(), b2backend.NewCredentials("id", "key"), "bucket", &b2backend.Options{
		Endpoint: "https://b2.test", Transport: s3Answers{}, Retry: sluice.Retry{Attempts: 1},
	})
	require.ErrorContains(t, err, "no digest but SHA-1")
	_, err = blendvisionbackend.New(blendvisionbackend.NewCredentials("t", "o"), nil)
	require.ErrorContains(t, err, "no digest but SHA-1")

	store, err := s3backend.New(t.Context(), "data", &s3backend.Options{
		Endpoint: "https://store.test", Region: "us-east-1", Transport: s3Answers{},
		Credentials: s3backend.NewCredentials(credentials.NewStaticCredentialsProvider("id", "a secret of some length", "")),
	})
	require.NoError(t, err)
	encryption, err := s3backend.EncryptCustomer(make([]byte, 32))
	require.NoError(t, err)
	store = store.With(s3backend.FileOptions{Encryption: encryption})
	_, err = sluice.Upload(t.Context(), store, "a", nil, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 20<<20))
		return err
	})
	require.NoError(t, err)
	_, err = sluice.Download(t.Context(), store, "a", io.Discard, &sluice.ReadOptions{IgnoreManifest: true})
	require.NoError(t, err)
}

// s3Answers is a store that takes everything. Its ETags are MD5s in form, and it keeps a SHA-1.
type s3Answers struct{}

func (s3Answers) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	tag := `"` + strings.Repeat("0", 32) + `"`
	body := ""
	switch q := req.URL.Query(); {
	case q.Has("uploads"):
		body = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
	case req.Method == http.MethodPost:
		body = fmt.Sprintf("<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", tag)
	}
	header := http.Header{"Etag": {tag}, "X-Amz-Checksum-Sha256": req.Header["X-Amz-Checksum-Sha256"]}
	for _, confirmed := range []string{"Algorithm", "Key-Md5"} {
		confirmed = "X-Amz-Server-Side-Encryption-Customer-" + confirmed
		header.Set(confirmed, req.Header.Get(confirmed))
	}
	if req.Method == http.MethodHead {
		header.Set("X-Amz-Checksum-Sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		header.Set("Content-Length", "0")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(body))),
		ContentLength: int64(len(body)), Request: req,
	}, nil
}
