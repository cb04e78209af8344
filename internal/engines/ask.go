package engines

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Answer is a server's answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Ask sends a signed request, for what a test needs to know or to do independently of the client
// under test. path is "/bucket/key?query", escaped.
func (s *Server) Ask(ctx context.Context, method, path string, header http.Header, body []byte) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	digest := sha256.Sum256(body)
	sum := hex.EncodeToString(digest[:])
	req.Header.Set("X-Amz-Content-Sha256", sum)
	keys := aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(ctx, keys, req, sum, "s3", Region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := s.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return &Answer{resp.StatusCode, resp.Header, text}, err
}

// MakeBucket makes an empty bucket.
func (s *Server) MakeBucket(name string) error { return s.makeBucket(name, nil) }

// MakeLockedBucket makes an empty bucket with Object Lock, where the server has that.
func (s *Server) MakeLockedBucket(name string) error {
	return s.makeBucket(name, http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}})
}

func (s *Server) makeBucket(name string, header http.Header) error {
	a, err := s.Ask(context.Background(), http.MethodPut, "/"+name, header, nil)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", a.Status, a.Body)
	}
	if err != nil {
		return fmt.Errorf("engines: making the bucket %s: %w", name, err)
	}
	return nil
}
